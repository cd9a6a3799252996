package systrap

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/platformtest"
)

func TestStubsDieWithSentry(t *testing.T) {
	platformtest.DieWithSentry(t, func(t testing.TB) platform.Platform {
		p, err := New(Options{Pool: 2})
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
}

func newTestPlatform(t testing.TB) platform.Platform {
	t.Helper()
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type testFile struct{ fd int }

func (f *testFile) FD() int { return f.fd }

// testFileWith returns a memory file of 64 KiB that starts with content.
func testFileWith(t *testing.T, content ...byte) *testFile {
	t.Helper()
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	if err == nil {
		err = unix.Ftruncate(fd, 65536)
	}
	if err == nil {
		_, err = unix.Pwrite(fd, content, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &testFile{fd}
}

const testCode, testData = 0x100000, 0x200000

// A hostile is a guest of a platform that others use, too.
type hostile struct {
	t    *testing.T
	s    *space
	c    *Context
	regs arch.Regs
}

func newHostile(t *testing.T, p *Platform, code, data *testFile) *hostile {
	as, _ := p.NewAddressSpace()
	as.Map(testCode, code, 0, 65536, arch.Read|arch.Exec)
	as.Map(testData, data, 0, 65536, arch.Read|arch.Write)
	return &hostile{t, as.(*space), p.NewContext().(*Context), arch.Regs{RIP: testCode, RSP: testData + 4096, RFLAGS: 0x202}}
}

// run lets the guest go on until it ends, or has been back n times. Once in the
// stub's text it may sleep for ever, so it is interrupted.
func (h *hostile) run(n int) {
	h.t.Helper()
	stop := time.AfterFunc(5*time.Millisecond, h.c.Interrupt)
	defer stop.Stop()
	for range n {
		ev, err := h.c.Switch(h.s, &h.regs)
		if err != nil || ev.Kind != platform.Syscall {
			return
		}
	}
}

func (h *hostile) release() {
	h.c.Release()
	h.s.Release()
}

// A guest may jump to any byte of the stub's text, with any registers: no host
// call goes through that the sentry has not asked for.
func TestJumpIntoStub(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	code, victim := testFileWith(t, 0xff, 0xe5), testFileWith(t) // jmp *%rbp
	before := processes(t, p)
	calls := map[uint64][6]uint64{
		unix.SYS_MMAP:     {0x300000, 4096, 7, unix.MAP_SHARED | unix.MAP_FIXED, stubControl, 0},
		unix.SYS_MPROTECT: {testCode, 4096, 7},
		unix.SYS_CLONE:    {forkFlags},
		unix.SYS_EXIT:     {},
	}
	jump := func(ip, nr uint64, a [6]uint64) {
		h := newHostile(t, p, code, victim)
		defer h.release()
		h.regs.RBP, h.regs.RAX, h.regs.RBX = ip, nr, testData
		h.regs.RDI, h.regs.RSI, h.regs.RDX, h.regs.R10, h.regs.R8, h.regs.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
		h.regs.R12, h.regs.R13, h.regs.R14 = testData, 0, 1
		h.run(3)
		pid := h.s.pid
		if pid == 0 {
			return
		}
		maps, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
		if err != nil || strings.Contains(string(maps), "00300000-") || strings.Contains(string(maps), " rwxs ") {
			t.Errorf("at %#x, call %d changed memory: %v\n%s", ip, nr, err, maps)
		}
	}
	// Side by side: who ends itself is found out after a while.
	var all sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, ip := range stubAddresses() {
		for nr, a := range calls {
			slots <- struct{}{}
			all.Go(func() { jump(ip, nr, a); <-slots })
		}
	}
	all.Wait()
	noneLeft(t, p, before)
}

// What a guest writes to its context page and signal stack hurts only itself.
func TestScribble(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	// mov %rax,(%rdi); syscall
	code, data := testFileWith(t, 0x48, 0x89, 0x07, 0x0f, 0x05), testFileWith(t)
	for _, value := range []uint64{0, 1, stubRegions + stackEnd - 8, testData, ^uint64(0)} {
		for off := uint64(0); off < regionSize; off += 8 {
			// All of the page's fields and of the frame, and samples of the rest.
			if off >= 384 && off < stackEnd-3072 && off%4096 != 0 {
				continue
			}
			h := newHostile(t, p, code, data)
			h.regs.RDI, h.regs.RAX = stubRegions+off, value
			h.run(2)
			h.release()
		}
	}
	h := newHostile(t, p, testFileWith(t, 0x0f, 0x05), data)
	defer h.release()
	if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall {
		t.Fatalf("afterwards: %+v, %v", ev, err)
	}
}

// A guest that claims to have done what it was told to is found out.
func TestForgedAcknowledgement(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	// The other thread watches the page of the first, and says at once that
	// the reply has been carried out: cmpl $2,(%rdi); jne .; movl $1,(%rdi); jmp .
	code := testFileWith(t, 0x0f, 0x05, 0x83, 0x3f, 0x02, 0x75, 0xfb, 0xc7, 0x07, 1, 0, 0, 0, 0xeb, 0xf3)
	data := testFileWith(t)
	for range 20 {
		h := newHostile(t, p, code, data)
		if _, err := h.c.Switch(h.s, &h.regs); err != nil {
			t.Fatal(err)
		}
		other, err := h.c.Spawn(h.s)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer other.Release()
			regs := h.regs
			regs.RDI, regs.RIP = stubRegions, testCode+2
			_, _ = other.Switch(h.s, &regs)
		}()
		time.Sleep(2 * time.Millisecond)
		// Whatever the two have made of it: either it is mapped, or the space is
		// known to have died.
		h.s.Map(0x300000, data, 0, 4096, arch.Read)
		err = h.s.Barrier(h.c)
		h.s.mu.Lock()
		pid, dead := h.s.pid, h.s.err
		h.s.mu.Unlock()
		if err == nil && dead == nil {
			maps, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
			if err != nil || !strings.Contains(string(maps), "00300000-") {
				t.Errorf("believed to be mapped, and is not: %v\n%s", err, maps)
			}
		}
		h.s.Release()
		<-done
		h.c.Release()
	}
}

// Threads that come and go use the same few regions.
func TestRegionsAreUsedAgain(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	h := newHostile(t, p, testFileWith(t, 0x0f, 0x05, 0xeb, 0xfc), testFileWith(t)) // syscall; jmp to it
	defer h.release()
	if _, err := h.c.Switch(h.s, &h.regs); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		c, err := h.c.Spawn(h.s)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			regs := h.regs
			_, err := c.Switch(h.s, &regs)
			c.Release()
			done <- err
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.s.used); n > 20 {
		t.Errorf("200 threads, one after the other, have used %d regions", n)
	}
}

// An operation that the host refuses ends the space, even the last of those that
// ride with a reply.
func TestRefusedOperation(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	code := testFileWith(t, 0x0f, 0x05, 0xeb, 0xfc) // syscall; jmp to the start
	h := newHostile(t, p, code, testFileWith(t))
	if _, err := h.c.Switch(h.s, &h.regs); err != nil {
		t.Fatal(err)
	}
	h.s.Map(testData+0x100000, testFileWith(t), 1, arch.PageSize, arch.Read) // no page begins there
	if _, err := h.c.Switch(h.s, &h.regs); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("Switch: %v", err)
	}
}
