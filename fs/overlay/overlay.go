// Package overlay shows directories one over another: the files of lower layers, which
// never change, with what was made, changed and removed since in an upper one. It knows
// the format of Linux's overlay filesystem: a whiteout (character device 0:0) hides a
// name, an attribute makes a directory opaque; a lower file is copied up before it is
// changed first.
package overlay

import (
	"strings"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// Extended attributes of the layers, which are not shown.
const (
	xattrPrefix = "trusted.overlay."
	xattrOpaque = xattrPrefix + "opaque"
)

// Config is what an overlay is made of. All inodes are held once, handed over.
type Config struct {
	Upper vfs.Inode   // a directory that can be changed; nil: read-only
	Lower []vfs.Inode // directories, the topmost first; at least one
	// Redirect lets directories of lower layers be renamed. Where their contents
	// come from is then known in memory only: for an upper layer that goes when
	// the overlay does. Otherwise that is EXDEV.
	Redirect bool
	// Below is the filesystems of the layers, if those could be anywhere.
	Below []*vfs.Filesystem
	// Show is what /proc/mounts shows; Done is called when the overlay goes.
	Show string
	Done func() `save:"-"`
	// Changed is told of each name that changes in the upper layer, for who sees
	// that by another mount; nil if nobody can.
	Changed func(path []string) `save:"-"`
}

// A filesystem is one overlay.
type filesystem struct {
	Config
	stale bool // a lower layer changes behind us
	root  *node

	mu sync.Mutex
	// nodes finds the node of a layer's file: nodes in use only. Protected by mu.
	nodes map[key]*node
	// inos is the numbers of files that were copied up, by their numbers in the
	// upper layer: they keep those they had. Protected by mu.
	inos map[uint64]uint64
	// opaque is the upper directories under which lower ones do not show, by
	// number, and moved those that show others than their names'. Protected by mu.
	opaque map[uint64]struct{}
	moved  map[uint64][]layerDir
}

// A key is by what a node is found: a file of a layer; and, for one with several names
// in a lower layer, which are files of their own here, one of those.
type key struct {
	real   vfs.Inode
	parent *node
	name   string
}

// A layerDir is a directory of a lower layer.
type layerDir struct {
	vfs.Inode
	layer int // 1 is the topmost lower one
}

// New returns the root of an overlay. If it can't, k's inodes stay the caller's.
func New(c vfs.Ctx, k Config) (vfs.Inode, error) {
	fs := &filesystem{
		Config: k, nodes: map[key]*node{}, inos: map[uint64]uint64{},
		opaque: map[uint64]struct{}{}, moved: map[uint64][]layerDir{},
	}
	n := &node{fs: fs, refs: 1, kind: linux.S_IFDIR}
	n.lower = layers(k.Lower)
	for _, l := range k.Lower {
		_, stale := l.(vfs.Stale)
		fs.stale = fs.stale || stale
	}
	top := n.lower[0].Inode
	layer := 1
	if k.Upper != nil {
		n.setUpper(k.Upper)
		top, layer = k.Upper, 0
	}
	a, err := top.Attr(c)
	if err != nil {
		return nil, err
	}
	if !a.Mode.IsDir() {
		return nil, linux.ENOTDIR
	}
	n.ino = number(layer, a.Ino)
	fs.root = n
	return &root{n}, nil
}

// number tells the files of the layers apart. The topmost lower layer's numbers, which
// are most, stay as they are; numbers are kept small as long as the layers' own are.
func number(layer int, ino uint64) uint64 {
	const small = 40 // bits
	switch {
	case layer == 1:
		return ino
	case ino>>small == 0:
		return ino | uint64(layer+1)<<small
	}
	return ino ^ uint64(layer+1)<<56
}

// root is the root directory, which speaks for the whole.
type root struct{ *node }

// Below implements vfs.Stacked.
func (r *root) Below() []*vfs.Filesystem { return r.fs.Below }

// Statfs implements vfs.Statfser: what the upper layer has.
func (r *root) Statfs(c vfs.Ctx) (linux.Statfs, error) {
	st := linux.Statfs{Bsize: 4096}
	top := r.fs.Lower[0]
	if r.fs.Upper != nil {
		top = r.fs.Upper
	}
	var err error
	if x, ok := top.(vfs.Statfser); ok {
		st, err = x.Statfs(c)
	}
	st.Type = linux.OVERLAYFS_SUPER_MAGIC
	return st, err
}

// SyncFS implements vfs.FSSyncer.
func (r *root) SyncFS(c vfs.Ctx) error {
	if x, ok := r.fs.Upper.(vfs.FSSyncer); ok {
		return x.SyncFS(c)
	}
	return nil
}

// Settle implements vfs.Settler.
func (r *root) Settle() {
	if x, ok := r.fs.Upper.(vfs.Settler); ok {
		x.Settle()
	}
}

// ShowOptions implements vfs.Shower.
func (r *root) ShowOptions() string { return r.fs.Show }

// Shutdown implements vfs.Shutter.
func (r *root) Shutdown() {
	r.fs.mu.Lock()
	moved := r.fs.moved
	r.fs.moved = nil
	r.fs.mu.Unlock()
	for _, ls := range moved {
		dropLayers(ls)
	}
	if r.fs.Done != nil {
		r.fs.Done()
	}
}

// Type is what mount(2) finds: mount -t overlay -o lowerdir=a:b,upperdir=u,workdir=w.
func Type() *vfs.Type {
	return &vfs.Type{
		Name: "overlay", Magic: linux.OVERLAYFS_SUPER_MAGIC, Flags: vfs.UserMount, New: mount,
		Check: vfs.KnownOptions("lowerdir", "upperdir", "workdir", "default_permissions", "redirect_dir", "index", "uuid",
			"nfs_export", "userxattr", "xino", "metacopy", "verity", "volatile"),
	}
}

func mount(c vfs.Ctx, a *vfs.NewArgs) (_ vfs.Inode, err error) {
	lower, ok := a.Options.Get("lowerdir")
	if !ok || lower == "" {
		return nil, linux.EINVAL
	}
	upper, hasUpper := a.Options.Get("upperdir")
	if work, _ := a.Options.Get("workdir"); hasUpper && work == "" {
		return nil, linux.EINVAL
	}
	var held []vfs.Path
	done := func() {
		for _, p := range held {
			p.Drop()
		}
	}
	k := Config{Done: done, Show: "lowerdir=" + lower}
	defer func() {
		if err != nil {
			k.drop()
			done()
		}
	}()
	find := func(name string) (vfs.Inode, error) {
		p, err := vfs.Resolve(c, vfs.At{Name: name, Flags: vfs.Directory})
		if err != nil {
			return nil, err
		}
		held, k.Below = append(held, p), append(k.Below, p.Filesystem())
		if x, ok := p.Inode().(vfs.Counted); ok {
			x.Hold()
		}
		return p.Inode(), nil
	}
	for _, name := range splitLower(lower) {
		l, err := find(name)
		if err != nil {
			return nil, err
		}
		k.Lower = append(k.Lower, l)
	}
	if hasUpper {
		if k.Upper, err = find(upper); err != nil {
			return nil, err
		}
		if isOverlay(k.Upper) {
			return nil, linux.EINVAL
		}
		at := held[len(held)-1]
		k.Changed = func(path []string) { vfs.Invalidate(at, path) }
		work, _ := a.Options.Get("workdir")
		k.Show += ",upperdir=" + upper + ",workdir=" + work
	}
	return New(c, k)
}

// drop gives the inodes back that no overlay has been made of.
func (k *Config) drop() {
	dropLayers(layers(k.Lower))
	drop(k.Upper)
}

// isOverlay reports whether a directory is an overlay's: it can't be an upper layer, as
// no whiteout can be made where it would hide itself.
func isOverlay(i vfs.Inode) bool {
	switch i.(type) {
	case *node, *root:
		return true
	}
	return false
}

// layers is lower directories as nodes hold them.
func layers(is []vfs.Inode) (out []layerDir) {
	for i, l := range is {
		out = append(out, layerDir{l, i + 1})
	}
	return out
}

// splitLower splits at colons that are not escaped.
func splitLower(s string) (out []string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == ':':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(out, b.String())
}
