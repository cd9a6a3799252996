// Package mqueue is POSIX message queues, mq_overview(7): a filesystem whose files
// are the queues of an IPC namespace. The calls mq_open(2) and its siblings see it
// through a private mount (Of); mount(2) shows the same files.
package mqueue

import (
	"slices"
	"strings"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Attr is struct mq_attr, mq_getattr(3).
type Attr struct {
	Flags, MaxMsg, MsgSize, CurMsgs int64
	_                               [4]int64
}

// Limits, Documentation: mq_overview(7).
const (
	defaultMsgs = 10   // msg_default and msg_max
	defaultSize = 8192 // msgsize_default and msgsize_max
	hardMsgs    = 65536
	hardSize    = 16 << 20
	queuesMax   = 256

	// PrioMax is one more than the highest priority (MQ_PRIO_MAX).
	PrioMax = 32768
)

// Type is the filesystem for mount(2). initial is the namespace that it shows when
// the kernel itself mounts it.
func Type(k *kernel.Kernel, initial *kernel.IPCNamespace) *vfs.Type {
	return &vfs.Type{
		Name:  "mqueue",
		Magic: linux.MQUEUE_MAGIC,
		Flags: vfs.UserMount,
		Check: vfs.KnownOptions(),
		Owner: func(c vfs.Ctx) *auth.UserNamespace {
			if t, ok := kernel.Caller(c); ok {
				return t.Namespaces().IPC.UserNS
			}
			return initial.UserNS
		},
		New: func(c vfs.Ctx, _ *vfs.NewArgs) (vfs.Inode, error) {
			ns := initial
			if t, ok := kernel.Caller(c); ok {
				ns = t.Namespaces().IPC
			}
			return of(k.VFS, ns).dir, nil
		},
	}
}

// instance is a namespace's queues.
type instance struct {
	dir *root
	mnt *vfs.Private
}

func of(s *vfs.System, ns *kernel.IPCNamespace) *instance {
	return ns.MessageQueues(func() any {
		r := &root{sys: s, names: map[string]*Queue{}}
		now := s.Internal().Now()
		r.attr = vfs.Attr{Ino: s.NewIno(), Mode: linux.S_IFDIR | linux.S_ISVTX | 0o777, Nlink: 2, Blksize: 4096, Atime: now, Mtime: now, Ctime: now}
		fs := s.NewFilesystemOf(&vfs.Type{Name: "mqueue", Magic: linux.MQUEUE_MAGIC}, r)
		defer fs.DecRef()
		return &instance{r, s.NewPrivate(fs)}
	}).(*instance)
}

// At is where name, as mq_open(2) has it (without a slash), is in t's namespace. The
// caller drops Start. EACCES for names that are no plain names, ENOENT, ENAMETOOLONG.
func At(t *kernel.Task, name string) (vfs.At, error) {
	switch {
	case name == "":
		return vfs.At{}, linux.ENOENT
	case len(name) > linux.NAME_MAX:
		return vfs.At{}, linux.ENAMETOOLONG
	case name == "." || name == ".." || strings.Contains(name, "/"):
		return vfs.At{}, linux.EACCES
	}
	return vfs.At{Start: of(t.Kernel().VFS, t.Namespaces().IPC).mnt.Root(), Name: name, Flags: vfs.NoFollow}, nil
}

// With is c with the attributes that a queue which is made on its behalf is to have.
func With(c vfs.Ctx, a Attr) vfs.Ctx { return &attrCtx{c, a} }

type attrCtx struct {
	vfs.Ctx
	attr Attr
}

// root is the directory.
type root struct {
	sys *vfs.System

	mu    lock.Mutex[lock.Inode]
	attr  vfs.Attr          // protected by mu
	names map[string]*Queue // protected by mu
	order []string          // protected by mu
}

// Attr implements vfs.Inode.
func (r *root) Attr(vfs.Ctx) (vfs.Attr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attr, nil
}

// SetAttr implements vfs.Inode.
func (r *root) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attr.Set(a, mask)
	r.attr.Ctime = c.Now()
	return nil
}

// Open implements vfs.Inode.
func (r *root) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return &listing{r}, nil }

// Lookup implements vfs.Dir.
func (r *root) Lookup(_ vfs.Ctx, name string) (vfs.Inode, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.names[name]; q != nil {
		return q, nil
	}
	return nil, linux.ENOENT
}

// Revalidate implements vfs.Stale: the directory is seen through several mounts.
func (r *root) Revalidate(_ vfs.Ctx, name string, i vfs.Inode) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.names[name]; q != nil {
		return i == vfs.Inode(q)
	}
	return i == nil
}

// Make implements vfs.Maker: only queues, by mq_open(2) or creat(2).
func (r *root) Make(c vfs.Ctx, name string, s *vfs.MakeSpec) (vfs.Inode, error) {
	if !s.Mode.IsRegular() {
		return nil, linux.EPERM
	}
	a := Attr{MaxMsg: defaultMsgs, MsgSize: defaultSize}
	if x, ok := c.(*attrCtx); ok {
		a = x.attr
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names[name] != nil {
		return nil, linux.EEXIST
	}
	if len(r.names) >= queuesMax {
		return nil, linux.ENOSPC
	}
	now := c.Now()
	q := &Queue{maxMsg: a.MaxMsg, msgSize: a.MsgSize}
	q.attr = vfs.Attr{
		Ino: r.sys.NewIno(), Mode: s.Mode, Nlink: 1, UID: s.UID, GID: s.GID, Size: textSize, Blksize: 4096,
		Atime: now, Mtime: now, Ctime: now, Btime: now,
	}
	r.names[name] = q
	r.order = append(r.order, name)
	r.attr.Mtime, r.attr.Ctime = now, now
	return q, nil
}

// Remove implements vfs.Remover.
func (r *root) Remove(c vfs.Ctx, name string, i vfs.Inode, dir bool) error {
	if dir {
		return linux.ENOTDIR
	}
	r.mu.Lock()
	q := r.names[name]
	if q == nil || i != vfs.Inode(q) {
		r.mu.Unlock()
		return linux.ENOENT
	}
	delete(r.names, name)
	r.order = slices.DeleteFunc(r.order, func(s string) bool { return s == name })
	r.attr.Mtime, r.attr.Ctime = c.Now(), c.Now()
	r.mu.Unlock()
	q.unlinked(c)
	return nil
}

// listing is the open directory.
type listing struct{ r *root }

// Read implements vfs.File.
func (*listing) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Write implements vfs.File.
func (*listing) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (*listing) Close(vfs.Ctx) {}

// List implements vfs.Lister.
func (l *listing) List(_ vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	l.r.mu.Lock()
	names := slices.Clone(l.r.order)
	inos := make([]uint64, len(names))
	for i, n := range names {
		inos[i] = l.r.names[n].attr.Ino
	}
	l.r.mu.Unlock()
	for i := off - vfs.FirstEntry; i < int64(len(names)); i++ {
		e := vfs.Dirent{Name: names[i], Ino: inos[i], Type: linux.S_IFREG.DirentType(), Next: vfs.FirstEntry + i + 1}
		if !f(e) {
			return nil
		}
	}
	return nil
}
