package park

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWakeBeforeSleep(t *testing.T) {
	var s Spot
	s.Wake()
	s.Wake()
	if !s.Sleep(-1) {
		t.Fatal("not woken")
	}
	if s.Sleep(0) {
		t.Fatal("woken twice")
	}
}

func TestTimeout(t *testing.T) {
	var s Spot
	for range 2 {
		start := time.Now()
		if s.Sleep(5 * time.Millisecond) {
			t.Fatal("woken by nobody")
		}
		if d := time.Since(start); d < 5*time.Millisecond {
			t.Fatalf("slept %v", d)
		}
	}
	s.Wake()
	if !s.Sleep(time.Hour) {
		t.Fatal("not woken after timeouts")
	}
}

func TestNoWakeIsLost(t *testing.T) {
	const rounds = 20000
	var there, back Spot
	var end sync.WaitGroup
	end.Add(1)
	go func() {
		defer end.Done()
		for range rounds {
			there.Sleep(-1)
			back.Wake()
		}
	}()
	for i := range rounds {
		there.Wake()
		timeout := time.Duration(-1)
		if i%2 == 0 {
			timeout = 10 * time.Second
		}
		if !back.Sleep(timeout) {
			t.Fatal("lost")
		}
	}
	end.Wait()
}

// TestListen: a Wake rings the bell of who listens, before or while he does, once.
func TestListen(t *testing.T) {
	b, err := NewBell()
	if err != nil {
		t.Fatal(err)
	}
	defer b.GiveBack()
	rings := func(timeout int) bool {
		fds := []unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, timeout)
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		return n > 0
	}
	var s Spot
	if !s.Listen(b) || s.Heard() {
		t.Fatal("woken by nobody")
	}
	s.Wake()
	if rings(0) {
		t.Fatal("rung while nobody listened")
	}
	if s.Listen(b) || !s.Heard() {
		t.Fatal("not told of an earlier wake-up")
	}
	if !s.Listen(b) {
		t.Fatal("woken twice")
	}
	time.AfterFunc(5*time.Millisecond, s.Wake)
	for !rings(10_000) { // a signal of Go's may end it
		if s.state.Load() == woken && !rings(10_000) {
			t.Fatal("not rung")
		}
	}
	b.Still()
	if rings(0) || !s.Heard() || s.Sleep(0) {
		t.Fatal("rung or woken twice, or not woken")
	}
}

func BenchmarkPingPong(b *testing.B) {
	var there, back Spot
	stop := false
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		for {
			there.Sleep(-1)
			if stop {
				close(done)
				return
			}
			back.Wake()
		}
	}()
	runtime.LockOSThread()
	for b.Loop() {
		there.Wake()
		back.Sleep(-1)
	}
	stop = true
	there.Wake()
	<-done
}

func BenchmarkPingPongChannel(b *testing.B) {
	there, back := make(chan bool), make(chan bool)
	go func() {
		runtime.LockOSThread()
		for range there {
			back <- true
		}
	}()
	runtime.LockOSThread()
	for b.Loop() {
		there <- true
		<-back
	}
	close(there)
}
