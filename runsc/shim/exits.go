package shim

import (
	"os/exec"
	goruntime "runtime"
	"sync"

	"github.com/containerd/containerd/sys/reaper"
	runc "github.com/containerd/go-runc"
)

// A monitor makes the shim library's reaper, which waits for every child, what
// go-runc waits for its commands by.
type monitor struct{ *reaper.Monitor }

// Start starts c. What it returns tells of c's end and of no other: it is not read before
// somebody waits for c, and the reaper would be held up, a second for each end of any
// process, by a channel that is full of others.
func (m monitor) Start(c *exec.Cmd) (chan runc.Exit, error) {
	all, err := m.Monitor.Start(c)
	if err != nil {
		return nil, err
	}
	own := make(chan runc.Exit, 1)
	go func() {
		defer m.Unsubscribe(all)
		for e := range all {
			if e.Pid == c.Process.Pid {
				own <- e
				return
			}
		}
	}()
	return own, nil
}

// StartLocked starts c from a thread that lives until c has ended, as a parent's
// death signal needs it.
func (m monitor) StartLocked(c *exec.Cmd) (chan runc.Exit, error) {
	type result struct {
		ended chan runc.Exit
		err   error
	}
	started := make(chan result)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		watch := m.Subscribe()
		defer m.Unsubscribe(watch)
		ended, err := m.Start(c)
		started <- result{ended, err}
		if err != nil {
			return
		}
		for e := range watch {
			if e.Pid == c.Process.Pid {
				return
			}
		}
	}()
	r := <-started
	return r.ended, r.err
}

// An exits tells how processes ended that runsc has left running. Their pids are
// learned only after they have begun, and then they may have ended already.
type exits struct {
	mu       sync.Mutex
	starting int                       // processes whose pid is not known yet
	early    map[int]runc.Exit         // who ended while there were any
	waiting  map[int]func(e runc.Exit) // by pid
}

// newExits collects exits from the reaper, for the life of the shim.
func newExits() *exits {
	runc.Monitor = monitor{reaper.Default}
	x := &exits{early: map[int]runc.Exit{}, waiting: map[int]func(runc.Exit){}}
	all := reaper.Default.Subscribe()
	go func() {
		for e := range all {
			x.record(e)
		}
	}()
	return x
}

// begin says that a process is about to be started; done, that its pid has been
// expected or won't be.
func (x *exits) begin() (done func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.starting++
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.starting--; x.starting == 0 {
			clear(x.early)
		}
	}
}

// expect has ended called, in a goroutine of its own, once pid has ended. It is
// called between begin and done.
func (x *exits) expect(pid int, ended func(runc.Exit)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.early[pid]; ok {
		delete(x.early, pid)
		go ended(e)
		return
	}
	x.waiting[pid] = ended
}

func (x *exits) record(e runc.Exit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if ended := x.waiting[e.Pid]; ended != nil {
		delete(x.waiting, e.Pid)
		go ended(e)
	} else if x.starting > 0 {
		x.early[e.Pid] = e
	}
}
