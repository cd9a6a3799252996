package systrap

import (
	"errors"
	"slices"

	"garrison/platform"
)

// A loan is a Context's host thread in the hands of another, whose guest runs in its
// place: that of a child by vfork(2), which has its maker's memory until it has a
// program of its own, and for which a thread of its own would be made, verified, and
// ended again. A process that has lent its only thread has still only ever had one.

var _ platform.Lender = (*Context)(nil)

// Lend implements platform.Lender. Who has only borrowed a thread lends none.
func (c *Context) Lend() (platform.Context, error) {
	s, t := c.space, c.thread
	if s == nil || t == nil {
		return nil, errors.New("systrap: no thread to lend")
	}
	if c.borrows(s) {
		return c.Spawn(s)
	}
	n := newContext(c.p)
	n.place.Inherit(&c.place)
	if err := c.lendTo(n); err != nil {
		n.forget()
		return nil, err
	}
	return n, nil
}

func (c *Context) lendTo(n *Context) error {
	s, t := c.space, c.thread
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if err := t.ready(); err != nil {
		s.endLocked(err)
		return err
	}
	c.fpu.put = slices.Clone(c.FPU())
	t.hide(c.answers)
	c.lent.Store(t)
	c.current.Store(nil)
	c.thread = nil
	s.threads[t] = n
	n.lender = c
	n.inhabit(s, t)
	return nil
}

// GiveBack implements platform.Lender.
func (c *Context) GiveBack() {
	if s := c.space; s != nil && c.borrows(s) {
		c.leave()
	}
}

// borrows reports whether c's thread, in the space s, is another's.
func (c *Context) borrows(s *space) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.lender != nil
}

// returnLocked gives t, which c has borrowed in the space s, back to its lender, whose
// guest does not run yet.
func (c *Context) returnLocked(s *space, t *thread) {
	if err := t.ready(); err != nil {
		s.endLocked(err)
		return
	}
	t.hide(c.answers)
	s.threads[t] = c.lender
	c.lender = nil
}

// retake takes c's thread, which has been given back, to run c's guest again.
func (c *Context) retake() error {
	s, t := c.space, c.lent.Load()
	s.mu.Lock()
	owner, err := s.threads[t], s.err
	s.mu.Unlock()
	if err == nil && owner != c {
		return errors.New("systrap: thread is lent to another")
	}
	c.thread = t
	c.current.Store(t)
	c.lent.Store(nil)
	if err != nil {
		return err
	}
	t.worked = true
	t.show(c.answers)
	return c.setFPU()
}

// disownLocked has whoever c has lent t to in the space s, if anybody still has it, keep
// it when c leaves.
func (c *Context) disownLocked(s *space, t *thread) {
	if n := s.threads[t]; n != nil && n != c {
		n.lender = nil
	}
}

// show puts answers on the thread's page, and hide takes them off.
func (t *thread) show(answers []told) {
	for _, a := range answers {
		t.region.page.answer[a.nr] = a.v + 1
	}
}

func (t *thread) hide(answers []told) {
	for _, a := range answers {
		t.region.page.answer[a.nr] = 0
	}
}
