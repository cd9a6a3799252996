package systrap

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// verdictOf runs the stubs' filter as the host does.
func verdictOf(t *testing.T, c stub.Call, auditArch uint32, ip uint64) uint32 {
	t.Helper()
	var data [64]byte // struct seccomp_data
	le := binary.LittleEndian
	le.PutUint32(data[dataNumber:], uint32(c.Nr))
	le.PutUint32(data[dataArch:], auditArch)
	le.PutUint64(data[dataIPLow:], ip)
	for i, a := range c.Args {
		le.PutUint64(data[argument(uint32(i)):], a)
	}
	f := stubFilter(true)
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
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			next(a >= i.K)
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
		{"a return of a stub", unix.SYS_RT_SIGRETURN, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"a return of a thread", unix.SYS_RT_SIGRETURN, unix.AUDIT_ARCH_X86_64, stubThreads + 9, unix.SECCOMP_RET_ALLOW},
		{"mmap where threads return", unix.SYS_MMAP, unix.AUDIT_ARCH_X86_64, stubThreads + 9, unix.SECCOMP_RET_TRAP},
		{"a return at the solo site", unix.SYS_RT_SIGRETURN, unix.AUDIT_ARCH_X86_64, soloSite, unix.SECCOMP_RET_TRAP},
		{"futex at the solo site", unix.SYS_FUTEX, unix.AUDIT_ARCH_X86_64, soloSite, unix.SECCOMP_RET_TRAP},
		{"mmap beside the solo site", unix.SYS_MMAP, unix.AUDIT_ARCH_X86_64, soloSite + 1, unix.SECCOMP_RET_TRAP},
		{"signals of a stub", unix.SYS_RT_SIGPROCMASK, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"signal stacks of a stub", unix.SYS_SIGALTSTACK, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"futex of a stub", unix.SYS_FUTEX, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_ALLOW},
		{"sched_yield of a stub", unix.SYS_SCHED_YIELD, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_ALLOW},
		{"getpid of a stub", unix.SYS_GETPID, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_USER_NOTIF},
		{"getppid of a stub", unix.SYS_GETPPID, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"a 32-bit call of a stub", unix.SYS_FUTEX, unix.AUDIT_ARCH_I386, here, unix.SECCOMP_RET_TRAP},
		{"arch_prctl of a stub that says nothing", unix.SYS_ARCH_PRCTL, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"an x32 call of a stub", unix.SYS_MMAP | 0x40000000, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
		{"prctl of a stub that says nothing", unix.SYS_PRCTL, unix.AUDIT_ARCH_X86_64, here, unix.SECCOMP_RET_TRAP},
	} {
		if got := verdictOf(t, stub.Call{Nr: test.nr}, test.arch, test.ip); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.what, got, test.want)
		}
	}
}

// Of calls that change other things than a guest's memory, the stub may make
// exactly these that nobody verifies: to have the signals blocked that guest code
// has blocked, to write to the part of a region that it is to write, to have the host
// show the names in one, and, if the host has to be asked, to load its own FS and GS.
func TestOwnCalls(t *testing.T) {
	const rw = unix.PROT_READ | unix.PROT_WRITE
	names := stub.NamingCalls(stubRegions + 7*regionSize + namesAt)
	for _, test := range []struct {
		right stub.Call
		args  int // that have to be those
	}{
		{names[0], 2},
		{names[1], 5},
		{stub.Call{Nr: unix.SYS_RT_SIGPROCMASK, Args: [6]uint64{unix.SIG_SETMASK, stubMask, 0, 8}}, 4},
		{stub.Call{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions, stackEnd, rw}}, 3},
		{stub.Call{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions + 5*regionSize, stackEnd, rw}}, 3},
		{stub.Call{Nr: unix.SYS_ARCH_PRCTL, Args: [6]uint64{archSetFS}}, 1},
		{stub.Call{Nr: unix.SYS_ARCH_PRCTL, Args: [6]uint64{archSetGS, 1 << 40}}, 1},
	} {
		at := func(c stub.Call) uint32 { return verdictOf(t, c, unix.AUDIT_ARCH_X86_64, stubText+0x100) }
		if got := at(test.right); got != unix.SECCOMP_RET_ALLOW {
			t.Errorf("%v: %#x", test.right, got)
		}
		for i := range test.args {
			for _, bit := range []int{0, 1, 2, 12, 15, 32, 33, 63} {
				wrong := test.right
				wrong.Args[i] ^= 1 << bit
				if got := at(wrong); got == unix.SECCOMP_RET_ALLOW && !free(&wrong) {
					t.Errorf("%v passes", wrong)
				}
			}
		}
	}
}

// A solo call that passes maps a file of the guest's below the stub window.
func TestSoloCalls(t *testing.T) {
	edges := []uint64{0, 2, 3, 7, 8, 17, 18, 4096, freeLen, 1 << 32, stubWindow - freeLen, stubWindow, taskSize, ^uint64(0)}
	passed := 0
	for range 200_000 {
		c := stub.Call{Nr: unix.SYS_MMAP, Args: [6]uint64{0x300000, 4096, 3, unix.MAP_SHARED | unix.MAP_FIXED, stubFirstFile, 0}}
		for range rand.IntN(3) {
			c.Args[rand.IntN(6)] = edges[rand.IntN(len(edges))] + uint64(rand.IntN(3)-1)
		}
		got := verdictOf(t, c, unix.AUDIT_ARCH_X86_64, soloSite)
		if soloable(&c) != (got == unix.SECCOMP_RET_ALLOW) {
			t.Fatalf("%v: the filter says %#x", c, got)
		}
		if got != unix.SECCOMP_RET_ALLOW {
			continue
		}
		passed++
		if end := c.Args[0] + c.Args[1]; end > stubWindow || end < c.Args[0] || c.Args[3] != unix.MAP_SHARED|unix.MAP_FIXED || c.Args[4] == stubControl {
			t.Fatalf("%v passes", c)
		}
	}
	if passed < 1000 {
		t.Errorf("only %d calls passed", passed)
	}
}

// Only where it is meant to be is there a system call in the stub's text,
// whatever byte of it one begins at.
func TestTextsHaveNoOtherCalls(t *testing.T) {
	text := stubTexts(true)
	if len(text) != len(textPages)*arch.PageSize {
		t.Fatalf("%d bytes of text", len(text))
	}
	for page, want := range []int{13 + 4 + 1, 1, 1} { // the handler's, the gate's, the way back's
		b := text[page*arch.PageSize:][:arch.PageSize]
		if n := bytes.Count(b, []byte{0x0f, 0x05}); n != want {
			t.Errorf("page %d has %d SYSCALL instructions", page, n)
		}
		for _, other := range [][]byte{{0x0f, 0x34}, {0xcd, 0x80}} {
			if bytes.Contains(b, other) {
				t.Errorf("page %d has % x", page, other)
			}
		}
	}
	if !bytes.HasPrefix(text[2*arch.PageSize:], []byte{0x0f, 0x05}) {
		t.Error("the solo call is not where the filter thinks")
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
		got := verdictOf(t, c, unix.AUDIT_ARCH_X86_64, stubText+0x100)
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
