package systrap

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// An interrupt on the way back to the guest, where all come that were sent while
// the stub waited, neither repeats a system call nor loses one, whichever way the
// stub goes.
func TestInterruptedOnTheWayBack(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	for _, threaded := range []bool{false, true} {
		data := testFileWith(t)
		h := newHostile(t, p, testFileWith(t, 0x0f, 0x05, 0x48, 0xff, 0x07, 0x0f, 0x05, 0xeb, 0xf9), data) // syscall; incq (%rdi); syscall; jmp
		if h.begin(); threaded {
			h.multiply()
		}
		h.regs.RIP, h.regs.RDI = testCode+2, testData
		stop := make(chan struct{})
		go func() {
			for tick := time.Tick(50 * time.Microsecond); ; {
				select {
				case <-stop:
					return
				case <-tick:
					h.c.Interrupt()
				}
			}
		}()
		end := time.Now().Add(200 * time.Millisecond)
		for n := uint64(0); n < 100 || time.Now().Before(end); {
			h.regs.RBX, h.regs.R15, h.regs.RCX, h.regs.R11 = n, ^n, n+1, n+2
			h.c.thread.kick() // nobody's business
			was := h.regs
			ev, err := h.c.Switch(h.s, &h.regs)
			if err == nil && ev.Kind == platform.Interrupted {
				continue
			}
			if n++; err != nil || ev.Kind != platform.Syscall || h.regs.RBX != was.RBX || h.regs.R15 != was.R15 || h.regs.RIP != testCode+7 {
				t.Fatalf("call %d: %+v, %v, %+v", n, ev, err, h.regs)
			}
			var b [8]byte
			_, _ = unix.Pread(data.fd, b[:], 0)
			if got := binary.LittleEndian.Uint64(b[:]); got != n {
				t.Fatalf("%d calls, counted as %d", n, got)
			}
		}
		close(stop)
		h.release()
	}
}

// A return that the processor refuses is a fault of the guest's, there.
func TestNoWayBack(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	h := newHostile(t, p, testFileWith(t, 0x0f, 0x05), testFileWith(t))
	defer h.release()
	h.begin()
	for range 3 {
		regs := h.regs
		regs.RIP, regs.R12 = 1<<63, 12345
		want := regs
		ev, err := h.c.Switch(h.s, &regs)
		if err != nil || ev.Signal != int32(unix.SIGSEGV) || ev.Code != siKernel || ev.Trap != trapGeneral {
			t.Fatalf("%+v, %v", ev, err)
		}
		regs.RFLAGS, regs.OrigRAX, want.GSBase = want.RFLAGS, want.OrigRAX, regs.GSBase
		if regs != want {
			t.Errorf("%+v, were %+v", regs, want)
		}
	}
	if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall || ev.Addr != arch.Addr(0) {
		t.Errorf("afterwards: %+v, %v", ev, err)
	}
}
