package platformtest

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
)

// deaf is a Context that loses every interrupt.
type deaf struct{ platform.Context }

func (deaf) Interrupt() {}

// An interrupt that never comes is lost, however little the host runs.
func TestLost(t *testing.T) {
	c := newHostClock(t)
	defer c.stop()
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		time.Sleep(20 * time.Millisecond)
		c.time.Add(int64(lostAfter))
	}()
	var m mail
	if m.deliver(deaf{}, 1, c) {
		t.Error("it is delivered")
	}
	<-moved
}

// The clock goes while threads sleep, and while they run or take turns.
func TestHostClockGoes(t *testing.T) {
	c := newHostClock(t)
	defer c.stop()
	c.watch()
	var stop atomic.Bool
	defer stop.Store(true)
	for range runtime.NumCPU() {
		go func() {
			for !stop.Load() {
			}
		}()
	}
	for end := time.Now().Add(10 * time.Second); c.now() < 500*time.Millisecond; time.Sleep(clockTick) {
		if time.Now().After(end) {
			t.Fatalf("it has gone %v: %v", c.now(), c)
		}
	}
}

// A thread that is ready and gets no processor makes the clock stand.
func TestHostClockStands(t *testing.T) {
	ready := readyThreads{"/proc/1/task/1": "1000", "/proc/1/task/2": "2000"}
	for _, test := range []struct {
		name  string
		now   readyThreads
		stand bool
	}{
		{"both have run", readyThreads{"/proc/1/task/1": "1001", "/proc/1/task/2": "2001"}, false},
		{"one has not", readyThreads{"/proc/1/task/1": "1001", "/proc/1/task/2": "2000"}, true},
		{"it has ended, or sleeps", readyThreads{"/proc/1/task/1": "1001"}, false},
		{"another is new", readyThreads{"/proc/1/task/3": "2000"}, false},
	} {
		if got := test.now.kept(ready); got != test.stand {
			t.Errorf("%s: it stands: %v", test.name, got)
		}
	}
}

// What proc says of threads: of one that sleeps, one that waits for its first turn
// on a host that keeps no account, and two that are ready.
func TestReadyThreads(t *testing.T) {
	dir := t.TempDir()
	var tasks []string
	for name, files := range map[string][2]string{
		"sleeps":  {"1 (a) S 1 1 1", "1000 10 1"},
		"unknown": {"2 (b) R 1 1 1", "0 0 0"},
		"runs":    {"3 (R) S) R 1 1 1", "3000 30 3"},
		"waits":   {"4 (d) R 1 1 1", "4000 40 4"},
	} {
		task := filepath.Join(dir, name)
		if err := os.Mkdir(task, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, file := range []string{"stat", "schedstat"} {
			if err := os.WriteFile(filepath.Join(task, file), []byte(files[i]+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tasks = append(tasks, task)
	}
	want := readyThreads{filepath.Join(dir, "runs"): "3000", filepath.Join(dir, "waits"): "4000"}
	if got := readReadyThreads(append(tasks, filepath.Join(dir, "gone"))); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A report tells of the threads of children, too, and of signals that wait.
func TestStanding(t *testing.T) {
	wait := elsewhere(func() {
		runtime.LockOSThread()
		var set unix.Sigset_t
		set.Val[0] = 1 << (unix.SIGUSR1 - 1)
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGUSR1); err != nil {
			t.Error(err)
			return
		}
		for _, want := range []string{"SigPnd:\t0000000000000200", "schedstat: ", "wchan: ", "syscall: ", "TestStanding"} {
			if !strings.Contains(standing(t), want) {
				t.Errorf("no %q in\n%s", want, standing(t))
			}
		}
	})
	wait()
}
