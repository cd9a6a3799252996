// Package signalfd is signals that are read, signalfd(2). Whose signals they are
// depends on who reads and who polls, not on who made the descriptor.
package signalfd

import (
	"fmt"
	"sync/atomic"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// infoSize is the size of what a read returns for each signal.
const infoSize = 128

// A File is a signalfd.
type File struct {
	mask    atomic.Uint64
	creator *kernel.Task // for those that wait on nobody's behalf
}

// New returns a signalfd for the signals of mask. t made it.
func New(t *kernel.Task, mask linux.SigSet) *File {
	f := &File{creator: t}
	f.SetMask(t, mask)
	return f
}

var (
	_ vfs.File      = (*File)(nil)
	_ vfs.Streamer  = (*File)(nil)
	_ vfs.Seeker    = (*File)(nil)
	_ vfs.PerCaller = (*File)(nil)
	_ vfs.FDInfoer  = (*File)(nil)
	_ wait.Object   = (*File)(nil)
)

// SetMask changes which signals f takes; SIGKILL and SIGSTOP are ignored. Those who
// wait look again.
func (f *File) SetMask(t *kernel.Task, mask linux.SigSet) {
	f.mask.Store(uint64(mask &^ linux.Unblockable))
	t.ThreadGroup().SignalArrivals().Notify(wait.Readable)
}

func (f *File) set() linux.SigSet { return linux.SigSet(f.mask.Load()) }

// Stream implements vfs.Streamer.
func (f *File) Stream() {}

// Seek implements vfs.Seeker: it does nothing, with success.
func (f *File) Seek(_ vfs.Ctx, cur, _ int64, _ int) (int64, error) { return cur, nil }

// Read implements vfs.File: as many signals as there are and fit.
func (f *File) Read(c vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	t, ok := kernel.Caller(c)
	if !ok || dst.Len() < infoSize {
		return 0, linux.EINVAL
	}
	done := int64(0)
	for dst.Len() >= infoSize {
		info, ok := t.TakeSignal(f.set())
		if !ok {
			break
		}
		out := convert(&info)
		if _, err := dst.CopyOut(usermem.AsBytes(&out)); err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
		done += infoSize
		dst = dst.Skip(infoSize)
	}
	if done == 0 {
		return 0, linux.EAGAIN
	}
	return done, nil
}

// Write implements vfs.File.
func (f *File) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (f *File) Close(vfs.Ctx) {}

// For implements vfs.PerCaller.
func (f *File) For(c vfs.Ctx) wait.Object {
	if t, ok := kernel.Caller(c); ok && t != f.creator {
		return &view{f, t}
	}
	return f
}

// Ready implements wait.Object, for the creator.
func (f *File) Ready(e wait.Events) wait.Events { return f.ready(f.creator, e) }

// Watch implements wait.Object.
func (f *File) Watch(w *wait.Watch) { f.creator.ThreadGroup().SignalArrivals().Watch(w) }

// Unwatch implements wait.Object.
func (f *File) Unwatch(w *wait.Watch) { f.creator.ThreadGroup().SignalArrivals().Unwatch(w) }

func (f *File) ready(t *kernel.Task, e wait.Events) wait.Events {
	if t.PendingSignals()&f.set() == 0 {
		return 0
	}
	return wait.Readable & e
}

// A view is a signalfd as one task sees it.
type view struct {
	f *File
	t *kernel.Task
}

func (v *view) Ready(e wait.Events) wait.Events { return v.f.ready(v.t, e) }
func (v *view) Watch(w *wait.Watch)             { v.t.ThreadGroup().SignalArrivals().Watch(w) }
func (v *view) Unwatch(w *wait.Watch)           { v.t.ThreadGroup().SignalArrivals().Unwatch(w) }

// FDInfo implements vfs.FDInfoer.
func (f *File) FDInfo(vfs.Ctx) string { return fmt.Sprintf("sigmask:\t%016x\n", f.mask.Load()) }

// convert is a siginfo as signalfd(2) tells it: which fields there are depends on
// the signal and its code.
func convert(i *linux.SigInfo) (o linux.SignalfdSiginfo) {
	o.Signo, o.Errno, o.Code = uint32(i.Signo), i.Errno, i.Code
	sender := func() { o.PID, o.UID = uint32(i.Pid()), i.UID() }
	value := func() { o.Ptr, o.Int = i.Value(), int32(i.Value()) }
	switch {
	case i.Code == linux.SI_TIMER:
		id, overrun := i.Timer()
		o.TID, o.Overrun = uint32(id), uint32(overrun)
		value()
	case i.Code == linux.SI_QUEUE || i.Code == linux.SI_MESGQ:
		sender()
		value()
	case i.Code <= 0 || i.Code == linux.SI_KERNEL:
		sender()
	case i.Signal() == linux.SIGCHLD:
		sender()
		u, s := i.ChildTimes()
		o.Status, o.Utime, o.Stime = i.Status(), uint64(u), uint64(s)
	case linux.SynchronousSignals.Has(i.Signal()):
		o.Addr = i.Addr()
	case i.Code <= linux.POLL_HUP:
		o.Band, o.FD = uint32(i.Band()), i.FD()
	}
	return o
}
