package platformtest

import (
	"bytes"
	"testing"

	"garrison/platform"
	"garrison/platform/arch"
)

var fpuTests = []suiteTest{
	{"FPUPreserved", testFPUPreserved},
	{"FPURoundTrip", testFPURoundTrip},
	{"FPUClone", testFPUClone},
	{"FPUReset", testFPUReset},
	{"FPUMalformed", testFPUMalformed},
}

// Where things are in the XSAVE area.
const (
	xsaveMXCSR  = 24
	xsaveXMM    = 160
	xsaveHeader = 512
)

// codeFPU loads all of a vector register and stores it after a system call,
// for ever; one for machines with AVX, one for those without.
var (
	codeAVX = []byte{
		0xc5, 0xfe, 0x6f, 0x07, // vmovdqu (%rdi),%ymm0
		0x0f, 0x05, // syscall
		0xc5, 0xfe, 0x7f, 0x06, // vmovdqu %ymm0,(%rsi)
		0x0f, 0x05, // syscall
		0xeb, 0xf2, // jmp to the start
	}
	codeSSE = []byte{
		0xf3, 0x0f, 0x6f, 0x07, // movdqu (%rdi),%xmm0
		0x0f, 0x05, // syscall
		0xf3, 0x0f, 0x7f, 0x06, // movdqu %xmm0,(%rsi)
		0x0f, 0x05, // syscall
		0xeb, 0xf2, // jmp to the start
	}
)

// storeAt is where in either the storing begins.
const storeAt = codeAt + 6

// newVector makes a guest whose register 0 will hold pattern.
func newVector(t testing.TB, p platform.Platform, pattern byte) (g *guest, width int) {
	code, width := codeSSE, 16
	if haveAVX() {
		code, width = codeAVX, 32
	}
	g = newGuest(t, p, code...)
	for i := range width {
		g.data()[i] = pattern + byte(i)
	}
	g.regs.RDI, g.regs.RSI = dataAt, dataAt+segment/2
	return g, width
}

// stored continues the guest so that it stores its register, and returns that.
func (g *guest) stored(width int) []byte {
	g.t.Helper()
	g.regs.RIP = storeAt
	g.regs.RSI = dataAt + segment/2
	g.syscall()
	return g.data()[segment/2:][:width]
}

func testFPUPreserved(t *testing.T, p platform.Platform) {
	a, width := newVector(t, p, 10)
	defer a.release()
	a.syscall()
	b, _ := newVector(t, p, 90)
	wait := elsewhere(func() {
		defer b.release()
		b.syscall()
		if got := b.stored(width); !bytes.Equal(got, b.data()[:width]) {
			t.Errorf("b: %v", got)
		}
	})
	wait()
	a.as.Map(spareAt, a.mem, spareOff, arch.PageSize, arch.Read)
	if got := a.stored(width); !bytes.Equal(got, a.data()[:width]) {
		t.Fatalf("a: %v", got)
	}
}

func testFPURoundTrip(t *testing.T, p platform.Platform) {
	g, width := newVector(t, p, 10)
	defer g.release()
	g.syscall()
	state := g.c.FPU()
	if len(state) != p.Facts().FPUSize {
		t.Fatalf("%d bytes, want %d", len(state), p.Facts().FPUSize)
	}
	if !bytes.Equal(state[xsaveXMM:][:16], g.data()[:16]) {
		t.Fatalf("XMM0 is %v", state[xsaveXMM:][:16])
	}
	saved := bytes.Clone(state)
	changed := bytes.Clone(state)
	changed[xsaveXMM] = 200
	if err := g.c.SetFPU(changed); err != nil {
		t.Fatal(err)
	}
	if got := g.c.FPU(); got[xsaveXMM] != 200 {
		t.Fatalf("before it runs: %d", got[xsaveXMM])
	}
	if got := g.stored(width); got[0] != 200 || got[1] != 11 {
		t.Fatalf("guest has %v", got)
	}
	if err := g.c.SetFPU(saved); err != nil {
		t.Fatal(err)
	}
	if got := g.stored(width); !bytes.Equal(got, g.data()[:width]) {
		t.Fatalf("guest has %v", got)
	}
	// State can be set before the first Switch, too.
	h, _ := newVector(t, p, 50)
	elsewhere(func() {
		defer h.release()
		if err := h.c.SetFPU(saved); err != nil {
			t.Error(err)
		}
		if got := h.stored(width); !bytes.Equal(got, g.data()[:width]) {
			t.Errorf("new guest has %v", got)
		}
	})()
}

func testFPUClone(t *testing.T, p platform.Platform) {
	g, width := newVector(t, p, 10)
	defer g.release()
	g.syscall()
	check := func(name string, h *guest, want byte) {
		h.regs = g.regs
		elsewhere(func() {
			if got := h.stored(width); got[0] != want {
				t.Errorf("%s: %v", name, got)
			}
			h.c.Release()
			if h.as != g.as {
				h.as.Release()
			}
		})()
	}
	clone := func(h *guest) *guest {
		if err := h.c.CloneFPU(g.c); err != nil {
			t.Error(err)
		}
		return h
	}
	check("thread", clone(g.spawn()), 10)
	check("fork", clone(g.fork()), 10)
	// A state that was set and has not run yet.
	state := bytes.Clone(g.c.FPU())
	state[xsaveXMM] = 77
	if err := g.c.SetFPU(state); err != nil {
		t.Fatal(err)
	}
	check("thread after SetFPU", clone(g.spawn()), 77)
	check("fork after SetFPU", clone(g.fork()), 77)
	// A parent that has run on, before its state is cloned.
	h, k := g.spawn(), g.fork()
	g.regs.RIP = codeAt
	g.syscall()
	check("thread, later", clone(h), 10)
	check("fork, later", clone(k), 10)
	// A space that is no copy.
	as, err := p.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	g.layout(as)
	c, err := g.c.Spawn(as)
	if err != nil {
		t.Fatal(err)
	}
	check("new space", clone(&guest{t: t, p: p, mem: g.mem, as: as, c: c}), 10)
}

func testFPUReset(t *testing.T, p platform.Platform) {
	g, width := newVector(t, p, 10)
	defer g.release()
	for _, exec := range []bool{false, true} {
		g.regs.RIP = codeAt
		g.syscall()
		g.c.ResetFPU()
		if exec {
			old := g.as
			as, err := p.NewAddressSpace()
			if err != nil {
				t.Fatal(err)
			}
			g.layout(as)
			g.as = as
			defer old.Release()
		}
		if got := g.stored(width); !bytes.Equal(got, make([]byte, width)) {
			t.Fatalf("exec %v: %v", exec, got)
		}
		if mxcsr := g.c.FPU()[xsaveMXCSR:][:4]; !bytes.Equal(mxcsr, []byte{0x80, 0x1f, 0, 0}) {
			t.Fatalf("exec %v: MXCSR %v", exec, mxcsr)
		}
	}
}

func testFPUMalformed(t *testing.T, p platform.Platform) {
	g, width := newVector(t, p, 10)
	defer g.release()
	g.syscall()
	good := bytes.Clone(g.c.FPU())
	for name, spoil := range map[string]func(b []byte) []byte{
		"short":             func(b []byte) []byte { return b[:xsaveHeader] },
		"empty":             func(b []byte) []byte { return nil },
		"long":              func(b []byte) []byte { return append(b, 0) },
		"reserved MXCSR":    func(b []byte) []byte { b[xsaveMXCSR+3] = 0xff; return b },
		"unknown component": func(b []byte) []byte { b[xsaveHeader+7] = 0x7f; return b },
		"reserved header":   func(b []byte) []byte { b[xsaveHeader+40] = 1; return b },
	} {
		if err := g.c.SetFPU(spoil(bytes.Clone(good))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := g.stored(width); !bytes.Equal(got, g.data()[:width]) {
		t.Fatalf("after malformed states: %v", got)
	}
}
