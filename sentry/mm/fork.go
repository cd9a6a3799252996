package mm

import (
	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/memfile"
)

// Fork returns a copy for fork(2), with one user and the limits lim: private
// memory is shared until either writes it. by is the calling task's context,
// between two Switches in s.
func (s *Space) Fork(by platform.Context, lim *limits.Set) (*Space, error) {
	s.mu.Lock()
	defer s.unlock()
	c := newSpace(s.env, lim)
	c.heat, c.holder = s.heat, s.holder.Fork(s.pageFile())
	c.mem.program = ^s.mem.program
	if s.changes != s.forked {
		s.heat.changed()
	}
	copies := s.copyHot(c)
	s.protectForFork(copies)
	s.forked = s.changes
	s.flush()
	if s.holder.Unsure() > maxUnsure && s.as.Barrier(by) == nil {
		s.holder.Sure()
	}
	as, err := s.as.Fork(by)
	if err != nil {
		c.abandon(copies)
		return nil, err
	}
	c.as = as
	// Mappables learn of the copy before it is complete; who then invalidates
	// it waits. Nobody has the lock, so trying it can't fail.
	c.mu.TryLock()
	defer c.unlock()

	c.layout, c.count, c.sealed = s.layout, s.count, s.sealed
	c.flags = s.flags.inherited()
	c.patch = s.patch.clone()
	c.layout.Auxv = append(c.layout.Auxv[:0:0], s.layout.Auxv...)
	if c.exe = s.exe; c.exe != nil {
		c.exe.IncRef()
	}
	s.forkRuns(c, copies)
	s.forkVMAs(c)
	return c, nil
}

// maxUnsure is how many arenas a fork may let the copy hold on to only because the
// host has not proved what it was told to unmap.
const maxUnsure = 4

// pageFile is what the runs show of the page file.
func (s *Space) pageFile() []memfile.Range {
	all := make([]memfile.Range, 0, s.runs.Len())
	for r, x := range s.runs.All() {
		if x.inMemory() {
			all = append(all, x.memory(rng(r)))
		}
	}
	return all
}

// protectForFork makes private pages copy-on-write, but for those that the child
// has copies of: one Protect for each stretch that could be written.
func (s *Space) protectForFork(but []warm) {
	s.changes++
	s.tlb.clear()
	at := arch.Addr(0)
	for _, w := range but {
		s.protectRuns(span{Start: at, End: w.r.Start})
		at = w.r.End
	}
	s.protectRuns(span{Start: at, End: ^arch.Addr(0)})
}

func (s *Space) protectRuns(in span) {
	if in.Len() == 0 {
		return
	}
	s.runs.Update(in, func(r span, x *run) {
		if !x.owned {
			return
		}
		x.cow = true
		if x.access&arch.Write != 0 {
			x.access &^= arch.Write
			s.ops.protect(s, rng(r), x.access)
		}
	})
}

// forkRuns gives c, whose host process is a copy of s's, the runs of s but for
// those of mappings that are not to be copied, and the copies that were made.
func (s *Space) forkRuns(c *Space, copies []warm) {
	c.runs = s.runs.Clone()
	for _, w := range copies {
		c.unmapping(w.r)
		c.runs.Remove(ivl(w.r), nil)
	}
	for r, v := range s.vmas.All() {
		if v.is(vmDontFork|vmWipeOnFork) && !c.runs.Empty(r) {
			c.unmapping(rng(r))
			c.runs.Remove(r, nil)
			c.as.Unmap(rng(r))
		}
	}
	var owned []memfile.Range
	for r, x := range c.runs.All() {
		if x.owned {
			owned = append(owned, x.memory(rng(r)))
		}
		if x.host != nil {
			if c.hosts[x.host] == 0 {
				x.host.IncRef()
			}
			c.hosts[x.host] += uint64(r.Len())
		}
	}
	s.env.memory.IncRefs(owned)
	for _, w := range copies {
		c.addRun(w.r, w.x)
		if w.whole {
			c.ops.prefault(w.r)
		}
	}
}

// forkVMAs gives c, which has its runs, the mappings of s.
func (s *Space) forkVMAs(c *Space) {
	c.vmas = s.vmas.Clone()
	copies := make(map[*shown]*shown)
	for it := c.vmas.First(); it.Ok(); it.Next() {
		v := it.Ptr()
		if v.shown == nil {
			continue
		}
		x := copies[v.shown]
		if x == nil {
			x = &shown{file: v.shown.file, id: v.shown.id}
			if x.id != nil {
				x.id.IncRef()
			}
			copies[v.shown] = x
		}
		x.vmas++
		v.shown = x
		if x.file != nil {
			// A file that let s map it can't refuse the copy.
			x.file.AddMapping(c.mapping(rng(it.Range()), v)) //nolint:errcheck
		}
	}
	for r, v := range s.vmas.All() {
		switch {
		case v.is(vmDontFork):
			c.dropVMAs(rng(r))
		case v.is(vmWipeOnFork):
			c.fill(rng(r), rng(r), &v) //nolint:errcheck // what is missing faults
		}
	}
	if c.count.locked > 0 { // locks are not inherited
		c.update(arch.Range{End: ^arch.Addr(0)}, func(v *vma) { v.flags &^= vmLocked | vmLockOnFault })
	}
}
