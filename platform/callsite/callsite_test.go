package callsite

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"garrison/platform/arch"
)

// page is a page of int3 with code at off.
func page(off int, code ...byte) []byte {
	p := bytes.Repeat([]byte{0xf4}, arch.PageSize)
	copy(p[off:], code)
	return p
}

var (
	movSyscall = []byte{0x90, 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3}
	xorSyscall = []byte{0x90, 0x31, 0xc0, 0x0f, 0x05, 0xc3, 0x0f, 0x1f, 0x80, 0, 0, 0, 0}
	goSyscall  = []byte{0x48, 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc}
)

func TestFind(t *testing.T) {
	const at = 0x100
	for _, c := range []struct {
		name string
		code []byte
		end  int // of the SYSCALL instruction
		nr   uint64
		want bool
	}{
		{"mov", movSyscall, 8, 39, true},
		{"mov of another number", movSyscall, 8, 40, false},
		{"mov to r8d", append([]byte{0x41}, movSyscall[1:]...), 8, 39, false},
		{"xor", xorSyscall, 5, 0, true},
		{"xor of r8d", append([]byte{0x45}, xorSyscall[1:]...), 5, 0, false},
		{"xor without a gap", xorSyscall[:6], 5, 0, false},
		{"a gap that is too small", append(xorSyscall[:6:6], 0x66, 0x66, 0x66, 0x90), 5, 0, false},
		{"Go", goSyscall, 8, 1, true},
		{"syscall(3)", []byte{0xc1, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05}, 8, 1000, true},
		{"rt_sigreturn", []byte{0x90, 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05}, 10, 15, false},
		{"no SYSCALL", []byte{0x90, 0xb8, 39, 0, 0, 0, 0x0f, 0x34}, 8, 39, false},
	} {
		if _, ok := Find(page(at, c.code...), at+c.end, c.nr); ok != c.want {
			t.Errorf("%s: found %v, want %v", c.name, ok, c.want)
		}
	}
	for off := range 8 { // what would begin before the page
		if _, ok := Find(movSyscallTail(8-off), 8-off, 39); ok && off > 0 {
			t.Errorf("found at the start of a page, %d bytes missing", off)
		}
	}
}

func movSyscallTail(n int) []byte { return page(0, movSyscall[len(movSyscall)-1-n:]...) }

// The gap must be within a short jump's reach, either way, and in the page.
func TestGap(t *testing.T) {
	for at := range 400 {
		p := page(0x800, xorSyscall[:5]...)
		copy(p[0x700+at:], []byte{0xc3, 0x0f, 0x1f, 0x44, 0, 0})
		s, ok := Find(p, 0x805, 0)
		from := 0x803
		to := 0x700 + at + 1
		if 0x700+at > 0x800-6 && 0x700+at < 0x805 {
			continue // over the site itself
		}
		if want := to-from >= -128 && to-from <= 127; ok != want || ok && s.hop != to {
			t.Fatalf("gap at distance %d: %v %+v", to-from, ok, s)
		}
	}
	p := page(arch.PageSize-10, xorSyscall...)
	if _, ok := Find(p, arch.PageSize-5, 0); ok {
		t.Error("found a gap beyond the page")
	}
}

// Decoded, the patched site leads to the slot, which does what the site did,
// has in RCX where the site goes on, and leads to the gate.
func TestPatch(t *testing.T) {
	const gate, slotIndex = 0x7fffc0000800, 5
	for _, code := range [][]byte{movSyscall, xorSyscall, goSyscall} {
		for _, d := range []int64{-1<<31 + 3*arch.PageSize, -0x11000, 0x11000, 1<<31 - 3*arch.PageSize} {
			const off, at = 0x200, 0x7ffff7d00000
			tramp := arch.Addr(at + d)
			if !Reaches(at, tramp) {
				t.Fatalf("distance %#x is out of reach", d)
			}
			p := page(off, code...)
			old := bytes.Clone(p)
			end := off + bytes.Index(code, []byte{0x0f, 0x05}) + 2
			nr := uint64(0)
			if code[1] == 0xb8 {
				nr = 39
			}
			s, ok := Find(p, end, nr)
			if !ok {
				t.Fatalf("%x not found", code)
			}
			slot := SlotAt(slotIndex)
			edits, into := s.Patch(p, at, tramp, slot)
			if len(into) > slotSize {
				t.Fatalf("slot of %d bytes", len(into))
			}
			for i := range edits {
				edits[i].Do(p)
			}
			if !bytes.Equal(p[end-2:end], []byte{0x0f, 0x05}) {
				t.Fatal("the SYSCALL instruction has gone")
			}
			ip := uint64(at + s.before)
			for jumps := 0; ip-at < arch.PageSize; jumps++ {
				in := decode(t, p[ip-at:])
				if in.Op != x86asm.JMP || jumps > 2 {
					t.Fatalf("patched site has %v", in)
				}
				ip += uint64(in.Len) + uint64(int64(in.Args[0].(x86asm.Rel)))
			}
			if ip != uint64(tramp)+uint64(slot) {
				t.Fatalf("site leads to %#x, want %#x", ip, uint64(tramp)+uint64(slot))
			}
			if !bytes.HasPrefix(into, old[s.before:s.before+s.n]) {
				t.Fatalf("slot %x does not begin with %x", into, old[s.before:s.before+s.n])
			}
			lea := decode(t, into[s.n:])
			m, ok := lea.Args[1].(x86asm.Mem)
			next := ip + uint64(s.n+lea.Len)
			if !ok || lea.Op != x86asm.LEA || lea.Args[0] != x86asm.RCX || m.Base != x86asm.RIP || next+uint64(m.Disp) != uint64(at+end) {
				t.Fatalf("slot has %v, which is not %#x", lea, at+end)
			}
			jmp := decode(t, into[s.n+lea.Len:])
			m, ok = jmp.Args[0].(x86asm.Mem)
			if next += uint64(jmp.Len); !ok || jmp.Op != x86asm.JMP || m.Base != x86asm.RIP || next+uint64(m.Disp) != uint64(tramp) {
				t.Fatalf("slot has %v", jmp)
			}
			if got := binary.LittleEndian.Uint64(Begin(gate)); got != gate {
				t.Fatalf("page begins with %#x", got)
			}
			for i := range edits {
				edits[i].Undo(p)
			}
			if !bytes.Equal(p, old) {
				t.Fatal("undone, the page differs")
			}
		}
	}
}

// What has been overwritten since is left as it is.
func TestUndoLater(t *testing.T) {
	p := page(0, movSyscall...)
	s, _ := Find(p, 8, 39)
	edits, _ := s.Patch(p, 0x1000, 0x2000, SlotAt(0))
	edits[0].Do(p)
	p[2]++
	want := bytes.Clone(p)
	if edits[0].Undo(p); !bytes.Equal(p, want) {
		t.Fatal("undone in spite of the guest's write")
	}
}

func decode(t *testing.T, code []byte) x86asm.Inst {
	t.Helper()
	in, err := x86asm.Decode(code, 64)
	if err != nil {
		t.Fatalf("%x: %v", code[:8], err)
	}
	return in
}
