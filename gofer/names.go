package gofer

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// optional finds the node of an id that may be 0. Like get, it wants a put.
func (s *server) optional(id wire.ID, t *tree) (*node, error) {
	if id == 0 {
		return nil, nil
	}
	n, err := s.get(id)
	if err == nil && n.tree != t {
		s.put(n)
		return nil, unix.EXDEV
	}
	return n, err
}

func (s *server) doUnlink(_ *call, q *wire.UnlinkReq) (wire.Message, error) {
	return s.withDir(q.Dir, true, func(dir *node, dfd int) (wire.Message, error) {
		if err := s.unlink(dir, dfd, q); err != nil {
			return nil, err
		}
		return &wire.UnlinkResp{Dir: attrAt(dfd, "")}, nil
	})
}

// unlink removes a name of dir, whose descriptor is dfd.
func (s *server) unlink(dir *node, dfd int, q *wire.UnlinkReq) error {
	victim, err := s.optional(q.Victim, dir.tree)
	if err != nil {
		return err
	}
	defer s.put(victim)
	if !s.foundBeside(victim, dir, q.Name) {
		if err := s.prepareLoss(victim, q.Keep); err != nil {
			return err
		}
	}
	s.watch.removes(dir, q.Name)
	flags := 0
	if q.RmDir {
		flags = unix.AT_REMOVEDIR
	}
	s.names.Lock()
	defer s.names.Unlock()
	if err := unix.Unlinkat(dfd, q.Name, flags); err != nil {
		return err
	}
	s.lose(victim, dir, q.Name, q.Keep)
	return nil
}

// foundBeside reports whether n was last seen under another name than this one, which
// leads to it when this one is gone.
func (s *server) foundBeside(n, dir *node, name string) bool {
	if n == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.parent != nil && (n.parent != dir || n.name != name)
}

// prepareLoss readies a file for the loss of a name, after which it is used on.
func (s *server) prepareLoss(n *node, keep bool) error {
	if n == nil || !keep {
		return nil
	}
	return s.fix(n)
}

// lose notes that n is no longer called name in dir.
func (s *server) lose(n, dir *node, name string, keep bool) {
	if n == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !keep:
		s.detachLocked(n)
		n.gone = true // its descriptor, if it has one, must not keep its blocks
	case n.parent == dir && n.name == name:
		s.placeLocked(n, nil, "")
	}
}

func (s *server) doRename(_ *call, q *wire.RenameReq) (wire.Message, error) {
	if q.Flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return nil, unix.EINVAL
	}
	return s.withDir(q.OldDir, true, func(from *node, ofd int) (wire.Message, error) {
		return s.withDir(q.NewDir, true, func(to *node, nfd int) (wire.Message, error) {
			if from.tree != to.tree {
				return nil, unix.EXDEV
			}
			moved, err := s.optional(q.Moved, from.tree)
			if err != nil {
				return nil, err
			}
			defer s.put(moved)
			victim, err := s.optional(q.Victim, from.tree)
			if err != nil {
				return nil, err
			}
			defer s.put(victim)
			return s.rename(&renaming{q, moved, victim, from, to, ofd, nfd})
		})
	})
}

// A renaming is a rename with all that its request names.
type renaming struct {
	*wire.RenameReq
	moved, victim *node // nil: not known
	from, to      *node
	ofd, nfd      int
}

// rename renames and notes who is where.
func (s *server) rename(r *renaming) (wire.Message, error) {
	if r.Flags&unix.RENAME_EXCHANGE == 0 {
		if err := s.prepareLoss(r.victim, r.Keep); err != nil {
			return nil, err
		}
	}
	if err := s.renameNodes(r); err != nil {
		return nil, err
	}
	resp := &wire.RenameResp{Old: attrAt(r.ofd, ""), Moved: s.movedTo(r.moved, r.nfd, r.NewName)}
	if r.Flags&unix.RENAME_EXCHANGE != 0 {
		s.movedTo(r.victim, r.ofd, r.OldName)
	}
	if r.from != r.to {
		resp.New = attrAt(r.nfd, "")
	}
	return resp, nil
}

// movedTo is the attributes of n, which was renamed to name in a directory, as attrAt has
// them. overlayfs may have copied it up for that, which gives it a new key.
func (s *server) movedTo(n *node, dfd int, name string) (a wire.Attr) {
	var st unix.Statx_t
	if err := statx(dfd, name, &st); err != nil {
		return a
	}
	if n != nil && !n.tree.Shared && n.typ == uint32(st.Mode)&unix.S_IFMT {
		s.rekey(n, &st)
	}
	return attrOf(&st)
}

// renameNodes does it while nobody looks for a node by its name.
func (s *server) renameNodes(r *renaming) error {
	if r.Flags&(unix.RENAME_EXCHANGE|unix.RENAME_WHITEOUT) == 0 {
		s.watch.removes(r.from, r.OldName)
	} else {
		s.watch.did(r.from, r.OldName)
	}
	s.watch.did(r.to, r.NewName)
	s.names.Lock()
	defer s.names.Unlock()
	if err := unix.Renameat2(r.ofd, r.OldName, r.nfd, r.NewName, uint(r.Flags)); err != nil {
		return err
	}
	exchange := r.Flags&unix.RENAME_EXCHANGE != 0
	if r.victim != nil && !exchange && r.victim != r.moved {
		s.lose(r.victim, r.to, r.NewName, r.Keep)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.moved != nil {
		s.placeLocked(r.moved, r.to, r.NewName)
	}
	if r.victim != nil && exchange {
		s.placeLocked(r.victim, r.from, r.OldName)
	}
	return nil
}
