package systrap

import (
	"time"

	"garrison/platform/hot"
)

// A pace is how a Context and its stub wait for each other. Usually both are
// bound to one processor, and sleep: a hand-over is two switches of the host's
// scheduler, two sleeps and two wake-ups. While hand-overs are quick, each first
// gives up the processor a few times without going to sleep, in the hope that
// the other is all that waits for it, which saves the latter. And while a guest
// makes one quick system call after another and a processor has nothing else to
// do, the stub gets it, and each watches the page for what the other does. Both
// end when hand-overs are no longer quick, and at once when one takes so long
// that somebody else must have had a processor; then they pause, see spell.
type pace struct {
	event int64 // when the guest last stopped,
	left  int64 // and when it last began to run
	score int   // how many quick hand-overs there were lately
	slow  int64 // how long the last took that was not
	fresh bool  // the stub has still to be woken on its new processor

	apart    spell
	yield    spell
	yielding bool
}

const (
	quickTime  = int64(20 * time.Microsecond)  // what is quick, there and back
	crowdTime  = int64(500 * time.Microsecond) // what only others can be the cause of
	enterScore = 200
	leaveScore = 8
	maxScore   = 8192

	yieldScore = 8
	yieldTimes = 3 // how often

	// watchTime is how long either side watches before it sleeps.
	watchTime = 50 * time.Microsecond

	minPause = int64(time.Millisecond)
	maxPause = int64(time.Second)

	// looksAtOnce bounds how long assembly runs, which nothing can preempt.
	looksAtOnce = 64
)

// A spell is a time during which something is tried that may turn out badly,
// and the pause after it.
type spell struct{ began, until, pause int64 }

// over ends the spell, which cost slow in the end. Pauses grow while that is much
// of what the spells last: somebody needs the processors. What comes once in a
// while, such as the sentry's own collection of garbage, is none of that. But one
// spell that was luckier than most, because a neighbour was elsewhere for a few
// turns, does not make the next ones longer.
func (s *spell) over(now, slow int64) {
	switch lasted := now - s.began; {
	case lasted < 10*slow:
		s.pause *= 2
	case lasted > 40*slow:
		s.pause /= 2
	}
	s.pause = min(max(s.pause, minPause), maxPause)
	s.until = now + s.pause
}

// beforeGuest is called when the guest is about to run.
func (c *Context) beforeGuest(now int64) {
	p := &c.pace
	p.took(now - p.event)
	p.left = now
	if c.place.IsApart() {
		if p.score < leaveScore {
			c.together()
		}
		return
	}
	if p.score >= enterScore && now >= p.apart.until && c.p.cpus.Apart(&c.place) {
		p.apart.began, p.fresh, p.yielding = now, true, false
		c.counts.add(countApart)
		return
	}
	was := p.yielding
	p.yielding = p.score >= yieldScore && now >= p.yield.until
	if p.yielding && !was {
		p.yield.began = now
	}
}

// afterGuest is called when the guest has stopped.
func (c *Context) afterGuest(now int64) {
	p := &c.pace
	if t := now - p.left; p.yielding && t > crowdTime {
		p.yield.over(now, t)
	}
	if !p.fresh {
		p.took(now - p.event)
	}
	p.score = min(p.score+1, maxScore)
	p.event, p.fresh = now, false
}

// took takes account of the time since the last event. Going apart and coming
// together cost as much as some fifty quick hand-overs gain, so it takes a series
// of them to go, and more than one that is slow to come back.
func (p *pace) took(t int64) {
	if t > quickTime {
		p.slow = t
	}
	switch {
	case t > crowdTime:
		p.score = 0
	case t > quickTime:
		p.score /= 2
	}
}

// together ends the watching: the stub comes back to this thread's processor.
func (c *Context) together() {
	p := &c.pace
	c.p.cpus.Together(&c.place)
	p.score = 0
	p.apart.over(hot.Now(), p.slow)
}

// watch looks for the stub's event, and reports whether it has come in time. If
// that is no longer worth it, the two are together again.
func (c *Context) watch() bool {
	times := int64(c.p.watch)
	if c.pace.fresh {
		times *= 10
	}
	if c.thread.watch(times) {
		return true
	}
	c.pace.slow = int64(watchTime)
	if c.pace.score /= 2; c.pace.score < leaveScore {
		c.together()
	}
	return false
}

// watch looks for what the stub tells up to n times, and reports whether it has.
func (t *thread) watch(n int64) bool {
	for ; n > 0; n -= looksAtOnce {
		if spin(&t.region.page.state, looksAtOnce) {
			return true
		}
	}
	return false
}

// yield gives up the processor, as often as is worth it, until the stub has
// told something.
func (t *thread) yield() {
	for n := t.yields; n > 0 && t.region.page.loadState() != stateEvent; n-- {
		schedYield()
	}
}

// looks is how many looks take as long as d.
func looks(d time.Duration) uint32 {
	const sample = 1000
	var never uint32
	began := time.Now()
	for range sample / looksAtOnce {
		spin(&never, looksAtOnce)
	}
	took := max(time.Since(began), 1)
	return uint32(min(int64(d)*sample/int64(took), 1<<20))
}
