package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
)

// prSetMM is PR_SET_MM: what execve(2) noted of the address space is changed, for
// checkpointing and for setproctitle(3).
func prSetMM(t *kernel.Task, a prctlArgs) (uint64, error) {
	if a[3] != 0 || a[2] != 0 && a[0] != linux.PR_SET_MM_AUXV {
		return 0, linux.EINVAL
	}
	if !t.Creds().Capable(auth.CapSysResource) {
		return 0, linux.EPERM
	}
	l := t.Space().Layout()
	at := arch.Addr(a[1])
	if a[0] == linux.PR_SET_MM_AUXV {
		return 0, setAuxv(t, &l, at, a[2])
	}
	field := mmField(&l, a[0])
	if field == nil || at < arch.PageSize || uint64(at) >= 1<<47 {
		return 0, linux.EINVAL
	}
	*field = at
	t.Space().SetLayout(l)
	return 0, nil
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
		return &l.BrkStart
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

func setAuxv(t *kernel.Task, l *mm.Layout, at arch.Addr, n uint64) error {
	const entry, most = 16, 50 // AT_VECTOR_SIZE / 2
	if n > entry*most {
		return linux.EINVAL
	}
	v, err := usermem.Ptr[linux.AuxEntry](at).LoadSlice(t, int(n/entry))
	if err != nil {
		return err
	}
	l.Auxv = v
	t.Space().SetLayout(*l)
	return nil
}
