package kernel

import (
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// coreChunk is how much of a core file is written at a time.
const coreChunk = 64 << 10

// A coreWriter writes a core file, in order.
type coreWriter struct {
	t    *Task
	f    *vfs.FileDescription
	off  int64  // where the next byte goes
	left uint64 // bytes that may yet be written: RLIMIT_CORE
	buf  []byte
}

// write writes the core file of threads, of which the first dies of info. What does not
// fit is not there.
func (w *coreWriter) write(threads []*Task, info *linux.SigInfo) {
	s := w.t.space.Load()
	regions := s.DumpRegions(w.t.tg.CoreFilter())
	notes := w.notes(threads, info, regions)
	const ehdr, phdr = 64, 56
	count := 1 + len(regions)
	at := uint64(ehdr + phdr*count)
	head := elfCoreHeader(count)
	note := linux.ElfProgram{Type: linux.PT_NOTE, Offset: at, Filesz: uint64(len(notes)), Align: 4}
	head = append(head, usermem.AsBytes(&note)...)
	at = (at + uint64(len(notes)) + arch.PageMask) &^ arch.PageMask
	for i := range regions {
		r := &regions[i]
		p := linux.ElfProgram{
			Type: linux.PT_LOAD, Flags: elfRights(r.Access), Offset: at, Vaddr: uint64(r.Start),
			Filesz: r.Size, Memsz: r.Len(), Align: arch.PageSize,
		}
		head = append(head, usermem.AsBytes(&p)...)
		at += r.Size
	}
	if !w.emit(head) || !w.emit(notes) {
		return
	}
	w.off = (w.off + arch.PageMask) &^ arch.PageMask
	for i := range regions {
		if !w.memory(s, &regions[i]) {
			return
		}
	}
	w.f.Truncate(w.t, w.off) //nolint:errcheck // the end is a hole: it is short then
}

// memory writes what the file has of r, but for pages of zeros.
func (w *coreWriter) memory(s *mm.Space, r *mm.DumpRegion) bool {
	start := w.off
	m := s.Forced()
	for _, h := range r.Held {
		for at := h.Start; at < h.End; {
			b := w.buf[:min(len(w.buf), int(h.End-at))]
			n, _ := m.CopyIn(b, at)
			w.off = start + int64(at-r.Start)
			if !w.pages(b[:n]) {
				return false
			}
			at += arch.Addr(len(b))
		}
	}
	w.off = start + int64(r.Size)
	return true
}

// pages writes b but for the pages of it that are zero.
func (w *coreWriter) pages(b []byte) bool {
	base := w.off
	for at := 0; at < len(b); {
		end := at
		for end < len(b) && !isZero(b[end:min(end+arch.PageSize, len(b))]) {
			end = min(end+arch.PageSize, len(b))
		}
		if end > at {
			w.off = base + int64(at)
			fits := at + int(min(uint64(end-at), w.left&^arch.PageMask))
			if !w.emit(b[at:fits]) || fits < end {
				return false
			}
		}
		at = end + arch.PageSize
	}
	return true
}

func isZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// emit writes b, which may end the dump: at the limit, at an error, if t is killed.
func (w *coreWriter) emit(b []byte) bool {
	if w.t.attention.Load()&attnKill != 0 || uint64(len(b)) > w.left {
		return false
	}
	w.left -= uint64(len(b))
	for len(b) > 0 {
		n, err := w.f.WriteAt(w.t, usermem.FromBytes(b), w.off)
		if err != nil || n == 0 {
			return false
		}
		w.off += n
		b = b[n:]
	}
	return true
}

func elfCoreHeader(programs int) []byte {
	h := linux.ElfHeader{
		Type: linux.ET_CORE, Machine: linux.EM_X86_64, Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56,
		Phnum: uint16(programs),
	}
	copy(h.Ident[:], linux.ELFMAG)
	h.Ident[4], h.Ident[5], h.Ident[6] = linux.ELFCLASS64, linux.ELFDATA2LSB, 1
	return append([]byte(nil), usermem.AsBytes(&h)...)
}

func elfRights(a arch.Access) (f uint32) {
	for _, x := range [...]struct {
		a arch.Access
		f uint32
	}{{arch.Read, linux.PF_R}, {arch.Write, linux.PF_W}, {arch.Exec, linux.PF_X}} {
		if a&x.a != 0 {
			f |= x.f
		}
	}
	return f
}
