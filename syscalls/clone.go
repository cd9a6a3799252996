package syscalls

import (
	"garrison/fs/pidfd"
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// fork implements fork(2).
func fork(t *kernel.Task) (int32, error) {
	return t.Clone(&kernel.CloneSpec{ExitSignal: linux.SIGCHLD})
}

// vfork implements vfork(2).
func vfork(t *kernel.Task) (int32, error) {
	return t.Clone(&kernel.CloneSpec{Flags: linux.CLONE_VM | linux.CLONE_VFORK, ExitSignal: linux.SIGCHLD})
}

// clone implements clone(2). The descriptor of CLONE_PIDFD goes where the thread
// id of CLONE_PARENT_SETTID would, so that the two can't be combined.
func clone(t *kernel.Task, flags linux.CloneFlags, stack address, parent, child address, tls uint64) (int32, error) {
	s := &kernel.CloneSpec{
		Flags:      flags &^ linux.CSIGNAL & 0xffffffff,
		ExitSignal: linux.Signal(flags & linux.CSIGNAL),
		Stack:      uint64(stack), TLS: tls,
		ParentTID: parent.Addr(), ChildTID: child.Addr(),
	}
	if s.Flags&linux.CLONE_PIDFD != 0 {
		if s.Flags&linux.CLONE_PARENT_SETTID != 0 {
			return 0, linux.EINVAL
		}
		s.Prepare = givePidfd(t, usermem.Ptr[kernel.FD](parent))
	}
	return t.Clone(s)
}

// givePidfd makes a descriptor of the child for the parent t and stores it at out.
func givePidfd(t *kernel.Task, out usermem.Ptr[kernel.FD]) func(*kernel.Task) error {
	return func(child *kernel.Task) error {
		fd, err := newPidfd(t, child.PID(), 0)
		if err != nil {
			return err
		}
		if err := out.Store(t, &fd); err != nil {
			t.CloseFDs(fd)
			return err
		}
		return nil
	}
}

// newPidfd opens a descriptor that names p. flags may hold O_NONBLOCK.
func newPidfd(t *kernel.Task, p *kernel.PID, flags linux.OpenFlags) (kernel.FD, error) {
	f := t.Kernel().VFS.NewAnon(t, pidfd.New(t.Kernel(), p), "[pidfd]", linux.O_RDWR|flags)
	defer f.Release(t)
	return t.NewFD(linux.O_CLOEXEC, f)
}

// clone3 implements clone3(2).
func clone3(t *kernel.Task, args address, n size) (int32, error) {
	a, err := loadCloneArgs(t, args.Addr(), n)
	if err != nil {
		return 0, err
	}
	s := &kernel.CloneSpec{
		Flags: linux.CloneFlags(a.Flags), ExitSignal: linux.Signal(a.ExitSignal),
		TLS: a.TLS, ParentTID: arch.Addr(a.ParentTID), ChildTID: arch.Addr(a.ChildTID),
	}
	if a.Stack != 0 {
		s.Stack = a.Stack + a.StackSize
	}
	if a.SetTIDSize > 0 {
		if s.SetTID, err = usermem.Ptr[int32](a.SetTID).LoadSlice(t, int(a.SetTIDSize)); err != nil {
			return 0, err
		}
	}
	if s.Flags&linux.CLONE_PIDFD != 0 {
		s.Prepare = givePidfd(t, usermem.Ptr[kernel.FD](a.Pidfd))
	}
	return t.Clone(s)
}

// loadCloneArgs reads and checks the structure, which grows from version to
// version: what is beyond the kernel's own must be zero (E2BIG).
func loadCloneArgs(t *kernel.Task, at arch.Addr, n size) (a linux.CloneArgs, err error) {
	const maxTIDs = 32 // MAX_PID_NS_LEVEL
	if n < linux.CLONE_ARGS_SIZE_VER0 {
		return a, linux.EINVAL
	}
	if err := loadVersioned(t, at, uint64(n), usermem.AsBytes(&a)); err != nil {
		return a, err
	}
	known := linux.CloneFlags(1<<33 - 1)
	f := linux.CloneFlags(a.Flags)
	switch {
	case a.SetTIDSize > maxTIDs,
		(a.SetTID == 0) != (a.SetTIDSize == 0),
		a.ExitSignal&^uint64(linux.CSIGNAL) != 0 || a.ExitSignal > uint64(linux.SIGMAX),
		a.Stack == 0 && a.StackSize > 0, a.Stack != 0 && a.StackSize == 0,
		f&^(known|linux.CLONE_CLEAR_SIGHAND|linux.CLONE_INTO_CGROUP) != 0,
		f&(linux.CLONE_DETACHED|(linux.CSIGNAL&^linux.CLONE_NEWTIME)) != 0,
		f&(linux.CLONE_THREAD|linux.CLONE_PARENT) != 0 && a.ExitSignal != 0:
		return a, linux.EINVAL
	case f&linux.CLONE_INTO_CGROUP != 0:
		return a, linux.EBADF // there is no cgroup filesystem to have a descriptor of
	}
	return a, nil
}

// loadVersioned copies a structure of n bytes into dst, as copy_struct_from_user:
// a shorter one leaves zeroes, a longer one must have zeroes beyond (E2BIG).
func loadVersioned(t *kernel.Task, at arch.Addr, n uint64, dst []byte) error {
	if n > arch.PageSize {
		return linux.E2BIG
	}
	have := min(n, uint64(len(dst)))
	if _, err := t.CopyIn(dst[:have], at); err != nil {
		return err
	}
	rest := make([]byte, n-have)
	if _, err := t.CopyIn(rest, at+arch.Addr(have)); err != nil {
		return err
	}
	for _, b := range rest {
		if b != 0 {
			return linux.E2BIG
		}
	}
	return nil
}
