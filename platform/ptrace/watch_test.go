package ptrace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// The watch ends a space whose threads have been killed, and none with a thread
// that has only stopped and whose tracer has not noticed yet, as each does when
// it is seized.
func TestWatch(t *testing.T) {
	p := start(t)
	s := newTestSpace(p, testFileWith(t, 0x0f, 0x05, 0xeb, 0xfe), testFileWith(t)) // syscall; jmp .
	first := p.NewContext().(*Context)
	regs := arch.Regs{RIP: testCode, RFLAGS: 0x202}
	if _, err := first.Switch(s, &regs); err != nil {
		t.Fatal(err)
	}
	second, err := first.Spawn(s)
	if err != nil {
		t.Fatal(err)
	}
	done, pid := make(chan bool), s.stub.pid
	go func() {
		defer close(done)
		defer s.Release() // the first thread comes back, whatever happens here
		runtime.LockOSThread()
		// Killed before it runs, the first thread would find out by itself.
		for !running(t, pid) {
			time.Sleep(time.Millisecond)
		}
		watchStopped(t, p, s, second.(*Context).thread)
	}()
	if _, err := first.Switch(s, &regs); !errors.Is(err, errKilled) {
		t.Errorf("first thread: %v, want %v", err, errKilled)
	}
	<-done
	second.Release()
	first.Release()
}

// watchStopped seizes th, whose process's first thread is in the guest, and later
// kills it, and looks after it both times before anybody has waited for it.
func watchStopped(t *testing.T, p *Platform, s *space, th thread) {
	const seized = unix.PTRACE_O_EXITKILL
	if err := ptrace(unix.PTRACE_SEIZE, th.tid, 0, seized); err != nil {
		t.Error("seize:", err)
		return
	}
	if err := ptrace(unix.PTRACE_INTERRUPT, th.tid, 0, 0); err != nil {
		t.Error("interrupt:", err)
		return
	}
	leaveNews(t, th.tid, func(code int32) bool { return code > cldDumped })
	if !p.lookAfter(true) {
		t.Error("the space is not watched")
	}
	if err := spaceError(s); err != nil {
		t.Error("a thread stopped:", err)
		return
	}
	if err := unix.Kill(th.pid, unix.SIGKILL); err != nil {
		t.Error("kill:", err)
		return
	}
	leaveNews(t, th.tid, func(code int32) bool { return code <= cldDumped })
	p.lookAfter(true)
	if err := spaceError(s); !errors.Is(err, errKilled) {
		t.Errorf("a thread was killed: %v, want %v", err, errKilled)
	}
}

// leaveNews waits until there is news of tid that want accepts by its siginfo
// code, and leaves that for its tracer.
func leaveNews(t *testing.T, tid int, want func(code int32) bool) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, tid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			t.Error("waitid:", err)
			return
		case want(info.Code):
			return
		}
	}
}

// running reports whether the host thread tid is not stopped by its tracer.
func running(t *testing.T, tid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		t.Error(err)
		return true
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(state, "R")
}

func spaceError(s *space) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// A process that is killed while its first thread does what is queued ends, though
// nobody waits for its other threads.
func TestKilledInOperations(t *testing.T) {
	p := start(t)
	code, data := testFileWith(t, 0x0f, 0x05, 0xeb, 0xfe), testFileWith(t) // syscall; jmp .
	for i := range 20 {
		s := newTestSpace(p, code, data)
		first := p.NewContext().(*Context)
		regs := arch.Regs{RIP: testCode, RFLAGS: 0x202}
		if _, err := first.Switch(s, &regs); err != nil {
			t.Fatal(err)
		}
		second := stopped(t, first, s)
		time.AfterFunc(time.Duration(i)*100*time.Microsecond, func() { _ = unix.Kill(first.thread.pid, unix.SIGKILL) })
		late := time.AfterFunc(10*time.Second, func() { panic("the first thread waits for ever") })
		for spaceError(s) == nil {
			s.Map(testData, data, 0, 65536, arch.Read)
			if err := s.Barrier(first); err != nil {
				t.Fatal(err)
			}
		}
		late.Stop()
		if err := spaceError(s); !errors.Is(err, errKilled) {
			t.Errorf("%v, want %v", err, errKilled)
		}
		second()
		first.Release()
		s.Release()
	}
}

// stopped starts another thread of s, which stops in its first system call and goes
// on no more. It ends when the function that it returns is called.
func stopped(t *testing.T, first *Context, s *space) (release func()) {
	t.Helper()
	second, err := first.Spawn(s)
	if err != nil {
		t.Fatal(err)
	}
	ready, end, ended := make(chan error), make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		_, err := second.Switch(s, &arch.Regs{RIP: testCode, RFLAGS: 0x202})
		ready <- err
		<-end
		second.Release()
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	return func() {
		close(end)
		<-ended
	}
}
