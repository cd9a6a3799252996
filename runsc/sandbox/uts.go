package sandbox

import (
	"fmt"
	"maps"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/runsc/spec"
)

// namedAsHost is s with the host's names, as they are now, for a container that
// shares the host's uts namespace: the same to look at, but never to change.
func namedAsHost(s *specs.Spec) (*specs.Spec, error) {
	if spec.Namespace(s, specs.UTSNamespace) != nil {
		return s, nil
	}
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	named, l := *s, *s.Linux
	named.Linux = &l
	named.Hostname = unix.ByteSliceToString(names.Nodename[:])
	l.Sysctl = maps.Clone(l.Sysctl)
	if l.Sysctl == nil {
		l.Sysctl = make(map[string]string)
	}
	l.Sysctl["kernel.domainname"] = unix.ByteSliceToString(names.Domainname[:])
	return &named, nil
}
