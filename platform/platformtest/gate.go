package platformtest

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// gateTests have nothing to look at on a platform without a gate.
var gateTests = []suiteTest{
	{"GateRegisters", testGateRegisters},
	{"GateReplies", testGateReplies},
	{"GateFPU", testGateFPU},
	{"GateOperations", testGateOperations},
	{"GateFork", testGateFork},
	{"GateThreads", testGateThreads},
	{"GateInterrupts", testGateInterrupts},
	{"GateInterruptOnce", testGateInterruptOnce},
	{"GateWithoutGS", testGateWithoutGS},
	{"GateFS", testGateFS},
	{"GateAnswers", testGateAnswers},
	{"HotSite", testHotSite},
	{"SiteReplies", testSiteReplies},
	{"GateAnswersInterrupted", testGateAnswersInterrupted},
}

// Where things are in codeGate.
const (
	gateCall   = codeAt + 23 // the SYSCALL instruction
	gateReturn = gateCall + 2
)

// codeGate counts in RBX, and makes system calls by the gate, for ever.
func codeGate(gate arch.Addr) []byte {
	b := []byte{
		0x48, 0xff, 0xc3, // inc %rbx
		0x48, 0x8d, 0x0d, 15, 0, 0, 0, // lea 15(%rip),%rcx
		0x49, 0xbb, // mov $gate,%r11
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(gate))
	return append(b,
		0x41, 0xff, 0xe3, // jmp *%r11
		0x0f, 0x05, // syscall
		0xeb, 0xe5) // jmp to the start
}

// newGateGuest makes a guest that runs codeGate; nil if there is no gate.
func newGateGuest(t *testing.T, p platform.Platform) *guest {
	gate := p.Facts().Gate
	if gate == 0 {
		return nil
	}
	return newGuest(t, p, codeGate(gate)...)
}

// The registers are what they would be had the guest made the call by SYSCALL.
func testGateRegisters(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	const carry, parity, overflow = 1, 4, 1 << 11
	for seed := uint64(1); seed < 5; seed++ {
		g.regs = filled(seed)
		g.regs.GSBase = 0
		g.regs.RBX = 1<<63 - 1
		g.regs.RFLAGS = 0x202 | carry
		want := g.regs
		g.syscall()
		enosys := int64(unix.ENOSYS)
		want.OrigRAX, want.RAX, want.RBX = want.RAX, uint64(-enosys), 1<<63
		want.RFLAGS |= overflow | parity | 0x90 // auxiliary carry, sign
		want.RIP = gateReturn
		want.RCX, want.R11 = want.RIP, want.RFLAGS
		if g.regs != want {
			t.Fatalf("registers\n%+v, want\n%+v", g.regs, want)
		}
	}
}

// Whatever the kernel changes of the registers, the guest gets.
func testGateReplies(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	g.regs.RBX = 0
	for i := uint64(1); i < 200; i++ {
		g.syscall()
		if g.regs.RBX != i || i > 1 && g.regs.OrigRAX != i-1 {
			t.Fatalf("call %d: %+v", i, g.regs)
		}
		before := g.regs
		switch i % 5 {
		case 0:
			g.regs.R12, g.regs.RDI, g.regs.RBP = i, ^i, i<<32
		case 1:
			g.regs.RIP = codeAt
		case 2:
			g.regs.FSBase = dataAt + i
		}
		g.regs.SetReturn(i)
		before.RBX++
		want := g.regs
		g.syscall()
		if want.RBX++; g.regs.RBX != want.RBX || g.regs.R12 != want.R12 || g.regs.RDI != want.RDI ||
			g.regs.RBP != want.RBP || g.regs.FSBase != want.FSBase || g.regs.OrigRAX != i {
			t.Fatalf("reply %d:\n%+v, want\n%+v", i, g.regs, want)
		}
		g.regs.RBX--
		g.regs.SetReturn(i)
	}
}

// The floating-point state is the guest's, and can be changed, though the gate
// saves none.
func testGateFPU(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	g.syscall()
	for i := range byte(20) {
		state := bytes.Clone(g.c.FPU())
		state[xsaveHeader] |= 3 // x87 and SSE are not in their initial state
		for k := range 16 {
			state[xsaveXMM+k] = i + byte(k)
		}
		if err := g.c.SetFPU(state); err != nil {
			t.Fatal(err)
		}
		g.syscall()
		g.syscall()
		if got := g.c.FPU()[xsaveXMM:][:16]; !bytes.Equal(got, state[xsaveXMM:][:16]) {
			t.Fatalf("XMM0 is %x, want %x", got, state[xsaveXMM:][:16])
		}
	}
}

// What is queued between two calls has happened when the guest goes on.
func testGateOperations(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	load := append([]byte{0x8a, 0x06}, codeGate(p.Facts().Gate)...) // mov (%rsi),%al
	load[len(load)-1] -= 2
	copy(g.mem.view[codeOff:], load)
	g.regs.RSI = spareAt
	for i := range byte(100) {
		at := uint64(spareOff) + uint64(i)*arch.PageSize
		g.mem.view[at] = i
		g.as.Map(spareAt, g.mem, at, arch.PageSize, arch.Read)
		g.syscall()
		if byte(g.regs.OrigRAX) != i {
			t.Fatalf("the guest sees %d, want %d", byte(g.regs.OrigRAX), i)
		}
	}
}

func testGateFork(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	for i := uint64(1); i < 20; i++ {
		g.syscall()
		h := g.fork()
		wait := elsewhere(func() {
			defer h.release()
			for k := uint64(1); k < 10; k++ {
				h.syscall()
				if h.regs.RBX != i+k {
					t.Errorf("the child of call %d counts %d, want %d", i, h.regs.RBX, i+k)
					return
				}
			}
		})
		wait()
	}
}

func testGateThreads(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	g.syscall()
	var waits []func()
	for n := range uint64(4) {
		h := g.spawn()
		h.regs = g.regs
		h.regs.RBX = n << 32
		waits = append(waits, elsewhere(func() {
			defer h.c.Release()
			for k := uint64(1); k < 1000; k++ {
				if h.syscall(); h.regs.RBX != n<<32+k {
					t.Errorf("thread %d counts %#x, want %d", n, h.regs.RBX, k)
					return
				}
				h.regs.SetReturn(k)
			}
		}))
	}
	for _, wait := range waits {
		wait()
	}
}

// Interrupts, wherever they hit the guest on its way, lose and repeat no call,
// and none of them is lost.
func testGateInterrupts(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	var wanted, seen atomic.Int64
	var stop atomic.Bool
	wait := elsewhere(func() {
		for !stop.Load() {
			if wanted.Load() == seen.Load() {
				wanted.Add(1)
				g.c.Interrupt()
			}
		}
	})
	defer wait()
	defer stop.Store(true)
	calls := uint64(0)
	for seen.Load() < 3000 {
		switch ev := g.run(); ev.Kind {
		case platform.Syscall:
			if calls > 0 && g.regs.OrigRAX != calls {
				t.Fatalf("call %d has the number %d", calls+1, g.regs.OrigRAX)
			}
			calls++
			g.regs.SetReturn(calls)
		case platform.Interrupted:
			seen.Add(1)
		default:
			t.Fatalf("event %+v", ev)
		}
		if g.regs.RBX != calls && g.regs.RBX != calls+1 {
			t.Fatalf("after %d calls the guest has counted %d", calls, g.regs.RBX)
		}
	}
}

// An interrupt that comes while the guest waits for a reply stops it after that.
func testGateInterruptOnce(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	g.mem.view[codeOff+len(codeGate(0))-1] = 0xfe // jmp to itself
	var start, seen atomic.Int64
	wait := elsewhere(func() {
		for i := int64(1); i <= 3000; i++ {
			for start.Load() != i {
				runtime.Gosched()
			}
			for range i % 100 { // from before the reply to after it
				start.Load()
			}
			g.c.Interrupt()
			for seen.Load() != i {
				runtime.Gosched()
			}
		}
	})
	defer wait()
	for i := int64(1); i <= 3000; i++ {
		g.regs.RIP = codeAt
		g.syscall()
		start.Store(i)
		if ev := g.run(); ev.Kind != platform.Interrupted {
			t.Errorf("event %+v", ev)
		}
		seen.Store(i)
	}
}

// Calls that the context was told the results of don't come out, by the gate;
// children and other programs know nothing of it.
func testGateAnswers(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	a, ok := g.c.(platform.Answerer)
	if !ok {
		t.Fatal("a gate, and nobody to tell answers to")
	}
	// Call 100 is answered with 101, which is answered with 0, which is not.
	a.Answer(100, 101)
	for i := range uint64(20) {
		g.regs = filled(i)
		g.regs.GSBase, g.regs.RBX, g.regs.RAX = 0, 0, 100
		g.regs.RFLAGS |= 1
		if i == 10 {
			g.syscall()
			a.Answer(101, 0)
			continue
		}
		want := g.regs
		g.syscall()
		nr, calls := uint64(101), uint64(2)
		if i > 10 {
			nr, calls = 0, 3
		}
		if g.regs.OrigRAX != nr || g.regs.RBX != calls {
			t.Fatalf("call %d came, after %d", g.regs.OrigRAX, g.regs.RBX)
		}
		g.regs.RAX, g.regs.OrigRAX, g.regs.RIP, g.regs.RCX, g.regs.R11 = want.RAX, want.OrigRAX, want.RIP, want.RCX, want.R11
		g.regs.RBX, g.regs.RFLAGS = want.RBX, g.regs.RFLAGS&1|want.RFLAGS&^1
		if g.regs != want {
			t.Fatalf("registers\n%+v, want\n%+v", g.regs, want)
		}
	}
	h := g.fork()
	h.regs.RIP, h.regs.RAX, h.regs.RBX = codeAt, 100, 0
	elsewhere(func() {
		defer h.release()
		if h.syscall(); h.regs.OrigRAX != 100 {
			t.Errorf("the child's call %d came", h.regs.OrigRAX)
		}
	})()
	g.regs.RIP, g.regs.RAX, g.regs.OrigRAX = codeAt, 1<<40, ^uint64(0)
	if g.syscall(); g.regs.OrigRAX != 1<<40 {
		t.Fatalf("call %#x came", g.regs.OrigRAX)
	}
	a.Forget()
	g.regs.RIP, g.regs.RAX, g.regs.RBX, g.regs.OrigRAX = codeAt, 100, 0, ^uint64(0)
	if g.syscall(); g.regs.OrigRAX != 100 || g.regs.RBX != 1 {
		t.Fatalf("call %d came, after %d", g.regs.OrigRAX, g.regs.RBX)
	}
}

// Who is interrupted where the gate answers makes the call again, or has its answer.
func testGateAnswersInterrupted(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	a := g.c.(platform.Answerer)
	a.Answer(100, 101) // and so on
	a.Answer(101, 100)
	g.regs = filled(1)
	g.regs.GSBase, g.regs.RBX, g.regs.RAX, g.regs.RIP = 0, 0, 100, codeAt
	for i := range 4000 {
		done := make(chan bool)
		go func() {
			defer close(done)
			for range i % 1000 { // somewhere among the guest's calls
				runtime.Gosched()
			}
			g.c.Interrupt()
		}()
		ev := g.run()
		<-done
		calls := g.regs.RBX
		if at := arch.Addr(g.regs.RIP); at > codeAt && at <= gateCall {
			calls-- // it is about to
		}
		if ev.Kind != platform.Interrupted || g.regs.RAX != 100+calls%2 {
			t.Fatalf("event %+v, RAX %d after %d calls, at %#x", ev, g.regs.RAX, calls, g.regs.RIP)
		}
		g.regs.RBX, g.regs.RIP = calls, codeAt
	}
}
