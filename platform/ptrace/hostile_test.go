package ptrace

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/platformtest"
	"garrison/platform/stub"
)

type testFile struct{ fd int }

func (f *testFile) FD() int { return f.fd }

// testFileWith returns a memory file of 64 KiB that starts with content.
func testFileWith(t *testing.T, content ...byte) *testFile {
	t.Helper()
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, 65536); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, content, 0); err != nil {
		t.Fatal(err)
	}
	return &testFile{fd}
}

const testCode, testData = 0x100000, 0x200000

func start(t *testing.T) *Platform {
	t.Helper()
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

func newTestSpace(p *Platform, code, data *testFile) *space {
	as, _ := p.NewAddressSpace()
	as.Map(testCode, code, 0, 65536, arch.Read|arch.Exec)
	as.Map(testData, data, 0, 65536, arch.Read|arch.Write)
	return as.(*space)
}

// A guest may jump to any byte of the stub's text, with any registers: what it
// finds there is system calls, and they are emulated like its own.
func TestJumpIntoStub(t *testing.T) {
	p := start(t)
	code := testFileWith(t, 0xff, 0xe5) // jmp *%rbp
	victim := testFileWith(t)
	before := len(platformtest.Children(t))
	for off := uint64(0); off < 0x100; off++ {
		for _, nr := range []uint64{unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_CLONE, unix.SYS_RECVMSG, unix.SYS_EXIT} {
			s := newTestSpace(p, code, victim)
			c := p.NewContext().(*Context)
			regs := arch.Regs{
				RIP: testCode, RSP: testData + 4096, RFLAGS: 0x202, RBP: stubText + off, RAX: nr, R15: off % 3,
				RDI: 0x300000, RSI: 4096, RDX: 7, R10: unix.MAP_SHARED | unix.MAP_FIXED, R8: stubFirstFile, R12: testData, R13: 1,
			}
			if nr == unix.SYS_CLONE {
				regs.RDI, regs.RBX = forkFlags, ^uint64(0)
			}
			stop := time.AfterFunc(100*time.Millisecond, c.Interrupt)
			for range 3 {
				ev, err := c.Switch(s, &regs)
				if err != nil {
					t.Fatalf("offset %#x, call %d: %v", off, nr, err)
				}
				if ev.Kind != platform.Syscall {
					break
				}
			}
			stop.Stop()
			if maps := spaceMaps(t, s); strings.Contains(maps, "00300000-") {
				t.Fatalf("offset %#x, call %d mapped memory:\n%s", off, nr, maps)
			}
			c.Release()
			s.Release()
		}
	}
	if after := len(platformtest.Children(t)); after > before+3 {
		t.Errorf("%d child processes became %d", before, after)
	}
}

// spaceMaps is what the host has mapped in the space's process.
func spaceMaps(t *testing.T, s *space) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(s.stub.pid) + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Of the stub window a guest can write the scratch page and its arguments behind it,
// and nothing else.
func TestStubWindow(t *testing.T) {
	p := start(t)
	// mov %al,(%rdi); syscall
	s := newTestSpace(p, testFileWith(t, 0x88, 0x07, 0x0f, 0x05), testFileWith(t))
	c := p.NewContext()
	for at := uint64(stubWindow); at < uint64(p.facts.VDSO.End)+0x10000; at += 0x800 {
		regs := arch.Regs{RIP: testCode, RFLAGS: 0x202, RDI: at}
		ev, err := c.Switch(s, &regs)
		if err != nil {
			t.Fatal(err)
		}
		if wrote := ev.Kind == platform.Syscall; wrote != (at >= stubScratch && at < stubArgs+stub.NamesSize) {
			t.Errorf("writing at %#x: %+v", at, ev)
		}
	}
	for line := range strings.Lines(spaceMaps(t, s)) {
		var from, to uint64
		var perm string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &perm); err != nil {
			t.Fatal(err)
		}
		known := from == testCode || from == testData || from >= stubWindow && to <= uint64(p.facts.VDSO.End) || from >= vsyscallPage
		if !known || strings.Contains(perm, "wx") {
			t.Errorf("unexpected mapping: %s", line)
		}
	}
	fds, err := os.ReadDir("/proc/" + strconv.Itoa(s.stub.pid) + "/fd")
	if err != nil || len(fds) != stubFirstFile+2 {
		t.Errorf("descriptors: %v, %v", fds, err)
	}
	c.Release()
	s.Release()
}

// Threads that spoil the scratch page while descriptors are passed end their
// own space, at most. What others map is never something else.
func TestSpoiledScratch(t *testing.T) {
	p := start(t)
	const read, spoil = 0, 0x100
	code := append([]byte{0x8a, 0x07, 0x0f, 0x05, 0xeb, 0xfa}, make([]byte, spoil-6)...) // mov (%rdi),%al; syscall; jmp
	// The count or address that recvmsg needs, alternately good and bad:
	// mov %rax,(%rdi); mov %rbx,(%rdi); jmp
	code = append(code, 0x48, 0x89, 0x07, 0x48, 0x89, 0x1f, 0xeb, 0xf8)
	shared := testFileWith(t, code...)
	died := 0
	for round := range 40 {
		s := newTestSpace(p, shared, testFileWith(t))
		c := p.NewContext()
		regs := arch.Regs{RIP: testCode + read, RFLAGS: 0x202, RDI: testData}
		if _, err := c.Switch(s, &regs); err != nil {
			t.Fatal(err)
		}
		other, err := c.Spawn(s)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() {
			field := []uint64{16, 24, 32, 40}[round%4] // of struct msghdr
			good := []uint64{scratchVector, 1, scratchControl, 24}[round%4]
			r := arch.Regs{RIP: testCode + spoil, RFLAGS: 0x202, RDI: scratchHeader + field, RAX: good}
			_, _ = other.Switch(s, &r)
			other.Release()
			done <- true
		}()
		for i := range 30 {
			s.Map(0x400000, testFileWith(t, byte(i+1)), 0, 4096, arch.Read)
			regs.RDI = 0x400000
			ev, err := c.Switch(s, &regs)
			if err != nil {
				died++
				break
			}
			if ev.Kind != platform.Syscall || byte(regs.OrigRAX) != byte(i+1) {
				t.Fatalf("round %d: file %d shows %d, %+v", round, i+1, byte(regs.OrigRAX), ev)
			}
		}
		other.Interrupt()
		<-done
		c.Release()
		s.Release()
		// A neighbour's files are its own, whatever has just happened.
		s = newTestSpace(p, shared, testFileWith(t, 99))
		c = p.NewContext()
		regs.RIP, regs.RDI = testCode+read, testData
		if _, err := c.Switch(s, &regs); err != nil || byte(regs.OrigRAX) != 99 {
			t.Fatalf("neighbour: shows %d, %v", byte(regs.OrigRAX), err)
		}
		c.Release()
		s.Release()
	}
	t.Logf("%d of 40 spaces ended themselves", died)
}

// Should a guest's call ever get past the tracer, the filter kills its process.
func TestFilterIsSecondLine(t *testing.T) {
	p := start(t)
	// syscall; mov $39,%eax; syscall
	code := testFileWith(t, 0x0f, 0x05, 0xb8, 39, 0, 0, 0, 0x0f, 0x05)
	for _, nr := range []uint64{unix.SYS_GETPID, unix.SYS_MMAP, unix.SYS_EXIT, unix.SYS_READ} {
		s := newTestSpace(p, code, testFileWith(t))
		c := p.NewContext().(*Context)
		regs := arch.Regs{RIP: testCode, RFLAGS: 0x202}
		if _, err := c.Switch(s, &regs); err != nil {
			t.Fatal(err)
		}
		next := c.thread.raw
		next.Rip, next.Rax = testCode, nr
		if err := c.thread.put(&next); err != nil {
			t.Fatal(err)
		}
		if err := ptrace(unix.PTRACE_CONT, c.thread.tid, 0, 0); err != nil { // the mistake
			t.Fatal(err)
		}
		ws, err := c.thread.wait()
		if !errors.Is(err, errKilled) || ws.Signal() != unix.SIGSYS {
			t.Errorf("call %d: %#x, %v", nr, ws, err)
		}
		_ = c.fail(err)
		c.Release()
		s.Release()
	}
}

// Signals from outside that a process group gets don't reach guests.
func TestSignalsFromOutside(t *testing.T) {
	p := start(t)
	s := newTestSpace(p, testFileWith(t, 0x0f, 0x05, 0xeb, 0xfc), testFileWith(t)) // syscall; jmp
	c := p.NewContext()
	regs := arch.Regs{RIP: testCode, RFLAGS: 0x202}
	if _, err := c.Switch(s, &regs); err != nil {
		t.Fatal(err)
	}
	as, err := s.Fork(c) // its thread sleeps, traced by nobody
	if err != nil {
		t.Fatal(err)
	}
	child := as.(*space)
	for sig := unix.Signal(1); sig <= 64; sig++ {
		if sig == unix.SIGKILL {
			continue
		}
		for pid := range platformtest.Children(t) {
			// These are never sent to a group, and end a thread that nobody traces.
			if open := uint64(1)<<(sig-1)&openSignals != 0; open && pid != s.stub.pid {
				continue
			}
			_ = unix.Kill(pid, sig)
		}
	}
	for range 100 {
		if ev, err := c.Switch(s, &regs); err != nil || ev.Kind != platform.Syscall {
			t.Fatal(ev, err)
		}
	}
	n, err := c.Spawn(child)
	if err != nil {
		t.Fatal(err)
	}
	if ev, err := n.Switch(child, &regs); err != nil || ev.Kind != platform.Syscall {
		t.Fatal(ev, err)
	}
	n.Release()
	child.Release()
	c.Release()
	s.Release()
	s = newTestSpace(p, testFileWith(t, 0x0f, 0x05), testFileWith(t))
	c = p.NewContext()
	regs.RIP = testCode
	if ev, err := c.Switch(s, &regs); err != nil || ev.Kind != platform.Syscall {
		t.Fatal(ev, err)
	}
}

func TestStubsDieWithSentry(t *testing.T) { platformtest.DieWithSentry(t, newTestPlatform) }

func newTestPlatform(t testing.TB) platform.Platform {
	t.Helper()
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
