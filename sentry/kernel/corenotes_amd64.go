package kernel

import (
	"encoding/binary"
	"strings"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
)

// notes is the contents of PT_NOTE: the first thread, what is said of the process, and
// the other threads.
func (w *coreWriter) notes(threads []*Task, info *linux.SigInfo, regions []mm.DumpRegion) (b []byte) {
	for i, x := range threads {
		st := w.status(x, info.Signal())
		b = appendNote(b, "CORE", linux.NT_PRSTATUS, usermem.AsBytes(&st))
		if i == 0 {
			ps := w.process()
			b = appendNote(b, "CORE", linux.NT_PRPSINFO, usermem.AsBytes(&ps))
			b = appendNote(b, "CORE", linux.NT_SIGINFO, usermem.AsBytes(info))
			b = appendNote(b, "CORE", linux.NT_AUXV, w.auxv())
			if f := fileNote(regions); len(f) <= maxFileNote {
				b = appendNote(b, "CORE", linux.NT_FILE, f)
			}
		}
		fp := append([]byte(nil), x.dumpFPU[:linux.FXSaveSize]...)
		clear(fp[linux.FPXSwOffset:]) // which is for software
		b = appendNote(b, "CORE", linux.NT_PRFPREG, fp)
		if len(x.dumpFPU) > linux.FXSaveSize {
			full := append([]byte(nil), x.dumpFPU...)
			clear(full[linux.FPXSwOffset:linux.FXSaveSize])
			binary.LittleEndian.PutUint64(full[linux.FPXSwOffset:], w.t.k.xstate.Features)
			b = appendNote(b, "LINUX", linux.NT_X86_XSTATE, full)
		}
	}
	return b
}

// appendNote adds an Elf64_Nhdr with its name and contents.
func appendNote(b []byte, name string, kind uint32, desc []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, kind)
	pad := func() {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	b = append(append(b, name...), 0)
	pad()
	b = append(b, desc...)
	pad()
	return b
}

// status is a thread's registers and numbers.
func (w *coreWriter) status(x *Task, s linux.Signal) linux.PrStatus {
	if x.restart != 0 {
		x.failCall(x.restart) // where a debugger looks for it
	}
	g, ns := x.tg, x.tg.pid.ns
	user, system := x.CPUTime()
	cu, cs := g.ChildrenTime()
	tv := func(ns int64) linux.Timeval { return linux.NsecToTimespec(ns).Timeval() }
	return linux.PrStatus{
		Signo: int32(s), CurSig: int16(s), SigPend: uint64(x.pending.set), SigHold: uint64(x.mask),
		PID: x.TID(), PPID: g.ParentPID(ns), PGRP: g.GroupID(ns), SID: g.SessionID(ns),
		Utime: tv(user), Stime: tv(system), Cutime: tv(cu), Cstime: tv(cs),
		Reg: Tracee{x}.UserRegs(), FPValid: 1,
	}
}

// process is what ps(1) tells of the process.
func (w *coreWriter) process() linux.PrPSInfo {
	const pfDumpCore = 0x200
	t, g := w.t, w.t.tg
	ns, cr := g.pid.ns, t.Creds()
	p := linux.PrPSInfo{
		Sname: 'R', Nice: int8(t.Sched().Nice), Flag: pfDumpCore, UID: cr.RUID, GID: cr.RGID,
		PID: t.TGID(), PPID: g.ParentPID(ns), PGRP: g.GroupID(ns), SID: g.SessionID(ns),
	}
	copy(p.Fname[:], t.Name())
	s := t.space.Load()
	args := s.Layout().Args
	b := p.Args[:min(uint64(len(p.Args)-1), args.Len())]
	n, _ := s.Forced().CopyIn(b, args.Start)
	for i := range b[:n] {
		if b[i] == 0 {
			b[i] = ' '
		}
	}
	return p
}

func (w *coreWriter) auxv() (b []byte) {
	end := false
	for _, e := range w.t.space.Load().Layout().Auxv {
		b = append(b, usermem.AsBytes(&e)...)
		end = end || e.Type == linux.AT_NULL
	}
	if !end {
		b = append(b, make([]byte, 16)...)
	}
	return b
}

// maxFileNote is the most that NT_FILE may take (MAX_FILE_NOTE_SIZE).
const maxFileNote = 4 << 20

// fileNote says which files are mapped where: NT_FILE.
func fileNote(regions []mm.DumpRegion) (b []byte) {
	var names []byte
	count := uint64(0)
	b = make([]byte, 16)
	for i := range regions {
		r := &regions[i]
		if !r.File || strings.HasPrefix(r.Name, "[") { // a memory of the kernel's own
			continue
		}
		count++
		for _, v := range [...]uint64{uint64(r.Start), uint64(r.End), r.Offset / arch.PageSize} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		names = append(append(names, r.Name...), 0)
	}
	binary.LittleEndian.PutUint64(b, count)
	binary.LittleEndian.PutUint64(b[8:], arch.PageSize)
	return append(b, names...)
}
