package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// An ioOwner is whom fcntl(F_SETOWN) chose to be told of a file with O_ASYNC.
type ioOwner struct {
	k         *kernel.Kernel
	pid       *kernel.PID
	kind      int32 // F_OWNER_*
	uid, euid id    // of who chose, when that was: by their right signals are sent
}

// newOwner is pid, as t chooses it. It outlives t, and must not keep what t has.
func newOwner(t *kernel.Task, pid *kernel.PID, kind int32) *ioOwner {
	c := t.Creds()
	return &ioOwner{t.Kernel(), pid, kind, c.RUID, c.EUID}
}

// maySignal reports whether t may be told (sigio_perm).
func (o *ioOwner) maySignal(t *kernel.Task) bool {
	c := t.Creds()
	return o.euid == 0 || o.euid == c.SUID || o.euid == c.RUID || o.uid == c.SUID || o.uid == c.RUID
}

// A pollReason is what si_code and si_band say of an event.
type pollReason struct {
	e    wait.Events
	code int32
	band wait.Events
}

// reasons are in the order in which they are looked for.
var reasons = [...]pollReason{
	{wait.Msg, linux.POLL_MSG, wait.In | wait.RdNorm | wait.Msg},
	{wait.In, linux.POLL_IN, wait.In | wait.RdNorm},
	{wait.Out, linux.POLL_OUT, wait.Out | wait.WrNorm | wait.WrBand},
	{wait.Pri, linux.POLL_PRI, wait.Pri | wait.RdBand},
	{wait.Err, linux.POLL_ERR, wait.Err},
}

// reasonOf is the first of e's.
func reasonOf(e wait.Events) pollReason {
	for _, r := range reasons {
		if e&r.e != 0 {
			return r
		}
	}
	return pollReason{e, linux.POLL_HUP, wait.Hup | wait.Err}
}

// SignalIO implements vfs.IOOwner.
func (o *ioOwner) SignalIO(sig linux.Signal, fd int32, e wait.Events) {
	info := &linux.SigInfo{Signo: int32(linux.SIGIO), Code: linux.SI_KERNEL}
	if sig != 0 {
		r := reasonOf(e)
		info.Signo, info.Code = int32(sig), r.code
		info.SetPoll(int64(r.band), fd)
	}
	if o.kind == linux.F_OWNER_PGRP {
		for _, g := range o.k.GroupMembers(o.pid) {
			if o.maySignal(g.Leader()) {
				g.Signal(info)
			}
		}
		return
	}
	t := o.k.PIDTask(o.pid)
	switch {
	case t == nil || !o.maySignal(t):
	case o.kind == linux.F_OWNER_TID:
		t.Signal(info)
	default:
		t.ThreadGroup().Signal(info)
	}
}

// setOwner is F_SETOWN: a process, or a process group if negative.
func setOwner(t *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
	who := linux.FOwnerEx{Type: linux.F_OWNER_PID, PID: int32(arg)}
	if who.PID < 0 {
		if who.PID == -1<<31 {
			return 0, linux.EINVAL
		}
		who = linux.FOwnerEx{Type: linux.F_OWNER_PGRP, PID: -who.PID}
	}
	return 0, chooseOwner(t, d, who)
}

func setOwnerEx(t *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
	who, err := usermem.Ptr[linux.FOwnerEx](arg).Load(t)
	if err != nil {
		return 0, err
	}
	if who.Type < linux.F_OWNER_TID || who.Type > linux.F_OWNER_PGRP {
		return 0, linux.EINVAL
	}
	return 0, chooseOwner(t, d, who)
}

func chooseOwner(t *kernel.Task, d *vfs.FileDescription, who linux.FOwnerEx) error {
	if who.PID == 0 {
		d.SetOwner(nil, who.Type)
		return nil
	}
	pid := t.Kernel().FindPID(t.PIDNamespace(), who.PID)
	if pid == nil {
		return linux.ESRCH
	}
	d.SetOwner(newOwner(t, pid, who.Type), who.Type)
	return nil
}

// dirNotify is F_NOTIFY: the caller itself is told if nobody else was chosen, by its
// process, as long as the thread is there.
func dirNotify(t *kernel.Task, fd kernel.FD, d *vfs.FileDescription, arg uint64) (int, error) {
	return 0, d.DirNotify(newOwner(t, t.PID(), linux.F_OWNER_PID), int32(fd), uint32(arg))
}

// setLease is F_SETLEASE: who is told of breaks is as with dirNotify.
func setLease(t *kernel.Task, fd kernel.FD, d *vfs.FileDescription, arg uint64) (int, error) {
	return 0, d.SetLease(t, int(int32(arg)), newOwner(t, t.PID(), linux.F_OWNER_PID), int32(fd))
}

// there reports whether anybody is left to be told. A thread that was chosen as a process
// is told, and is none: as on Linux.
func (o *ioOwner) there() bool {
	switch o.kind {
	case linux.F_OWNER_PGRP:
		return len(o.k.GroupMembers(o.pid)) > 0
	case linux.F_OWNER_PID:
		return o.k.PIDGroup(o.pid) != nil
	}
	return o.k.PIDTask(o.pid) != nil
}

// ownerOf is the owner as the caller numbers it, 0 when it is no more.
func ownerOf(t *kernel.Task, d *vfs.FileDescription) linux.FOwnerEx {
	chosen, kind := d.Owner()
	who := linux.FOwnerEx{Type: kind}
	o, ok := chosen.(*ioOwner)
	if !ok {
		return who
	}
	if who.Type = o.kind; o.there() {
		who.PID = o.pid.In(t.PIDNamespace())
	}
	return who
}

func getOwner(t *kernel.Task, d *vfs.FileDescription, _ uint64) (int, error) {
	who := ownerOf(t, d)
	if who.Type == linux.F_OWNER_PGRP {
		return -int(who.PID), nil
	}
	return int(who.PID), nil
}

func getOwnerEx(t *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
	who := ownerOf(t, d)
	return 0, usermem.Ptr[linux.FOwnerEx](arg).Store(t, &who)
}
