package platformtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
)

// The environment of the long tier: for how long (time.ParseDuration), and with
// which seed instead of a new one.
const (
	stressTime = "GARRISON_STRESS"
	stressSeed = "GARRISON_STRESS_SEED"
)

const (
	stressThreads = 8 // guest threads at a time, in all spaces together
	stressRoots   = 3 // with fewer, a new space begins
)

// Long reports whether the environment asks for the long tier of tests, and for
// how long each is to run.
func Long(t testing.TB) (time.Duration, bool) {
	v := os.Getenv(stressTime)
	if v == "" {
		return 0, false
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		t.Fatalf("%s: %v", stressTime, err)
	}
	return d, true
}

// A stress is guests that do at random all that a kernel does with them. What
// each must see of its memory and registers is known, and every visit checks it.
// What happens when is the host's affair, so a seed repeats the choices of each
// thread, not how they meet.
type stress struct {
	t     *testing.T
	p     platform.Platform
	mem   *memory
	seed  uint64
	kills bool // stubs are killed from outside, so spaces may die
	end   time.Time
	clock *hostClock

	failed  atomic.Bool
	serial  atomic.Uint64 // makes ids, and values that differ
	threads atomic.Int32
	steps   atomic.Int64
	all     sync.WaitGroup

	// births is held for reading while a stub clones itself, and for writing to
	// kill one: the child of a stub that was killed before it could tell of it,
	// and one killed before it was known, is left to nobody.
	births sync.RWMutex

	mu     sync.Mutex // also guards refs, frozen, poked and writers of frames
	free   []*frame   // the last one is used first
	spaces []*stressSpace
	living []*stressThread
}

// Stress runs guests at random for as long as the tier says.
func Stress(t *testing.T, newPlatform New) { runStress(t, newPlatform, false) }

// StressKilled is Stress, for a third of the time, while the guests' processes
// are killed from outside.
func StressKilled(t *testing.T, newPlatform New) { runStress(t, newPlatform, true) }

func runStress(t *testing.T, newPlatform New, kills bool) {
	d, long := Long(t)
	if !long {
		d = 1500 * time.Millisecond
	}
	if kills {
		d /= 3
	}
	if testing.Short() {
		d = min(d, 300*time.Millisecond)
	}
	seed := rand.Uint64()
	if v := os.Getenv(stressSeed); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 0, 64); err != nil {
			t.Fatalf("%s: %v", stressSeed, err)
		}
	}
	t.Logf("%s=%#x", stressSeed, seed)
	before := Children(t)
	p := newPlatform(t)
	w := &stress{t: t, p: p, mem: newMemory(t), seed: seed, kills: kills, end: time.Now().Add(d), clock: newHostClock(t)}
	w.prepare()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run()
	}()
	select {
	case <-done:
	case <-time.After(d + 60*time.Second):
		t.Fatalf("hangs: %v\n%s", w.clock, standing(t))
	}
	w.clock.stop()
	w.checkLeft()
	p.Release()
	for pid := range Children(t) {
		if !before[pid] {
			t.Errorf("process %d is left", pid)
		}
	}
	t.Logf("%d steps; %v", w.steps.Load(), w.clock)
	if w.steps.Load() < 100 {
		t.Error("hardly anything was done")
	}
}

// over reports whether it is time to end.
func (w *stress) over() bool { return w.failed.Load() || time.Now().After(w.end) }

// fail reports an error and ends all.
func (w *stress) fail(format string, a ...any) {
	w.failed.Store(true)
	w.t.Errorf(format, a...)
}

// run keeps guests coming until the end, and waits for theirs.
func (w *stress) run() {
	var others []func()
	for i := range uint64(2) {
		others = append(others, elsewhere(func() { w.post(rand.New(rand.NewPCG(w.seed, 1<<32+i))) }))
	}
	others = append(others, elsewhere(func() { w.collect(rand.New(rand.NewPCG(w.seed, 2<<32))) }))
	if w.kills {
		others = append(others, elsewhere(func() { w.kill(rand.New(rand.NewPCG(w.seed, 3<<32))) }))
	}
	for root := uint64(0); !w.over(); root++ {
		if w.threads.Load() < stressRoots {
			w.begin(rand.New(rand.NewPCG(w.seed, root)))
		}
		time.Sleep(time.Millisecond)
	}
	w.all.Wait()
	for _, wait := range others {
		wait()
	}
}

// anyOf picks one of *list, or reports that there is none.
func anyOf[T any](w *stress, random *rand.Rand, list *[]T) (v T, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*list) == 0 {
		return v, false
	}
	return (*list)[random.IntN(len(*list))], true
}

// post interrupts threads: mostly once, and waits until that has been reported.
func (w *stress) post(random *rand.Rand) {
	for !w.over() {
		if h, ok := anyOf(w, random, &w.living); ok {
			n := 1
			if random.IntN(4) == 0 {
				n += random.IntN(4)
			}
			h.interrupt(n)
		}
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.IntN(200)) * time.Microsecond)
		}
	}
}

// interrupt interrupts h, and sees that it is.
func (h *stressThread) interrupt(n int) {
	if h.mail.deliver(h.c, n, h.w.clock) {
		return
	}
	report := ""
	if !h.w.failed.Load() {
		report = standing(h.w.t)
	}
	h.w.fail("thread %d: an interrupt is lost\n%s", h.serial, report)
}

// collect frees what spaces have unmapped, by a Barrier that is none of their
// own threads'.
func (w *stress) collect(random *rand.Rand) {
	for !w.over() {
		if s, ok := anyOf(w, random, &w.spaces); ok {
			s.mu.RLock()
			if !s.released {
				s.barrier(nil)
			}
			s.mu.RUnlock()
		}
		time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond)
	}
}

// kill kills stubs.
func (w *stress) kill(random *rand.Rand) {
	for !w.over() {
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		w.births.Lock()
		if pids := guestProcesses(w.t); len(pids) > 0 {
			_ = unix.Kill(pids[random.IntN(len(pids))], unix.SIGKILL)
		}
		w.births.Unlock()
	}
}
