package proc

import (
	"fmt"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A Namespace is a namespace as a file: what /proc/pid/ns/* leads to, and what
// setns(2) and ioctl_ns(2) are given. Of is a *kernel.UTSNamespace and so on.
type Namespace struct {
	Kind string // "uts", as in the name
	Ino  uint64
	Flag uint64 // CLONE_NEW*
	Of   any
}

// Name is the text of the link: "uts:[4026531838]".
func (n *Namespace) Name() string { return fmt.Sprintf("%s:[%d]", n.Kind, n.Ino) }

// <linux/sched.h>, for ioctl NS_GET_NSTYPE.
const (
	cloneNewTime   = 0x80
	cloneNewNS     = 0x20000
	cloneNewCgroup = 0x2000000
	cloneNewUTS    = 0x4000000
	cloneNewIPC    = 0x8000000
	cloneNewUser   = 0x10000000
	cloneNewPID    = 0x20000000
	cloneNewNet    = 0x40000000
)

// nsTable is /proc/pid/ns.
func nsTable() []entry {
	ns := func(name string, find func(p *process) *Namespace) entry {
		return entry{
			Name:  name,
			Guard: traced,
			Link: func(p *process, _ vfs.Ctx) (string, error) {
				if n := find(p); n != nil {
					return n.Name(), nil
				}
				return "", linux.ENOENT
			},
			Follow: func(p *process, _ vfs.Ctx) (vfs.Path, error) {
				n := find(p)
				if n == nil {
					return vfs.Path{}, linux.ENOENT
				}
				return p.fs.sys.NewNamespaceFile(&nsInode{n, p.fs.k}, n.Name()), nil
			},
		}
	}
	return []entry{
		ns("cgroup", func(p *process) *Namespace {
			n := p.task().Namespaces().Cgroup
			return &Namespace{"cgroup", n.Inode, cloneNewCgroup, n}
		}),
		ns("ipc", func(p *process) *Namespace {
			i := p.task().Namespaces().IPC
			return &Namespace{"ipc", i.Inode, cloneNewIPC, i}
		}),
		ns("mnt", func(p *process) *Namespace {
			fs := p.task().FS()
			if fs == nil {
				return nil
			}
			m := fs.Namespace()
			return &Namespace{"mnt", m.ID(), cloneNewNS, m}
		}),
		ns("net", func(p *process) *Namespace {
			n := p.task().Namespaces().Net
			return &Namespace{"net", n.Inode, cloneNewNet, n}
		}),
		ns("pid", func(p *process) *Namespace {
			n := p.task().PIDNamespace()
			return &Namespace{"pid", n.Inode, cloneNewPID, n}
		}),
		ns("pid_for_children", func(p *process) *Namespace {
			n := p.task().Namespaces().PIDForChildren
			return &Namespace{"pid", n.Inode, cloneNewPID, n}
		}),
		ns("time", func(p *process) *Namespace { return timeNamespace(p.task().Namespaces().Time) }),
		ns("time_for_children", func(p *process) *Namespace { return timeNamespace(p.task().Namespaces().TimeForChildren) }),
		ns("user", func(p *process) *Namespace { return userNamespace(p.task().Creds().UserNS) }),
		ns("uts", func(p *process) *Namespace {
			n := p.task().Namespaces().UTS
			return &Namespace{"uts", n.Inode, cloneNewUTS, n}
		}),
	}
}

// nsInode is the inode of a namespace.
type nsInode struct {
	*Namespace
	k *kernel.Kernel
}

var _ vfs.Inode = (*nsInode)(nil)

// Attr implements vfs.Inode.
func (n *nsInode) Attr(c vfs.Ctx) (vfs.Attr, error) {
	return vfs.Attr{Ino: n.Ino, Mode: linux.S_IFREG | 0o444, Nlink: 1, Blksize: page}, nil
}

// SetAttr implements vfs.Inode.
func (*nsInode) SetAttr(vfs.Ctx, *vfs.Attr, vfs.AttrMask) error { return linux.EPERM }

// Open implements vfs.Inode. EPERM for writing: nothing of it can be changed.
func (n *nsInode) Open(_ vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	if flags.Writable() {
		return nil, linux.EPERM
	}
	return &nsFile{n}, nil
}

// nsFile is an open namespace.
type nsFile struct{ *nsInode }

// NamespaceOf is the namespace that an open file stands for; nil if it is none.
func NamespaceOf(d *vfs.FileDescription) *Namespace {
	if f, ok := d.File().(*nsFile); ok {
		return f.Namespace
	}
	return nil
}

// Read implements vfs.File.
func (*nsFile) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Write implements vfs.File.
func (*nsFile) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (*nsFile) Close(vfs.Ctx) {}

// Ioctl implements vfs.Control.
func (f *nsFile) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	return f.query(f.k, c, m, cmd, arg)
}
