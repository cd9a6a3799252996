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
