package timerfd

import (
	"encoding/binary"
	"testing"
	"time"

	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

type waker chan struct{}

func (w waker) Wake(*wait.Watch, wait.Events) { close(w) }

func read(f *File) (uint64, error) {
	b := make([]byte, 8)
	_, err := f.Read(nil, usermem.FromBytes(b), 0)
	return binary.LittleEndian.Uint64(b), err
}

func TestTimer(t *testing.T) {
	clock := &ktime.Monotonic{}
	f := New(clock, linux.CLOCK_MONOTONIC)
	if _, err := read(f); err != linux.EAGAIN || f.Ready(wait.In) != 0 {
		t.Fatal(err)
	}
	w := waker(make(chan struct{}))
	f.Watch(&wait.Watch{Mask: wait.Readable, To: w})
	f.Set(ktime.Setting{At: clock.Now() + 2e6}, 0)
	if s := f.Get(); s.At <= 0 || s.At > 2e6 {
		t.Fatal(s)
	}
	select {
	case <-w:
	case <-time.After(5 * time.Second):
		t.Fatal("not woken")
	}
	if n, err := read(f); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if s := f.Get(); s != (ktime.Setting{}) {
		t.Fatal(s)
	}
}

// What a clock has passed counts at once, whether or not a timer has fired.
func TestPeriodsInThePast(t *testing.T) {
	clock := &ktime.Monotonic{}
	f := New(clock, linux.CLOCK_MONOTONIC)
	f.Set(ktime.Setting{At: clock.Now() - 35e9, Interval: 10e9}, linux.TFD_TIMER_ABSTIME)
	if n, err := read(f); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	old := f.Set(ktime.Setting{}, 0)
	if old.Interval != 10e9 || old.At <= 0 || old.At > 5e9 {
		t.Fatal(old)
	}
	if _, err := read(f); err != linux.EAGAIN {
		t.Fatal(err)
	}
}
