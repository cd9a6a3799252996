package profile

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/seccomp"
)

// numbers are some calls of amd64, and one that is only elsewhere.
var numbers = map[string]uint32{"read": 0, "write": 1, "open": 2, "close": 3, "ioctl": 16, "clone": 56, "personality": 135, "openat": 257}

// judge is what a profile says of the call nr.
func judge(t *testing.T, s *specs.LinuxSeccomp, nr uint32, args ...uint64) uint32 {
	t.Helper()
	source, err := Compile(s, func(name string) (uint32, bool) {
		nr, ok := numbers[name]
		return nr, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := seccomp.New(source)
	if err != nil {
		t.Fatal(err)
	}
	var six [6]uint64
	copy(six[:], args)
	d := seccomp.NewData(nr, linux.AUDIT_ARCH_X86_64, 0, &six)
	return p.Run(&d)
}

const (
	allowed = linux.SECCOMP_RET_ALLOW
	refused = linux.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = linux.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	killed  = linux.SECCOMP_RET_KILL_THREAD
)

func allow(names ...string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: specs.ActAllow}
}

func TestAllowList(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		allow("read", "write", "_llseek", "close", "openat"),
		{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: 8, Op: specs.OpEqualTo}}},
	}}
	for nr, want := range map[uint32]uint32{
		0: allowed, 1: allowed, 2: refused, 3: allowed, 4: refused, 135: refused, 256: refused, 257: allowed,
		258: unknown, 1000: unknown, 0x7fff_ffff: killed, x32: killed, x32 - 1: unknown, 0xffff_ffff: killed,
	} {
		if got := judge(t, s, nr); got != want {
			t.Errorf("%d: %#x, want %#x", nr, got, want)
		}
	}
	if got := judge(t, s, 135, 8); got != allowed {
		t.Errorf("%#x", got)
	}
	s.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX32}
	if got := judge(t, s, x32); got != refused {
		t.Errorf("%#x", got)
	}
	s.DefaultAction = specs.ActLog // nothing is forbidden, so what is new is not either
	if got := judge(t, s, 1000); got != linux.SECCOMP_RET_LOG {
		t.Errorf("%#x", got)
	}
}

// TestOperators compares every operator with what it means, at the edges of words.
func TestOperators(t *testing.T) {
	values := []uint64{0, 1, 2, 0xffff_fffe, 0xffff_ffff, 1 << 32, 1<<32 + 1, 1<<32 + 2, 2 << 32, 3<<32 - 1, 1 << 63, ^uint64(0)}
	for op, holds := range map[specs.LinuxSeccompOperator]func(arg, v, second uint64) bool{
		specs.OpEqualTo:      func(a, v, _ uint64) bool { return a == v },
		specs.OpNotEqual:     func(a, v, _ uint64) bool { return a != v },
		specs.OpLessThan:     func(a, v, _ uint64) bool { return a < v },
		specs.OpLessEqual:    func(a, v, _ uint64) bool { return a <= v },
		specs.OpGreaterThan:  func(a, v, _ uint64) bool { return a > v },
		specs.OpGreaterEqual: func(a, v, _ uint64) bool { return a >= v },
		specs.OpMaskedEqual:  func(a, mask, v uint64) bool { return a&mask == v&mask },
	} {
		for _, v := range values {
			for _, a := range values {
				second := v ^ 1
				s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{
					Names: []string{"ioctl"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 5, Value: v, ValueTwo: second, Op: op}},
				}}}
				want := allowed
				if holds(a, v, second) {
					want = refused
				}
				if got := judge(t, s, 16, 0, 0, 0, 0, 0, a); got != want {
					t.Errorf("%#x %s %#x (%#x): %#x", a, op, v, second, got)
				}
			}
		}
	}
}

// TestLongest: a clause of six arguments, and many of them for one call, are within reach.
func TestLongest(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	for i := range uint64(60) {
		r := specs.LinuxSyscall{Names: []string{"ioctl"}, Action: specs.ActErrno}
		for n := range uint(6) {
			r.Args = append(r.Args, specs.LinuxSeccompArg{Index: n, Value: i, Op: specs.OpGreaterEqual})
		}
		r.Args[5].Op = specs.OpEqualTo
		s.Syscalls = append(s.Syscalls, r)
	}
	for _, c := range []struct {
		arg  uint64
		want uint32
	}{{0, refused}, {59, refused}, {60, allowed}} {
		if got := judge(t, s, 16, 99, 99, 99, 99, 99, c.arg); got != c.want {
			t.Errorf("%d: %#x", c.arg, got)
		}
	}
	if got := judge(t, s, 16, 99, 99, 0, 99, 99, 59); got != allowed {
		t.Errorf("%#x", got)
	}
}

func TestUnsupported(t *testing.T) {
	if _, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActNotify}, nil); err == nil {
		t.Error("no error")
	}
}
