package mm

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/callsite"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

// A textCopy is a copy of a text in the page file whose system calls jump to the
// gate. The trampolines are in the last page, between the end of the segment
// and the end of the page, where nothing of the program is; so nothing else
// needs to be mapped, and the copy is the same for everybody, wherever it is
// mapped. Nobody can write it: guests map it by a descriptor for reading.
//
// It is a HostFile to runs, as it is mapped and counted like a file's pages.
type textCopy struct {
	table *textTable
	at    memfile.Range
	pages []patchedPage // by their distance from the start
	has   map[uint64]bool
	refs  atomic.Int64
}

var _ HostFile = (*textCopy)(nil)

// FD implements platform.File.
func (c *textCopy) FD() int { return c.table.env.memory.ReadOnly().FD() }

// IncRef implements HostFile.
func (c *textCopy) IncRef() { c.refs.Add(1) }

// DecRef implements HostFile. It may be called under locks; c may be nil.
func (c *textCopy) DecRef() {
	if c != nil && c.refs.Add(-1) == 0 {
		c.table.bytes.Add(-c.at.Len())
		c.table.env.memory.DecRef(c.at)
	}
}

// makeCopy makes a copy of the segment k of f with as many of the sites patched as can
// be, the busiest first; nil if none can, or the host has no memory. never says
// that it will be so for other sites, too.
func (e *textTable) makeCopy(k textKey, f HostFile, sites map[uint64]textSite) (made *textCopy, never bool) {
	tail, ok := padding(f, k)
	code := make([]byte, k.n)
	if !ok || !readFull(f, code, k.off) || len(bytes.Trim(code[tail:], "\x00")) > 0 {
		return nil, true
	}
	c := &textCopy{table: e, has: make(map[uint64]bool)}
	c.patch(code, (tail+trampolineAlign-1)&^(trampolineAlign-1), sites)
	if len(c.has) == 0 {
		return nil, false
	}
	var err error
	if c.at, err = e.pool.Alloc(k.n); err != nil {
		return nil, true
	}
	e.bytes.Add(c.at.Len())
	c.refs.Store(1)
	if !writeFull(e.env.memory.FD(), code, c.at.Start) {
		c.DecRef()
		return nil, true
	}
	return c, false
}

// trampolineAlign is a slot's size and more: a cache line.
const trampolineAlign = 64

// patch patches sites in code, with trampolines from start on.
func (c *textCopy) patch(code []byte, start uint64, sites map[uint64]textSite) {
	if start+uint64(callsite.SlotAt(1)) > uint64(len(code)) {
		return
	}
	copy(code[start:], callsite.Begin(c.table.env.facts.Gate))
	order := slices.SortedFunc(maps.Keys(sites), func(a, b uint64) int {
		return cmp.Or(cmp.Compare(sites[b].plain, sites[a].plain), cmp.Compare(a, b))
	})
	pages := make(map[uint64][]callsite.Edit)
	for _, end := range order {
		slot := callsite.SlotAt(len(c.has))
		if start+uint64(slot+callsite.SlotAt(0)) > uint64(len(code)) {
			break
		}
		at := (end - 1) &^ arch.PageMask
		page := code[at:min(at+arch.PageSize, start)]
		site, ok := callsite.Find(page, int(end-at), sites[end].nr)
		if !ok {
			continue
		}
		edits, into := site.Patch(page, arch.Addr(at), arch.Addr(start), slot)
		copy(code[start+uint64(slot):], into)
		for i := range edits {
			edits[i].Do(page)
		}
		pages[at] = append(pages[at], edits...)
		c.has[end] = true
	}
	for at, edits := range pages {
		c.pages = append(c.pages, patchedPage{at: arch.Addr(at), edits: edits})
	}
}

// padding is where in k, a segment of the ELF file f, what the file has of it ends: from
// there to the end of the page nothing belongs to the program.
func padding(f HostFile, k textKey) (start uint64, ok bool) {
	var h linux.ElfHeader
	b := make([]byte, arch.PageSize)
	if !readFull(f, b, 0) || !bytes.HasPrefix(b, []byte(linux.ELFMAG)) {
		return 0, false
	}
	binary.Decode(b, binary.LittleEndian, &h) //nolint:errcheck // there are enough
	size := binary.Size(linux.ElfProgram{})
	for i := range int(h.Phnum) {
		var p linux.ElfProgram
		at := h.Phoff + uint64(i*size)
		if int(h.Phentsize) != size || at >= uint64(len(b)) {
			return 0, false
		}
		if _, err := binary.Decode(b[at:], binary.LittleEndian, &p); err != nil {
			return 0, false
		}
		if p.Type == linux.PT_LOAD && p.Offset&^arch.PageMask == k.off {
			end := p.Offset + p.Filesz - k.off
			return end, p.Filesz == p.Memsz && p.Flags&linux.PF_X != 0 && end <= k.n && end+arch.PageSize > k.n
		}
	}
	return 0, false
}

// readFull reads b from f at off; what is beyond f's end is zero.
func readFull(f HostFile, b []byte, off uint64) bool {
	for len(b) > 0 {
		n, err := unix.Pread(f.FD(), b, int64(off))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false
		case n == 0:
			return true
		}
		b, off = b[n:], off+uint64(n)
	}
	return true
}

// writeFull writes b to fd at off.
func writeFull(fd int, b []byte, off uint64) bool {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, int64(off))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false
		}
		b, off = b[n:], off+uint64(n)
	}
	return true
}
