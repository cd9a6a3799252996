package platformtest

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

var faultTests = []suiteTest{
	{"FaultAndCure", testFaultAndCure},
	{"FaultExec", testFaultExec},
	{"FaultBeyondFile", testFaultBeyondFile},
	{"Signals", testSignals},
	{"Step", testStep},
}

// siginfo codes of Linux.
const (
	siKernel   = 0x80
	segvMapErr = 1
	segvAccErr = 2
	busAdrErr  = 2
	fpeIntDiv  = 1
	illIllOpn  = 2
)

func testFaultAndCure(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeWrite...)
	defer g.release()
	g.regs.RDI, g.regs.RAX = spareAt+5, 3
	before := g.regs
	g.fault(spareAt+5, unix.SIGSEGV, segvMapErr)
	before.OrigRAX = g.regs.OrigRAX
	before.RFLAGS, g.regs.RFLAGS = 0, g.regs.RFLAGS&^0x10202 // RF is the host's affair
	if g.regs != before {
		t.Fatalf("registers\n%+v, want\n%+v", g.regs, before)
	}
	g.regs.RFLAGS = 0x202
	g.as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
	g.fault(spareAt+5, unix.SIGSEGV, segvAccErr)
	g.as.Protect(pages(spareAt, 1), arch.Read|arch.Write)
	g.syscall()
	if g.mem.view[spareOff+5] != 3 {
		t.Fatal("the write was lost")
	}
}

func testFaultExec(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, 0xff, 0xe0) // jmp *%rax
	defer g.release()
	for _, at := range []arch.Addr{spareAt, dataAt} {
		g.regs = startRegs()
		g.regs.RAX = uint64(at)
		code := int32(segvMapErr)
		if at == dataAt {
			code = segvAccErr
		}
		g.fault(at, unix.SIGSEGV, code)
		if g.regs.RIP != uint64(at) {
			t.Fatalf("RIP %#x", g.regs.RIP)
		}
	}
	g.data()[0], g.data()[1] = 0x0f, 0x05 // syscall
	g.as.Protect(pages(dataAt, 1), arch.Read|arch.Exec)
	g.syscall()
}

func testFaultBeyondFile(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.as.Map(spareAt, g.mem, memSize-arch.PageSize, 2*arch.PageSize, arch.Read)
	g.read(spareAt)
	g.regs = startRegs()
	g.regs.RDI = spareAt + arch.PageSize
	g.fault(spareAt+arch.PageSize, unix.SIGBUS, busAdrErr)
	if err := unix.Ftruncate(g.mem.fd, memSize+arch.PageSize); err != nil {
		t.Fatal(err)
	}
	g.syscall()
}

func testSignals(t *testing.T, p platform.Platform) {
	for _, c := range []struct {
		name   string
		code   []byte
		signal unix.Signal
		si     int32
		rip    uint64
	}{
		{"divide", []byte{0x31, 0xc9, 0xf7, 0xf1}, unix.SIGFPE, fpeIntDiv, 2},                                                       // xor %ecx,%ecx; div %ecx
		{"undefined", []byte{0x0f, 0x0b}, unix.SIGILL, illIllOpn, 0},                                                                // ud2
		{"breakpoint", []byte{0xcc}, unix.SIGTRAP, siKernel, 1},                                                                     // int3
		{"privileged", []byte{0xf4}, unix.SIGSEGV, siKernel, 0},                                                                     // hlt
		{"non-canonical", []byte{0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8a, 0x00}, unix.SIGSEGV, siKernel, 10},                    // mov $1<<63,%rax; mov (%rax),%al
		{"own trap flag", []byte{0x9c, 0x48, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90}, unix.SIGTRAP, 2 /* TRAP_TRACE */, 11}, // pushf; orq $0x100,(%rsp); popf; nop
		{"simd", []byte{0x0f, 0xae, 0x16, 0x0f, 0x57, 0xc0, 0x0f, 0x5e, 0xc0}, unix.SIGFPE, 7 /* FPE_FLTINV */, 6},                  // ldmxcsr (%rsi); xorps; divps
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, p, c.code...)
			done := elsewhere(func() {
				defer g.release()
				g.regs.RSI = dataAt // where MXCSR 0 is: no exception is masked
				ev := g.run()
				if ev.Kind != platform.Signal || ev.Signal != int32(c.signal) || ev.Code != c.si || g.regs.RIP != codeAt+c.rip {
					t.Errorf("%+v at %#x", ev, g.regs.RIP)
				}
			})
			done()
		})
	}
}

func testStep(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x90, 0x90, // nop; nop
		0x48, 0xff, 0xc3, // inc %rbx
		0x0f, 0x05, // syscall
		0x48, 0xff, 0xc3, // inc %rbx
		0x0f, 0x05) // syscall
	defer g.release()
	g.c.Step(true)
	for _, rip := range []uint64{1, 2, 5} {
		if ev := g.run(); ev.Kind != platform.Stepped || g.regs.RIP != codeAt+rip || g.regs.RFLAGS&0x100 != 0 {
			t.Fatalf("%+v at %#x, flags %#x", ev, g.regs.RIP, g.regs.RFLAGS)
		}
	}
	g.syscall()
	if ev := g.run(); ev.Kind != platform.Stepped || g.regs.RIP != codeAt+10 {
		t.Fatalf("after a call: %+v at %#x", ev, g.regs.RIP)
	}
	g.c.Step(false)
	g.syscall()
	if g.regs.RBX != 2 {
		t.Fatalf("RBX %d", g.regs.RBX)
	}
}
