package gofer

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// doApply makes changes that the sandbox has put off, and does what it asks for after
// them. The attributes are those of before that: what it changes it tells itself.
func (s *server) doApply(c *call, q *wire.ApplyReq) (wire.Message, error) {
	a := applying{s: s, errnos: make([]uint32, len(q.Edits))}
	for i := range q.Edits {
		if err := a.change(&q.Edits[i]); err != nil {
			a.errnos[i] = uint32(errno(err))
		}
	}
	resp := &wire.ApplyResp{Errnos: a.errnos, Attrs: a.result()}
	if q.Then == 0 {
		return resp, nil
	}
	if !q.Then.Follows() {
		return nil, wire.ErrMessage
	}
	switch m, err := s.dispatch(q.Then, c, q.Body); {
	case errors.Is(err, wire.ErrMessage):
		return nil, err
	case err != nil:
		resp.Errno = uint32(errno(err))
		for _, fd := range c.fds { // which go with a success only
			unix.Close(fd)
		}
		c.fds = c.fds[:0]
	default:
		resp.Body = wire.Marshal(m)
	}
	return resp, nil
}

// An applying is changes that are being made.
type applying struct {
	s      *server
	errnos []uint32
	files  []wire.ID   // that the changes leave with other attributes
	attrs  []wire.Attr // theirs, or zero if they must be looked at
}

// change makes one change.
func (a *applying) change(x *wire.Edit) error {
	s := a.s
	for _, id := range x.Files() {
		a.now(id, wire.Attr{})
	}
	switch x.Kind {
	case wire.EditSet:
		m, err := s.doSetattr(nil, &x.Set)
		if r, ok := m.(*wire.AttrResp); ok && err == nil {
			a.now(x.Set.ID, r.Attr)
		}
		return err
	case wire.EditMake:
		at, err := s.makeReserved(&x.Make)
		a.now(x.Make.ID, at)
		return err
	case wire.EditLink:
		m, err := s.doLink(nil, &x.Link)
		if r, ok := m.(*wire.LinkResp); ok && err == nil {
			a.now(x.Link.ID, r.Attr)
			a.now(x.Link.Dir, r.Dir)
		}
		return err
	}
	_, err := s.withDir(x.Unlink.Dir, true, func(dir *node, dfd int) (wire.Message, error) {
		return nil, s.unlink(dir, dfd, &x.Unlink)
	})
	return err
}

// now notes that at is the attributes of id, or if that is zero, that they have changed.
func (a *applying) now(id wire.ID, at wire.Attr) {
	if id == 0 {
		return
	}
	i := slices.Index(a.files, id)
	if i < 0 {
		i = len(a.files)
		a.files, a.attrs = append(a.files, id), append(a.attrs, wire.Attr{})
	}
	a.attrs[i] = at
}

// result is the attributes of all files; those that can't be had are zero.
func (a *applying) result() []wire.Attr {
	for i, id := range a.files {
		if a.attrs[i].Mode == 0 {
			a.attrs[i] = a.s.attrOfID(id)
		}
	}
	return a.attrs
}
