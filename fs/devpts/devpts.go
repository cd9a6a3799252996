// Package devpts is pseudoterminals, pty(7): the filesystem of their names, the
// multiplexer /dev/pts/ptmx that makes them, and their masters. The slaves, and
// the terminals themselves, are fs/tty's.
package devpts

import (
	"fmt"
	"slices"
	"strconv"

	"garrison/fs/pseudo"
	"garrison/fs/tty"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// Type is the filesystem for mount(2), with the options uid, gid, mode,
// ptmxmode, max and newinstance (which changes nothing: every mount is a new
// instance).
func Type(k *kernel.Kernel) *vfs.Type {
	return &vfs.Type{
		Name:  "devpts",
		Magic: linux.DEVPTS_SUPER_MAGIC,
		Flags: vfs.UserMount | vfs.UserDevices,
		Check: vfs.KnownOptions("uid", "gid", "mode", "ptmxmode", "max", "newinstance"),
		New: func(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) {
			fs, err := newFS(k, c, a)
			if err != nil {
				return nil, err
			}
			return fs.root(), nil
		},
	}
}

// maxPTYs is how many pseudoterminals there may be at once (kernel.pty.max).
const maxPTYs = 4096

// A FS is one instance: names 0, 1, 2… and ptmx.
type FS struct {
	k        *kernel.Kernel
	sys      *vfs.System
	place    pseudo.Place
	uid, gid *uint32 // of new slaves; nil: their maker's
	mode     linux.FileMode
	max      int
	ptmx     *node

	mu     lock.Mutex[lock.Leaf]
	inUse  map[int]bool  // protected by mu: numbers that can't be given out
	slaves map[int]*node // protected by mu: those that have a name
}

func newFS(k *kernel.Kernel, c vfs.Ctx, a *vfs.NewArgs) (*FS, error) {
	o := a.Options
	if err := o.Only("uid", "gid", "mode", "ptmxmode", "max", "newinstance"); err != nil {
		return nil, err
	}
	fs := &FS{k: k, sys: a.System, mode: 0o600, max: maxPTYs, inUse: map[int]bool{}, slaves: map[int]*node{}}
	var err error
	if fs.uid, err = ownerOption(o, "uid", c.Creds().UserNS.MakeUID); err != nil {
		return nil, err
	}
	if fs.gid, err = ownerOption(o, "gid", c.Creds().UserNS.MakeGID); err != nil {
		return nil, err
	}
	mode, err := o.Uint("mode", 8, 0o600)
	if err != nil {
		return nil, err
	}
	ptmxMode, err := o.Uint("ptmxmode", 8, 0)
	if err != nil {
		return nil, err
	}
	limit, err := o.Uint("max", 10, maxPTYs)
	if err != nil || limit > maxPTYs {
		return nil, linux.EINVAL
	}
	fs.mode, fs.max = linux.FileMode(mode)&0o777, int(limit)
	fs.place = (&pseudo.FS{
		Magic: linux.DEVPTS_SUPER_MAGIC, Blksize: 1024, Options: options(o, fs.mode, ptmxMode), Time: c.Now(),
	}).Root()
	fs.ptmx = newNode(c, pseudo.Place{FS: fs.place.FS, Ino: 2}, linux.S_IFCHR|linux.FileMode(ptmxMode)&0o777,
		linux.Makedev(linux.TTYAUX_MAJOR, 2))
	root := auth.Root(c.Creds().UserNS)
	fs.ptmx.attr.UID, fs.ptmx.attr.GID = root.EUID, root.EGID
	fs.ptmx.open = fs.OpenMaster
	return fs, nil
}

// ownerOption is the kernel's id of the one that an option gives; nil without it.
func ownerOption(o vfs.Options, key string, mk func(uint32) (uint32, bool)) (*uint32, error) {
	if _, ok := o.Get(key); !ok {
		return nil, nil
	}
	n, err := o.Uint(key, 10, 0)
	if err != nil || n >= 1<<32-1 {
		return nil, linux.EINVAL
	}
	id, ok := mk(uint32(n))
	if !ok {
		return nil, linux.EINVAL
	}
	return &id, nil
}

// options is what /proc/mounts shows.
func options(o vfs.Options, mode linux.FileMode, ptmx uint64) string {
	s := ""
	for _, key := range []string{"uid", "gid"} {
		if v, ok := o.Get(key); ok {
			s += key + "=" + v + ","
		}
	}
	s += fmt.Sprintf("mode=%03o,ptmxmode=%03o", mode, ptmx)
	if v, ok := o.Get("max"); ok {
		s += ",max=" + v
	}
	return s
}

func (fs *FS) root() vfs.Inode {
	return pseudo.NewDir(fs.place, fs, pseudo.DirSpec[*FS]{Mode: 0o755, More: names{fs}})
}

// Of is the instance whose root inode i is; ok is false if it is something else.
func Of(i vfs.Inode) (fs *FS, ok bool) {
	x, ok := i.(interface{ Subject() *FS })
	if !ok {
		return nil, false
	}
	return x.Subject(), true
}

// claim gives out the lowest free number: ENOSPC if there is none.
func (fs *FS) claim() (int, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for n := range fs.max {
		if !fs.inUse[n] {
			fs.inUse[n] = true
			return n, nil
		}
	}
	return 0, linux.ENOSPC
}

// release makes n free again; hide takes its name away before that.
func (fs *FS) release(n int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.inUse, n)
}

func (fs *FS) hide(n int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.slaves, n)
}

// Add gives a terminal that has a far side of its own (a console) a name here:
// mk makes it, of that device number and name. It stays until its far side is gone
// and no file of it is open.
func (fs *FS) Add(c vfs.Ctx, mk func(device uint64, name string) *tty.Terminal) (int, error) {
	n, err := fs.claim()
	if err != nil {
		return 0, err
	}
	t := mk(linux.Makedev(linux.UNIX98_PTY_SLAVE_MAJOR, uint32(n)), "pts/"+strconv.Itoa(n))
	fs.show(c, n, t)
	t.OnRelease(func() {
		fs.hide(n)
		fs.release(n)
	})
	return n, nil
}

// show makes slave n visible.
func (fs *FS) show(c vfs.Ctx, n int, t *tty.Terminal) {
	s := newNode(c, pseudo.Place{FS: fs.place.FS, Ino: uint64(n) + 3}, linux.S_IFCHR|fs.mode, t.Device)
	s.attr.UID, s.attr.GID = c.Creds().FSUID, c.Creds().FSGID
	if fs.uid != nil {
		s.attr.UID = *fs.uid
	}
	if fs.gid != nil {
		s.attr.GID = *fs.gid
	}
	s.open = func(c vfs.Ctx, _ vfs.Path, flags linux.OpenFlags) (vfs.File, error) { return t.Open(c, flags) }
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.slaves[n] = s
}

// slave is the inode of slave n, nil if there is none.
func (fs *FS) slave(n int) *node {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.slaves[n]
}

// names is the directory.
type names struct{ fs *FS }

// find is what name names; nil if nothing.
func (d names) find(name string) *node {
	if name == "ptmx" {
		return d.fs.ptmx
	}
	n, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(n) != name {
		return nil
	}
	return d.fs.slave(n)
}

// Lookup implements pseudo.Dynamic.
func (d names) Lookup(_ vfs.Ctx, name string, _ pseudo.Place) (vfs.Inode, error) {
	if n := d.find(name); n != nil {
		return n, nil
	}
	return nil, linux.ENOENT
}

// Valid implements pseudo.Dynamic.
func (d names) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool {
	if n := d.find(name); n != nil {
		return i == vfs.Inode(n)
	}
	return i == nil
}

// Each implements pseudo.Dynamic. The key of ptmx is 0, of slave n n+1.
func (d names) Each(_ vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	if key == 0 && !f(0, "ptmx", linux.S_IFCHR) {
		return nil
	}
	d.fs.mu.Lock()
	var all []int
	for n := range d.fs.slaves {
		all = append(all, n)
	}
	d.fs.mu.Unlock()
	slices.Sort(all)
	for _, n := range all {
		if k := int64(n) + 1; k >= key && !f(k, strconv.Itoa(n), linux.S_IFCHR) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (names) Links() int { return 0 }

// Number implements pseudo.Numbered.
func (d names) Number(name string, at pseudo.Place) uint64 {
	if n := d.find(name); n != nil {
		return n.place.Ino
	}
	return at.Ino
}
