package systrap

import (
	"time"

	"garrison/platform/hot"
	"garrison/platform/stub"
)

// A pace is how a Context and its stub wait for each other. Usually both are
// bound to one processor, and sleep: a hand-over is two switches of the host's
// scheduler, two sleeps and two wake-ups. While hand-overs are quick, each first
// gives up the processor a few times without going to sleep, in the hope that
// the other is all that waits for it, which saves the latter. And while a guest
// makes one system call after another and a processor has nothing else to do, the
// stub gets it, and each watches the page for what the other does.
//
// Watching saves some microseconds a call. When it was in vain, the other finds
// an idle processor, and waking that costs as much as several calls save: score is
// the account of both, and they are together again when it is spent. They are at
// once, and pause, see spell, when somebody else needs a processor.
type pace struct {
	event int64 // when the guest last stopped,
	left  int64 // and when it last began to run
	score int   // how much watching would have saved lately, in hand-overs
	fresh bool  // the stub has still to be woken on its new processor
	slept bool  // the guest has slept since it stopped,

	waited bool // or its server has waited for the host

	// When the guest was first not seen to stop, and how long its process had run
	// by then; 0 if that is not known.
	missed, used int64

	apart    spell
	yield    spell
	yielding bool
}

const (
	// watchTime is how long either side watches before it sleeps.
	watchTime = 100 * time.Microsecond
	missCost  = 24 // how many hand-overs seen save what one costs that was not

	enterScore = 48
	maxScore   = 192

	// napTime is how long a guest that is in conversation sleeps.
	napTime = int64(20 * time.Microsecond)

	// crowdTime is by how much longer something takes than it should if others have
	// had the processor.
	crowdTime = int64(500 * time.Microsecond)

	// turnTime is how long only a neighbour's turn lasts.
	turnTime = int64(2 * time.Millisecond)

	yieldScore = 32
	yieldTimes = 3 // how often

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
// while, such as the sentry's own collection of garbage, is none of that. But a
// neighbour's whole turn is, however long he was elsewhere before.
func (s *spell) over(now, slow int64) {
	switch lasted := now - s.began; {
	case lasted < 10*slow, slow >= turnTime && lasted < maxPause:
		s.pause *= 2
	case lasted > 40*slow:
		s.pause /= 2
	}
	s.pause = min(max(s.pause, minPause), maxPause)
	s.until = now + s.pause
}

// turn takes account of a turn that somebody else has had, which took lost, after
// own of the spell's. While turns are about as long as others', the spell does no
// harm; where giving up the processor means that whoever wants it gets it for a
// whole turn, which in one cgroup it does, own ones are much shorter.
func (s *spell) turn(now, own, lost int64) {
	if own < lost/2 {
		s.pause = min(max(2*s.pause, minPause), maxPause)
		s.until = now + s.pause
		return
	}
	s.pause /= 2
	s.began = now
}

// beforeGuest is called when the guest is about to run.
func (c *Context) beforeGuest(now int64) {
	p := &c.pace
	took, slept, crowded := now-p.event, p.slept, !p.slept && !p.waited
	p.left, p.slept, p.waited, p.missed = now, false, false, 0
	if c.place.IsApart() {
		switch {
		case c.place.Contested():
			c.together(now, crowdTime)
		case took > crowdTime && crowded:
			c.together(now, took)
		default:
			c.miss(took, now)
		}
		return
	}
	if slept && took > napTime {
		took = max(took, int64(watchTime)+1) // the next time may be longer
	}
	p.miss(took)
	if p.score >= enterScore && now >= p.apart.until {
		if c.p.cpus.Apart(&c.place) {
			p.apart.began, p.fresh, p.yielding = now, true, false
			c.counts.add(countApart)
			return
		}
		p.apart.until = now + minPause
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
	took := now - p.left
	if p.yielding && took > crowdTime {
		p.yield.turn(now, p.left-p.yield.began, took)
	}
	p.event = now
	switch {
	case p.fresh:
		p.fresh = false
	case !c.place.IsApart():
		p.miss(took)
	case c.crowded(now):
		c.together(now, took)
	default:
		c.miss(took, now)
	}
	p.score = min(p.score+1, maxScore)
}

// crowded reports whether others have had the stub's processor since it was
// last looked for in vain.
func (c *Context) crowded(now int64) bool {
	p := &c.pace
	wall := now - p.missed
	if p.missed == 0 || wall < crowdTime {
		return false
	}
	used := c.thread.used()
	return p.used == 0 || used == 0 || wall-(used-p.used) > crowdTime
}

// miss takes account of something that took t while the two are apart, and ends
// that when it is no longer worth it.
func (c *Context) miss(t, now int64) {
	if c.pace.miss(t); c.pace.score <= 0 {
		c.together(now, 0)
	}
}

// miss takes account of something that took t: if that is too long for watching, it
// costs score.
func (p *pace) miss(t int64) {
	if t > int64(watchTime) {
		p.score = max(p.score-missCost, 0)
	}
}

// together ends the watching: the stub comes back to this thread's processor.
// slow is how long others have had a processor, 0 if they have not. Their turn does
// not end the yielding by itself, see spell.turn: a pair that sleeps and wakes up
// instead takes more from neighbours in other cgroups, as Linux 6.18 weighs its
// cgroup anew each time, in favour of who is running.
func (c *Context) together(now, slow int64) {
	c.p.cpus.Together(&c.place)
	c.pace.score = 0
	if slow > 0 {
		c.pace.score = yieldScore
		c.pace.apart.over(now, slow)
	}
}

// watch looks for the stub's event, and reports whether it has come in time.
func (c *Context) watch() bool {
	times := int64(c.p.watch)
	if c.pace.fresh {
		times *= 10
	}
	if c.thread.watch(times) {
		return true
	}
	c.pace.missed, c.pace.used = hot.Now(), c.thread.used()
	return false
}

// used is how long the stub has run so far, or 0: what threads there are beside
// this one can't be told from it.
func (t *thread) used() int64 {
	if t.threaded {
		return 0
	}
	return stub.ProcessTime(t.pid)
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
