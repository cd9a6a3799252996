package systrap

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/platformtest"
)

// codeAgain makes system calls.
var codeAgain = []byte{0x0f, 0x05, 0xeb, 0xfc} // syscall; jmp to it

// A process serves one guest after the other, and shows none what others have left.
func TestReuse(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	code := testFileWith(t, codeAgain...)
	first := 0
	for i := range uint64(5) {
		h := newHostile(t, p, code, testFileWith(t))
		h.s.Map(0x300000+arch.Addr(i)<<20, code, 0, 4096, arch.Read)
		h.c.Name("guest", []byte("secret"+strconv.Itoa(int(i))+strings.Repeat(".", 100*int(5-i))+"\x00"))
		h.regs.RBX, h.regs.RFLAGS = i, 0x202|i&1<<10
		if fpu := h.c.FPU(); string(fpu) != string(p.initialFPU) {
			t.Errorf("guest %d begins with another's floating-point state", i)
		}
		if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall || h.regs.RBX != i || h.regs.RIP != testCode+2 {
			t.Fatalf("guest %d: %+v, %v, %+v", i, ev, err, h.regs)
		}
		pid := h.pid()
		if first == 0 {
			first = pid
		}
		if pid != first {
			t.Errorf("guest %d has process %d, not %d", i, pid, first)
		}
		f, err := footprintOf(pid)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(f.maps) {
			m, _ := parseMapping(line)
			if m.from >= 0x300000 && m.from < stubWindow && m.from != 0x300000+i<<20 {
				t.Errorf("guest %d has %s", i, line)
			}
		}
		if process, ns := h.c.GuestTime(); process != pid || ns > int64(time.Second) {
			t.Errorf("process %d has run %d ns", process, ns)
		}
		args := make([]byte, 4096)
		mem, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
		if err == nil {
			_, err = mem.ReadAt(args, stubArgs)
			mem.Close()
		}
		if n := strings.Count(string(args), "secret"); err != nil || n > 1 {
			t.Errorf("guest %d sees %d programs' arguments, %v", i, n, err)
		}
		state := []byte(string(h.c.FPU()))
		binary.LittleEndian.PutUint64(state[160:], 77+i) // XMM0
		state[headerOff] |= 2
		if err := h.c.SetFPU(state); err != nil {
			t.Error(err)
		}
		h.release()
	}
}

// A process is kept for a while only, if nobody wants it, and so are its files.
func TestTrim(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	h := newHostile(t, p, testFileWith(t, codeAgain...), testFileWith(t))
	h.begin()
	pid := h.pid()
	h.release()
	for end := time.Now().Add(20 * time.Second); platformtest.Children(t)[pid]; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the process is kept")
		}
	}
}

// A guest may pretend to wait for its kernel, in the stub's text, with its stack where
// it has put a frame: to go on from there as whatever program is the next in its
// process. That process serves no other.
func TestPretendedWait(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	data := testFileWith(t)
	publish := textAt(t, 0xb8, 1, 0, 0, 0, 0x87, 0x03)
	for _, off := range []int{0x3000, 0x5000} {
		h := newHostile(t, p, testFileWith(t, 0x0f, 0x05, 0xff, 0xe5), data) // syscall; jmp *%rbp
		h.begin()
		pid := h.pid()
		r := h.c.thread.region
		f := frameOf(r.bytes[off:])
		*f = *h.c.thread.live()
		f.rip, f.rsp = testCode, testData+4096
		h.regs.RIP, h.regs.RBP, h.regs.RBX, h.regs.RSP = testCode+2, publish, stubRegions, stubRegions+uint64(off)
		if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall {
			t.Fatalf("the pretended call: %+v, %v", ev, err)
		}
		h.release()
		if alive(pid) {
			t.Errorf("with a frame at %#x, the process is kept", off)
		}
		for range 3 {
			n := newHostile(t, p, testFileWith(t, 0x90, 0x90, 0x0f, 0x05), data)
			if ev, err := n.c.Switch(n.s, &n.regs); err != nil || ev.Kind != platform.Syscall || n.regs.RIP != testCode+4 || n.pid() == pid {
				t.Errorf("the next guest: %+v, %v, %+v", ev, err, n.regs)
			}
			defer n.release()
		}
	}
}
