package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// auxvMost is how many entries an auxiliary vector has for programs to see or change,
// the last of them AT_NULL; auxvEntry is the bytes of one.
const auxvMost, auxvEntry = 28, 16

// prSetMM is PR_SET_MM: what execve(2) noted of the address space is changed, for
// checkpointing and for setproctitle(3).
func prSetMM(t *kernel.Task, a prctlArgs) (uint64, error) {
	op, at := a[0], arch.Addr(a[1])
	sized := op == linux.PR_SET_MM_AUXV || op == linux.PR_SET_MM_MAP || op == linux.PR_SET_MM_MAP_SIZE
	if a[3] != 0 || a[2] != 0 && !sized {
		return 0, linux.EINVAL
	}
	switch op { // which need no capability
	case linux.PR_SET_MM_MAP_SIZE:
		n := uint32(linux.SizeofPrctlMMMap)
		return 0, usermem.Ptr[uint32](at).Store(t, &n)
	case linux.PR_SET_MM_MAP:
		return 0, setMMMap(t, at, a[2])
	}
	if !t.Creds().Capable(auth.CapSysResource) {
		return 0, linux.EPERM
	}
	switch op {
	case linux.PR_SET_MM_EXE_FILE:
		return 0, setExeFile(t, kernel.FD(a[1]))
	case linux.PR_SET_MM_AUXV:
		return 0, setAuxv(t, at, a[2])
	}
	if at < t.Space().Bottom() || at >= t.Space().Top() || mmField(&mm.Layout{}, op) == nil {
		return 0, linux.EINVAL
	}
	below := at
	if op < linux.PR_SET_MM_ARG_START && op != linux.PR_SET_MM_START_STACK {
		below = 0 // may be where nothing is mapped
	}
	return 0, changeLayout(t, below, func(l *mm.Layout) { *mmField(l, op) = at })
}

func mmField(l *mm.Layout, op uint64) *arch.Addr {
	switch op {
	case linux.PR_SET_MM_START_CODE:
		return &l.CodeStart
	case linux.PR_SET_MM_END_CODE:
		return &l.CodeEnd
	case linux.PR_SET_MM_START_DATA:
		return &l.DataStart
	case linux.PR_SET_MM_END_DATA:
		return &l.DataEnd
	case linux.PR_SET_MM_START_STACK:
		return &l.StackStart
	case linux.PR_SET_MM_START_BRK:
		return &l.Brk.Start
	case linux.PR_SET_MM_BRK:
		return &l.Brk.End
	case linux.PR_SET_MM_ARG_START:
		return &l.Args.Start
	case linux.PR_SET_MM_ARG_END:
		return &l.Args.End
	case linux.PR_SET_MM_ENV_START:
		return &l.Env.Start
	case linux.PR_SET_MM_ENV_END:
		return &l.Env.End
	}
	return nil
}

// setMMMap is PR_SET_MM_MAP: all at once.
func setMMMap(t *kernel.Task, at arch.Addr, size uint64) error {
	if size != linux.SizeofPrctlMMMap {
		return linux.EINVAL
	}
	m, err := usermem.Ptr[linux.PrctlMMMap](at).Load(t)
	if err != nil {
		return err
	}
	place := func(l *mm.Layout) {
		l.CodeStart, l.CodeEnd = arch.Addr(m.StartCode), arch.Addr(m.EndCode)
		l.DataStart, l.DataEnd = arch.Addr(m.StartData), arch.Addr(m.EndData)
		l.Brk = arch.Range{Start: arch.Addr(m.StartBrk), End: arch.Addr(m.Brk)}
		l.StackStart = arch.Addr(m.StartStack)
		l.Args = arch.Range{Start: arch.Addr(m.ArgStart), End: arch.Addr(m.ArgEnd)}
		l.Env = arch.Range{Start: arch.Addr(m.EnvStart), End: arch.Addr(m.EnvEnd)}
	}
	if err := t.Space().CheckLayout(place); err != nil {
		return err
	}
	var auxv []linux.AuxEntry
	if m.AuxvSize != 0 {
		if m.Auxv == 0 {
			return linux.EINVAL
		}
		if auxv, err = loadAuxv(t, arch.Addr(m.Auxv), uint64(m.AuxvSize)); err != nil {
			return err
		}
		auxv = append(auxv, make([]linux.AuxEntry, auxvMost-len(auxv))...)
	}
	if m.ExeFD != -1 {
		c := t.Creds()
		if !c.HasCap(auth.CapCheckpointRestore) && !c.HasCap(auth.CapSysAdmin) {
			return linux.EPERM
		}
		if err := setExeFile(t, kernel.FD(m.ExeFD)); err != nil {
			return err
		}
	}
	return changeLayout(t, 0, func(l *mm.Layout) {
		place(l)
		if auxv != nil {
			l.Auxv = auxv
		}
	})
}

func changeLayout(t *kernel.Task, below arch.Addr, change func(*mm.Layout)) error {
	err := t.Space().ChangeLayout(below, change)
	if err == nil {
		t.NameChanged()
	}
	return err
}

func setExeFile(t *kernel.Task, fd kernel.FD) error {
	_, err := withFile(t, fd, func(d *vfs.FileDescription) error { return t.SetExecutable(d) })
	return err
}

// setAuxv is PR_SET_MM_AUXV: what is beyond the n bytes stays.
func setAuxv(t *kernel.Task, at arch.Addr, n uint64) error {
	v, err := loadAuxv(t, at, n)
	if err != nil {
		return err
	}
	t.Space().SetAuxv(v)
	return nil
}

// loadAuxv is the n bytes of entries at at. What is half an entry is none.
func loadAuxv(t *kernel.Task, at arch.Addr, n uint64) ([]linux.AuxEntry, error) {
	if n > auxvMost*auxvEntry {
		return nil, linux.EINVAL
	}
	v, err := usermem.Ptr[linux.AuxEntry](at).LoadSlice(t, int(n/auxvEntry))
	if err == nil && len(v) == auxvMost {
		v[auxvMost-1] = linux.AuxEntry{}
	}
	return v, err
}
