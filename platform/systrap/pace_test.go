package systrap

import (
	"testing"
	"time"
)

// TestSpell holds the pauses between spells to what the host was seen to do: a
// neighbour that needs the processors ends most spells after a few of its turns,
// and some later; the sentry's collection of garbage ends long ones, and costs
// less.
func TestSpell(t *testing.T) {
	const ms = int64(time.Millisecond)
	var s spell
	now := int64(0)
	live := func(lasts, slow int64) {
		s.began = max(now, s.until)
		now = s.began + lasts
		s.over(now, slow)
	}
	for i := range 100 {
		live([]int64{6, 12, 9, 25, 45}[i%5]*ms, 3*ms)
		if i >= 20 && s.pause < 250*ms {
			t.Fatalf("the pause after %d spells beside a neighbour is %v", i+1, time.Duration(s.pause))
		}
	}
	for range 20 {
		live(60*ms, ms)
	}
	if s.pause != minPause || s.until != now+minPause {
		t.Errorf("the pause is %v when only garbage is collected, and ends %v later", time.Duration(s.pause), time.Duration(s.until-now))
	}
}

// TestTurns holds the yielding to what was seen beside neighbours: turns as long as
// theirs, from another cgroup, do not end it, and those that are lost by it in no
// time, to one of the same cgroup, do, for longer and longer.
func TestTurns(t *testing.T) {
	const ms = int64(time.Millisecond)
	var s spell
	now := int64(0)
	next := func(own, lost int64) {
		now = max(now, s.until) + own + lost
		s.turn(now, own, lost)
	}
	for range 100 {
		next(4*ms, 4*ms)
	}
	if s.until > now {
		t.Errorf("a pause of %v after fair turns", time.Duration(s.until-now))
	}
	for range 12 {
		next(ms/4, 4*ms)
	}
	if s.until != now+maxPause {
		t.Errorf("a pause of %v after turns that were lost by yielding", time.Duration(s.until-now))
	}
	for range 12 {
		next(8*ms, 4*ms)
	}
	if next(ms/4, 4*ms); s.until-now > minPause {
		t.Errorf("a pause of %v after one bad turn among good ones", time.Duration(s.until-now))
	}
}

// TestScore holds the account to let a guest go apart that makes calls without
// pause, and to keep together one that computes after every few of them.
func TestScore(t *testing.T) {
	most := func(every int) (most int) {
		var p pace
		for i := range 1000 {
			took := int64(5 * time.Microsecond)
			if i%every == every-1 {
				took = int64(300 * time.Microsecond)
			}
			p.miss(took)
			p.score = min(p.score+1, maxScore)
			most = max(most, p.score)
		}
		return most
	}
	if got := most(60); got < enterScore {
		t.Errorf("the score of 60 calls and a pause, again and again, reaches %d", got)
	}
	if got := most(20); got >= enterScore {
		t.Errorf("the score of 20 calls and a pause, again and again, reaches %d", got)
	}
}
