// Package erofs is the read-only filesystem of images that mkfs.erofs(1) makes, without
// compression. A host's image is mapped into guests as it is, so that all sandboxes on the
// host that show it share its page cache.
package erofs

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/vfs"
)

// Config is what every such filesystem of a kernel has in common.
type Config struct {
	// Memory is the page file for what a filesystem that c mounts can't map as it is.
	Memory func(c vfs.Ctx) *memfile.File
}

// New returns the root of the image in fd, a regular file of the host's that is open for
// reading. It takes fd over. The error says what is wrong with the image.
func New(c vfs.Ctx, k Config, fd int) (vfs.Inode, error) {
	h, size, err := openHost(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return newRoot(c, k, h, size)
}

// NewType is what mount(2) finds: the source is a block device, or a file of the guest's.
func NewType(k Config) *vfs.Type {
	return &vfs.Type{
		Name: "erofs", Magic: linux.EROFS_SUPER_MAGIC, Flags: vfs.NeedsSource | vfs.ReadOnly | vfs.OnDisk,
		Check: vfs.KnownOptions("user_xattr", "nouser_xattr", "acl", "noacl"),
		New: func(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) {
			from, size, err := openSource(c, a)
			if err != nil {
				return nil, err
			}
			root, err := newRoot(c, k, from, size)
			if _, known := err.(linux.Errno); err != nil && !known {
				err = linux.EINVAL // the image is wrong
			}
			return root, err
		},
	}
}

// openSource opens what mount(2) names: a block device, or a file, as on Linux of a
// filesystem that lies on no other. ENOTBLK for all else.
func openSource(c vfs.Ctx, a *vfs.NewArgs) (guestFile, uint64, error) {
	if a.Disk != nil {
		a.Disk.IncRef()
		return guestFile{a.Disk}, a.Disk.File().(vfs.DiskFile).Disk().Bytes(), nil
	}
	d, err := vfs.Open(c, vfs.At{Name: a.Source}, vfs.OpenSpec{Flags: linux.O_RDONLY | linux.O_NONBLOCK})
	if err != nil {
		return guestFile{}, 0, err
	}
	attr, err := d.Attr(c)
	if err == nil && (!attr.Mode.IsRegular() || d.Path().Filesystem().Stack() != 0) {
		err = linux.ENOTBLK
	}
	if err != nil {
		d.Release(c)
		return guestFile{}, 0, err
	}
	return guestFile{d}, uint64(attr.Size), nil
}

// newRoot takes from over.
func newRoot(c vfs.Ctx, k Config, from source, size uint64) (vfs.Inode, error) {
	m, err := newImage(c, from, size, k.Memory(c))
	if err != nil {
		from.close()
		return nil, err
	}
	n, err := m.node(c, m.super.root)
	if err == nil {
		if d, ok := n.(*dir); ok {
			return &root{d}, nil
		}
		n.Drop()
		err = fmt.Errorf("EROFS image whose root is no directory: %w", linux.EUCLEAN)
	}
	from.close()
	m.pool.Close()
	return nil, err
}

// A root is the root directory, which speaks for the whole.
type root struct{ *dir }

// Below implements vfs.Stacked: what an image lies in that is a file.
func (r *root) Below() []*vfs.Filesystem {
	if g, ok := r.m.from.(guestFile); ok {
		if _, disk := g.d.File().(vfs.DiskFile); !disk {
			return []*vfs.Filesystem{g.d.Path().Filesystem()}
		}
	}
	return nil
}

// Statfs implements vfs.Statfser.
func (r *root) Statfs(vfs.Ctx) (linux.Statfs, error) {
	return linux.Statfs{
		Type: linux.EROFS_SUPER_MAGIC, Bsize: blockSize, Blocks: r.m.blocks,
		Files: math.MaxUint64, Ffree: math.MaxUint64 - r.m.inodes, Namelen: linux.NAME_MAX,
	}, nil
}

// ShowOptions implements vfs.Shower: Linux's defaults. The cache is the host's.
func (*root) ShowOptions() string { return "user_xattr,acl,cache_strategy=readaround" }

// Shutdown implements vfs.Shutter.
func (r *root) Shutdown() {
	r.m.pool.Close()
	r.m.from.close()
}
