package systrap

import (
	"encoding/binary"
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
)

// victimFD is the second descriptor that a stub is given: the victim's. The first,
// the code's, is the next.
const victimFD = stubFirstFile + maxFiles - 2

// A guest that makes a solo call of its own ends with it: with whatever
// arguments, with the trap flag, interrupted, its stack wherever it likes, no
// code of its own runs any more, nor does the host write a signal's frame to what
// the call has mapped.
func TestOwnSoloCalls(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	before := processes(t, p)
	const fixed, rw = unix.MAP_SHARED | unix.MAP_FIXED, unix.PROT_READ | unix.PROT_WRITE
	window, operations := uint64(stubWindow), uint64(stubRegions+soloOps)
	for what, a := range map[string][6]uint64{
		"the stubs' memory":   {0x300000, 4096, rw, fixed, stubControl, 0},
		"a file of its own":   {0x300000, 4096, rw, fixed, victimFD, 4096},
		"code":                {testCode, 4096, 7, fixed, victimFD, 0},
		"its stack":           {testData, 65536, rw, fixed, victimFD, 0},
		"private":             {0x300000, 4096, rw, unix.MAP_PRIVATE | unix.MAP_FIXED, victimFD, 0},
		"anonymous":           {0x300000, 4096, rw, unix.MAP_ANONYMOUS | fixed, stubFirstFile, 0},
		"over the stub":       {window, 4096, 7, fixed, victimFD, 0},
		"over the region":     {stubRegions, 4096, rw, fixed, victimFD, 0},
		"over its operations": {stubRegions + soloOps, 4096, rw, fixed, victimFD, 0},
		"into the window":     {window - 4096, 8192, rw, fixed, victimFD, 0},
		"more than the half":  {0, 1 << 46, rw, fixed, victimFD, 0},
		"nothing":             {},
	} {
		for _, flags := range []uint64{0x202, 0x202 | trapFlag} {
			for _, sp := range []uint64{testData + 0x8000, stubRegions + contextSize + 0x3000, 0x300000 + 4096, 8} {
				for _, slot := range []uint64{0, 0xfc0, ^uint64(0), testData + 0xa000 - operations} {
					h, victim := soloCaller(t, p)
					for i, v := range a { // what the call would be compared with, if R12 were taken as it is
						_, _ = unix.Pwrite(victim.fd, binary.LittleEndian.AppendUint64(nil, v), 0xa008+8*int64(i))
					}
					was := h.begin()
					h.regs.RIP, h.regs.RFLAGS, h.regs.RSP, h.regs.R12, h.regs.RAX = stubSolo, flags, sp, slot, unix.SYS_MMAP
					h.regs.RDI, h.regs.RSI, h.regs.RDX, h.regs.R10, h.regs.R8, h.regs.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
					h.ends(fmt.Sprintf("%s, flags %#x, stack %#x, slot %#x", what, flags, sp, slot), was, victim)
				}
			}
		}
	}
	noneLeft(t, p, before)
}

// soloCaller is a guest whose every word of data, to which a solo call would
// return, is the address of a system call.
func soloCaller(t *testing.T, p *Platform) (*hostile, *testFile) {
	data := testFileWith(t)
	for off := int64(0); off < 65536; off += 8 {
		_, _ = unix.Pwrite(data.fd, binary.LittleEndian.AppendUint64(nil, testCode), off)
	}
	return newHostile(t, p, testFileWith(t, 0x0f, 0x05), data), data
}

// ends fails the test unless h, which begins in the stub's text, tells nothing any
// more, has got nothing since before, and victim's second page is as it was.
func (h *hostile) ends(what string, before footprint, victim *testFile) {
	h.t.Helper()
	defer h.release()
	pid := h.pid()
	defer time.AfterFunc(time.Second, func() { _ = unix.Kill(pid, unix.SIGKILL) }).Stop()
	regs := h.regs
	if ev, err := h.c.Switch(h.s, &h.regs); err == nil && (ev.Kind == platform.Syscall || h.regs.RIP < stubWindow) {
		h.t.Errorf("%s: %+v, %+v", what, ev, h.regs)
	} else if err == nil {
		h.t.Errorf("%s: lives on: %+v, %+v, began as %+v", what, ev, h.regs, regs)
	}
	h.unharmed(what, before)
	var b [4096]byte
	if _, err := unix.Pread(victim.fd, b[:], 4096); err != nil {
		h.t.Error(err)
	}
	for off := 0; off < len(b); off += 8 {
		if v := binary.LittleEndian.Uint64(b[off:]); v != testCode {
			h.t.Fatalf("%s: %#x at %#x of the file was written", what, v, off)
		}
	}
}

// What was the sentry's call once is not any more when it is done.
func TestReplayedSoloCall(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	h, victim := soloCaller(t, p)
	h.s.Map(0x300000, victim, 0, 4096, arch.Read)
	h.begin()
	h.s.Map(0x400000, victim, 4096, 4096, arch.Read)
	solo := p.solo.Load()
	h.begin()
	if p.solo.Load() != solo+1 {
		t.Fatal("no solo call")
	}
	h.s.Unmap(arch.Range{Start: 0x400000, End: 0x401000})
	was := h.begin()
	h.regs.RIP, h.regs.RSP, h.regs.R12, h.regs.RAX = stubSolo, testData+0x8000, 256, unix.SYS_MMAP
	h.regs.RDI, h.regs.RSI, h.regs.RDX, h.regs.R10, h.regs.R8, h.regs.R9 = 0x400000, 4096, 1, unix.MAP_SHARED|unix.MAP_FIXED, victimFD, 4096
	h.ends("again", was, victim)
}

// Every argument counts, while the sentry's call may be made.
func TestAlteredSoloCall(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	for what, alter := range map[string]func(r *arch.Regs){
		"as it is":   func(*arch.Regs) {},
		"address":    func(r *arch.Regs) { r.RDI = 0x500000 },
		"length":     func(r *arch.Regs) { r.RSI = 8192 },
		"rights":     func(r *arch.Regs) { r.RDX = unix.PROT_READ | unix.PROT_WRITE },
		"flags":      func(r *arch.Regs) { r.R10 |= unix.MAP_POPULATE },
		"descriptor": func(r *arch.Regs) { r.R8 = victimFD + 1 },
		"offset":     func(r *arch.Regs) { r.R9 = 8192 },
		"slot":       func(r *arch.Regs) { r.R12 += 64 },
	} {
		h, victim := soloCaller(t, p)
		h.s.Map(0x300000, victim, 0, 4096, arch.Read)
		h.begin()
		h.s.Map(0x400000, victim, 4096, 4096, arch.Read)
		was := footprint{}
		if what != "as it is" {
			was = h.begin()
			h.s.Map(0x400000, victim, 4096, 4096, arch.Read)
		}
		h.regs.RIP, h.regs.RSP, h.regs.R12, h.regs.RAX = stubSolo, testData+0x8000, 256, unix.SYS_MMAP
		h.regs.RDI, h.regs.RSI, h.regs.RDX, h.regs.R10, h.regs.R8, h.regs.R9 = 0x400000, 4096, 1, unix.MAP_SHARED|unix.MAP_FIXED, victimFD, 4096
		alter(&h.regs)
		if what != "as it is" {
			h.ends(what, was, victim)
			continue
		}
		if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall || h.regs.RIP != testCode+2 {
			t.Errorf("the sentry's call: %+v, %v", ev, err)
		}
		h.release()
	}
}

// An interrupt finds a guest in the solo call, before or after.
func TestInterruptedSoloCall(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	d, _ := platformtest.Long(t)
	end := time.Now().Add(max(d, 300*time.Millisecond))
	for n := 0; n < 300 && time.Now().Before(end) || n < 50; n++ {
		h, victim := soloCaller(t, p)
		was := h.begin()
		h.regs.RIP, h.regs.RAX, h.regs.RSP = stubSolo, unix.SYS_MMAP, testData+0x8000
		h.regs.RDI, h.regs.RSI, h.regs.RDX, h.regs.R10, h.regs.R8, h.regs.R9 = 0x300000, 1<<20, 3, unix.MAP_SHARED|unix.MAP_FIXED, victimFD, 4096
		c := h.c
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					if th := c.current.Load(); th != nil {
						th.kick()
					}
				}
			}
		}()
		h.interrupted(was, victim, stop, done)
	}
}

// interrupted is ends for a guest that is interrupted all the time.
func (h *hostile) interrupted(before footprint, victim *testFile, stop, done chan struct{}) {
	h.t.Helper()
	h.ends("interrupted", before, victim)
	close(stop)
	<-done
}

// What would let a guest choose where its signals' frames go is not there in a
// process that has the solo call, nor is the solo call where it is; a guest can
// never write its solo operations.
func TestSoloTextOrThreads(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	faults := func(h *hostile, ip uint64) {
		t.Helper()
		regs := h.regs
		regs.RIP = ip
		if ev, err := h.c.Switch(h.s, &regs); err != nil || ev.Kind != platform.Fault || ev.Addr != arch.Addr(ip) {
			t.Errorf("at %#x: %+v, %v", ip, ev, err)
		}
	}
	texts := func(h *hostile) (solo, threads bool) {
		f, err := footprintOf(h.pid())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(f.maps, fmt.Sprintf("%x-%x r-xp", stubSolo, stubSolo+4096)), strings.Contains(f.maps, fmt.Sprintf("%x-%x r-xp", stubThreads, stubThreads+4096))
	}
	code := testFileWith(t, 0x0f, 0x05, 0x48, 0x89, 0x07) // syscall; mov %rax,(%rdi)
	h := newHostile(t, p, code, testFileWith(t))
	defer h.release()
	h.begin()
	if solo, threads := texts(h); !solo || threads {
		t.Errorf("at first: %v, %v", solo, threads)
	}
	faults(h, stubThreads)
	h.writesNoOperation()
	as, err := h.s.Fork(h.c)
	if err != nil {
		t.Fatal(err)
	}
	child := &hostile{t, as.(*space), nil, h.regs}
	if solo, threads := texts(child); !solo || threads {
		t.Errorf("child: %v, %v", solo, threads)
	}
	defer as.Release()
	h.multiply()
	if solo, threads := texts(h); solo || !threads {
		t.Errorf("with threads: %v, %v", solo, threads)
	}
	h.writesNoOperation()
	if as, err = h.s.Fork(h.c); err != nil {
		t.Fatal(err)
	}
	defer as.Release()
	child.s = as.(*space)
	if solo, threads := texts(child); solo || !threads {
		t.Errorf("child of one with threads: %v, %v", solo, threads)
	}
	h.regs.RIP = stubSolo
	if ev, err := h.c.Switch(h.s, &h.regs); err == nil {
		t.Errorf("with threads, at the solo call: %+v", ev)
	}
}

// writesNoOperation lets h, whose code is to write RAX to RDI, try that.
func (h *hostile) writesNoOperation() {
	h.t.Helper()
	for off := uint64(0); off < 0x8000; off += 0x1000 - 8 {
		regs := h.regs
		regs.RIP, regs.RDI, regs.RAX = testCode+2, stubRegions+soloOps+off, unix.SYS_MMAP
		if ev, err := h.c.Switch(h.s, &regs); err != nil || ev.Kind != platform.Fault || ev.Access != arch.Write {
			h.t.Errorf("at %#x: %+v, %v", off, ev, err)
		}
	}
}

// lazy is code that says once that it has done as told, without having: it makes a
// system call, watches RDI for a reply, takes it, says that, and then is as good
// a stub as any, at RBP. But first, from 2 on, it tells its kernel of the call
// again, for otherwise that would not wait for it.
var lazy = []byte{
	0x0f, 0x05, // syscall
	0xc7, 0x07, 1, 0, 0, 0, // movl $1,(%rdi)
	0x83, 0x3f, 0x02, // cmpl $2,(%rdi)
	0x75, 0xfb, // jne to it
	0xc7, 0x07, 0, 0, 0, 0, // movl $0,(%rdi)
	0xc7, 0x07, 1, 0, 0, 0, // movl $1,(%rdi)
	0xff, 0xe5, // jmp *%rbp
}

// A guest that says that it has mapped what it was told to, and has not, keeps
// what it had there before, and no longer than until the next Barrier. It can't
// be given rights to that meanwhile.
func TestForgedSolo(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	const at = 0x300000
	for _, protect := range []arch.Access{0, arch.Read, arch.Read | arch.Write} {
		data, old, now := testFileWith(t), testFileWith(t), testFileWith(t)
		h := newHostile(t, p, testFileWith(t, lazy...), data)
		h.s.Map(at, old, 0, 8192, arch.Read)
		h.s.Map(at+8192, now, 0, 4096, arch.Read) // so that the stub has its descriptor
		h.begin()
		if !h.shows(at, old, "r--s") {
			t.Fatal("nothing is mapped")
		}
		h.regs.RIP, h.regs.RDI, h.regs.RBX = testCode+2, stubRegions, stubRegions
		h.regs.RBP, h.regs.RSP = textAt(t, 0x8b, 0x8b, 0x98), h.c.thread.region.page.frame // mov 152(%rbx),%ecx
		if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall {
			t.Fatalf("%+v, %v", ev, err)
		}
		solo := p.solo.Load()
		h.s.Map(at, now, 4096, 8192, arch.Read)
		h.s.mu.Lock()
		err := h.s.flushLocked(h.c.thread)
		h.s.mu.Unlock()
		if err != nil || p.solo.Load() != solo+1 || !h.shows(at, old, "r--s") {
			t.Fatalf("it was not lazy: %v, %d solo calls", err, p.solo.Load()-solo)
		}
		rights := "r--s"
		if protect != 0 {
			h.s.Protect(arch.Range{Start: at, End: at + 8192}, protect)
			h.s.mu.Lock()
			err = h.s.flushLocked(h.c.thread)
			h.s.mu.Unlock()
			if protect.Has(arch.Write) {
				rights = "rw-s"
				if !h.shows(at, now, rights) {
					t.Error("it got rights before what they are for")
				}
			}
		}
		if err == nil {
			err = h.s.Barrier(h.c)
		}
		if err != nil || !h.shows(at, now, rights) {
			f, _ := footprintOf(h.pid())
			t.Errorf("protected %v: after a Barrier: %v\n%s", protect, err, f.maps)
		}
		h.release()
	}
}

// A mapping's rights are what they became since it was made, after a Barrier too.
func TestProtectedSolo(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	const at = 0x300000
	f := testFileWith(t)
	h := newHostile(t, p, testFileWith(t, 0x0f, 0x05), f)
	defer h.release()
	h.s.Map(at, f, 0, 8192, arch.Read|arch.Write)
	h.begin()
	h.s.Map(at, f, 4096, 8192, arch.Read|arch.Write)
	h.begin()
	h.s.Protect(arch.Range{Start: at, End: at + 8192}, arch.Read)
	h.begin()
	if n := len(h.s.loose.list); n == 0 {
		t.Error("there is nothing to prove")
	}
	if err := h.s.Barrier(h.c); err != nil || !h.shows(at, f, "r--s") {
		m, _ := footprintOf(h.pid())
		t.Errorf("%v\n%s", err, m.maps)
	}
}

// shows reports whether h's process has 8 KiB of f at at, with these rights.
func (h *hostile) shows(at uint64, f *testFile, rights string) bool {
	h.t.Helper()
	var st unix.Stat_t
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(h.pid()) + "/maps")
	if err == nil {
		err = unix.Fstat(f.fd, &st)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if m, ok := parseMapping(line); ok && m.from == at && m.to >= at+8192 && m.inode == st.Ino && strings.Contains(line, " "+rights+" ") {
			return true
		}
	}
	return false
}
