package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// prctl implements prctl(2).
func prctl(t *kernel.Task, op int32, a2, a3, a4, a5 uint64) (uint64, error) {
	if f, ok := prctls[op]; ok {
		return f(t, [4]uint64{a2, a3, a4, a5})
	}
	return 0, linux.EINVAL
}

// rest reports whether the arguments from a[i] on are zero, as the newer
// operations demand.
func rest(a [4]uint64, i int) bool {
	for _, v := range a[i:] {
		if v != 0 {
			return false
		}
	}
	return true
}

type prctlArgs = [4]uint64

// prctls is the operations that this kernel knows.
var prctls = map[int32]func(*kernel.Task, prctlArgs) (uint64, error){
	linux.PR_SET_PDEATHSIG:  prSetDeathSignal,
	linux.PR_GET_PDEATHSIG:  prGetDeathSignal,
	linux.PR_GET_DUMPABLE:   func(t *kernel.Task, _ prctlArgs) (uint64, error) { return uint64(t.ThreadGroup().Dumpable()), nil },
	linux.PR_SET_DUMPABLE:   prSetDumpable,
	linux.PR_GET_KEEPCAPS:   prGetKeepCaps,
	linux.PR_SET_KEEPCAPS:   prSetKeepCaps,
	linux.PR_GET_TIMING:     func(*kernel.Task, prctlArgs) (uint64, error) { return 0, nil },
	linux.PR_SET_TIMING:     prSetTiming,
	linux.PR_SET_NAME:       prSetName,
	linux.PR_GET_NAME:       prGetName,
	linux.PR_GET_SECCOMP:    prGetSeccomp,
	linux.PR_SET_SECCOMP:    prSetSeccomp,
	linux.PR_CAPBSET_READ:   prCapBoundingRead,
	linux.PR_CAPBSET_DROP:   prCapBoundingDrop,
	linux.PR_GET_TSC:        prGetTSC,
	linux.PR_SET_TSC:        prSetTSC,
	linux.PR_GET_SECUREBITS: func(t *kernel.Task, _ prctlArgs) (uint64, error) { return uint64(t.Creds().Securebits), nil },
	linux.PR_SET_SECUREBITS: prSetSecurebits,
	linux.PR_SET_TIMERSLACK: func(t *kernel.Task, a prctlArgs) (uint64, error) { t.SetTimerSlack(a[0]); return 0, nil },
	linux.PR_GET_TIMERSLACK: func(t *kernel.Task, _ prctlArgs) (uint64, error) { return t.TimerSlack(), nil },
	linux.PR_MCE_KILL:       prMCEKill,
	linux.PR_MCE_KILL_GET:   prMCEKillGet,
	linux.PR_SET_MM:         prSetMM,
	linux.PR_SET_CHILD_SUBREAPER: func(t *kernel.Task, a prctlArgs) (uint64, error) {
		t.ThreadGroup().SetSubreaper(a[0] != 0)
		return 0, nil
	},
	linux.PR_GET_CHILD_SUBREAPER:       prGetSubreaper,
	linux.PR_SET_NO_NEW_PRIVS:          prSetNoNewPrivs,
	linux.PR_GET_NO_NEW_PRIVS:          prGetNoNewPrivs,
	linux.PR_GET_TID_ADDRESS:           prGetTIDAddress,
	linux.PR_SET_THP_DISABLE:           prSetTHPDisable,
	linux.PR_GET_THP_DISABLE:           prGetTHPDisable,
	linux.PR_CAP_AMBIENT:               prCapAmbient,
	linux.PR_GET_SPECULATION_CTRL:      prGetSpeculation,
	linux.PR_SET_SPECULATION_CTRL:      prSetSpeculation,
	linux.PR_SET_IO_FLUSHER:            prSetIOFlusher,
	linux.PR_GET_IO_FLUSHER:            prGetIOFlusher,
	linux.PR_TIMER_CREATE_RESTORE_IDS:  prTimerIDs,
	linux.PR_SET_SYSCALL_USER_DISPATCH: prSetUserDispatch,
	linux.PR_SET_MDWE:                  prSetMDWE,
	linux.PR_GET_MDWE:                  prGetMDWE,
	linux.PR_SET_MEMORY_MERGE:          prSetMerge,
	linux.PR_GET_MEMORY_MERGE:          prGetMerge,
	linux.PR_FUTEX_HASH:                prFutexHash,
	linux.PR_SET_VMA:                   prSetVMA,
	linux.PR_GET_AUXV:                  prGetAuxv,
	linux.PR_TASK_PERF_EVENTS_DISABLE:  func(*kernel.Task, prctlArgs) (uint64, error) { return 0, nil },
	linux.PR_TASK_PERF_EVENTS_ENABLE:   func(*kernel.Task, prctlArgs) (uint64, error) { return 0, nil },
}

func prSetDeathSignal(t *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] > uint64(linux.SIGMAX) {
		return 0, linux.EINVAL
	}
	t.ThreadGroup().SetDeathSignal(linux.Signal(a[0]))
	return 0, nil
}

func prGetDeathSignal(t *kernel.Task, a prctlArgs) (uint64, error) {
	s := int32(t.ThreadGroup().DeathSignal())
	return 0, usermem.Ptr[int32](a[0]).Store(t, &s)
}

func prSetDumpable(t *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] > 1 {
		return 0, linux.EINVAL
	}
	t.ThreadGroup().SetDumpable(int32(a[0]))
	return 0, nil
}

func prGetKeepCaps(t *kernel.Task, _ prctlArgs) (uint64, error) {
	if t.Creds().Securebits&linux.SECBIT_KEEP_CAPS != 0 {
		return 1, nil
	}
	return 0, nil
}

func prSetKeepCaps(t *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] > 1 {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	if n.Securebits&linux.SECBIT_KEEP_CAPS_LOCKED != 0 {
		return 0, linux.EPERM
	}
	n.Securebits &^= linux.SECBIT_KEEP_CAPS
	if a[0] == 1 {
		n.Securebits |= linux.SECBIT_KEEP_CAPS
	}
	t.SetCreds(n)
	return 0, nil
}

func prSetTiming(_ *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] != 0 { // PR_TIMING_STATISTICAL is the only one
		return 0, linux.EINVAL
	}
	return 0, nil
}

func prSetName(t *kernel.Task, a prctlArgs) (uint64, error) {
	s, err := usermem.CopyInString(t, arch.Addr(a[0]), linux.TaskCommLen-1)
	if err == linux.ENAMETOOLONG { // it is cut
		b := make([]byte, linux.TaskCommLen-1)
		if _, err := t.CopyIn(b, arch.Addr(a[0])); err != nil {
			return 0, err
		}
		s = string(b)
	} else if err != nil {
		return 0, err
	}
	t.SetName(s)
	return 0, nil
}

func prGetName(t *kernel.Task, a prctlArgs) (uint64, error) {
	var b [linux.TaskCommLen]byte
	copy(b[:], t.Name())
	_, err := t.CopyOut(arch.Addr(a[0]), b[:])
	return 0, err
}

func prCapBoundingRead(t *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] > uint64(auth.CapLast) {
		return 0, linux.EINVAL
	}
	return uint64(t.Creds().Bounding >> a[0] & 1), nil
}

func prCapBoundingDrop(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !t.Creds().HasCap(auth.CapSetpcap) {
		return 0, linux.EPERM
	}
	if a[0] > uint64(auth.CapLast) {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	n.Bounding &^= 1 << a[0]
	t.SetCreds(n)
	return 0, nil
}

func prGetTSC(t *kernel.Task, a prctlArgs) (uint64, error) {
	v := int32(linux.PR_TSC_ENABLE)
	return 0, usermem.Ptr[int32](a[0]).Store(t, &v)
}

// prSetTSC: the time-stamp counter is native and can't be taken away.
func prSetTSC(_ *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] != linux.PR_TSC_ENABLE {
		return 0, linux.EINVAL
	}
	return 0, nil
}

func prSetSecurebits(t *kernel.Task, a prctlArgs) (uint64, error) {
	c := t.Creds()
	old, v := c.Securebits, uint32(a[0])
	locked := old & linux.SECURE_ALL_LOCKS
	switch {
	case a[0] > 0xffffffff, v&^(linux.SECURE_ALL_BITS|linux.SECURE_ALL_LOCKS) != 0,
		locked>>1&(old^v) != 0, locked&^v != 0, !c.HasCap(auth.CapSetpcap):
		return 0, linux.EPERM
	}
	n := c.Clone()
	n.Securebits = v
	t.SetCreds(n)
	return 0, nil
}

func prGetSubreaper(t *kernel.Task, a prctlArgs) (uint64, error) {
	v := int32(0)
	if t.ThreadGroup().Subreaper() {
		v = 1
	}
	return 0, usermem.Ptr[int32](a[0]).Store(t, &v)
}

func prSetNoNewPrivs(t *kernel.Task, a prctlArgs) (uint64, error) {
	if a[0] != 1 || !rest(a, 1) {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	n.NoNewPrivs = true
	t.SetCreds(n)
	return 0, nil
}

func prGetNoNewPrivs(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 0) {
		return 0, linux.EINVAL
	}
	if t.Creds().NoNewPrivs {
		return 1, nil
	}
	return 0, nil
}

func prGetTIDAddress(t *kernel.Task, a prctlArgs) (uint64, error) {
	at := uint64(t.ClearTID())
	return 0, usermem.Ptr[uint64](a[0]).Store(t, &at)
}

// prSetTHPDisable: there are no transparent huge pages to do without.
func prSetTHPDisable(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 1) {
		return 0, linux.EINVAL
	}
	t.ThreadGroup().SetTHPDisabled(a[0] != 0)
	return 0, nil
}

func prGetTHPDisable(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 0) {
		return 0, linux.EINVAL
	}
	if t.ThreadGroup().THPDisabled() {
		return 1, nil
	}
	return 0, nil
}

func prCapAmbient(t *kernel.Task, a prctlArgs) (uint64, error) {
	c := t.Creds()
	if a[0] == linux.PR_CAP_AMBIENT_CLEAR_ALL {
		if !rest(a, 1) {
			return 0, linux.EINVAL
		}
		n := c.Clone()
		n.Ambient = 0
		t.SetCreds(n)
		return 0, nil
	}
	if !rest(a, 2) || a[1] > uint64(auth.CapLast) {
		return 0, linux.EINVAL
	}
	x := auth.Cap(a[1])
	n := c.Clone()
	switch a[0] {
	case linux.PR_CAP_AMBIENT_IS_SET:
		return uint64(c.Ambient >> x & 1), nil
	case linux.PR_CAP_AMBIENT_RAISE:
		if !c.Permitted.Has(x) || !c.Inheritable.Has(x) || c.Securebits&linux.SECBIT_NO_CAP_AMBIENT_RAISE != 0 {
			return 0, linux.EPERM
		}
		n.Ambient |= 1 << x
	case linux.PR_CAP_AMBIENT_LOWER:
		n.Ambient &^= 1 << x
	default:
		return 0, linux.EINVAL
	}
	t.SetCreds(n)
	return 0, nil
}

func prSetVMA(t *kernel.Task, a prctlArgs) (uint64, error) {
	const longest = 80 // with its NUL
	if a[0] != linux.PR_SET_VMA_ANON_NAME {
		return 0, linux.EINVAL
	}
	name := ""
	if a[3] != 0 {
		var err error
		if name, err = usermem.CopyInString(t, arch.Addr(a[3]), longest-1); err != nil {
			if err == linux.ENAMETOOLONG {
				err = linux.EINVAL
			}
			return 0, err
		}
		for _, c := range []byte(name) {
			if c < 0x20 || c > 0x7e || c == '\\' || c == '`' || c == '$' || c == '[' || c == ']' {
				return 0, linux.EINVAL
			}
		}
	}
	return 0, t.Space().SetName(arch.Addr(a[1]), a[2], name)
}

func prGetAuxv(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 2) {
		return 0, linux.EINVAL
	}
	var b []byte
	for _, e := range t.Space().Layout().Auxv {
		b = append(b, usermem.AsBytes(&e)...)
	}
	b = append(b, make([]byte, max(0, auxvMost*auxvEntry-len(b)))...)
	_, err := t.CopyOut(arch.Addr(a[0]), b[:min(uint64(len(b)), a[1])])
	return uint64(len(b)), err
}
