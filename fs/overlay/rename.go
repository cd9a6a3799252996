package overlay

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// Rename implements vfs.Renamer.
func (n *node) Rename(c vfs.Ctx, r *vfs.RenameSpec) error {
	to, ok := r.NewDir.(*node)
	if !ok {
		to = r.NewDir.(*root).node
	}
	m := move{c: c, fs: n.fs, from: n, to: to, spec: r, moved: r.Moved.(*node)}
	if r.Replaced != nil {
		m.replaced = r.Replaced.(*node)
	}
	m.exchange = r.Flags&linux.RENAME_EXCHANGE != 0
	if err := m.prepare(); err != nil {
		return err
	}
	return m.run()
}

// A move is one rename under way.
type move struct {
	c               vfs.Ctx
	fs              *filesystem
	from, to        *node
	moved, replaced *node
	spec            *vfs.RenameSpec
	exchange        bool
}

// prepare brings all that moves to the upper layer: EXDEV for a directory whose lower
// contents would have to move along.
func (m *move) prepare() error {
	for _, x := range []*node{m.moved, m.replaced} {
		if x == nil || x == m.replaced && !m.exchange {
			continue
		}
		if x.kind == linux.S_IFDIR && len(x.lower) > 0 && !m.fs.Redirect {
			return linux.EXDEV
		}
	}
	if m.replaced != nil && m.replaced.kind == linux.S_IFDIR && !m.exchange {
		if err := m.replaced.empty(m.c); err != nil {
			return err
		}
	}
	for _, x := range []*node{m.from, m.to, m.moved} {
		if err := x.raise(m.c, -1); err != nil {
			return err
		}
	}
	if m.exchange {
		return m.replaced.raise(m.c, -1)
	}
	return nil
}

func (m *move) run() error {
	c, r := m.c, m.spec
	fromUp, toUp := m.from.up(), m.to.up()
	rn, ok := fromUp.(vfs.Renamer)
	if !ok {
		return linux.EXDEV
	}
	hiddenOld, err := m.from.hidden(c, m.moved, r.Old)
	if err != nil {
		return err
	}
	hiddenNew := false
	if m.replaced != nil {
		if hiddenNew, err = m.to.hidden(c, m.replaced, r.New); err != nil {
			return err
		}
	}
	spec := vfs.RenameSpec{Old: r.Old, NewDir: toUp, New: r.New, Moved: m.moved.up(), Flags: r.Flags & linux.RENAME_EXCHANGE}
	gone := uint64(0)
	if m.replaced != nil && m.replaced.up() != nil {
		spec.Replaced = m.replaced.up()
		if !m.exchange {
			if gone, err = m.clearReplaced(); err != nil {
				return err
			}
		}
	} else if white, err := uncover(c, toUp, r.New); err != nil {
		return err
	} else if m.replaced == nil {
		hiddenNew = white // as nothing shows by that name
	}
	if err := rn.Rename(c, &spec); err != nil {
		return err
	}
	if gone != 0 {
		m.fs.forget(gone)
	}
	if m.moved.kind == linux.S_IFDIR {
		m.carry(m.moved, hiddenNew)
	}
	if m.exchange && m.replaced.kind == linux.S_IFDIR {
		m.carry(m.replaced, hiddenOld)
	}
	m.settle(hiddenOld, hiddenNew)
	if hiddenOld && !m.exchange || r.Flags&linux.RENAME_WHITEOUT != 0 {
		err = cover(c, fromUp, r.Old)
	}
	m.from.changed(r.Old)
	m.to.changed(r.New)
	return err
}

// clearReplaced makes a directory in the way really empty. It returns the number of a
// file that goes for good.
func (m *move) clearReplaced() (gone uint64, err error) {
	u := m.replaced.up()
	a, err := u.Attr(m.c)
	if err != nil {
		return 0, err
	}
	if m.replaced.kind == linux.S_IFDIR {
		return a.Ino, removeWhiteouts(m.c, u)
	}
	if a.Nlink == 1 {
		gone = a.Ino
	}
	return gone, nil
}

// carry makes a directory that has moved show what it showed: its own lower contents,
// or none, and not those of its new name.
func (m *move) carry(x *node, hidden bool) {
	if len(x.lower) > 0 {
		if a, err := x.up().Attr(m.c); err == nil {
			ls := append([]layerDir(nil), x.lower...)
			for _, l := range ls {
				hold(l.Inode)
			}
			m.fs.mu.Lock()
			old := m.fs.moved[a.Ino]
			m.fs.moved[a.Ino] = ls
			m.fs.mu.Unlock()
			dropLayers(old)
		}
	} else if hidden {
		m.fs.setOpaque(m.c, x.up())
	}
}

// settle notes the new names.
func (m *move) settle(hiddenOld, hiddenNew bool) {
	m.moved.copyUp.Lock()
	m.moved.adopt(m.to, m.spec.New, known(hiddenNew))
	m.moved.copyUp.Unlock()
	if m.replaced == nil {
		return
	}
	m.replaced.copyUp.Lock()
	if m.exchange {
		m.replaced.adopt(m.from, m.spec.Old, known(hiddenOld))
	} else {
		m.replaced.lose(m.c)
	}
	m.replaced.copyUp.Unlock()
}
