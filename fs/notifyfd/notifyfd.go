// Package notifyfd is descriptors by which a process decides on the system calls
// of others, seccomp_unotify(2).
package notifyfd

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A File is the listener of one filter.
type File struct{ *kernel.Notifier }

// New returns the listener of n's filter. Closing it is n's end.
func New(n *kernel.Notifier) *File { return &File{n} }

var (
	_ vfs.File    = (*File)(nil)
	_ vfs.Control = (*File)(nil)
)

// Read implements vfs.File.
func (f *File) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Write implements vfs.File.
func (f *File) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (f *File) Close(vfs.Ctx) { f.Notifier.Close() }

// The size is no part of ADDFD's command, whose structure may grow, nor is the direction.
const (
	sizeMask  = 0x3fff0000
	inOut     = 0xc0000000
	addfdKind = linux.SECCOMP_IOCTL_NOTIF_ADDFD &^ (sizeMask | inOut)
)

// Ioctl implements vfs.Control: EINVAL for a command that it does not know.
func (f *File) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return 0, linux.EINVAL
	}
	switch cmd {
	case linux.SECCOMP_IOCTL_NOTIF_RECV:
		return 0, f.receive(t, m, usermem.Ptr[linux.SeccompNotif](arg))
	case linux.SECCOMP_IOCTL_NOTIF_SEND:
		return 0, f.send(m, usermem.Ptr[linux.SeccompNotifResp](arg))
	case linux.SECCOMP_IOCTL_NOTIF_ID_VALID, linux.SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR:
		id, err := usermem.Ptr[uint64](arg).Load(m)
		if err == nil && !f.Waits(id) {
			err = linux.ENOENT
		}
		return 0, err
	case linux.SECCOMP_IOCTL_NOTIF_SET_FLAGS:
		// Which processor the other side wakes up on is not the guest's to say.
		if arg&^linux.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP != 0 {
			return 0, linux.EINVAL
		}
		return 0, nil
	}
	if cmd&^(sizeMask|inOut) == addfdKind {
		fd, err := f.addfd(t, usermem.Ptr[linux.SeccompNotifAddfd](arg), uint64(cmd&sizeMask>>16))
		return uint64(fd), err
	}
	return 0, linux.EINVAL
}

func (f *File) receive(t *kernel.Task, m usermem.Memory, p usermem.Ptr[linux.SeccompNotif]) error {
	v, err := p.Load(m)
	if err != nil {
		return err
	}
	if v != (linux.SeccompNotif{}) { // that there may be more in it one day
		return linux.EINVAL
	}
	if v, err = f.Receive(t); err != nil {
		return err
	}
	if err := p.Store(m, &v); err != nil {
		f.Return(v.ID)
		return err
	}
	return nil
}

func (f *File) send(m usermem.Memory, p usermem.Ptr[linux.SeccompNotifResp]) error {
	r, err := p.Load(m)
	if err != nil {
		return err
	}
	const goOn = linux.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	if r.Flags&^goOn != 0 || r.Flags&goOn != 0 && (r.Error != 0 || r.Val != 0) {
		return linux.EINVAL
	}
	return f.Answer(&r)
}

func (f *File) addfd(t *kernel.Task, p usermem.Ptr[linux.SeccompNotifAddfd], size uint64) (kernel.FD, error) {
	const first, page = 24, 4096
	if size < first || size >= page {
		return 0, linux.EINVAL
	}
	a, err := p.LoadSized(t, size, first)
	if err != nil {
		return 0, err
	}
	const set = linux.SECCOMP_ADDFD_FLAG_SETFD
	switch {
	case a.NewFDFlags&^uint32(linux.O_CLOEXEC) != 0,
		a.Flags&^(set|linux.SECCOMP_ADDFD_FLAG_SEND) != 0,
		a.NewFD != 0 && a.Flags&set == 0:
		return 0, linux.EINVAL
	}
	d, err := t.File(kernel.FD(a.SrcFD))
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return f.Give(t, &a, d)
}
