// Package tmpfs is the filesystem in memory: tmpfs(5). Names and attributes are Go
// objects; file data is pages of the container's page file, so that mmap(2) shows the
// very bytes that read(2) copies. Memory for a page is taken when it is first touched.
package tmpfs

import (
	"fmt"
	"strings"
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/vfs"
)

// Config is what every tmpfs of a kernel has in common.
type Config struct {
	// Memory is the page file in which a filesystem that c mounts keeps its data.
	Memory func(c vfs.Ctx) *memfile.File
	// Total is the memory there is, in bytes, of which a filesystem may hold half
	// unless size= says otherwise.
	Total func() uint64
}

// NewType is the type "tmpfs" (or another name it goes by: "ramfs", "devtmpfs").
func NewType(name string, k Config) *vfs.Type {
	flags := vfs.UserMount
	if name == "devtmpfs" {
		flags = 0
	}
	return &vfs.Type{
		Name:  name,
		Magic: linux.TMPFS_MAGIC,
		Flags: flags,
		Check: checkOption,
		New: func(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) {
			return New(c, k, a.Options)
		},
	}
}

// A filesystem is one tmpfs.
type filesystem struct {
	mem  *memfile.File
	pool *memfile.Pool
	cfg  Config
	root *dir

	pages    atomic.Int64 // charged
	maxPages atomic.Int64 // 0: no limit
	inodes   atomic.Int64
	maxInos  atomic.Int64 // 0: no limit
	lastIno  atomic.Uint64
	lastDir  atomic.Uint64 // cookies of directory entries
	show     shown
	dead     atomic.Bool
}

// shown is what /proc/mounts says beside the limits.
type shown struct {
	size, inodes bool // a limit was given
	mode         linux.FileMode
	uid, gid     uint32
}

// optionNames are the options known; those that only tune Linux's own memory
// management change nothing here.
var optionNames = []string{
	"size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "mpol", "huge",
	"inode32", "inode64", "noswap", "swap", "discard", "quota",
}

// checkOption is vfs.Type's Check.
func checkOption(x vfs.Option) (err error) {
	o := vfs.Options{x}
	switch x.Key {
	case "size", "nr_blocks", "nr_inodes":
		_, err = o.Size(x.Key, 1<<40, 0)
	case "mode":
		_, err = o.Uint(x.Key, 8, 0)
	case "uid", "gid":
		_, err = o.Uint(x.Key, 10, 0)
	default:
		if o.Only(optionNames...) != nil {
			err = vfs.ErrNoParam
		}
	}
	return err
}

// New returns the root of a new tmpfs: EINVAL for options that are wrong.
func New(c vfs.Ctx, k Config, o vfs.Options) (vfs.Inode, error) {
	if err := o.Only(optionNames...); err != nil {
		return nil, err
	}
	mode, err := o.Uint("mode", 8, 0o1777)
	if err != nil {
		return nil, err
	}
	uid, err := ownerOption(o, "uid", c.Creds().FSUID, c.Creds().UserNS.MakeUID)
	if err != nil {
		return nil, err
	}
	gid, err := ownerOption(o, "gid", c.Creds().FSGID, c.Creds().UserNS.MakeGID)
	if err != nil {
		return nil, err
	}
	mem := k.Memory(c)
	fs := &filesystem{mem: mem, pool: mem.NewPool(), cfg: k}
	fs.lastDir.Store(vfs.FirstEntry)
	half := int64(k.Total() / 2 / arch.PageSize)
	fs.maxPages.Store(half)
	fs.maxInos.Store(half)
	if err := fs.limit(o); err != nil {
		return nil, err
	}
	fs.show.mode, fs.show.uid, fs.show.gid = linux.FileMode(mode).Perm(), uid, gid
	fs.root = &dir{}
	fs.root.init(c, fs, &vfs.MakeSpec{Mode: linux.S_IFDIR | fs.show.mode, UID: fs.show.uid, GID: fs.show.gid})
	fs.root.attr.Nlink = 2
	fs.root.parent = fs.root
	fs.inodes.Add(1)
	return &rootDir{dir: fs.root}, nil
}

// ownerOption is the kernel's id of the one that an option gives: EINVAL if it means
// nothing to who mounts.
func ownerOption(o vfs.Options, key string, def uint32, mk func(uint32) (uint32, bool)) (uint32, error) {
	if _, ok := o.Get(key); !ok {
		return def, nil
	}
	n, err := o.Uint(key, 10, 0)
	if err != nil || n > 1<<32-1 {
		return 0, linux.EINVAL
	}
	k, ok := mk(uint32(n))
	if !ok {
		return 0, linux.EINVAL
	}
	return k, nil
}

// limit applies size=, nr_blocks= and nr_inodes=.
func (fs *filesystem) limit(o vfs.Options) error {
	total := fs.cfg.Total()
	if _, ok := o.Get("size"); ok {
		n, err := o.Size("size", total, 0)
		if err != nil {
			return err
		}
		fs.show.size = true
		fs.maxPages.Store(int64((n + arch.PageMask) / arch.PageSize))
	}
	if _, ok := o.Get("nr_blocks"); ok {
		n, err := o.Size("nr_blocks", total/arch.PageSize, 0)
		if err != nil || n > 1<<50 {
			return linux.EINVAL
		}
		fs.show.size = true
		fs.maxPages.Store(int64(n))
	}
	if _, ok := o.Get("nr_inodes"); ok {
		n, err := o.Size("nr_inodes", total/arch.PageSize, 0)
		if err != nil || n > 1<<50 {
			return linux.EINVAL
		}
		fs.show.inodes = true
		fs.maxInos.Store(int64(n))
	}
	return nil
}

// charge takes n pages of the filesystem's size; false if there are not as many.
func (fs *filesystem) charge(n int64) bool {
	for {
		had := fs.pages.Load()
		if limit := fs.maxPages.Load(); limit != 0 && had+n > limit {
			return false
		}
		if fs.pages.CompareAndSwap(had, had+n) {
			return true
		}
	}
}

// most is how many pages may be asked for at once: without a limit, as many as there is
// memory. Linux would go on until it has no more, and kill somebody.
func (fs *filesystem) most() int64 {
	if limit := fs.maxPages.Load(); limit != 0 {
		return limit
	}
	return int64(fs.cfg.Total() / arch.PageSize)
}

func (fs *filesystem) uncharge(n int64) { fs.pages.Add(-n) }

// newInode counts one more inode: ENOSPC.
func (fs *filesystem) newInode() error {
	limit := fs.maxInos.Load()
	if fs.inodes.Add(1) > limit && limit != 0 {
		fs.inodes.Add(-1)
		return linux.ENOSPC
	}
	return nil
}

// rootDir is the root directory, which speaks for the whole filesystem.
type rootDir struct{ *dir }

// Statfs implements vfs.Statfser.
func (r *rootDir) Statfs(vfs.Ctx) (linux.Statfs, error) {
	fs := r.fs
	st := linux.Statfs{Type: linux.TMPFS_MAGIC, Bsize: arch.PageSize}
	if limit := fs.maxPages.Load(); limit != 0 {
		free := max(limit-fs.pages.Load(), 0)
		st.Blocks, st.Bfree, st.Bavail = uint64(limit), uint64(free), uint64(free)
	}
	if limit := fs.maxInos.Load(); limit != 0 {
		st.Files, st.Ffree = uint64(limit), uint64(max(limit-fs.inodes.Load(), 0))
	}
	return st, nil
}

// ShowOptions implements vfs.Shower.
func (r *rootDir) ShowOptions() string {
	var o []string
	fs := r.fs
	if fs.show.size {
		o = append(o, fmt.Sprintf("size=%dk", fs.maxPages.Load()*arch.PageSize/1024))
	}
	if fs.show.inodes {
		o = append(o, fmt.Sprintf("nr_inodes=%d", fs.maxInos.Load()))
	}
	if fs.show.mode != 0o1777 {
		o = append(o, fmt.Sprintf("mode=%o", fs.show.mode))
	}
	if fs.show.uid != 0 {
		o = append(o, fmt.Sprintf("uid=%d", fs.show.uid))
	}
	if fs.show.gid != 0 {
		o = append(o, fmt.Sprintf("gid=%d", fs.show.gid))
	}
	return strings.Join(append(o, "inode64"), ",")
}

// Remount implements vfs.Remounter: only the limits change, and not below what is used.
func (r *rootDir) Remount(_ vfs.Ctx, o vfs.Options) error {
	if err := o.Only(optionNames...); err != nil {
		return err
	}
	pages, inos := r.fs.maxPages.Load(), r.fs.maxInos.Load()
	if err := r.fs.limit(o); err != nil {
		return err
	}
	if m := r.fs.maxPages.Load(); m != 0 && m < r.fs.pages.Load() {
		r.fs.maxPages.Store(pages)
		return linux.EINVAL
	}
	if m := r.fs.maxInos.Load(); m != 0 && m < r.fs.inodes.Load() {
		r.fs.maxInos.Store(inos)
		return linux.EINVAL
	}
	return nil
}

// Shutdown implements vfs.Shutter: all memory goes back.
func (r *rootDir) Shutdown() {
	r.fs.dead.Store(true)
	r.dir.freeAll()
	r.fs.pool.Close()
}
