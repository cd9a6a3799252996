package overlay

import (
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// listDir calls f for each entry of a layer's directory.
func listDir(c vfs.Ctx, dir vfs.Inode, f func(vfs.Dirent) bool) error {
	d, err := dir.Open(c, linux.O_RDONLY|linux.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer d.Close(c)
	l, ok := d.(vfs.Lister)
	if !ok {
		return linux.ENOTDIR
	}
	return l.List(c, vfs.FirstEntry, f)
}

// entries is what shows in a directory, with offsets.
func (n *node) entries(c vfs.Ctx) ([]vfs.Dirent, error) {
	var out []vfs.Dirent
	var maybe []int // of out: may be whiteouts
	u := n.up()
	seen := map[string]struct{}{}
	merged := len(n.lower) > 1 || u != nil && len(n.lower) > 0
	add := func(layer int) func(vfs.Dirent) bool {
		return func(e vfs.Dirent) bool {
			if merged {
				if _, ok := seen[e.Name]; ok {
					return true
				}
				seen[e.Name] = struct{}{}
			}
			if layer == 0 {
				e.Ino = n.fs.upperNumber(e.Ino)
			} else {
				e.Ino = number(layer, e.Ino)
			}
			if (layer == 0 || len(n.fs.Lower) > 1) && (e.Type == linux.DT_CHR || e.Type == linux.DT_UNKNOWN) {
				maybe = append(maybe, len(out))
			}
			out = append(out, e)
			return true
		}
	}
	if u != nil {
		if err := listDir(c, u, add(0)); err != nil {
			return nil, err
		}
	}
	for _, l := range n.lower {
		if err := listDir(c, l.Inode, add(l.layer)); err != nil {
			return nil, err
		}
	}
	out, err := n.showing(c, out, maybe)
	for i := range out {
		out[i].Next = int64(i) + vfs.FirstEntry + 1
	}
	return out, err
}

// showing is es without the whiteouts among those at the indices.
func (n *node) showing(c vfs.Ctx, es []vfs.Dirent, maybe []int) ([]vfs.Dirent, error) {
	if len(maybe) == 0 {
		return es, nil
	}
	hide := map[int]bool{}
	for _, i := range maybe {
		x, err := n.find(c, es[i].Name)
		if err != nil {
			return nil, err
		}
		if x == nil {
			hide[i] = true
		} else {
			x.Drop()
		}
	}
	out := es[:0]
	for i, e := range es {
		if !hide[i] {
			out = append(out, e)
		}
	}
	return out, nil
}

// openDir is an open directory: what showed when its reading began.
type openDir struct {
	n *node

	mu      sync.Mutex
	entries []vfs.Dirent // protected by mu
	taken   bool         // protected by mu
}

func (*openDir) Read(vfs.Ctx, usermem.Seq, int64) (int64, error)  { return 0, linux.EISDIR }
func (*openDir) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }
func (*openDir) Close(vfs.Ctx)                                    {}

// List implements vfs.Lister.
func (d *openDir) List(c vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	d.mu.Lock()
	es, taken := d.entries, d.taken
	d.mu.Unlock()
	if !taken || off <= vfs.FirstEntry {
		var err error
		if es, err = d.n.entries(c); err != nil {
			return err
		}
		d.mu.Lock()
		d.entries, d.taken = es, true
		d.mu.Unlock()
	}
	for i := max(off-vfs.FirstEntry, 0); i < int64(len(es)); i++ {
		if !f(es[i]) {
			break
		}
	}
	return nil
}

// Sync implements vfs.Syncer.
func (d *openDir) Sync(c vfs.Ctx, dataOnly bool) error {
	u := d.n.up()
	if u == nil {
		return nil
	}
	f, err := u.Open(c, linux.O_RDONLY|linux.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer f.Close(c)
	if s, ok := f.(vfs.Syncer); ok {
		return s.Sync(c, dataOnly)
	}
	return nil
}
