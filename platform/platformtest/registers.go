package platformtest

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

var registerTests = []suiteTest{
	{"SyscallRegisters", testSyscallRegisters},
	{"ReturnRegisters", testReturnRegisters},
	{"Flags", testFlags},
	{"SegmentBases", testSegmentBases},
	{"KernelSegmentBase", testKernelSegmentBase},
	{"SyscallLoop", testSyscallLoop},
	{"Int80", testInt80},
	{"Vsyscall", testVsyscall},
	{"VDSO", testVDSO},
}

// needsBases skips a test whose guest loads segment bases itself.
func needsBases(t *testing.T) {
	t.Helper()
	if !arch.HostLoadsBases() {
		t.Skip("no FSGSBASE")
	}
}

// filled returns registers that all differ, and code to run. RSP is canonical: in
// some virtual machines no system call can be made with another.
func filled(seed uint64) arch.Regs {
	v := func(n uint64) uint64 { return seed*0x0101010101010101 + n }
	return arch.Regs{
		RAX: v(1), RBX: v(2), RCX: v(3), RDX: v(4), RSI: v(5), RDI: v(6), RBP: v(7), RSP: uint64(int64(v(8)<<16) >> 16),
		R8: v(9), R9: v(10), R10: v(11), R11: v(12), R12: v(13), R13: v(14), R14: v(15), R15: v(16),
		RIP: codeAt, RFLAGS: 0x202, FSBase: 0x111000, GSBase: 0x222000,
	}
}

func testSyscallRegisters(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, 0x0f, 0x05) // syscall
	defer g.release()
	for seed := uint64(1); seed < 5; seed++ {
		g.regs = filled(seed)
		want := g.regs
		g.syscall()
		enosys := int64(unix.ENOSYS)
		want.OrigRAX, want.RAX = want.RAX, uint64(-enosys)
		want.RIP += 2
		want.RCX, want.R11 = want.RIP, want.RFLAGS
		if g.regs != want {
			t.Fatalf("registers\n%+v, want\n%+v", g.regs, want)
		}
		if nr, args := g.regs.Syscall(); nr != uint32(want.OrigRAX) || args[3] != want.R10 {
			t.Fatalf("Syscall: %#x %#x", nr, args)
		}
	}
}

func testReturnRegisters(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x0f, 0x05, // syscall
		0x49, 0x89, 0xc8, // mov %rcx,%r8
		0x4d, 0x89, 0xd9, // mov %r11,%r9
		0x0f, 0x05) // syscall
	defer g.release()
	g.syscall()
	rip := g.regs.RIP
	g.regs = filled(7)
	g.regs.RIP = rip
	want := g.regs
	g.syscall()
	if g.regs.R8 != want.RCX || g.regs.R9 != want.R11 || g.regs.OrigRAX != want.RAX || g.regs.RSP != want.RSP {
		t.Fatalf("registers\n%+v, set\n%+v", g.regs, want)
	}
}

func testFlags(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, 0x0f, 0x05) // syscall
	defer g.release()
	// Carry, parity, adjust, zero, sign, direction, overflow; alignment check.
	for _, f := range []uint64{0x202, 0x203, 0x206, 0x212, 0x242, 0x282, 0x602, 0xa02, 0xed7, 0x40202} {
		g.regs = startRegs()
		g.regs.RFLAGS = f
		g.syscall()
		if g.regs.RFLAGS != f || g.regs.R11 != f {
			t.Errorf("flags %#x became %#x, R11 %#x", f, g.regs.RFLAGS, g.regs.R11)
		}
	}
}

func testSegmentBases(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x64, 0x48, 0x8b, 0x04, 0x25, 8, 0, 0, 0, // mov %fs:8,%rax
		0x65, 0x48, 0x8b, 0x1c, 0x25, 8, 0, 0, 0, // mov %gs:8,%rbx
		0x0f, 0x05) // syscall
	defer g.release()
	g.data()[8], g.data()[0x108] = 11, 22
	g.regs.FSBase, g.regs.GSBase = dataAt, dataAt+0x100
	g.syscall()
	if g.regs.OrigRAX != 11 || g.regs.RBX != 22 || g.regs.FSBase != dataAt || g.regs.GSBase != dataAt+0x100 {
		t.Fatalf("%+v", g.regs)
	}
}

// A guest can give itself a segment base that no register interface of the
// host accepts. That must hurt nobody.
func testKernelSegmentBase(t *testing.T, p platform.Platform) {
	needsBases(t)
	g := newGuest(t, p,
		0xf3, 0x48, 0x0f, 0xae, 0xd0, // wrfsbase %rax
		0x0f, 0x05, // syscall
		0x0f, 0x05) // syscall
	defer g.release()
	g.regs.RAX = 0xffff800000001000
	g.syscall()
	base := g.regs.FSBase
	g.regs.RAX, g.regs.RBX = 77, 88
	g.syscall()
	if g.regs.OrigRAX != 77 || g.regs.RBX != 88 || g.regs.FSBase != base {
		t.Fatalf("%+v, base was %#x", g.regs, base)
	}
}

func testSyscallLoop(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x48, 0xff, 0xc3, // inc %rbx
		0x0f, 0x05, // syscall
		0xeb, 0xf9) // jmp to the start
	defer g.release()
	for i := uint64(1); i < 2000; i++ {
		g.syscall()
		if g.regs.RBX != i {
			t.Fatalf("%d calls counted as %d", i, g.regs.RBX)
		}
		// The host answers uprobe(2) before any filter: platforms that rest on one
		// don't see it.
		const uprobe = 336
		if i == uprobe {
			continue
		}
		g.regs.SetReturn(i)
	}
}

func testInt80(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, 0x90, 0xcd, 0x80) // nop; int $0x80
	defer g.release()
	g.regs.RAX = 20
	ev := g.run()
	if ev.Kind != platform.Signal || ev.Signal != int32(unix.SIGSEGV) || g.regs.RIP != codeAt+1 || g.regs.RAX != 20 {
		t.Fatalf("%+v, %+v", ev, g.regs)
	}
}

func testVsyscall(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0xff, 0xd0, // call *%rax
		0x48, 0x89, 0xc3, // mov %rax,%rbx
		0x0f, 0x05) // syscall
	defer g.release()
	for offset, nr := range map[uint64]uint64{0: unix.SYS_GETTIMEOFDAY, 0x400: unix.SYS_TIME, 0x800: unix.SYS_GETCPU} {
		g.regs = startRegs()
		sp := g.regs.RSP
		g.regs.RAX, g.regs.RDI = 0xffffffffff600000+offset, dataAt
		if ev := g.run(); uint64(ev.Addr) != 0xffffffffff600000+offset {
			t.Errorf("call %d came from %#x", nr, ev.Addr)
		}
		enosys := int64(unix.ENOSYS)
		if g.regs.OrigRAX != nr || g.regs.RAX != uint64(-enosys) || g.regs.RIP != codeAt+2 || g.regs.RSP != sp || g.regs.RDI != dataAt {
			t.Fatalf("call %d: %+v", nr, g.regs)
		}
		g.regs.SetReturn(1234)
		if ev := g.run(); ev.Addr != 0 {
			t.Errorf("a call by the instruction came from %#x", ev.Addr)
		}
		if g.regs.RBX != 1234 || g.data()[0] != 0 {
			t.Fatalf("after call %d: %+v", nr, g.regs)
		}
	}
}

func testVDSO(t *testing.T, p platform.Platform) {
	f := p.Facts()
	if f.VDSO.Len() == 0 {
		t.Skip("the platform has none")
	}
	for _, r := range f.User {
		if r.Overlaps(f.VDSO) {
			t.Errorf("the vDSO at %#x is in the guest's range %#x", f.VDSO, r)
		}
	}
	g := newGuest(t, p,
		0xff, 0xd0, // call *%rax
		0x0f, 0x05) // syscall
	defer g.release()
	at := uint64(f.VDSOText) + vdsoSymbol(t, "__vdso_clock_gettime")
	for _, in := range []*guest{g, nil} {
		if in == nil {
			in = g.fork() // it must be there in copies, too
			defer in.release()
		}
		var before, after unix.Timespec
		in.regs = startRegs()
		in.regs.RAX, in.regs.RDI, in.regs.RSI = at, unix.CLOCK_MONOTONIC, dataAt
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
		in.syscall()
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
		got := word(in.data(), 0)*1e9 + word(in.data(), 8)
		if in.regs.RIP != codeAt+4 || in.regs.OrigRAX != 0 || got < uint64(before.Nano()) || got > uint64(after.Nano()) {
			t.Fatalf("clock_gettime: %d not between %d and %d, %+v", got, before.Nano(), after.Nano(), in.regs)
		}
	}
}
