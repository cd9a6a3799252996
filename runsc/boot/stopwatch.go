package boot

import (
	"time"

	"garrison/runsc/control"
)

// A stopwatch notes how long the parts of starting take.
type stopwatch struct {
	last  time.Time
	steps []control.Step
}

func newStopwatch() *stopwatch { return &stopwatch{last: time.Now()} }

// step says that the part called name is done.
func (s *stopwatch) step(name string) {
	now := time.Now()
	s.steps = append(s.steps, control.Step{Name: name, Nanos: now.Sub(s.last).Nanoseconds()})
	s.last = now
}
