package boot

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/profile"
	"garrison/runsc/spec"
	"garrison/sentry/linux"
	"garrison/sentry/seccomp"
	"garrison/syscalls"
)

// loadProfile makes the program of linux.seccomp, if there is one.
func (ct *container) loadProfile() error {
	p := spec.Seccomp(ct.doc.Spec)
	if p == nil {
		return nil
	}
	program, err := profile.Compile(p, callNumbers())
	if err != nil {
		return err
	}
	ct.profile, err = seccomp.New(program)
	return err
}

// profileFlags are those of the profile's that mean anything here: all threads have
// it (TSYNC) anyway, and there is no speculation to allow.
func (ct *container) profileFlags() linux.SeccompFlags {
	p := spec.Seccomp(ct.doc.Spec)
	if p == nil || !slices.Contains(p.Flags, specs.LinuxSeccompFlagLog) {
		return 0
	}
	return linux.SECCOMP_FILTER_FLAG_LOG
}

// callNumbers finds system calls by their names.
func callNumbers() func(name string) (uint32, bool) {
	numbers := make(map[string]uint32, len(syscalls.Table))
	for nr := range syscalls.Table {
		if name := syscalls.Table[nr].Name; name != "" {
			numbers[name] = uint32(nr)
		}
	}
	return func(name string) (uint32, bool) {
		nr, ok := numbers[name]
		return nr, ok
	}
}
