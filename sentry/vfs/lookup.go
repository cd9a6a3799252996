package vfs

import (
	"strings"

	"garrison/sentry/linux"
)

// lookup finds comp in w.at, in the cache or in the filesystem. tail is what will be
// looked up next.
func (w *walk) lookup(comp, tail string) (*Dentry, error) {
	d := w.at.d
	x, err := d.cached(w.c, comp)
	if x != nil || err != nil {
		return x, err
	}
	if w.flags&Cached != 0 {
		return nil, linux.EAGAIN
	}
	d.dir.op.Lock()
	defer d.dir.op.Unlock()
	if tail != "" && d.dir.walker != nil {
		return d.lookupMany(w.c, comp, tail)
	}
	return d.lookupLocked(w.c, comp)
}

// cached finds name in d's cache, held; nil if it is not there or no longer true.
func (d *Dentry) cached(c Ctx, name string) (*Dentry, error) {
	x := d.child(name)
	if x == nil {
		if len(name) > linux.NAME_MAX {
			return nil, linux.ENAMETOOLONG
		}
		return nil, nil
	}
	if s := d.dir.stale; s != nil && x.mounted.Load() == 0 && !s.Revalidate(c, name, x.node) {
		d.unhash(x)
		x.shrink()
		x.unref()
		return nil, nil
	}
	return x, nil
}

// lookupLocked finds name in d, in the cache or in the filesystem, held. What does not
// exist is a dentry without node. d.dir.op is held.
func (d *Dentry) lookupLocked(c Ctx, name string) (*Dentry, error) {
	x, err := d.cached(c, name)
	if x != nil || err != nil {
		return x, err
	}
	node, err := d.dir.Lookup(c, name)
	if err != nil && err != linux.ENOENT {
		return nil, err
	}
	if err != nil {
		node = nil
	}
	if x, err = newDentry(c, d.fs, d, name, node); err != nil {
		return nil, err
	}
	d.hash(x)
	return x, nil
}

// lookupMany is lookupLocked that asks for the components of tail in the same step.
//
// Only d's op is held: what is found below is new to the cache, hence reachable by
// nobody before it hangs in d, and so can't be changed by anybody meanwhile.
func (d *Dentry) lookupMany(c Ctx, name, tail string) (*Dentry, error) {
	x, err := d.cached(c, name)
	if x != nil || err != nil {
		return x, err
	}
	names := append(make([]string, 0, 8), name)
	for tail != "" && len(names) < cap(names) {
		n, rest, _ := strings.Cut(tail, "/")
		if n == "." || n == ".." || len(n) > linux.NAME_MAX {
			break
		}
		names, tail = append(names, n), strings.TrimLeft(rest, "/")
	}
	nodes, err := d.dir.walker.Walk(c, names)
	if err != nil && err != linux.ENOENT && len(nodes) == 0 {
		return nil, err
	}
	if len(nodes) == 0 && err == nil {
		return d.lookupLocked(c, name)
	}
	if err == linux.ENOENT && len(nodes) < len(names) {
		nodes = append(nodes, nil)
	}
	return d.hang(c, names, nodes)
}

// hang puts nodes, a chain below d, in the cache and returns the first, held.
func (d *Dentry) hang(c Ctx, names []string, nodes []Inode) (first *Dentry, err error) {
	var chain []*Dentry
	up := d
	for i, n := range nodes {
		if up.dir == nil {
			if n != nil {
				dropInode(n)
			}
			continue
		}
		x, err := newDentry(c, d.fs, up, names[i], n)
		if err != nil {
			for _, m := range nodes[i+1:] {
				if m != nil {
					dropInode(m)
				}
			}
			if i == 0 {
				return nil, err
			}
			break
		}
		chain = append(chain, x)
		up = x
		if x.dir == nil {
			up = &Dentry{}
		}
	}
	// From the innermost out: no one finds a name before what is below it is known.
	for i := len(chain) - 1; i >= 0; i-- {
		p := d
		if i > 0 {
			p = chain[i-1]
		}
		p.hash(chain[i])
		if i > 0 {
			chain[i].unref()
		}
	}
	return chain[0], nil
}
