package spec

import (
	"errors"
	"fmt"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Validate checks what the OCI runtime specification demands of a
// configuration, and refuses what Garrison does not do. What has no meaning
// for a sandbox (AppArmor and SELinux labels), and that engines set for every
// container, is accepted: the guest never reaches what they guard.
func Validate(s *specs.Spec) error {
	if s.Version == "" {
		return errors.New("ociVersion is missing")
	}
	if major, _, _ := strings.Cut(s.Version, "."); major != "1" {
		return fmt.Errorf("ociVersion %s is not supported: this runtime implements 1.x", s.Version)
	}
	if s.Root == nil || s.Root.Path == "" {
		return errors.New("root.path is missing")
	}
	if s.Process == nil {
		return errors.New("process property must not be empty")
	}
	if err := ValidateProcess(s.Process); err != nil {
		return err
	}
	for i, m := range s.Mounts {
		if m.Destination == "" {
			return fmt.Errorf("mounts[%d]: destination is missing", i)
		}
		if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
			return fmt.Errorf("mount %s: id-mapped mounts are not supported", m.Destination)
		}
	}
	if err := validateHooks(s.Hooks); err != nil {
		return err
	}
	if err := unsupportedSections(s); err != nil {
		return err
	}
	if s.Linux == nil {
		s.Linux = new(specs.Linux)
	}
	return validateLinux(s)
}

// ValidateProcess checks the description of one process.
func ValidateProcess(p *specs.Process) error {
	if len(p.Args) == 0 {
		return errors.New("args must not be empty")
	}
	if p.Cwd == "" {
		//lint:ignore ST1005 runc's words
		return errors.New("Cwd property must not be empty") //lint:ignore ST1005 runc's words
	}
	if !path.IsAbs(p.Cwd) {
		//lint:ignore ST1005 runc's words
		return errors.New("Cwd must be an absolute path") //lint:ignore ST1005 runc's words
	}
	for _, v := range p.Env {
		if strings.IndexByte(v, '=') <= 0 {
			return fmt.Errorf("invalid environment variable: %q", v)
		}
	}
	if adj := p.OOMScoreAdj; adj != nil && (*adj < -1000 || *adj > 1000) {
		return fmt.Errorf("oomScoreAdj must be from -1000 to 1000, not %d", *adj)
	}
	switch {
	case p.Scheduler != nil:
		return unsupported("process.scheduler", "the sentry schedules guests alike")
	case p.IOPriority != nil:
		return unsupported("process.ioPriority", "the gofer serves guests alike")
	case p.ExecCPUAffinity != nil:
		return unsupported("process.execCPUAffinity", "guests do not choose host processors")
	}
	for _, list := range [][]string{p.Args, p.Env} {
		for _, v := range list {
			if strings.IndexByte(v, 0) >= 0 {
				return fmt.Errorf("process: %q has a null byte in it", v)
			}
		}
	}
	seen := make(map[string]bool)
	for _, l := range p.Rlimits {
		if _, ok := RlimitNumber(l.Type); !ok {
			return fmt.Errorf("invalid rlimit type: %s", l.Type)
		}
		if seen[l.Type] {
			return fmt.Errorf("rlimit %s is given twice", l.Type)
		}
		if l.Soft > l.Hard {
			return fmt.Errorf("rlimit %s: soft limit %d is above hard limit %d", l.Type, l.Soft, l.Hard)
		}
		seen[l.Type] = true
	}
	return nil
}

func validateHooks(h *specs.Hooks) error {
	if h == nil {
		return nil
	}
	//lint:ignore SA1019 docker uses prestart hooks
	for _, list := range [][]specs.Hook{h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer, h.Poststart, h.Poststop} {
		for _, hook := range list {
			if !path.IsAbs(hook.Path) {
				return fmt.Errorf("hook path %q is not absolute", hook.Path)
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				return fmt.Errorf("hook %s: timeout must be greater than zero", hook.Path)
			}
		}
	}
	return nil
}

func unsupportedSections(s *specs.Spec) error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"solaris", s.Solaris != nil},
		{"windows", s.Windows != nil},
		{"vm", s.VM != nil},
		{"zos", s.ZOS != nil},
		{"freebsd", s.FreeBSD != nil},
		{"process.commandLine", s.Process.CommandLine != ""},
	} {
		if f.set {
			return unsupported(f.name, "this is a Linux runtime")
		}
	}
	return nil
}

func unsupported(field, why string) error {
	return fmt.Errorf("%s is not supported: %s", field, why)
}

func validateLinux(s *specs.Spec) error {
	l := s.Linux
	switch {
	case l.IntelRdt != nil:
		return unsupported("linux.intelRdt", "cache allocation is the host's business")
	case l.MemoryPolicy != nil:
		return unsupported("linux.memoryPolicy", "guests see one memory node")
	case len(l.NetDevices) > 0:
		return unsupported("linux.netDevices", "a sandbox has no host interfaces")
	case l.Personality != nil && l.Personality.Domain != specs.PerLinux:
		return unsupported("linux.personality", "guests are 64-bit")
	}
	if err := validateNamespaces(s); err != nil {
		return err
	}
	if err := validateSeccomp(Seccomp(s)); err != nil {
		return err
	}
	if err := validateSysctl(s); err != nil {
		return err
	}
	for name, offset := range l.TimeOffsets {
		if offset != (specs.LinuxTimeOffset{}) {
			return unsupported("linux.timeOffsets."+name, "guests see the host's clocks")
		}
	}
	return nil
}
