package vfs

import (
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// dirNotify is a watch by fcntl(F_NOTIFY) on a directory, as long as it is open.
type dirNotify struct {
	w    Watch
	d    *FileDescription
	fd   int32  // what signals name; protected by d.hookMu
	mask uint32 // IN_*; protected by d.hookMu
	once bool   // protected by d.hookMu
}

// dirChanged is what a directory's owner is told (POLL_MSG).
const dirChanged = wait.In | wait.RdNorm | wait.Msg

// DirNotify is fcntl(F_NOTIFY) by descriptor fd: the owner of d (or, if it has none yet, owner) is sent
// SIGIO, or what F_SETSIG says, when one of the events DN_* happens to what is in the
// directory; no events end it. ENOTDIR.
func (d *FileDescription) DirNotify(owner IOOwner, fd int32, events uint32) error {
	if !d.path.IsDir() {
		return linux.ENOTDIR
	}
	mask := uint32(0)
	for _, x := range [...]struct{ dn, in uint32 }{
		{linux.DN_ACCESS, linux.IN_ACCESS}, {linux.DN_MODIFY, linux.IN_MODIFY},
		{linux.DN_CREATE, linux.IN_CREATE | linux.IN_MOVED_TO}, {linux.DN_DELETE, linux.IN_DELETE | linux.IN_MOVED_FROM},
		{linux.DN_RENAME, linux.IN_MOVED_FROM | linux.IN_MOVED_TO}, {linux.DN_ATTRIB, linux.IN_ATTRIB},
	} {
		if events&x.dn != 0 {
			mask |= x.in
		}
	}
	d.hookMu.Lock()
	n := d.dnotify
	switch {
	case mask == 0:
		d.dnotify = nil
	case n == nil:
		n = &dirNotify{d: d}
		n.w.To = n
		d.dnotify = n
		d.path.Watch(&n.w)
		fallthrough
	default:
		n.fd, n.mask, n.once = fd, n.mask|mask, events&linux.DN_MULTISHOT == 0
		if d.async.owner == nil {
			d.async.owner = owner
		}
	}
	d.hookMu.Unlock()
	if mask == 0 && n != nil {
		n.w.Remove()
	}
	return nil
}

// Event implements Watcher.
func (n *dirNotify) Event(_ *Watch, e WatchEvent) {
	d := n.d
	d.hookMu.Lock()
	mine := d.dnotify == n && e.Mask&n.mask != 0 && e.Name != ""
	if mine && n.once {
		n.mask = 0
	}
	o, sig, fd := d.async.owner, d.async.sig, n.fd
	d.hookMu.Unlock()
	if mine && o != nil {
		o.SignalIO(sig, fd, dirChanged)
	}
}

// stopNotify ends what DirNotify began, as d is closed.
func (d *FileDescription) stopNotify() {
	d.hookMu.Lock()
	n := d.dnotify
	d.dnotify = nil
	d.hookMu.Unlock()
	if n != nil {
		n.w.Remove()
	}
}
