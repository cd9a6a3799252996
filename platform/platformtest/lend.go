package platformtest

import (
	"bytes"
	"testing"

	"garrison/platform"
	"garrison/platform/arch"
)

// lend returns a guest that runs in g's place, and false if the platform lends nothing.
func (g *guest) lend() (*guest, bool) {
	g.t.Helper()
	l, ok := g.c.(platform.Lender)
	if !ok {
		return nil, false
	}
	c, err := l.Lend()
	if err == nil {
		err = c.CloneFPU(g.c)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return &guest{t: g.t, p: g.p, mem: g.mem, as: g.as, c: c, regs: g.regs}, true
}

// program gives g a space of its own, with the usual segments.
func (g *guest) program() {
	g.t.Helper()
	as, err := g.p.NewAddressSpace()
	if err != nil {
		g.t.Fatal(err)
	}
	g.as = as
	g.layout(as)
}

// What runs in another's place has that one's memory, and its own registers; the
// other goes on as if nothing had been.
func testLend(t *testing.T, p platform.Platform) {
	g, width := newVector(t, p, 10)
	defer g.release()
	g.syscall()
	was := bytes.Clone(g.c.FPU())
	for i, end := range []func(h *guest){
		func(h *guest) { h.c.Release() },
		func(h *guest) {
			h.c.(platform.Lender).GiveBack()
			h.program()
			h.regs.RIP = codeAt
			h.syscall()
			h.release()
		},
		func(h *guest) { // it has threads, and lends what it has borrowed
			k, _ := h.lend()
			elsewhere(func() {
				k.regs.RIP = codeAt
				k.syscall()
				k.c.Release()
			})()
			h.regs.RIP = codeAt
			h.syscall()
			h.c.Release()
		},
	} {
		rbx := uint64(100 + i)
		regs := g.regs
		h, ok := g.lend()
		if !ok {
			return
		}
		elsewhere(func() {
			h.regs = regs
			if got := h.stored(width); got[0] != 10 {
				t.Errorf("%d: the state is %v", i, got)
			}
			state := bytes.Clone(h.c.FPU())
			state[xsaveXMM] = 99
			if err := h.c.SetFPU(state); err != nil {
				t.Error(err)
			}
			h.regs = regs
			h.regs.RBX = rbx
			if got := h.stored(width); got[0] != 99 || h.regs.RBX != rbx {
				t.Errorf("%d: the state is %v, RBX %d", i, got, h.regs.RBX)
			}
			end(h)
		})()
		if !bytes.Equal(g.c.FPU(), was) {
			t.Errorf("%d: the lender's state is another", i)
		}
		g.regs = regs
		if got := g.stored(width); got[0] != 10 || g.regs.RBX != regs.RBX {
			t.Errorf("%d: the lender's state is %v, RBX %d", i, got, g.regs.RBX)
		}
		g.regs = regs
	}
}

// Who has lent his thread may go before he has it back, or with it back.
func testLenderLeaves(t *testing.T, p platform.Platform) {
	for _, before := range []bool{true, false} {
		g := newGuest(t, p, codeRead...)
		g.read(dataAt)
		h, ok := g.lend()
		if !ok {
			g.release()
			return
		}
		elsewhere(func() {
			h.read(dataAt)
			if before {
				g.c.Release()
				h.as.Map(spareAt, h.mem, spareOff, arch.PageSize, arch.Read)
				h.read(spareAt)
				h.c.(platform.Lender).GiveBack() // to nobody
				h.read(spareAt)
				h.program()
				h.read(dataAt)
				h.absent(spareAt)
				h.release()
				g.as.Release()
				return
			}
			h.c.Release()
			g.release()
		})()
	}
}
