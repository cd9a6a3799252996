package kernel

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// FD is the number of a file descriptor.
type FD = vfs.FD

// taskFiles is a task's open files and place in the file system. The pointers
// change only by the task itself; others may read them.
type taskFiles struct {
	fds atomic.Pointer[vfs.FDTable]
	fs  atomic.Pointer[vfs.FSContext]
}

// FDs is t's table of descriptors; nil once t has ended. Any goroutine may ask.
func (t *Task) FDs() *vfs.FDTable { return t.fds.Load() }

// FS implements vfs.Ctx: t's root, working directory and umask; nil once t has
// ended. Any goroutine may ask.
func (t *Task) FS() *vfs.FSContext { return t.fs.Load() }

// File returns the open file of fd, held: the caller releases it. EBADF.
func (t *Task) File(fd FD) (*vfs.FileDescription, error) { return t.fds.Load().Get(fd) }

// NewFDs gives descriptors to new files: all or, with an error, none. fl's
// O_CLOEXEC counts. The references stay the caller's.
func (t *Task) NewFDs(fl linux.OpenFlags, files ...*vfs.FileDescription) ([]FD, error) {
	return t.fds.Load().InstallAll(t, fl&linux.O_CLOEXEC != 0, files...)
}

// NewFD is NewFDs for one file.
func (t *Task) NewFD(fl linux.OpenFlags, f *vfs.FileDescription) (FD, error) {
	return t.fds.Load().Install(t, f, 0, fl&linux.O_CLOEXEC != 0)
}

// CloseFDs closes descriptors that NewFDs gave, when what followed failed.
func (t *Task) CloseFDs(fds ...FD) {
	for _, fd := range fds {
		t.fds.Load().Close(t, fd)
	}
}

// UnshareFiles gives t a table of descriptors of its own: unshare(CLONE_FILES),
// execve(2).
func (t *Task) UnshareFiles() {
	old := t.fds.Load()
	if old.Users() > 1 {
		t.fds.Store(old.Copy())
		old.DecRef(t)
	}
}

// UnshareFS gives t a root, working directory and umask of its own.
func (t *Task) UnshareFS() {
	old := t.fs.Load()
	if old.Users() > 1 {
		t.fs.Store(old.Copy())
		old.DecRef()
	}
}
