package place

import (
	"time"

	"garrison/platform/hot"
)

// A talk is how much of a guest's life is conversation: it runs for a moment, wakes
// another guest, and sleeps until that one wakes it. Guests in conversation look
// as if they wanted more than one processor, since each begins before the
// other has gone to sleep; but on two, each of their turns begins with waking up a
// processor, or interrupting it, which costs more than a short turn on one. As
// guests are born where their parents run, those that talk begin on one processor.
type talk struct {
	naps  int64         // how often it has slept, at the last tick
	slept int64         // how often lately,
	used  time.Duration // in which it ran for so long
}

// turn is how long a guest runs at a time that is worth a processor's waking up.
const turn = 100 * time.Microsecond

// Slept says that x's server thread, which calls it, has slept until it was woken.
func (p *Pair) Slept() { hot.Store(&p.naps, p.naps+1) }

// tick takes account of a period in which the guest has run for as long as used.
// naps is how often its server has slept in all its life. Past periods count less
// and less, as any one may be another process's turn.
func (t *talk) tick(naps int64, used time.Duration) {
	const scale, keep = 8, 7
	t.slept = t.slept*keep/scale + scale*(naps-t.naps)
	t.used = t.used*keep/scale + scale*used
	t.naps = naps
}

// often reports whether the guest's turns are short.
func (t *talk) often() bool { return t.slept*int64(turn) > int64(t.used) }
