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
// makes one quick system call after another and a
// processor has nothing else to do, the stub gets it, and each watches the page
// for what the other does. Both end when hand-overs are no longer quick, and at
// once when one takes so long that somebody else must have had a processor; the
// more often that was so, the later it begins again.
type pace struct {
	event   int64 // when the guest last stopped
	score   int   // how many quick hand-overs there were lately
	fresh   bool  // the stub has still to be woken on its new processor
	since   int64 // when the two came together again
	backoff int64 // for how long they stay so, in ns

	left         int64 // when the guest last began to run
	yields       bool  // each gives up the processor before it sleeps
	yieldsFrom   int64 // not before
	yieldBackoff int64 // how long not, the next time, in ns
}

const (
	quickTime  = int64(20 * time.Microsecond)  // what is quick, there and back
	crowdTime  = int64(500 * time.Microsecond) // what only others can be the cause of
	enterScore = 400
	leaveScore = 8
	goodScore  = 4096 // it was worth it
	maxScore   = 8192

	yieldScore = 8
	yieldTimes = 3 // how often

	// watchTime is how long either side watches before it sleeps.
	watchTime = 50 * time.Microsecond

	minBackoff = int64(time.Millisecond)
	maxBackoff = int64(time.Second)

	// looksAtOnce bounds how long assembly runs, which nothing can preempt.
	looksAtOnce = 64
)

// beforeGuest is called when the guest is about to run.
func (c *Context) beforeGuest(now int64) {
	p := &c.pace
	p.took(now-p.event, c.place.IsApart())
	p.left, p.yields = now, false
	if c.place.IsApart() {
		if p.score < leaveScore {
			c.together()
		}
		return
	}
	if p.score < enterScore || now-p.since < p.backoff || !c.p.cpus.Apart(&c.place) {
		p.yields = p.score >= yieldScore && now >= p.yieldsFrom
		return
	}
	p.fresh = true
	c.counts.add(countApart)
}

// afterGuest is called when the guest has stopped.
func (c *Context) afterGuest(now int64) {
	p := &c.pace
	if p.yields && now-p.left > crowdTime {
		p.yieldBackoff = nextBackoff(p.yieldBackoff)
		p.yieldsFrom = now + p.yieldBackoff
	}
	if !p.fresh {
		p.took(now-p.event, c.place.IsApart())
	}
	if p.score++; p.score >= goodScore {
		p.score, p.backoff, p.yieldBackoff = min(p.score, maxScore), 0, 0
	}
	p.event, p.fresh = now, false
}

// took takes account of the time since the last event. Going apart and coming
// together cost as much as some fifty quick hand-overs gain, so it takes an
// unbroken series of them to go, and more than one that is slow to come back.
func (p *pace) took(t int64, apart bool) {
	switch {
	case t > crowdTime, t > quickTime && !apart:
		p.score = 0
	case t > quickTime:
		p.score /= 2
	}
}

// together ends the watching: the stub comes back to this thread's processor.
func (c *Context) together() {
	p := &c.pace
	c.p.cpus.Together(&c.place)
	p.score, p.since = 0, hot.Now()
	p.backoff = nextBackoff(p.backoff)
}

func nextBackoff(b int64) int64 { return min(max(2*b, minBackoff), maxBackoff) }

// watch looks for the stub's event, and reports whether it has come in time. If
// that is no longer worth it, the two are together again.
func (c *Context) watch() bool {
	state := &c.thread.region.page.state
	times := int64(c.p.watch)
	if c.pace.fresh {
		times *= 10
	}
	for n := times; n > 0; n -= looksAtOnce {
		if spin(state, looksAtOnce) {
			return true
		}
	}
	if c.pace.score /= 2; c.pace.score < leaveScore {
		c.together()
	}
	return false
}

// yield gives up the processor to the stub, until that has told something or
// there is nobody to give it up to.
func (t *thread) yield() {
	for n := 0; n < yieldTimes && t.region.page.loadState() != stateEvent; n++ {
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
