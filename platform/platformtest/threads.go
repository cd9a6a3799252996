package platformtest

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"garrison/platform"
	"garrison/platform/arch"
)

var threadTests = []suiteTest{
	{"TwoThreads", testTwoThreads},
	{"ThreadSeesMaps", testThreadSeesMaps},
	{"FirstThreadLeaves", testFirstThreadLeaves},
	{"SpawnWithoutRunning", testSpawnWithoutRunning},
	{"Lend", testLend},
	{"LenderLeaves", testLenderLeaves},
	{"ManyThreads", testManyThreads},
	{"InterruptBeforeSwitch", testInterruptBeforeSwitch},
	{"InterruptRunning", testInterruptRunning},
	{"InterruptStorm", testInterruptStorm},
	{"CPUTime", testCPUTime},
}

// codeSpin sets the byte at RSI to 1 and spins until the one at RDI is not 0.
var codeSpin = []byte{
	0xc6, 0x06, 0x01, // movb $1,(%rsi)
	0xf3, 0x90, // pause
	0x80, 0x3f, 0x00, // cmpb $0,(%rdi)
	0x74, 0xf9, // je to the pause
	0x0f, 0x05, // syscall
}

// codeForever spins.
var codeForever = []byte{
	0xc6, 0x06, 0x01, // movb $1,(%rsi)
	0xeb, 0xfb, // jmp to the start
}

// awaitByte waits until a guest has written v to b[off].
func awaitByte(t testing.TB, b []byte, off int, v byte) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); load8(b, off) != v; runtime.Gosched() {
		if time.Now().After(end) {
			t.Errorf("the guest does not come to byte %d", off)
			return
		}
	}
}

func testTwoThreads(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeSpin...)
	defer g.release()
	g.data()[1] = 1
	g.regs.RSI, g.regs.RDI = dataAt, dataAt+1
	g.syscall()
	g.data()[1] = 0
	// Each waits for what the other writes: they must run at the same time.
	h := g.spawn()
	wait := elsewhere(func() {
		defer h.c.Release()
		h.regs.RSI, h.regs.RDI = dataAt+1, dataAt+2
		h.syscall()
	})
	g.regs.RIP, g.regs.RSI, g.regs.RDI = codeAt, dataAt+2, dataAt+1
	g.syscall()
	wait()
}

// What one thread's kernel side has queued, a thread that enters later sees.
func testThreadSeesMaps(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.read(dataAt)
	h := g.spawn()
	g.mem.view[spareOff] = 7
	g.as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
	wait := elsewhere(func() {
		defer h.c.Release()
		if v := h.read(spareAt); v != 7 {
			t.Errorf("shows %d", v)
		}
		g.as.Unmap(pages(spareAt, 1))
	})
	wait()
	g.absent(spareAt)
}

func testFirstThreadLeaves(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	g.read(dataAt)
	h := g.spawn()
	first, second := make(chan bool), make(chan bool)
	wait := elsewhere(func() {
		defer h.release()
		h.read(dataAt)
		first <- true
		<-second
		h.read(dataAt)
		k := h.spawn()
		child := h.fork()
		elsewhere(func() {
			defer k.c.Release()
			k.read(dataAt)
		})()
		elsewhere(func() {
			defer child.release()
			child.read(dataAt)
		})()
	})
	<-first
	elsewhere(func() {})()
	g.c.Release()
	runtime.Gosched()
	second <- true
	wait()
}

func testSpawnWithoutRunning(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	g.read(dataAt)
	g.spawn().c.Release()
	g.spawn() // the space's Release is enough
	g.read(dataAt)
	child := g.fork()
	child.c.Release()
	child.as.Release()
	if as, err := g.as.Fork(g.c); err != nil {
		t.Error(err)
	} else {
		as.Release()
	}
	g.read(dataAt)
	g.release()
}

func testManyThreads(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeWrite...)
	defer g.release()
	g.regs.RDI, g.regs.RAX = dataAt, 1
	g.syscall()
	const n = 40
	var all sync.WaitGroup
	for i := range n {
		h := g.spawn()
		all.Add(1)
		elsewhere(func() {
			defer all.Done()
			defer h.c.Release()
			for range 20 {
				h.regs = startRegs()
				h.regs.RDI, h.regs.RAX = uint64(dataAt+i), uint64(i)
				h.syscall()
			}
		})
	}
	all.Wait()
	for i := range n {
		if g.data()[i] != byte(i) {
			t.Fatalf("thread %d wrote %d", i, g.data()[i])
		}
	}
}

func testInterruptBeforeSwitch(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	for range 3 {
		g.c.Interrupt()
		g.c.Interrupt()
		g.regs = filled(3)
		before := g.regs
		if ev := g.run(); ev.Kind != platform.Interrupted {
			t.Fatalf("%+v", ev)
		}
		before.OrigRAX = g.regs.OrigRAX
		if g.regs != before {
			t.Fatalf("registers\n%+v, want\n%+v", g.regs, before)
		}
		g.read(dataAt)
	}
}

func testInterruptRunning(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeForever...)
	g.regs.RSI = dataAt
	turns := make(chan bool)
	wait := elsewhere(func() {
		defer g.release()
		for range 20 {
			<-turns
			if ev := g.run(); ev.Kind != platform.Interrupted {
				t.Errorf("%+v", ev)
			}
			g.regs.RIP = codeAt
		}
	})
	for range 20 {
		store8(g.data(), 0, 0)
		turns <- true
		awaitByte(t, g.data(), 0, 1)
		g.c.Interrupt()
	}
	wait()
}

// However interrupts and system calls meet, the guest must not notice.
func testInterruptStorm(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x48, 0xff, 0xc3, // inc %rbx
		0x0f, 0x05, // syscall
		0x48, 0xff, 0xc5, // inc %rbp
		0xeb, 0xf6) // jmp to the start
	stop := make(chan bool)
	interrupted, calls := 0, uint64(0)
	wait := elsewhere(func() {
		defer g.release()
		for {
			select {
			case <-stop:
				return
			default:
			}
			switch ev := g.run(); ev.Kind {
			case platform.Interrupted:
				interrupted++
			case platform.Syscall:
				calls++
				if g.regs.RBX != calls || g.regs.RBP != calls-1 {
					t.Errorf("call %d: RBX %d, RBP %d", calls, g.regs.RBX, g.regs.RBP)
				}
				g.regs.SetReturn(^uint64(3)) // -EINTR
			default:
				t.Errorf("%+v", ev)
			}
		}
	})
	sent := 0
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); sent++ {
		g.c.Interrupt()
		if sent%3 == 0 {
			time.Sleep(20 * time.Microsecond)
		}
	}
	close(stop)
	wait()
	if interrupted == 0 || interrupted > sent {
		t.Errorf("%d interrupts reported of %d", interrupted, sent)
	}
}
