package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// prMCEKill is PR_MCE_KILL: no memory here is ever poisoned, and the choice is kept.
func prMCEKill(t *kernel.Task, a prctlArgs) (uint64, error) {
	switch {
	case !rest(a, 2):
		return 0, linux.EINVAL
	case a[0] == linux.PR_MCE_KILL_CLEAR && a[1] == 0:
		t.SetMCEPolicy(linux.PR_MCE_KILL_DEFAULT)
	case a[0] == linux.PR_MCE_KILL_SET && a[1] <= linux.PR_MCE_KILL_DEFAULT:
		t.SetMCEPolicy(uint8(a[1]))
	default:
		return 0, linux.EINVAL
	}
	return 0, nil
}

func prMCEKillGet(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 0) {
		return 0, linux.EINVAL
	}
	return uint64(t.MCEPolicy()), nil
}

// prSetIOFlusher is PR_SET_IO_FLUSHER: memory is the host's to reclaim, and the choice
// is kept.
func prSetIOFlusher(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !t.Creds().Capable(auth.CapSysResource) {
		return 0, linux.EPERM
	}
	if !rest(a, 1) || a[0] > 1 {
		return 0, linux.EINVAL
	}
	t.SetIOFlusher(a[0] == 1)
	return 0, nil
}

func prGetIOFlusher(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !t.Creds().Capable(auth.CapSysResource) {
		return 0, linux.EPERM
	}
	if !rest(a, 0) {
		return 0, linux.EINVAL
	}
	return flag(t.IOFlusher()), nil
}

func flag(on bool) uint64 {
	if on {
		return 1
	}
	return 0
}

// prGetSpeculation is PR_GET_SPECULATION_CTRL: as on a Linux whose mitigations are the
// whole machine's, a program can't choose.
func prGetSpeculation(_ *kernel.Task, a prctlArgs) (uint64, error) {
	switch {
	case !rest(a, 1):
		return 0, linux.EINVAL
	case a[0] > linux.PR_SPEC_L1D_FLUSH:
		return 0, linux.ENODEV
	}
	return linux.PR_SPEC_ENABLE, nil
}

func prSetSpeculation(_ *kernel.Task, a prctlArgs) (uint64, error) {
	switch {
	case !rest(a, 2):
		return 0, linux.EINVAL
	case a[0] > linux.PR_SPEC_L1D_FLUSH:
		return 0, linux.ENODEV
	case a[0] == linux.PR_SPEC_L1D_FLUSH:
		return 0, linux.EPERM
	}
	return 0, linux.ENXIO
}

// prSetMDWE is PR_SET_MDWE, prGetMDWE PR_GET_MDWE.
func prSetMDWE(t *kernel.Task, a prctlArgs) (uint64, error) {
	const all = linux.PR_MDWE_REFUSE_EXEC_GAIN | linux.PR_MDWE_NO_INHERIT
	if !rest(a, 1) || a[0]&^all != 0 || a[0] == linux.PR_MDWE_NO_INHERIT {
		return 0, linux.EINVAL
	}
	return 0, t.Space().DenyWriteExec(a[0])
}

func prGetMDWE(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 0) {
		return 0, linux.EINVAL
	}
	return t.Space().WriteExecDenied(), nil
}

// prSetMerge is PR_SET_MEMORY_MERGE, prGetMerge PR_GET_MEMORY_MERGE.
func prSetMerge(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 1) {
		return 0, linux.EINVAL
	}
	t.Space().SetMerge(a[0] != 0)
	return 0, nil
}

func prGetMerge(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 0) {
		return 0, linux.EINVAL
	}
	return flag(t.Space().Merge()), nil
}

// prFutexHash is PR_FUTEX_HASH: a is the operation, the slots to set, and flags, of which
// there are none.
func prFutexHash(t *kernel.Task, a prctlArgs) (uint64, error) {
	switch a[0] {
	case linux.PR_FUTEX_HASH_SET_SLOTS:
		if a[2] != 0 {
			return 0, linux.EINVAL
		}
		return 0, t.Space().SetFutexSlots(uint32(a[1]))
	case linux.PR_FUTEX_HASH_GET_SLOTS:
		return uint64(t.Space().FutexSlots()), nil
	}
	return 0, linux.EINVAL
}
