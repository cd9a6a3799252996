package place

import "golang.org/x/sys/unix"

// Apart gives x's guest thread, which waits for an answer of the calling thread,
// a processor of its own, so that both can watch for each other instead of
// sleeping. It reports false if none is to be had, since others run guest code, too,
// or if x is in conversation, and often sleeps instead of watching.
func (c *CPUs) Apart(x *Pair) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || x.apart.Load() || x.bound.Load() == 0 || x.talk.often() || !c.roomLocked() {
		return false
	}
	taken := map[int]bool{x.cpu: true}
	for _, y := range c.pairs {
		if y.Running() == 0 || y == x {
			continue
		}
		if y.bound.Load() == 0 || y.apart.Load() && len(c.allowed) < 4 {
			return false // it runs anywhere
		}
		taken[y.cpu], taken[int(y.bound.Load())-1] = true, true
	}
	for _, cpu := range c.allowed {
		if taken[cpu] {
			continue
		}
		var set unix.CPUSet
		set.Set(cpu)
		if x.Affinity(&set) != nil {
			return false
		}
		x.bound.Store(int32(cpu) + 1)
		x.apart.Store(true)
		x.contested.Store(false)
		if len(c.allowed) < 4 {
			c.whole.Store(x)
		}
		c.apart++
		return true
	}
	return false
}

// roomLocked reports whether one more pair may be apart. One whose guest waits for
// something else than its server comes together for it.
func (c *CPUs) roomLocked() bool {
	if c.apart < len(c.allowed)/2 {
		return true
	}
	for _, y := range c.pairs {
		if y.apart.Load() && y.Running() == 0 {
			c.joinLocked(y)
			c.bindLocked(y, false)
			return true
		}
	}
	return false
}

// IsApart reports whether x's threads are on two processors by Apart.
func (p *Pair) IsApart() bool { return p.apart.Load() }

// Contested reports whether another guest has wanted to run where the pair is
// apart on all the processors there are.
func (p *Pair) Contested() bool { return p.contested.Load() }

// contest is called when x's guest is about to run: whoever is apart on all
// processors is told.
func (c *CPUs) contest(x *Pair) {
	if y := c.whole.Load(); y != nil && y != x && y.Running() != 0 {
		y.contested.Store(true)
	}
}

// Together undoes Apart.
func (c *CPUs) Together(x *Pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joinLocked(x) && !c.off {
		c.bindLocked(x, false)
	}
}

// joinLocked ends x's being apart, but for binding it anew.
func (c *CPUs) joinLocked(x *Pair) bool {
	if !x.apart.Swap(false) {
		return false
	}
	c.apart--
	c.whole.CompareAndSwap(x, nil)
	return true
}
