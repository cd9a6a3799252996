package spec

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// validateSeccomp checks the words of a profile, which is not applied: guest
// system calls do not reach the host that it is meant to guard.
func validateSeccomp(s *specs.LinuxSeccomp) error {
	if s == nil {
		return nil
	}
	if s.ListenerPath != "" {
		return unsupported("linux.seccomp.listenerPath", "guest system calls do not reach the host")
	}
	actions := []specs.LinuxSeccompAction{s.DefaultAction}
	for _, c := range s.Syscalls {
		actions = append(actions, c.Action)
		for _, a := range c.Args {
			if !slices.Contains(seccompOperators, a.Op) {
				return fmt.Errorf("string %s is not a valid operator for seccomp", a.Op)
			}
		}
	}
	for _, a := range actions {
		if !slices.Contains(seccompActions, a) {
			return fmt.Errorf("string %s is not a valid action for seccomp", a)
		}
	}
	return nil
}

var seccompActions = []specs.LinuxSeccompAction{
	specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap, specs.ActErrno,
	specs.ActTrace, specs.ActAllow, specs.ActLog, specs.ActNotify,
}

var seccompOperators = []specs.LinuxSeccompOperator{
	specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
	specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
}
