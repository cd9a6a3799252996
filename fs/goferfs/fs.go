// Package goferfs is the filesystem of host files: what a gofer serves. Names and
// attributes are cached for good if the mount is the sandbox's alone, and asked for
// again where others share it; a file's bytes are never cached here, for read, write
// and mmap use the host's own descriptor, which the gofer donates, and so the host's
// page cache.
package goferfs

import (
	"slices"
	"sync/atomic"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

const (
	// maxIdle is how many files that nobody has open keep their descriptors.
	maxIdle = 512
	// maxListed is how many names of listed directories are kept, over all of them.
	maxListed = 16384
	// maxListing is the size of the largest directory whose listing is kept.
	maxListing = maxListed / 2
)

// Type is the type of these filesystems, for vfs.System.NewFilesystemOf: a gofer's
// mounts are given to a sandbox at its start, and mount(2) makes no other.
var Type = vfs.Type{Name: "gofer", Magic: linux.V9FS_MAGIC}

// A filesystem is one mount of a gofer.
type filesystem struct {
	client   *wire.Client `save:"-"`
	mount    uint32
	shared   bool
	readOnly bool
	root     wire.ID
	dev      uint64 // the host's device number of the root
	overlay  bool   // the root is on the host's overlayfs
	logf     func(format string, args ...any)

	hostReadOnly bool // the host's filesystem was so at first
	sturdy       bool // ... and is one of those that refuse little
	maxName      int  // bytes in its names

	later  later
	others func() // see New

	edits  atomic.Uint64 // changes of names, and doubts in names, in all directories
	lists  atomic.Bool   // somebody is judged by access control lists
	looked atomic.Bool   // a listed name that is no directory's was looked up since a directory was read

	mu      lock.Mutex[lock.Leaf]
	inodes  map[wire.ID]inode // those that vfs holds or a listing names
	lost    uint64            // the latest of edits in what is no longer in inodes
	walk    walk              // how directories are read,
	fills   walk              // and how what their names name is asked for
	reading reading           // how files are opened to be read
	idle    list.List[*data]  // with descriptors but not open, most recent first
	idles   int               // how many
	listed  list.List[*dir]   // with a kept listing, most recent first
	entries int               // how many entries these have

	fds atomic.Int64 // donated descriptors that are open
}

// New returns the root of a gofer's mount, by its place in the gofer's list, held
// once. It may be a directory or any other file. logf is told what went wrong when
// there is nobody else to tell. others has all mounts of the gofer do what they have put
// off (vfs.Settler): a mount that others share may be a part of one that is not.
func New(c vfs.Ctx, client *wire.Client, mount uint32, others func(), logf func(format string, args ...any)) (vfs.Inode, error) {
	fs := &filesystem{client: client, mount: mount, others: others, logf: logf, inodes: map[wire.ID]inode{}}
	fs.later.turn = make(chan struct{}, 1)
	var at wire.AttachResp
	if err := fs.call(c, &wire.AttachReq{Mount: mount}, &at, nil); err != nil {
		return nil, err
	}
	fs.shared, fs.readOnly = at.Shared, at.ReadOnly
	fs.root, fs.dev = at.Node.ID, at.Node.Attr.Dev
	var st wire.StatfsResp
	if err := fs.call(c, &wire.StatfsReq{ID: fs.root}, &st, nil); err != nil {
		return nil, err
	}
	fs.overlay = st.Type == linux.OVERLAYFS_SUPER_MAGIC
	fs.sturdy, fs.maxName = slices.Contains(sturdy, st.Type), int(st.Namelen)
	fs.hostReadOnly = st.Flag&linux.ST_RDONLY != 0
	root := fs.intern(&at.Node)
	if !fs.shared {
		client.Subscribe(fs.changed)
	}
	return root, nil
}

// call does one round trip, after what was put off, and makes a system call's error of
// whatever goes wrong.
func (fs *filesystem) call(c vfs.Ctx, q wire.Request, r wire.Message, fds *wire.FDs) error {
	if fs.shared {
		fs.others()
	}
	fs.endsRow(q)
	return answered(c, fs.ask(done(c), q, r, fds))
}

// endsRow is told what the gofer is asked for.
func (fs *filesystem) endsRow(q wire.Request) {
	if op := q.Op(); op != wire.OpUnlink && !op.Looks() {
		fs.later.endRow()
	}
}

// callAtOnce is call of what needs nothing that was put off.
func (fs *filesystem) callAtOnce(c vfs.Ctx, q wire.Request, r wire.Message, fds *wire.FDs) error {
	fs.endsRow(q)
	return answered(c, fs.client.Call(done(c), q, r, fds))
}

// answered notes that c's caller has waited for the gofer, and returns the errno that err is.
func answered(c vfs.Ctx, err error) error {
	if c != nil {
		c.Waited()
	}
	if err != nil {
		return wire.Errno(err)
	}
	return nil
}

// intern finds or makes the inode of a node that a reply named. The reference of the
// reply becomes the inode's; the caller holds the inode once.
func (fs *filesystem) intern(w *wire.Node) inode {
	fs.mu.Lock()
	i := fs.inodes[w.ID]
	if i == nil {
		i = fs.newInode(w)
		n := i.base()
		n.given = 1
		n.refs.Store(1)
		fs.inodes[w.ID] = i
		fs.mu.Unlock()
		return i
	}
	n := i.base()
	n.given++
	n.refs.Add(1)
	fs.mu.Unlock()
	if fs.shared {
		n.store(&w.Attr, n.version())
	}
	return i
}

// newInode makes the inode of the right type for w.
func (fs *filesystem) newInode(w *wire.Node) (i inode) {
	switch linux.FileMode(w.Attr.Mode).Type() {
	case linux.S_IFDIR:
		if fs.shared {
			i = &sharedDir{}
		} else {
			i = &dir{}
		}
	case linux.S_IFREG:
		i = &file{}
	case linux.S_IFLNK:
		i = &symlink{target: w.Target}
	default:
		i = &special{}
	}
	n := i.base()
	n.fs, n.id, n.typ = fs, w.ID, linux.FileMode(w.Attr.Mode).Type()
	n.ino.Store(w.Attr.Ino)
	n.attr, n.seen, n.bare = w.Attr, now(), w.Attr.Flags&wire.AttrBare != 0
	return i
}

// Statfs implements vfs.Statfser, on whatever inode is the root.
func (n *node) Statfs(c vfs.Ctx) (linux.Statfs, error) {
	var r wire.StatfsResp
	if err := n.fs.call(c, &wire.StatfsReq{ID: n.id}, &r, nil); err != nil {
		return linux.Statfs{}, err
	}
	// The flags are those of the host's mount; vfs has the guest's.
	return linux.Statfs{
		Type: int64(r.Type), Bsize: int64(r.Bsize), Frsize: int64(r.Frsize),
		Blocks: r.Blocks, Bfree: r.Bfree, Bavail: r.Bavail, Files: r.Files, Ffree: r.Ffree,
		Namelen: int64(r.Namelen),
	}, nil
}

// SyncFS implements vfs.FSSyncer.
func (n *node) SyncFS(c vfs.Ctx) error {
	if n.fs.readOnly {
		return nil
	}
	if err := n.fs.call(c, &wire.SyncfsReq{ID: n.fs.root}, &wire.Empty{}, nil); err != nil {
		return err
	}
	return n.fs.later.takeFailure()
}

// ShowOptions implements vfs.Shower.
func (n *node) ShowOptions() string {
	if n.fs.shared {
		return "cache=none"
	}
	return "cache=exclusive"
}

// Shutdown implements vfs.Shutter: descriptors that were only kept are closed.
func (n *node) Shutdown() {
	n.Settle()
	n.fs.trimIdle(0)
	n.fs.trimListings(0)
}
