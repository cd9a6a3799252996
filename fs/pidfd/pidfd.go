// Package pidfd is descriptors that name a process or a thread, pidfd_open(2):
// readable once it has ended, and good for signals and waits that can't reach
// another one of the same number.
package pidfd

import (
	"fmt"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A File is an open pidfd.
type File struct {
	k   *kernel.Kernel
	pid *kernel.PID
}

// New returns a file that names p.
func New(k *kernel.Kernel, p *kernel.PID) *File { return &File{k, p} }

// PID is what f names.
func (f *File) PID() *kernel.PID { return f.pid }

// Read implements vfs.File.
func (f *File) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Write implements vfs.File.
func (f *File) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (f *File) Close(vfs.Ctx) {}

// Ready implements wait.Object: readable when what f names has ended, hung up too
// when it has been reaped.
func (f *File) Ready(e wait.Events) wait.Events {
	var now wait.Events
	ended, reaped := f.k.PIDState(f.pid)
	if ended {
		now |= wait.Readable
	}
	if reaped {
		now |= wait.Hup
	}
	return now & (e | wait.Hup)
}

// Watch implements wait.Object.
func (f *File) Watch(w *wait.Watch) { f.pid.Exits.Watch(w) }

// Unwatch implements wait.Object.
func (f *File) Unwatch(w *wait.Watch) { f.pid.Exits.Unwatch(w) }

// FDInfo implements vfs.FDInfoer.
func (f *File) FDInfo(c vfs.Ctx) string {
	n := int32(0)
	if t, ok := kernel.Caller(c); ok {
		n = f.pid.In(t.PIDNamespace())
	}
	if _, reaped := f.k.PIDState(f.pid); reaped {
		n = -1
	}
	return fmt.Sprintf("Pid:\t%d\nNSpid:\t%d\n", n, n)
}

var (
	_ vfs.File     = (*File)(nil)
	_ vfs.FDInfoer = (*File)(nil)
	_ wait.Object  = (*File)(nil)
)
