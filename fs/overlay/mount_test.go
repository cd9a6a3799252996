package overlay_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"garrison/fs/fstest"
	"garrison/fs/overlay"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A layer is an empty directory that counts who holds it, and can break.
type layer struct {
	vfs.Inode
	held   atomic.Int64
	broken bool
}

// Hold implements vfs.Counted.
func (l *layer) Hold() { l.held.Add(1) }

// Drop implements vfs.Counted.
func (l *layer) Drop() { l.held.Add(-1) }

// Lookup implements vfs.Dir.
func (*layer) Lookup(vfs.Ctx, string) (vfs.Inode, error) { return nil, linux.ENOENT }

// Attr implements vfs.Inode.
func (l *layer) Attr(c vfs.Ctx) (vfs.Attr, error) {
	if l.broken {
		return vfs.Attr{}, linux.EIO
	}
	return l.Inode.Attr(c)
}

// TestMountHolds: what is below an overlay is held as long as that is there, and not when it
// could not be made.
func TestMountHolds(t *testing.T) {
	s := vfs.New(nil)
	root := s.NewFilesystemOf(&vfs.Type{Name: "tmpfs"}, newTmpfs(t, s.Internal()))
	e := &env{T: t, s: s, c: fstest.NewCaller(t, s.NewMountNamespace(root, "root", 0))}
	put := func(name string, fs *vfs.Filesystem) {
		t.Helper()
		e.ok(vfs.Mkdir(e.c, at(name), 0o755))
		p, err := vfs.Resolve(e.c, at(name))
		e.ok(err)
		e.ok(vfs.MountFS(e.c, p, fs, name, 0))
		p.Drop()
		fs.DecRef()
	}
	mount := func(options string) (*vfs.Filesystem, error) {
		return s.NewFilesystem(e.c, overlay.Type(), &vfs.NewArgs{Options: vfs.ParseOptions(options)})
	}
	var layers [3]*layer
	for i := range layers {
		layers[i] = &layer{Inode: newTmpfs(t, s.Internal())}
		layers[i].held.Store(1)
		put(fmt.Sprintf("/%d", i), s.NewFilesystemOf(&vfs.Type{Name: "layer"}, layers[i]))
	}
	for _, x := range [][2]string{{"/one", "lowerdir=/2"}, {"/two", "lowerdir=/one"}} {
		fs, err := mount(x[1])
		e.ok(err)
		put(x[0], fs)
	}
	held := func() (out [3]int64) {
		for i, l := range layers {
			out[i] = l.held.Load()
		}
		return out
	}
	before := held()
	for _, x := range []struct {
		options string
		breaks  *layer
		want    error
	}{
		{"lowerdir=/0:/1", nil, nil},
		{"lowerdir=/0,upperdir=/1,workdir=/2", nil, nil},
		{"lowerdir=/0:/1:/none", nil, linux.ENOENT},
		{"lowerdir=/0:/1,upperdir=/none,workdir=/2", nil, linux.ENOENT},
		{"lowerdir=/0:/1,upperdir=/one,workdir=/2", nil, linux.EINVAL}, // an overlay
		{"lowerdir=/0:/1", layers[0], linux.EIO},
		{"lowerdir=/0,upperdir=/1,workdir=/2", layers[1], linux.EIO},
		{"lowerdir=/0:/two,upperdir=/1,workdir=/2", nil, linux.EINVAL}, // too many on one another
	} {
		if x.breaks != nil {
			x.breaks.broken = true
		}
		fs, err := mount(x.options)
		if err != x.want {
			t.Errorf("%s: %v, want %v", x.options, err, x.want)
		}
		if x.breaks != nil {
			x.breaks.broken = false
		}
		if err == nil {
			fs.DecRef()
		}
		if now := held(); now != before {
			t.Fatalf("%s: the layers are held %v times, and were %v", x.options, now, before)
		}
	}
}
