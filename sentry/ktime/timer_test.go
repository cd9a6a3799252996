package ktime

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
)

type counter chan uint64

func (c counter) Expired(_ *Timer, n uint64) { c <- n }

func TestNanotimeIsCLOCK_MONOTONIC(t *testing.T) {
	a := host(unix.CLOCK_MONOTONIC)
	b := Nanotime()
	c := host(unix.CLOCK_MONOTONIC)
	if b < a || b > c {
		t.Fatal(a, b, c)
	}
}

func TestTimer(t *testing.T) {
	var clocks Clocks
	c := make(counter, 100)
	k := NewTimer(clocks.Clock(linux.CLOCK_MONOTONIC), c)
	k.Set(Setting{At: Nanotime() + 1e6})
	if n := <-c; n != 1 || k.Get().At != 0 {
		t.Fatal(n, k.Get())
	}
	k.Set(Setting{At: Nanotime() - 5e6, Interval: 2e6})
	if n := <-c; n < 3 {
		t.Fatal(n)
	}
	<-c
	if old := k.Stop(); old.Interval != 2e6 || old.At <= Nanotime()-1e9 {
		t.Fatal(old)
	}
	time.Sleep(5 * time.Millisecond)
	for len(c) > 0 {
		<-c
	}
	time.Sleep(5 * time.Millisecond)
	if len(c) != 0 {
		t.Fatal("expired after Stop")
	}
}

func TestDeadline(t *testing.T) {
	var m Monotonic
	if d := After(&m, 1<<63-1); !d.Never() || d.Passed() {
		t.Fatal("an overflow should never come")
	}
	if d := After(&m, -5); !d.Passed() || d.Left() != 0 {
		t.Fatal("a negative delay is over")
	}
}

func BenchmarkNanotime(b *testing.B) {
	for b.Loop() {
		Nanotime()
	}
}
