package vfs

import (
	"slices"
	"sync"
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A FileDescription is an open file shared by descriptors (struct file). It is a
// wait.Object: always ready if its File is none.
type FileDescription struct {
	path   Path // held
	file   File
	object wait.Object // file, if it is one
	stream bool        // the file has no offsets
	// created says that there was no such file before it was opened.
	created bool
	// quiet says that nobody is told of what happens by it: it was made for a listener of
	// fanotify(7), or never opened after all.
	quiet bool
	// counted says that it is among the writers in its filesystem's text, denies that
	// it keeps them away.
	counted bool
	denies  atomic.Bool

	refs  atomic.Int64
	flags atomic.Uint32
	flock atomic.Bool // flock(2) or open file description locks may be held
	// stripped is set once a write has taken the file's capabilities away.
	stripped atomic.Bool
	state    *inodeState // a use of it, for a FIFO

	mu  lock.Mutex[lock.File]
	off atomic.Int64 // changed under mu

	hookMu sync.Mutex
	hooks  []CloseHook // protected by hookMu
	async  asyncIO     // protected by hookMu

	dnotify *dirNotify // protected by hookMu
}

var (
	_ wait.Object = (*FileDescription)(nil)
	_ mm.Identity = (*FileDescription)(nil)
)

// NewFileDescription opens p with a file that the caller has made. p stays the
// caller's. It has one reference, the caller's.
func NewFileDescription(p Path, f File, flags linux.OpenFlags) *FileDescription {
	d := &FileDescription{path: p.Hold(), file: f}
	d.object, _ = f.(wait.Object)
	_, d.stream = f.(Streamer)
	d.flags.Store(uint32(flags &^ openOnlyFlags))
	d.refs.Store(1)
	d.countWriter(1)
	return d
}

// countWriter tells the mount and its filesystem of one more or one less that may write:
// they can't become read-only meanwhile. What is no file of theirs does not count.
func (d *FileDescription) countWriter(n int64) {
	if d.IsPath() || d.path.d.typ != linux.S_IFREG {
		return
	}
	d.path.d.opens.Add(int32(n))
	if d.Flags().Writable() {
		d.path.d.writers.Add(int32(n))
		d.path.mnt.writers.Add(n)
		d.path.d.fs.writers.Add(n)
	}
}

// File is what it was made with: for those who know its type.
func (d *FileDescription) File() File { return d.file }

// Path is where it was opened, not held.
func (d *FileDescription) Path() Path { return d.path }

// Inode is the inode it was opened on.
func (d *FileDescription) Inode() Inode { return d.path.d.node }

// Flags is the flags of fcntl(F_GETFL), the access mode and O_PATH included.
func (d *FileDescription) Flags() linux.OpenFlags { return linux.OpenFlags(d.flags.Load()) }

// NonBlocking reports whether O_NONBLOCK is set.
func (d *FileDescription) NonBlocking() bool { return d.Flags()&linux.O_NONBLOCK != 0 }

// IsPath reports whether it was opened with O_PATH.
func (d *FileDescription) IsPath() bool { return d.Flags()&linux.O_PATH != 0 }

// Created is fcntl(F_CREATED_QUERY): whether open(2) made the file.
func (d *FileDescription) Created() bool { return d.created }

// Stream reports whether it has no offsets: pread(2) and lseek(2) are ESPIPE.
func (d *FileDescription) Stream() bool { return d.stream }

// Offset is the file offset, for /proc/pid/fdinfo, which may be that of the very
// file being read: it takes no lock.
func (d *FileDescription) Offset() int64 { return d.off.Load() }

// SetFlags is fcntl(F_SETFL): flags that can't be set are ignored. EPERM, EINVAL.
func (d *FileDescription) SetFlags(c Ctx, f linux.OpenFlags) error {
	old := d.Flags()
	if f&linux.O_NOATIME != 0 && old&linux.O_NOATIME == 0 {
		if a, err := d.path.d.node.Attr(c); err != nil || !owner(c, &a) {
			return linux.EPERM
		}
	}
	settable := linux.OpenFlags(settableFlags)
	if !d.CanSignal() {
		settable &^= linux.O_ASYNC
	}
	next := old&^settable | f&settable
	if x, ok := d.file.(FlagSetter); ok {
		if err := x.SetFlags(c, next); err != nil {
			return err
		}
	}
	for !d.flags.CompareAndSwap(uint32(old), uint32(next)) {
		old = d.Flags()
		next = old&^settable | f&settable
	}
	if (old^next)&linux.O_ASYNC != 0 {
		d.setAsync(next&linux.O_ASYNC != 0)
	}
	return nil
}

// SetNonBlocking is ioctl(FIONBIO).
func (d *FileDescription) SetNonBlocking(c Ctx, on bool) error {
	f := d.Flags() &^ linux.O_NONBLOCK
	if on {
		f |= linux.O_NONBLOCK
	}
	return d.SetFlags(c, f)
}

// IncRef implements mm.Identity: one more reference.
func (d *FileDescription) IncRef() { d.refs.Add(1) }

// Refs is how many references there are now: for who can tell that nobody takes
// another (files in flight between sockets).
func (d *FileDescription) Refs() int64 { return d.refs.Load() }

// tryRef adds a reference unless the file is closed.
func (d *FileDescription) tryRef() bool { return tryRef(&d.refs) }

// tryRef adds a reference to those counted in refs, unless there is none any more.
func tryRef(refs *atomic.Int64) bool {
	for {
		n := refs.Load()
		if n <= 0 {
			return false
		}
		if refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// DecRef implements mm.Identity: Release on behalf of the kernel.
func (d *FileDescription) DecRef() { d.Release(d.path.mnt.sys.internl) }

// Release gives a reference back; the last closes the file. No lock of rank File or
// later may be held.
func (d *FileDescription) Release(c Ctx) {
	if d.refs.Add(-1) != 0 {
		return
	}
	d.hookMu.Lock()
	hooks := d.hooks
	d.hooks = nil
	d.hookMu.Unlock()
	for _, h := range hooks {
		h.Closed(d)
	}
	d.setAsync(false)
	d.stopNotify()
	if d.flock.Load() {
		d.dropLocks()
	}
	if d.Flags()&linux.O_PATH == 0 {
		if d.Flags().Writable() {
			d.notify(c, linux.FAN_CLOSE_WRITE)
		} else {
			d.notify(c, linux.FAN_CLOSE_NOWRITE)
		}
	}
	d.file.Close(c)
	d.countWriter(-1)
	d.closeText()
	if d.state != nil {
		d.path.d.fs.putState(d.state)
	}
	d.path.drop(c)
}

// MappedName implements mm.Identity.
func (d *FileDescription) MappedName() mm.MappedName {
	c := d.path.mnt.sys.internl
	a, _ := d.path.Attr(c)
	name, _ := d.path.Abs(Path{})
	return mm.MappedName{Dev: a.Dev, Ino: a.Ino, Path: name}
}

// Attr is fstat(2).
func (d *FileDescription) Attr(c Ctx) (Attr, error) {
	x, ok := d.file.(Statter)
	if !ok {
		return d.path.Attr(c)
	}
	a, err := x.Stat(c)
	d.path.complete(&a)
	return a, err
}

// MaxAccess is what mappings of the file may at most be used for.
func (d *FileDescription) MaxAccess(shared bool) arch.Access {
	f, a := d.Flags(), arch.NoAccess
	if f.Readable() {
		a = arch.Read | arch.Exec | arch.Write
		if shared && !f.Writable() {
			a &^= arch.Write
		}
		if d.path.mnt.Flags()&linux.MS_NOEXEC != 0 {
			a &^= arch.Exec
		}
		if x, ok := d.path.d.node.(Sealer); ok && shared && x.Seals()&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0 {
			a &^= arch.Write
		}
	}
	return a
}

// Mmap is what mmap(2) maps; it fills in s.Max. EACCES if the mode of opening does not
// allow it, EPERM for executable access on a noexec mount, ENODEV.
func (d *FileDescription) Mmap(c Ctx, s MapSpec) (mm.Mappable, error) {
	f := d.Flags()
	if !f.Readable() || s.Shared && s.Access.Has(arch.Write) && !f.Writable() {
		return nil, linux.EACCES
	}
	s.Max = d.MaxAccess(s.Shared)
	if !s.Max.Has(s.Access & arch.Exec) {
		return nil, linux.EPERM
	}
	x, ok := d.file.(Mapper)
	if !ok {
		return nil, linux.ENODEV
	}
	m, err := x.Mmap(c, s)
	if err == nil {
		d.path.touch(c, f)
	}
	return m, err
}

// Ioctl is ioctl(2) as far as it is the file's own: ENOTTY.
func (d *FileDescription) Ioctl(c Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if d.IsPath() {
		return 0, linux.EBADF
	}
	x, ok := d.file.(Control)
	if !ok {
		return 0, linux.ENOTTY
	}
	return x.Ioctl(c, m, cmd, arg)
}

// FDInfo is what the file adds to /proc/pid/fdinfo.
func (d *FileDescription) FDInfo(c Ctx) string {
	if x, ok := d.file.(FDInfoer); ok {
		return x.FDInfo(c)
	}
	return ""
}

// Pollable reports whether the file can be waited for: epoll_ctl(2) refuses others
// with EPERM.
func (d *FileDescription) Pollable() bool {
	_, ok := d.file.(PerCaller)
	return ok || d.object != nil
}

// ObjectFor is what c waits for when it waits for the file.
func (d *FileDescription) ObjectFor(c Ctx) wait.Object {
	if x, ok := d.file.(PerCaller); ok {
		return x.For(c)
	}
	return d
}

// Ready implements wait.Object.
func (d *FileDescription) Ready(e wait.Events) wait.Events {
	if d.object == nil {
		return e & (wait.Readable | wait.Writable)
	}
	return d.object.Ready(e)
}

// Watch implements wait.Object.
func (d *FileDescription) Watch(w *wait.Watch) {
	if d.object != nil {
		d.object.Watch(w)
	}
}

// Unwatch implements wait.Object.
func (d *FileDescription) Unwatch(w *wait.Watch) {
	if d.object != nil {
		d.object.Unwatch(w)
	}
}

// A CloseHook wants to know when a description is closed. It is comparable. Closed
// is called once, with no lock held, when the last reference has gone, before the
// file is closed.
type CloseHook interface{ Closed(*FileDescription) }

// OnClose adds a hook: epoll forgets the file then.
func (d *FileDescription) OnClose(h CloseHook) {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	d.hooks = append(d.hooks, h)
}

// ForgetClose undoes OnClose.
func (d *FileDescription) ForgetClose(h CloseHook) {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	if i := slices.Index(d.hooks, h); i >= 0 {
		d.hooks = slices.Delete(d.hooks, i, i+1)
	}
}
