package platformtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A hostClock stands still while the host does not run what is ready to run:
// machines stop, and schedulers let a thread wait for seconds beside others. No
// platform can help that, so it does not count when something is late.
//
// The clock is moved by a thread that sleeps, over and over. If it has not come
// back in time, the machine has stopped, or all of this process. That single
// threads, also those of children, are ready and don't run is looked for only while
// the clock is watched, as it takes some time.
type hostClock struct {
	t       testing.TB
	time    atomic.Int64 // the clock, in nanoseconds
	stood   atomic.Int64 // how long it has stood in all,
	longest atomic.Int64 // and at a time
	watched atomic.Int32
	ending  chan struct{}
	ended   chan struct{}
}

const (
	clockTick = 10 * time.Millisecond
	clockLook = 100 * time.Millisecond // between two looks at threads
	clockLate = 100 * time.Millisecond // more than any sleep takes too long where there is a processor
)

// newHostClock starts a clock at 0.
func newHostClock(t testing.TB) *hostClock {
	c := &hostClock{t: t, ending: make(chan struct{}), ended: make(chan struct{})}
	go c.run()
	return c
}

func (c *hostClock) now() time.Duration { return time.Duration(c.time.Load()) }

// watch and unwatch enclose a time in which the clock also stands if a single
// thread is kept from running.
func (c *hostClock) watch()   { c.watched.Add(1) }
func (c *hostClock) unwatch() { c.watched.Add(-1) }

func (c *hostClock) stop() {
	close(c.ending)
	<-c.ended
}

func (c *hostClock) String() string {
	return fmt.Sprintf("the host stood still for %v, %v at a time", time.Duration(c.stood.Load()), time.Duration(c.longest.Load()))
}

// run moves the clock until the end.
func (c *hostClock) run() {
	defer close(c.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before readyThreads
	var standing time.Duration
	for last := time.Now(); ; {
		select {
		case <-c.ending:
			return
		default:
		}
		step, look := clockTick, c.watched.Load() > 0
		if look {
			step = clockLook
		}
		nap := unix.NsecToTimespec(int64(step))
		_ = unix.Nanosleep(&nap, nil)
		span := time.Since(last)
		last = last.Add(span)
		stands := span > step+clockLate
		if look {
			now := readReadyThreads(hostThreads(c.t))
			stands = stands || now.kept(before)
			before = now
		} else {
			before = nil
		}
		if !stands {
			c.time.Add(int64(span))
			standing = 0
			continue
		}
		standing += span
		c.stood.Add(int64(span))
		c.longest.Store(max(c.longest.Load(), int64(standing)))
	}
}

// readyThreads is, of threads that run or are ready to, for how many nanoseconds
// they have run, in decimal, by their directory in proc.
type readyThreads map[string]string

func readReadyThreads(tasks []string) readyThreads {
	r := readyThreads{}
	for _, task := range tasks {
		stat := statFields(filepath.Join(task, "stat"))
		if len(stat) == 0 || stat[statState] != "R" {
			continue
		}
		b, _ := os.ReadFile(filepath.Join(task, "schedstat"))
		// How long it has run, waited to run, and how often it has begun to.
		if s := strings.Fields(string(b)); len(s) == 3 && s[2] != "0" {
			r[task] = s[0]
		}
	}
	return r
}

// kept reports whether a thread was ready before, is so now, and has not run.
func (r readyThreads) kept(before readyThreads) bool {
	for task, ran := range r {
		if was, ok := before[task]; ok && was == ran {
			return true
		}
	}
	return false
}
