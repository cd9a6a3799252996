package oci

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rule is one entry of a profile.
func rule(action specs.LinuxSeccompAction, names string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: strings.Fields(names), Action: action, Args: args}
}

// fails is a rule that answers errno.
func fails(errno uint, names string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
	r := rule(specs.ActErrno, names, args...)
	r.ErrnoRet = &errno
	return r
}

// profile is one that allows what rules do not say otherwise.
func profile(rules ...specs.LinuxSyscall) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64}, Syscalls: rules}
}

// chmodRules forbids the modes that m describes.
func chmodRules(value, second uint64, op specs.LinuxSeccompOperator) *specs.LinuxSeccomp {
	arg := specs.LinuxSeccompArg{Value: value, ValueTwo: second, Op: op}
	first, at := arg, arg
	first.Index, at.Index = 1, 2
	return profile(fails(uint(unix.EDOM), "chmod", first), fails(uint(unix.EDOM), "fchmodat", at))
}

// TestSeccomp: the profile of a config.json holds for the programs of the container.
func TestSeccomp(t *testing.T) {
	const tryModes = `cd /tmp; : > f; for m in 0 1 2 3 4; do chmod $m f 2>/dev/null && echo $m; done`
	for _, c := range []struct {
		name, program, want string
		profile             *specs.LinuxSeccomp
		code                int
	}{
		{"mode", "grep Seccomp: /proc/self/status", "Seccomp:\t2\n", profile(fails(1, "reboot")), 0},
		{"errno", "mkdir /tmp/x 2>&1", "mkdir: can't create directory '/tmp/x': Owner died\n", profile(fails(uint(unix.EOWNERDEAD), "mkdir mkdirat")), 1},
		{"eperm", "mkdir /tmp/x 2>&1", "mkdir: can't create directory '/tmp/x': Operation not permitted\n", profile(rule(specs.ActErrno, "mkdir mkdirat")), 1},
		{"unknown names", "echo fine", "fine\n", profile(rule(specs.ActErrno, "nosuchcall clock_gettime64 mkdir")), 0},
		{"log", "mkdir /tmp/x && echo made", "made\n", profile(rule(specs.ActLog, "mkdir mkdirat")), 0},
		{"kill", "sync; echo $?", "159\n", profile(rule(specs.ActKillProcess, "sync")), 0},
		{"kill thread", "sync; echo $?", "159\n", profile(rule(specs.ActKill, "sync")), 0},
		{"trap", "sync; echo $?", "159\n", profile(rule(specs.ActTrap, "sync")), 0},
		{"trace", "sync; echo fine", "fine\n", profile(rule(specs.ActTrace, "sync")), 0}, // without a tracer ENOSYS, which sync has no word for

		{"equal", tryModes, "0\n1\n3\n4\n", chmodRules(2, 0, specs.OpEqualTo), 0},
		{"not equal", tryModes, "2\n", chmodRules(2, 0, specs.OpNotEqual), 1},
		{"less", tryModes, "2\n3\n4\n", chmodRules(2, 0, specs.OpLessThan), 0},
		{"less or equal", tryModes, "3\n4\n", chmodRules(2, 0, specs.OpLessEqual), 0},
		{"greater", tryModes, "0\n1\n2\n", chmodRules(2, 0, specs.OpGreaterThan), 1},
		{"greater or equal", tryModes, "0\n1\n", chmodRules(2, 0, specs.OpGreaterEqual), 1},
		{"masked", tryModes, "0\n1\n4\n", chmodRules(2, 2, specs.OpMaskedEqual), 0},

		{"both arguments", tryModes, "0\n1\n2\n4\n", profile(
			fails(1, "chmod", arg(1, 3), arg(3, 0x1_0000_0000)), fails(1, "fchmodat chmod", arg(2, 3)), fails(1, "chmod", arg(1, 3))), 0},
		{"either value", tryModes, "0\n2\n4\n", profile(fails(1, "chmod", arg(1, 3), arg(1, 1)), fails(1, "fchmodat", arg(2, 3), arg(2, 1))), 0},
		{"twice", "mkdir /tmp/x 2>&1", "mkdir: can't create directory '/tmp/x': Owner died\n", profile(
			fails(uint(unix.EOWNERDEAD), "mkdir mkdirat"), fails(1, "mkdir mkdirat")), 1},
		{"as usual", "mkdir /tmp/x 2>&1", "mkdir: can't create directory '/tmp/x': Owner died\n", profile(
			rule(specs.ActAllow, "mkdir mkdirat"), fails(uint(unix.EOWNERDEAD), "mkdir mkdirat")), 1},
		{"without arguments first", tryModes, "", profile(fails(1, "chmod fchmodat"), rule(specs.ActLog, "chmod", arg(1, 3))), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t, []string{"sh", "-c", c.program}, func(s *specs.Spec) {
				s.Root.Readonly = false
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
				s.Linux.Seccomp = c.profile
			})
			if r := b.run(""); r.out != c.want || r.code != c.code {
				t.Errorf("%+v, want %d %q", r, c.code, c.want)
			}
		})
	}
}

func arg(index uint, value uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Value: value, Op: specs.OpEqualTo}
}

// TestSeccompExec: what exec starts has the profile too, and so has an ordinary user.
func TestSeccompExec(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) {
		s.Process.NoNewPrivileges = false
		s.Linux.Seccomp = profile(fails(uint(unix.EOWNERDEAD), "mkdir mkdirat"))
	})
	b.must("run", "--detach", b.id)
	r := b.do("", "exec", "--user", "1000", b.id, "mkdir", "/tmp/x")
	if r.code != 1 || !strings.Contains(r.err, "Owner died") {
		t.Errorf("%+v", r)
	}
}

// TestSeccompErrors is profiles that can't be had.
func TestSeccompErrors(t *testing.T) {
	for want, p := range map[string]*specs.LinuxSeccomp{
		"SCMP_ACT_NONSENSE is not a valid action":   profile(rule("SCMP_ACT_NONSENSE", "mkdir")),
		"SCMP_CMP_NONSENSE is not a valid operator": profile(rule(specs.ActErrno, "mkdir", specs.LinuxSeccompArg{Op: "SCMP_CMP_NONSENSE"})),
		"seccomp flag":                           {DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"NONSENSE"}},
		"errno":                                  profile(fails(5000, "mkdir")),
		"SCMP_ARCH_NONSENSE is not a valid arch": {DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"SCMP_ARCH_NONSENSE"}, Syscalls: []specs.LinuxSyscall{rule(specs.ActErrno, "mkdir")}},
	} {
		b := newBox(t, []string{"true"}, func(s *specs.Spec) { s.Linux.Seccomp = p })
		if r := b.run(""); r.code == 0 || !strings.Contains(r.words(), want) {
			t.Errorf("%s: %+v", want, r)
		}
	}
}
