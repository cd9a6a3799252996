package fuse

import (
	"fmt"
	"strconv"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/vfs"
)

// Config is what every such filesystem of a kernel has in common.
type Config struct {
	// Memory is the page file for what is mapped of a filesystem that c mounts.
	Memory func(c vfs.Ctx) *memfile.File
}

// Types are what mount(2) finds: fuse, and fuseblk, whose source must be a block device.
func Types(k Config) []*vfs.Type {
	return []*vfs.Type{
		{
			Name: "fuse", Magic: linux.FUSE_SUPER_MAGIC, Flags: vfs.UserMount | vfs.Subtypes, Check: check,
			New: func(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) { return newRoot(c, k, a) },
		},
		{
			Name: "fuseblk", Magic: linux.FUSE_SUPER_MAGIC, Flags: vfs.NeedsSource | vfs.Subtypes, Check: check,
			New: newBlock,
		},
	}
}

// numbers are the options that have one, and in which base.
var numbers = map[string]int{"fd": 10, "rootmode": 8, "user_id": 10, "group_id": 10, "max_read": 10, "blksize": 10}

// check implements vfs.Type.Check.
func check(o vfs.Option) error {
	switch o.Key {
	case "default_permissions", "allow_other":
		if o.HasValue {
			return linux.EINVAL
		}
		return nil
	case "subtype":
		return nil
	}
	base, ok := numbers[o.Key]
	if !ok {
		return vfs.ErrNoParam
	}
	if _, err := strconv.ParseUint(o.Value, base, 32); err != nil {
		return linux.EINVAL
	}
	return nil
}

// newBlock is fuseblk's, for which no block device here is the right one: ENXIO, but EINVAL
// first for who says nothing of a server, as mount(8) that tries all types there are.
func newBlock(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) {
	p, err := vfs.Resolve(c, vfs.At{Name: a.Source})
	if err != nil {
		return nil, err
	}
	defer p.Drop()
	if p.Type() != linux.S_IFBLK {
		return nil, linux.ENOTBLK
	}
	if _, _, err := parse(c, a.Options); err != nil {
		return nil, err
	}
	return nil, linux.ENXIO
}

// deviceOf is the /dev/fuse that c has open as fd. EINVAL if that is something else.
func deviceOf(c vfs.Ctx, fd kernel.FD) (*device, func(), error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return nil, nil, linux.EINVAL
	}
	f, err := t.File(fd)
	if err != nil {
		return nil, nil, linux.EINVAL
	}
	d, ok := f.File().(*device)
	if !ok {
		f.Release(t)
		return nil, nil, linux.EINVAL
	}
	return d, func() { f.Release(t) }, nil
}

// newRoot makes a filesystem of the server that has the device among the options.
func newRoot(c vfs.Ctx, k Config, a *vfs.NewArgs) (vfs.Inode, error) {
	s, fd, err := parse(c, a.Options)
	if err != nil {
		return nil, err
	}
	d, release, err := deviceOf(c, fd)
	if err != nil {
		return nil, err
	}
	defer release()
	m := newConnection(s, k.Memory(c))
	if !m.adopt(d) {
		m.pool.Close()
		return nil, linux.EINVAL
	}
	r := &root{m.newInode(linux.FUSE_ROOT_ID, 0, s.rootMode.Type())}
	r.attr = vfs.Attr{Ino: linux.FUSE_ROOT_ID, Mode: s.rootMode, Nlink: 1, Blksize: r.blockSize()}
	r.refs = 1
	m.mu.Lock()
	m.inodes[linux.FUSE_ROOT_ID] = r.inode
	m.mu.Unlock()
	m.begin()
	return r, nil
}

// parse is what the options say. EINVAL unless all that must be there is.
func parse(c vfs.Ctx, o vfs.Options) (s settings, fd kernel.FD, err error) {
	v := map[string]uint64{}
	for key, base := range numbers {
		if v[key], err = o.Uint(key, base, 0); err != nil {
			return s, 0, err
		}
	}
	for _, key := range []string{"fd", "rootmode", "user_id", "group_id"} {
		if _, ok := o.Get(key); !ok {
			return s, 0, linux.EINVAL
		}
	}
	t, ok := kernel.Caller(c)
	if _, given := o.Get("blksize"); given || !ok {
		return s, 0, linux.EINVAL // fuseblk's alone
	}
	s.user, s.pids = c.Creds().UserNS, t.PIDNamespace()
	s.rootMode = linux.FileMode(v["rootmode"])
	var uidOK, gidOK bool
	s.uid, uidOK = s.user.MakeUID(uint32(v["user_id"]))
	s.gid, gidOK = s.user.MakeGID(uint32(v["group_id"]))
	if !uidOK || !gidOK || !validType(s.rootMode) {
		return s, 0, linux.EINVAL
	}
	_, s.permissions = o.Get("default_permissions")
	_, s.allowOther = o.Get("allow_other")
	s.maxRead = uint32(v["max_read"])
	return s, kernel.FD(v["fd"]), nil
}

// validType reports whether m is of a type that a file can have.
func validType(m linux.FileMode) bool {
	switch m.Type() {
	case linux.S_IFREG, linux.S_IFDIR, linux.S_IFLNK, linux.S_IFCHR, linux.S_IFBLK, linux.S_IFIFO, linux.S_IFSOCK:
		return true
	}
	return false
}

// A root is the root directory, which speaks for the whole.
type root struct{ *inode }

// Statfs implements vfs.Statfser.
func (r *root) Statfs(c vfs.Ctx) (linux.Statfs, error) {
	if !r.m.admits(c) {
		return linux.Statfs{Type: linux.FUSE_SUPER_MAGIC}, nil
	}
	o, err := callFor[linux.FuseStatfsOut](r.m, c, ask(linux.FUSE_STATFS, r.id))
	if err != nil {
		return linux.Statfs{}, err
	}
	return linux.Statfs{
		Type: linux.FUSE_SUPER_MAGIC, Bsize: int64(o.Bsize), Blocks: o.Blocks, Bfree: o.Bfree, Bavail: o.Bavail,
		Files: o.Files, Ffree: o.Ffree, Namelen: int64(o.Namelen), Frsize: int64(o.Frsize),
	}, nil
}

// ShowOptions implements vfs.Shower.
func (r *root) ShowOptions() string {
	s := fmt.Sprintf("user_id=%d,group_id=%d", r.m.user.ShowUID(r.m.uid), r.m.user.ShowGID(r.m.gid))
	if r.m.permissions {
		s += ",default_permissions"
	}
	if r.m.allowOther {
		s += ",allow_other"
	}
	if r.m.maxRead != 0 {
		s += fmt.Sprintf(",max_read=%d", r.m.maxRead)
	}
	return s
}

// Remount implements vfs.Remounter: only flags change, which are vfs's. Linux takes the
// options that mount(8) repeats without looking at them.
func (r *root) Remount(_ vfs.Ctx, o vfs.Options) error { return nil }

// Abort implements vfs.Aborter: umount2(2) with MNT_FORCE.
func (r *root) Abort() {
	why := error(linux.ENODEV)
	if r.m.offers(linux.FUSE_ABORT_ERROR) {
		why = linux.ECONNABORTED
	}
	r.m.end(why)
}

// Shutdown implements vfs.Shutter.
func (r *root) Shutdown() {
	r.m.end(linux.ENODEV)
	r.m.pool.Close()
}
