package platformtest

import (
	"testing"

	"garrison/platform"
)

// A guest that has taken GS for itself, unseen, makes its calls all the same.
func testGateWithoutGS(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	needsBases(t)
	code := append([]byte{0xf3, 0x48, 0x0f, 0xae, 0xd8}, codeGate(p.Facts().Gate)...) // wrgsbase %rax
	copy(g.mem.view[codeOff:], code)
	for _, base := range []uint64{0x10, 0x222000} {
		g.regs.RIP, g.regs.RAX, g.regs.RBX = codeAt, base, 77
		g.syscall()
		if g.regs.OrigRAX != base || g.regs.RBX != 78 || g.regs.RIP != gateReturn+5 || g.regs.GSBase != base {
			t.Fatalf("%+v", g.regs)
		}
		g.regs.GSBase = 0
	}
}

// What the guest has loaded into FS itself stays, whatever the reply needs.
func testGateFS(t *testing.T, p platform.Platform) {
	g := newGateGuest(t, p)
	if g == nil {
		return
	}
	defer g.release()
	needsBases(t)
	code := append([]byte{0xf3, 0x48, 0x0f, 0xae, 0xd0}, codeGate(p.Facts().Gate)...) // wrfsbase %rax
	code = append(code[:len(code)-2], 0xf3, 0x48, 0x0f, 0xae, 0xc3, 0xeb, 0xdb)       // rdfsbase %rbx, jmp to the start
	copy(g.mem.view[codeOff:], code)
	g.regs.RAX = dataAt
	for i := range uint64(10) {
		g.syscall()
		if i > 0 && g.regs.RBX != dataAt+i*8-7 {
			t.Fatalf("FS is %#x, want %#x", g.regs.RBX-1, dataAt+i*8-8)
		}
		g.regs.SetReturn(dataAt + i*8 + 8)
		if i%2 == 0 {
			g.regs.R12 = i + 1 // no plain reply
		}
	}
}
