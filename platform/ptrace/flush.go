package ptrace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"garrison/platform/stub"
)

// maxPassed is how many descriptors are passed in one batch: a socket queues
// about ten messages.
const maxPassed = 8

// flushLocked makes the stopped tracee t do all that is queued. An error means
// that the space has been ended.
func (s *space) flushLocked(t *thread) error {
	if s.err != nil {
		return s.err
	}
	for len(s.queue) > 0 || t.unnamed {
		n, err := s.batchLocked(t)
		if err != nil {
			if errors.Is(err, unix.ESRCH) {
				err = errKilled
			} else if !errors.Is(err, errKilled) {
				err = fmt.Errorf("ptrace: host refuses to change an address space: %w", err)
			}
			s.endLocked(err)
			return s.err
		}
		s.queue.Done(n)
	}
	s.pending.Store(false)
	if s.waiters.Load() > 0 {
		s.left.Broadcast()
	}
	return nil
}

// batchLocked does as many of the first queued operations as fit the
// operations page, and returns how many.
func (s *space) batchLocked(t *thread) (done int, err error) {
	calls, passed := 0, 0
	put := func(c stub.Call) {
		s.stub.slot.set(calls, c)
		calls++
	}
	defer func() {
		if passed > 0 {
			if err != nil {
				s.p.passer.drainLocked()
			}
			s.p.passer.mu.Unlock()
		}
	}()
	if t.unnamed {
		t.unnamed = false
		put(stub.Call{Nr: nameOp})
	}
	for i := range s.queue {
		o := &s.queue[i]
		if calls+5 > slotCapacity || passed == maxPassed {
			break
		}
		fd := 0
		if o.Kind == stub.Map {
			var known bool
			if fd, known = s.files.find(o.File); !known {
				if passed == 0 {
					s.p.passer.mu.Lock()
				}
				passed++
				if fd, err = s.passLocked(o, put); err != nil {
					return 0, err
				}
			}
		}
		put(o.HostCall(fd))
		done++
	}
	return done, s.runLocked(t, calls)
}

// passLocked sends o's descriptor on its way and puts the calls that receive
// it; the passer is locked.
func (s *space) passLocked(o *stub.Op, put func(stub.Call)) (fd int, err error) {
	if err := s.p.passer.sendLocked(o.File.FD()); err != nil {
		return 0, err
	}
	fd, evict := s.files.add(o.File)
	if evict >= 0 {
		put(stub.Call{Nr: unix.SYS_CLOSE, Args: [6]uint64{uint64(evict)}})
	}
	for _, c := range receive(fd) {
		put(c)
	}
	return fd, nil
}

// runLocked makes t do the first n calls of the operations page.
func (s *space) runLocked(t *thread, n int) error {
	regs := unix.PtraceRegs{R15: stubRun, R12: stubOps, R13: uint64(n)}
	s.mindLocked(t)
	err := t.inject(&regs)
	s.others.Store(nil)
	if err != nil {
		return err
	}
	left, err := peekUser(t.tid, userR13)
	if err != nil || left == 0 {
		return err
	}
	rax, err := peekUser(t.tid, userRAX)
	if err == nil {
		_, err = result(rax)
	}
	if err == nil || left > uint64(n) {
		return errors.New("operations stopped half way")
	}
	return fmt.Errorf("%v: %w", s.stub.slot.get(n-int(left)), err)
}
