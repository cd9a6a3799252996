package kernel

import (
	"math/bits"

	"garrison/sentry/linux"
	"garrison/sentry/list"
)

// A queuedSignal is one signal that waits for delivery.
type queuedSignal struct {
	place list.Elem[*queuedSignal]
	info  linux.SigInfo
	user  *userAccount // whose RLIMIT_SIGPENDING it counts on; nil if nobody's
	timer *PosixTimer  // the timer that owns it, nil if it was sent
}

// pendingSignals are signals that wait, of a task or a process: a set, and what
// is known of each. A signal can be in the set without an entry in the queue
// when the queue was full. It is protected by groupSignals.mu.
type pendingSignals struct {
	set   linux.SigSet
	queue list.List[*queuedSignal]
}

// add puts q at the end.
func (p *pendingSignals) add(q *queuedSignal) {
	q.place.Value = q
	p.queue.PushBack(&q.place)
	p.set.Add(q.info.Signal())
}

// next is the signal of set that is to be delivered first: those a thread's own
// instruction raised, then the lowest number. 0 if there is none.
func (p *pendingSignals) next(set linux.SigSet) linux.Signal {
	x := p.set & set
	if x == 0 {
		return 0
	}
	if s := x & linux.SynchronousSignals; s != 0 {
		x = s
	}
	return linux.Signal(bits.TrailingZeros64(uint64(x)) + 1)
}

// take removes the first instance of s and returns what is known of it.
func (p *pendingSignals) take(s linux.Signal) (info linux.SigInfo, timer *PosixTimer) {
	var first *queuedSignal
	more := false
	for q := range p.queue.All() {
		if q.info.Signal() != s {
			continue
		}
		if first == nil {
			first = q
			continue
		}
		more = true
		break
	}
	if !more {
		p.set.Del(s)
	}
	if first == nil { // the queue was full when it was sent
		return linux.SigInfo{Signo: int32(s), Code: linux.SI_USER}, nil
	}
	first.place.Remove()
	first.user.signals(-1)
	return first.info, first.timer
}

// drop forgets every signal of set.
func (p *pendingSignals) drop(set linux.SigSet) {
	p.set &^= set
	for q := range p.queue.All() {
		if set.Has(q.info.Signal()) {
			q.place.Remove()
			q.user.signals(-1)
		}
	}
}

// remove takes q, which may be queued, out.
func (p *pendingSignals) remove(q *queuedSignal) {
	q.place.Remove()
	s := q.info.Signal()
	for other := range p.queue.All() {
		if other.info.Signal() == s {
			return
		}
	}
	p.set.Del(s)
}
