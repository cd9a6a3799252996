package systrap

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
	"garrison/platform/stub"
)

// A verifier answers for the filter of all stubs, where that asks: a host call
// that gives an address space something or makes a thread goes through if and only
// if the sentry has armed exactly this call for this very thread, and once. The arguments are in
// registers, so they are still those when the host makes the call. Its goroutine
// sleeps in the host, and is woken on the processor of the thread that calls.
type verifier struct {
	listener int
	sites    sites
	ended    chan struct{}

	mu      sync.Mutex
	threads map[int]*thread // by host thread id
	exited  map[int]int     // threads that were told to exit, and their processes
	births  map[uint64]*birth
	nonce   uint64 // of the last birth
	lost    int    // births of which no thread was seen

	verified atomic.Uint64 // calls that went through
}

// sites are the addresses behind the SYSCALL instructions of the stub's text.
type sites struct {
	op, clone, region uint64
}

// findSites knows the order of stub_amd64.s.
func findSites() sites {
	text := script.Text(stubAddress())
	var at []uint64
	for i := range text {
		if bytes.HasPrefix(text[i:], []byte{0x0f, 0x05}) {
			at = append(at, stubText+uint64(i)+2)
		}
	}
	if len(at) != 13 {
		panic("systrap: unexpected system calls in the stub's text")
	}
	return sites{op: at[3], clone: at[4], region: at[5]}
}

func newVerifier(listener int) *verifier {
	v := &verifier{
		listener: listener, sites: findSites(), ended: make(chan struct{}),
		threads: map[int]*thread{}, exited: map[int]int{}, births: map[uint64]*birth{},
	}
	go v.run()
	return v
}

// run answers until no stub is left.
func (v *verifier) run() {
	defer close(v.ended)
	// Not pinned, and always the same thread, which is not one that a guest
	// thread's partner has bound to a processor.
	runtime.LockOSThread()
	var n notification
	for {
		switch e := receiveNotification(v.listener, &n); e {
		case 0:
			v.answer(&n)
		case unix.EINTR:
		default:
			// ENOENT: the caller has died meanwhile, or there are none any more.
			fds := []unix.PollFd{{Fd: int32(v.listener), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, 0); err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
				return
			}
		}
	}
}

func (v *verifier) answer(n *notification) {
	a := answer{id: n.id, flags: answerContinue}
	if err := v.verify(n); err != nil {
		a = answer{id: n.id, errno: -int32(unix.EPERM)}
		v.mu.Lock()
		t := v.threads[int(n.tid)]
		v.mu.Unlock()
		if t != nil {
			t.condemn(err)
		} else {
			v.stray(int(n.tid))
		}
	} else {
		v.verified.Add(1)
	}
	_ = sendAnswer(v.listener, &a)
}

// verify reports why a call may not go through, or nil.
func (v *verifier) verify(n *notification) error {
	called := stub.Call{Nr: uint64(uint32(n.nr)), Args: n.args}
	v.mu.Lock()
	t := v.threads[int(n.tid)]
	if t == nil {
		b, err := v.birthLocked(n, called)
		v.mu.Unlock()
		if b != nil {
			b.seen.Wake() // who is woken runs at once, and wants v.mu
		}
		return err
	}
	v.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.armed) == 0 {
		return fmt.Errorf("systrap: %v: not asked for", called)
	}
	want := &t.armed[0]
	site := v.sites.op
	if want.call.Nr == unix.SYS_CLONE {
		site = v.sites.clone
	}
	if want.call != called || n.ip != site {
		return fmt.Errorf("systrap: %v: asked for was %v", called, want.call)
	}
	if want.probe {
		_ = unix.Tgkill(t.pid, t.tid, interruptSignal)
	}
	if want.install {
		a := addFD{id: n.id, flags: addFDSet, source: uint32(want.source), to: uint32(want.to)}
		if e := sendFD(v.listener, &a); e != 0 {
			return fmt.Errorf("systrap: pass descriptor: %w", e)
		}
	}
	t.armed = t.armed[1:]
	return nil
}

// know makes t, which has begun otherwise, known.
func (v *verifier) know(t *thread) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.threads[t.tid] = t
}

// gone is called when a thread that was told to exit has done so.
func (v *verifier) gone(tid int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.exited, tid)
}

// forget is called when t has been told to exit, or, with its process, is dead.
func (v *verifier) forget(t *thread, dead bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t.tid == 0 {
		return
	}
	if v.threads[t.tid] == t {
		delete(v.threads, t.tid)
	}
	if dead {
		for tid, pid := range v.exited {
			if pid == t.pid {
				delete(v.exited, tid)
			}
		}
		return
	}
	v.exited[t.tid] = t.pid
}
