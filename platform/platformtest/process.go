package platformtest

import (
	"errors"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

var processTests = []suiteTest{
	{"Fork", testFork},
	{"ForkTree", testForkTree},
	{"Session", testSession},
	{"ForkWhileRunning", testForkWhileRunning},
	{"Exec", testExec},
	{"ExecInThread", testExecInThread},
	{"Names", testNames},
	{"ReleaseInAnyOrder", testReleaseInAnyOrder},
	{"KilledFromOutside", testKilledFromOutside},
	{"KilledWithThreads", testKilledWithThreads},
	{"KilledWhileOthersWait", testKilledWhileOthersWait},
	{"Chaos", testChaos},
	{"ReleaseAll", testReleaseAll},
}

func testFork(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeWrite...)
	defer g.release()
	g.regs.RDI, g.regs.RAX = dataAt, 1
	g.syscall()
	// What is queued belongs to both.
	g.as.Map(spareAt, g.mem, spareOff, 2*arch.PageSize, arch.Read|arch.Write)
	g.as.Protect(pages(dataAt, 1), arch.Read)
	child := g.fork()
	wait := elsewhere(func() {
		defer child.release()
		write := func(at arch.Addr, v uint64) {
			child.regs = startRegs()
			child.regs.RDI, child.regs.RAX = uint64(at), v
		}
		write(dataAt, 5)
		child.fault(dataAt, unix.SIGSEGV, segvAccErr)
		write(spareAt, 5)
		child.syscall()
		child.as.Map(dataAt, child.mem, spareOff+arch.PageSize, arch.PageSize, arch.Read|arch.Write)
		write(dataAt, 6)
		child.syscall()
		child.as.Unmap(pages(spareAt, 1))
		write(spareAt, 7)
		child.fault(spareAt, unix.SIGSEGV, segvMapErr)
	})
	wait()
	if g.data()[0] != 1 || g.mem.view[spareOff] != 5 || g.mem.view[spareOff+arch.PageSize] != 6 {
		t.Errorf("%d %d %d", g.data()[0], g.mem.view[spareOff], g.mem.view[spareOff+arch.PageSize])
	}
	g.regs = startRegs()
	g.regs.RDI, g.regs.RAX = dataAt, 2
	g.fault(dataAt, unix.SIGSEGV, segvAccErr)
	g.regs.RDI, g.regs.RAX = spareAt, 8
	g.syscall()
	if g.mem.view[spareOff] != 8 {
		t.Error("the parent lost its page")
	}
}

// A fork of a fork of a fork, each ending before and after its parent.
func testForkTree(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	g.read(dataAt)
	var descend func(g *guest, depth int)
	descend = func(g *guest, depth int) {
		g.read(dataAt)
		if depth == 0 {
			g.release()
			return
		}
		older, younger := g.fork(), g.fork()
		wait := elsewhere(func() { descend(older, depth-1) })
		g.release()
		elsewhere(func() { descend(younger, depth-1) })()
		wait()
	}
	descend(g, 4)
}

func testForkWhileRunning(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeSpin...)
	g.data()[1] = 1
	g.regs.RSI, g.regs.RDI = dataAt, dataAt+1
	g.syscall()
	h := g.spawn()
	wait := elsewhere(func() {
		defer h.c.Release()
		h.regs.RSI, h.regs.RDI = dataAt+2, dataAt+3
		h.syscall()
	})
	awaitByte(t, g.data(), 2, 1)
	child := g.fork()
	elsewhere(func() {
		defer child.release()
		child.regs.RIP = codeAt
		child.syscall()
	})()
	store8(g.data(), 3, 1)
	wait()
	g.release()
}

func testExec(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.data()[0] = 1
	g.read(dataAt)
	for i := range 5 {
		old := g.as
		as, err := p.NewAddressSpace()
		if err != nil {
			t.Fatal(err)
		}
		as.Map(codeAt, g.mem, codeOff, segment, arch.Read|arch.Exec)
		g.mem.view[spareOff] = byte(i)
		as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
		g.as = as
		if i%2 == 0 {
			g.absent(dataAt)
		}
		if v := g.read(spareAt); v != byte(i) {
			t.Fatalf("shows %d", v)
		}
		old.Release()
	}
}

// A child that shares its parent's memory leaves it by exec (vfork).
func testExecInThread(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.read(dataAt)
	child := g.spawn()
	elsewhere(func() {
		child.read(dataAt)
		as, err := p.NewAddressSpace()
		if err != nil {
			t.Error(err)
			return
		}
		child.as = as
		child.layout(as)
		child.read(dataAt)
		child.release()
	})()
	g.read(dataAt)
}

func testReleaseInAnyOrder(t *testing.T, p platform.Platform) {
	for _, spaceFirst := range []bool{true, false} {
		g := newGuest(t, p, codeRead...)
		g.read(dataAt)
		h := g.spawn()
		next := make(chan bool)
		wait := elsewhere(func() {
			h.read(dataAt)
			next <- true
			<-next
			h.c.Release()
		})
		<-next
		if spaceFirst {
			g.as.Release()
			next <- true
			wait()
			g.c.Release()
		} else {
			g.c.Release()
			next <- true
			wait()
			g.as.Release()
		}
		if _, err := h.c.Switch(g.as, &g.regs); err == nil {
			t.Error("no error of a space that is gone")
		}
		h.c.Release()
	}
}

// killGuests kills the processes that hold guests, and says how many.
func killGuests(t *testing.T) (killed int) {
	for _, pid := range guestProcesses(t) {
		if unix.Kill(pid, unix.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

func testKilledFromOutside(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeForever...)
	g.regs.RSI = dataAt
	wait := elsewhere(func() {
		defer g.release()
		if ev, err := g.c.Switch(g.as, &g.regs); err == nil {
			t.Errorf("no error: %+v", ev)
		}
		if _, err := g.c.Switch(g.as, &g.regs); err == nil {
			t.Error("then no error")
		}
	})
	awaitByte(t, g.data(), 0, 1)
	if killGuests(t) != 1 {
		t.Error("no host process to kill")
		g.c.Interrupt()
	}
	wait()
	// The platform lives.
	h := newGuest(t, p, codeRead...)
	h.read(dataAt)
	h.release()
}

func testKilledWithThreads(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeForever...)
	g.c.Interrupt()
	g.run()
	// One waits in the kernel while the other is in the guest.
	g.as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
	g.c.Interrupt()
	g.run()
	var threads []*guest
	for range 3 {
		threads = append(threads, spawnAfterRun(t, g))
	}
	var all sync.WaitGroup
	for i, h := range threads {
		all.Add(1)
		elsewhere(func() {
			defer all.Done()
			defer h.c.Release()
			h.regs.RSI = dataAt + 1 + uint64(i)
			_, err := h.c.Switch(h.as, &h.regs)
			if err == nil {
				t.Error("no error")
			}
		})
	}
	for i := range threads {
		awaitByte(t, g.data(), 1+i, 1)
	}
	killGuests(t)
	all.Wait()
	if _, err := g.c.Switch(g.as, &g.regs); err == nil {
		t.Error("no error")
	}
	if as, err := g.as.Fork(g.c); err == nil {
		t.Error("fork of the dead")
		as.Release()
	}
	if err := g.as.Barrier(nil); err != nil {
		t.Error(err) // the dead reach nothing
	}
	g.release()
}

// The thread that is in the guest learns that its process was killed even if
// others are not in the guest, and don't come back to it.
func testKilledWhileOthersWait(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeForever...)
	copy(g.mem.view[codeOff+0x100:], codeRead)
	g.regs.RIP, g.regs.RDI = codeAt+0x100, dataAt
	g.syscall()
	h := g.spawn()
	wait := elsewhere(func() {
		h.regs.RIP, h.regs.RDI = codeAt+0x100, dataAt
		h.syscall()
		awaitByte(t, h.data(), 0, 1)
		killGuests(t)
	})
	g.regs.RIP, g.regs.RSI = codeAt, dataAt
	if ev, err := g.c.Switch(g.as, &g.regs); err == nil {
		t.Errorf("no error: %+v", ev)
	}
	wait()
	g.release()
	h.c.Release()
}

// spawnAfterRun spawns from a guest that may not have run code yet.
func spawnAfterRun(t *testing.T, g *guest) *guest {
	t.Helper()
	c, err := g.c.Spawn(g.as)
	if err != nil {
		t.Fatal(errors.Unwrap(err), err)
	}
	return &guest{t: g.t, p: g.p, mem: g.mem, as: g.as, c: c, regs: startRegs()}
}

// Platform.Release ends what its users have not.
func testReleaseAll(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	g.read(dataAt)
	g.fork()
	g.spawn()
	newGuest(t, p, codeRead...).read(dataAt)
}
