package systrap

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// verdict runs the stubs' filter as the host does.
func verdict(t *testing.T, c stub.Call, auditArch uint32, ip uint64) uint32 {
	t.Helper()
	var data [64]byte // struct seccomp_data
	le := binary.LittleEndian
	le.PutUint32(data[dataNumber:], uint32(c.Nr))
	le.PutUint32(data[dataArch:], auditArch)
	le.PutUint64(data[dataIPLow:], ip)
	for i, a := range c.Args {
		le.PutUint64(data[argument(uint32(i)):], a)
	}
	f := stubFilter()
	a := uint32(0)
	for pc := 0; pc < len(f); pc++ {
		i := f[pc]
		next := func(yes bool) {
			if yes {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		}
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = le.Uint32(data[i.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			next(a == i.K)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			next(a > i.K)
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d has code %#x", pc, i.Code)
		}
	}
	t.Fatal("the filter has no end")
	return 0
}

func TestFilter(t *testing.T) {
	const here = stubText + 0x123
	for _, test := range []struct {
		what string
		nr   uint64
		arch uint32
		ip   uint64
		want uint32
	}{
		{"a guest's call", unix.SYS_GETPID, unix.AUDIT_ARCH_X86_64, 0x400000, unix.SECCOMP_RET_TRAP},
		{"a guest's mmap", unix.SYS_MMAP, unix.AUDIT_ARCH_X86_64, stubText - 1, unix.SECCOMP_RET_TRAP},
		{"a guest's mmap behind", unix.SYS_MMAP, unix.AUDIT_ARCH_X86_64, stubText + arch.PageSize, unix.SECCOMP_RET_TRAP},
		{"a guest's mmap far away", unix.SYS_MMAP, unix.AUDIT_ARCH_X86_64, here &^ (0xff << 32), unix.SECCOMP_RET_TRAP},
		{"mmap of a stub", unix.SYS_MMAP, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_USER_NOTIF},
		{"clone of a stub", unix.SYS_CLONE, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_USER_NOTIF},
		{"futex of a stub", unix.SYS_FUTEX, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_ALLOW},
		{"sched_yield of a stub", unix.SYS_SCHED_YIELD, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_ALLOW},
		{"getpid of a stub", unix.SYS_GETPID, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_USER_NOTIF},
		{"getppid of a stub", unix.SYS_GETPPID, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"a 32-bit call of a stub", unix.SYS_FUTEX, unix.AUDIT_ARCH_I386, here, unix.SECCOMP_RET_TRAP},
		{"an x32 call of a stub", unix.SYS_MMAP | 0x40000000, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
	} {
		if got := verdict(t, stub.Call{Nr: test.nr}, test.arch, test.ip); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.what, got, test.want)
		}
	}
}

// What the filter lets pass, the sentry must know not to arm, and it must be
// all below the stub window.
func TestFreeCalls(t *testing.T) {
	edges := []uint64{
		0, 1, 4096, freeLen - 1, freeLen, freeLen + 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 46,
		stubWindow - freeLen - 1, stubWindow - freeLen, stubWindow - freeLen + 1, stubWindow - 1, stubWindow, taskSize, ^uint64(0),
	}
	passed := 0
	for range 200_000 {
		pick := func() uint64 { return edges[rand.IntN(len(edges))] + uint64(rand.IntN(3)-1) }
		c := stub.Call{Nr: []uint64{unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MMAP}[rand.IntN(3)], Args: [6]uint64{pick(), pick(), uint64(rand.IntN(10))}}
		if rand.IntN(8) == 0 {
			c.Args[2] = pick()
		}
		got := verdict(t, c, unix.AUDIT_ARCH_X86_64, stubText+0x100)
		if free(&c) != (got == unix.SECCOMP_RET_ALLOW) {
			t.Fatalf("%v: the filter says %#x", c, got)
		}
		if !free(&c) {
			continue
		}
		passed++
		if end := c.Args[0] + c.Args[1]; end > stubWindow || end < c.Args[0] || c.Args[2]&unix.PROT_WRITE != 0 {
			t.Fatalf("%v passes", c)
		}
	}
	if passed < 1000 {
		t.Errorf("only %d calls passed", passed)
	}
}

// A loose range stays so until something verified has been done to it.
func TestLoose(t *testing.T) {
	var l loose
	unmap := func(from, to arch.Addr) (verified bool) {
		o := stub.Op{Kind: stub.Unmap, Range: arch.Range{Start: from, End: to}}
		c := o.HostCall(0)
		l.note(&o, &c)
		return !free(&c)
	}
	for i := range arch.Addr(maxLoose) {
		if unmap(0x100000+i*0x10000, 0x108000+i*0x10000) {
			t.Fatalf("unmap %d is verified", i)
		}
	}
	if !unmap(0x10000000, 0x10001000) {
		t.Error("one too many is not verified")
	}
	o := stub.Op{Kind: stub.Map, Range: arch.Range{Start: 0x102000, End: 0x104000}}
	l.note(&o, &stub.Call{Nr: unix.SYS_MMAP})
	calls := l.calls()
	if len(calls) != maxLoose+1 || len(l) != 0 {
		t.Fatalf("%d calls, %d ranges are left", len(calls), len(l))
	}
	for _, a := range calls {
		if free(&a.call) {
			t.Errorf("%v is not verified", a.call)
		}
		if at := a.call.Args[0]; at < 0x104000 && at+a.call.Args[1] > 0x102000 {
			t.Errorf("%v unmaps what was mapped since", a.call)
		}
	}
}
