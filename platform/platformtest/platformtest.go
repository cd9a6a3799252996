// Package platformtest is the acceptance suite that every platform passes, and
// the benchmarks they are compared by. Guests are a few instructions of machine
// code each.
package platformtest

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// New makes a platform for one test, or skips the test.
type New func(t testing.TB) platform.Platform

// A suiteTest is one test of the suite, run on a platform of its own.
type suiteTest struct {
	name string
	run  func(t *testing.T, p platform.Platform)
}

// Test runs the suite, each test with a platform of its own that must leave no
// process behind, but for the tests named.
func Test(t *testing.T, newPlatform New, without ...string) {
	each(t, without, func(t *testing.T, st suiteTest) {
		before := Children(t)
		p := newPlatform(t)
		st.bounded(t, p)
		p.Release()
		for pid := range Children(t) {
			if !before[pid] {
				t.Errorf("process %d is left", pid)
			}
		}
	})
}

// Shared runs the suite with one platform for all tests, which the caller
// releases.
func Shared(t *testing.T, newPlatform New) {
	p := newPlatform(t)
	each(t, nil, func(t *testing.T, st suiteTest) { st.bounded(t, p) })
}

func each(t *testing.T, without []string, run func(*testing.T, suiteTest)) {
	for _, part := range [][]suiteTest{registerTests, memoryTests, faultTests, threadTests, processTests, fpuTests, gateTests} {
		for _, st := range part {
			if !slices.Contains(without, st.name) {
				t.Run(st.name, func(t *testing.T) { run(t, st) })
			}
		}
	}
}

// bounded runs the test on a goroutine of its own, as contexts lock their
// goroutine's thread, and gives up when it hangs.
func (st *suiteTest) bounded(t *testing.T, p platform.Platform) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		st.run(t, p)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		buf := make([]byte, 1<<16)
		t.Fatalf("hangs:\n%s", buf[:runtime.Stack(buf, true)])
	}
}

// Where a guest's pages are.
const (
	codeAt  = 0x100000
	dataAt  = 0x200000
	stackAt = 0x300000
	spareAt = 0x10000000 // nothing is mapped from here on

	codeOff  = 0
	dataOff  = 0x10000
	stackOff = 0x20000
	spareOff = 0x30000
	memSize  = 0x1000000
	segment  = 0x10000 // bytes of code, data and stack each
)

// A memory is a memory file that the test sees, too.
type memory struct {
	fd   int
	view []byte
}

// FD implements platform.File.
func (m *memory) FD() int { return m.fd }

func newMemory(t testing.TB) *memory {
	t.Helper()
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	if err == nil {
		err = unix.Ftruncate(fd, memSize)
	}
	if err != nil {
		t.Fatal(err)
	}
	view, err := unix.Mmap(fd, 0, memSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{fd, view}
	t.Cleanup(func() {
		_ = unix.Munmap(view)
		unix.Close(fd)
	})
	return m
}

// A guest is one guest thread and its space.
type guest struct {
	t    testing.TB
	p    platform.Platform
	mem  *memory
	as   platform.AddressSpace
	c    platform.Context
	regs arch.Regs
}

// newGuest makes a space with code, data and stack, and a thread at the first
// byte of code.
func newGuest(t testing.TB, p platform.Platform, code ...byte) *guest {
	t.Helper()
	g := &guest{t: t, p: p, mem: newMemory(t), c: p.NewContext()}
	as, err := p.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	g.as = as
	copy(g.mem.view[codeOff:], code)
	g.layout(as)
	g.regs = startRegs()
	return g
}

// layout maps the usual segments.
func (g *guest) layout(as platform.AddressSpace) {
	as.Map(codeAt, g.mem, codeOff, segment, arch.Read|arch.Exec)
	as.Map(dataAt, g.mem, dataOff, segment, arch.Read|arch.Write)
	as.Map(stackAt, g.mem, stackOff, segment, arch.Read|arch.Write)
}

func startRegs() arch.Regs {
	return arch.Regs{RIP: codeAt, RSP: stackAt + segment - 64, RFLAGS: 0x202}
}

// data is what the guest sees at dataAt.
func (g *guest) data() []byte { return g.mem.view[dataOff:][:segment] }

// run switches to the guest once.
func (g *guest) run() platform.Event {
	g.t.Helper()
	ev, err := g.c.Switch(g.as, &g.regs)
	if err != nil {
		g.t.Fatalf("Switch at %#x: %v", g.regs.RIP, err)
	}
	return ev
}

// syscall runs the guest, which must make a system call.
func (g *guest) syscall() {
	g.t.Helper()
	if ev := g.run(); ev.Kind != platform.Syscall {
		g.t.Fatalf("event %+v at %#x, want a system call", ev, g.regs.RIP)
	}
}

// fault runs the guest, which must fault at addr.
func (g *guest) fault(addr arch.Addr, sig unix.Signal, code int32) {
	g.t.Helper()
	ev := g.run()
	if ev.Kind != platform.Fault || ev.Addr != addr || ev.Signal != int32(sig) || ev.Code != code {
		g.t.Fatalf("event %+v at %#x, want signal %d code %d at %#x", ev, g.regs.RIP, sig, code, addr)
	}
}

// release ends the guest.
func (g *guest) release() {
	g.c.Release()
	g.as.Release()
}

// spawn returns a guest that is a new thread of g's space.
func (g *guest) spawn() *guest {
	g.t.Helper()
	c, err := g.c.Spawn(g.as)
	if err != nil {
		g.t.Fatal(err)
	}
	return &guest{t: g.t, p: g.p, mem: g.mem, as: g.as, c: c, regs: startRegs()}
}

// fork returns a guest that is a copy of g's process, with g's registers.
func (g *guest) fork() *guest {
	g.t.Helper()
	as, err := g.as.Fork(g.c)
	if err != nil {
		g.t.Fatal(err)
	}
	c, err := g.c.Spawn(as)
	if err != nil {
		g.t.Fatal(err)
	}
	return &guest{t: g.t, p: g.p, mem: g.mem, as: as, c: c, regs: g.regs}
}

// elsewhere runs f on a goroutine of its own, whose thread ends with it, and
// returns a function that waits for its end.
func elsewhere(f func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return func() { <-done }
}

// Children returns the processes whose parent is this one.
func Children(t testing.TB) map[int]bool {
	t.Helper()
	out := map[int]bool{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pid, ok := childOf(e.Name(), os.Getpid()); ok {
			out[pid] = true
		}
	}
	return out
}
