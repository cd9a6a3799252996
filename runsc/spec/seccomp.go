package spec

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// Seccomp is the profile of s, nil if it has none: one that says nothing at all is
// none.
func Seccomp(s *specs.Spec) *specs.LinuxSeccomp {
	if s.Linux == nil || s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction == "" && len(s.Linux.Seccomp.Syscalls) == 0 {
		return nil
	}
	return s.Linux.Seccomp
}

// validateSeccomp checks the words and numbers of a profile, with runc's errors
// where engines may look for them. As there, an errnoRet for what returns no error
// is ignored.
func validateSeccomp(s *specs.LinuxSeccomp) error {
	if s == nil {
		return nil
	}
	if s.ListenerPath != "" {
		return unsupported("linux.seccomp.listenerPath", "guest system calls do not reach the host")
	}
	for _, a := range s.Architectures {
		if !slices.Contains(seccompArchitectures, a) {
			return fmt.Errorf("string %s is not a valid arch for seccomp", a)
		}
	}
	for _, f := range s.Flags {
		if !slices.Contains(seccompFlags, f) {
			return fmt.Errorf("seccomp flag %q not known or not supported", f)
		}
	}
	if err := validateAction(s.DefaultAction, s.DefaultErrnoRet); err != nil {
		return err
	}
	for i := range s.Syscalls {
		c := &s.Syscalls[i]
		if err := validateAction(c.Action, c.ErrnoRet); err != nil {
			return err
		}
		for _, a := range c.Args {
			switch {
			case !slices.Contains(seccompOperators, a.Op):
				return fmt.Errorf("string %s is not a valid operator for seccomp", a.Op)
			case a.Index > lastArgument:
				return fmt.Errorf("linux.seccomp.syscalls[%d]: there is no argument %d", i, a.Index)
			}
		}
	}
	return nil
}

// lastArgument is the index of a system call's last argument.
const lastArgument = 5

// maxErrno is the highest number that a system call can fail with.
const maxErrno = 4095

func validateAction(a specs.LinuxSeccompAction, errno *uint) error {
	switch {
	case a == specs.ActNotify:
		return unsupported("seccomp action "+string(a), "guest system calls do not reach the host")
	case !slices.Contains(seccompActions, a):
		return fmt.Errorf("string %s is not a valid action for seccomp", a)
	case errno != nil && *errno > maxErrno:
		return fmt.Errorf("linux.seccomp: errnoRet %d is no error number", *errno)
	}
	return nil
}

// SeccompFeatures is what profiles may say, for `features`.
func SeccompFeatures() *features.Seccomp {
	yes := true
	f := &features.Seccomp{Enabled: &yes}
	for _, a := range seccompActions {
		f.Actions = append(f.Actions, string(a))
	}
	for _, o := range seccompOperators {
		f.Operators = append(f.Operators, string(o))
	}
	for _, a := range seccompArchitectures {
		f.Archs = append(f.Archs, string(a))
	}
	for _, l := range seccompFlags {
		f.KnownFlags = append(f.KnownFlags, string(l))
	}
	f.SupportedFlags = f.KnownFlags
	return f
}

var (
	seccompActions = []specs.LinuxSeccompAction{
		specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap, specs.ActErrno,
		specs.ActTrace, specs.ActAllow, specs.ActLog,
	}

	seccompOperators = []specs.LinuxSeccompOperator{
		specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
		specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
	}

	seccompFlags = []specs.LinuxSeccompFlag{
		"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow,
		specs.LinuxSeccompFlagWaitKillableRecv,
	}

	seccompArchitectures = []specs.Arch{
		specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64, specs.ArchMIPS, specs.ArchMIPS64,
		specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32, specs.ArchPPC, specs.ArchPPC64,
		specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64,
		specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
	}
)
