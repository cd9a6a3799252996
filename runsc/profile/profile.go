// Package profile makes a program for seccomp(2) of the profile in a
// config.json, as the OCI runtime specification describes it
// (config-linux.md, "Seccomp"). Where that is silent it does as libseccomp.
package profile

import (
	"cmp"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
)

// x32 is the bit of numbers of the x32 ABI.
const x32 = 1 << 30

// A clause is a verdict on one system call if all its arguments are as args say.
type clause struct {
	args    []specs.LinuxSeccompArg
	verdict uint32 // SECCOMP_RET_*
}

// A span is the numbers from first on, up to the next span: what clauses there
// are, in the order in which they are asked, and what holds if none does.
type span struct {
	first   uint32
	clauses []clause
	other   uint32
}

// Compile makes a program of s. number finds a system call; a name that it does
// not know is left out, as profiles name the calls of all architectures.
func Compile(s *specs.LinuxSeccomp, number func(name string) (uint32, bool)) ([]linux.SockFilter, error) {
	usual, err := verdict(s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	calls := make(map[uint32][]clause)
	last := uint32(0)
	for i := range s.Syscalls {
		r := &s.Syscalls[i]
		v, err := verdict(r.Action, r.ErrnoRet)
		if err != nil {
			return nil, err
		}
		for _, name := range r.Names {
			nr, ok := number(name)
			if !ok {
				continue
			}
			last = max(last, nr)
			if v != usual {
				calls[nr] = append(calls[nr], clauses(r.Args, v)...)
			}
		}
	}
	return assemble(spans(s, calls, last, usual)), nil
}

// verdict is what a program returns for action.
func verdict(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(unix.EPERM)
	if errno != nil {
		data = uint32(*errno)
	}
	data &= linux.SECCOMP_RET_DATA
	switch action {
	case specs.ActKill, specs.ActKillThread:
		return linux.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return linux.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return linux.SECCOMP_RET_TRAP, nil
	case specs.ActErrno:
		return linux.SECCOMP_RET_ERRNO | data, nil
	case specs.ActTrace:
		return linux.SECCOMP_RET_TRACE | data, nil
	case specs.ActLog:
		return linux.SECCOMP_RET_LOG, nil
	case specs.ActAllow:
		return linux.SECCOMP_RET_ALLOW, nil
	}
	return 0, fmt.Errorf("linux.seccomp: action %s is not supported", action)
}

// clauses are one if every argument is named once. Else any of them does, each by
// itself: so runc has it, and profiles rely on it.
func clauses(args []specs.LinuxSeccompArg, v uint32) []clause {
	seen := make(map[uint]bool)
	for _, a := range args {
		if seen[a.Index] {
			var each []clause
			for i := range args {
				each = append(each, clause{args[i : i+1], v})
			}
			return each
		}
		seen[a.Index] = true
	}
	return []clause{{args, v}}
}

// spans divides all numbers by what is said of them. calls beyond last, of which
// the profile can't have known, do not exist, unless it is one of what is
// forbidden: programs then do as on a Linux that is as old as the profile.
func spans(s *specs.LinuxSeccomp, calls map[uint32][]clause, last, usual uint32) []span {
	var out []span
	add := func(n span) {
		if len(out) > 0 && out[len(out)-1].first == n.first {
			out = out[:len(out)-1]
		}
		if len(out) > 0 {
			if o := &out[len(out)-1]; len(o.clauses)+len(n.clauses) == 0 && o.other == n.other {
				return
			}
		}
		out = append(out, n)
	}
	add(span{other: usual})
	for _, nr := range sortedKeys(calls) {
		add(settle(nr, calls[nr], usual))
		add(span{first: nr + 1, other: usual})
	}
	switch s.DefaultAction {
	case specs.ActAllow, specs.ActLog, specs.ActTrace:
	default:
		add(span{first: last + 1, other: linux.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	}
	foreign := linux.SECCOMP_RET_KILL_THREAD
	if slices.Contains(s.Architectures, specs.ArchX32) {
		foreign = usual
	}
	add(span{first: x32, other: foreign})
	return out
}

// settle makes a span of what is said of one call: a clause without arguments
// goes before all others.
func settle(nr uint32, cs []clause, usual uint32) span {
	for _, c := range cs {
		if len(c.args) == 0 {
			return span{first: nr, other: c.verdict}
		}
	}
	return span{first: nr, clauses: cs, other: usual}
}

func sortedKeys(m map[uint32][]clause) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}
