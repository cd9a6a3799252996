// Package inotify is the files that tell of what happens to other files: inotify(7).
package inotify

import (
	"fmt"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// What Linux allows by default: /proc/sys/fs/inotify.
const (
	maxQueued  = 16384
	maxWatches = 65536
)

// An Instance is one open inotify file: a vfs.File.
type Instance struct {
	wait.Queue

	// adding is held while a watch is added: one inode, one watch.
	adding lock.Mutex[lock.Epoll]

	mu     lock.Mutex[lock.Leaf]
	wds    map[int32]*watch // protected by mu
	last   int32            // protected by mu
	events []event          // protected by mu
	bytes  int              // of all events; protected by mu
	closed bool             // protected by mu
}

// A watch is one watched inode.
type watch struct {
	vfs.Watch
	wd   int32
	mask uint32 // protected by the instance's mu
}

// An event is one to be read.
type event struct {
	wd           int32
	mask, cookie uint32
	name         string
}

// size is how many bytes e takes.
func (e *event) size() int { return 16 + nameSize(e.name) }

// nameSize is the length of a name as it is read: with a NUL, padded to whole headers.
func nameSize(name string) int {
	if name == "" {
		return 0
	}
	return (len(name) + 1 + 15) &^ 15
}

var (
	_ vfs.File     = (*Instance)(nil)
	_ vfs.Control  = (*Instance)(nil)
	_ vfs.Streamer = (*Instance)(nil)
	_ wait.Object  = (*Instance)(nil)
	_ vfs.Watcher  = (*Instance)(nil)
)

// New is inotify_init1(2); flags are IN_NONBLOCK or none.
func New(c vfs.Ctx, s *vfs.System, flags linux.OpenFlags) *vfs.FileDescription {
	i := &Instance{wds: map[int32]*watch{}}
	return s.NewAnon(c, i, "inotify", flags&linux.O_NONBLOCK)
}

// Of is the instance that a description is open on: EINVAL for other files.
func Of(d *vfs.FileDescription) (*Instance, error) {
	i, ok := d.File().(*Instance)
	if !ok {
		return nil, linux.EINVAL
	}
	return i, nil
}

// Add is inotify_add_watch(2) of p, which the caller may read. It returns the watch
// descriptor. EINVAL, EEXIST, ENOSPC.
func (i *Instance) Add(p vfs.Path, mask uint32) (int32, error) {
	const known = linux.IN_ALL_EVENTS | linux.IN_ONLYDIR | linux.IN_DONT_FOLLOW | linux.IN_EXCL_UNLINK |
		linux.IN_MASK_CREATE | linux.IN_MASK_ADD | linux.IN_ONESHOT | linux.IN_UNMOUNT | linux.IN_IGNORED | linux.IN_ISDIR | linux.IN_Q_OVERFLOW
	if mask&linux.IN_ALL_EVENTS == 0 || mask&^uint32(known) != 0 || mask&linux.IN_MASK_ADD != 0 && mask&linux.IN_MASK_CREATE != 0 {
		return 0, linux.EINVAL
	}
	keep := mask & (linux.IN_ALL_EVENTS | linux.IN_EXCL_UNLINK | linux.IN_ONESHOT)
	i.adding.Lock()
	defer i.adding.Unlock()
	i.mu.Lock()
	for _, w := range i.wds {
		if !w.On(p) {
			continue
		}
		defer i.mu.Unlock()
		if mask&linux.IN_MASK_CREATE != 0 {
			return 0, linux.EEXIST
		}
		if mask&linux.IN_MASK_ADD != 0 {
			keep |= w.mask
		}
		w.mask = keep
		return w.wd, nil
	}
	full := len(i.wds) >= maxWatches
	i.last++
	w := &watch{wd: i.last, mask: keep}
	i.mu.Unlock()
	if full {
		return 0, linux.ENOSPC
	}
	w.To = &target{i, w}
	p.Watch(&w.Watch)
	i.mu.Lock()
	i.wds[w.wd] = w
	i.mu.Unlock()
	return w.wd, nil
}

// target is whom a watch tells: it knows which watch it is.
type target struct {
	i *Instance
	w *watch
}

// Event implements vfs.Watcher.
func (t *target) Event(_ *vfs.Watch, e vfs.WatchEvent) { t.i.tell(t.w, e) }

// Event implements vfs.Watcher; targets are told instead.
func (i *Instance) Event(*vfs.Watch, vfs.WatchEvent) {}

// tell queues an event for w, if it is asked for.
func (i *Instance) tell(w *watch, e vfs.WatchEvent) {
	i.mu.Lock()
	always := e.Mask & (linux.IN_IGNORED | linux.IN_UNMOUNT)
	if i.closed || i.wds[w.wd] != w || w.mask&e.Mask == 0 && always == 0 ||
		e.Unlinked && e.Name != "" && w.mask&linux.IN_EXCL_UNLINK != 0 {
		i.mu.Unlock()
		return
	}
	fresh := i.queueLocked(event{w.wd, e.Mask, e.Cookie, e.Name})
	once := w.mask&linux.IN_ONESHOT != 0 && always == 0
	if once {
		i.queueLocked(event{wd: w.wd, mask: linux.IN_IGNORED})
	}
	if once || e.Mask&linux.IN_IGNORED != 0 {
		delete(i.wds, w.wd)
	}
	i.mu.Unlock()
	if once {
		w.Remove()
	}
	if fresh || once {
		i.Notify(wait.Readable)
	}
}

// queueLocked puts e last, unless it repeats the last one, and reports whether it has.
func (i *Instance) queueLocked(e event) bool {
	n := len(i.events)
	if n > 0 && i.events[n-1] == e {
		return false
	}
	if n >= maxQueued {
		if i.events[n-1].mask == linux.IN_Q_OVERFLOW {
			return false
		}
		e = event{wd: -1, mask: linux.IN_Q_OVERFLOW}
	}
	i.events = append(i.events, e)
	i.bytes += e.size()
	return true
}

// Remove is inotify_rm_watch(2): EINVAL.
func (i *Instance) Remove(wd int32) error {
	i.mu.Lock()
	w := i.wds[wd]
	if w != nil {
		delete(i.wds, wd)
		i.queueLocked(event{wd: wd, mask: linux.IN_IGNORED})
	}
	i.mu.Unlock()
	if w == nil {
		return linux.EINVAL
	}
	w.Watch.Remove()
	i.Notify(wait.Readable)
	return nil
}

// Stream implements vfs.Streamer.
func (i *Instance) Stream() {}

// Async implements vfs.Asyncer.
func (*Instance) Async() {}

// Ready implements wait.Object.
func (i *Instance) Ready(mask wait.Events) wait.Events {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.events) == 0 {
		return 0
	}
	return mask & wait.Readable
}

// Read implements vfs.File: whole events, as many as fit; EINVAL if not one does.
func (i *Instance) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	room := dst.Len()
	i.mu.Lock()
	if len(i.events) == 0 {
		i.mu.Unlock()
		return 0, linux.EAGAIN
	}
	n, size := 0, 0
	for n < len(i.events) && int64(size+i.events[n].size()) <= room {
		size += i.events[n].size()
		n++
	}
	if n == 0 {
		i.mu.Unlock()
		return 0, linux.EINVAL
	}
	taken := i.events[:n:n]
	i.events = i.events[n:]
	i.bytes -= size
	i.mu.Unlock()
	buf := make([]byte, 0, size)
	for _, e := range taken {
		h := linux.InotifyEvent{Wd: e.wd, Mask: e.mask, Cookie: e.cookie, Len: uint32(nameSize(e.name))}
		buf = append(buf, usermem.AsBytes(&h)...)
		buf = append(buf, e.name...)
		buf = append(buf, make([]byte, nameSize(e.name)-len(e.name))...)
	}
	if _, err := dst.CopyOut(buf); err != nil {
		return 0, err // the events are lost, as on Linux
	}
	return int64(len(buf)), nil
}

// Write implements vfs.File.
func (i *Instance) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (i *Instance) Close(vfs.Ctx) {
	i.mu.Lock()
	i.closed = true
	wds := i.wds
	i.wds, i.events = nil, nil
	i.mu.Unlock()
	for _, w := range wds {
		w.Watch.Remove()
	}
}

// Ioctl implements vfs.Control.
func (i *Instance) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if cmd != linux.FIONREAD {
		return 0, linux.ENOTTY
	}
	i.mu.Lock()
	n := int32(i.bytes)
	i.mu.Unlock()
	return 0, usermem.Ptr[int32](arg).Store(m, &n)
}

// FDInfo implements vfs.FDInfoer.
func (i *Instance) FDInfo(c vfs.Ctx) string {
	i.mu.Lock()
	ws := make([]*watch, 0, len(i.wds))
	for _, w := range i.wds {
		ws = append(ws, w)
	}
	i.mu.Unlock()
	var b strings.Builder
	for _, w := range ws {
		a, err := w.Inode().Attr(c)
		if err == nil {
			fmt.Fprintf(&b, "inotify wd:%x ino:%x sdev:%x mask:%x ignored_mask:0 \n", w.wd, a.Ino, w.Dev(), w.mask)
		}
	}
	return b.String()
}
