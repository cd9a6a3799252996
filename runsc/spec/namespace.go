package spec

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hosts says why a sandbox can't do without a namespace of its own: a container
// that names none of a type wants the host's (namespaces(7)). The network it can have:
// HostNetwork.
var hosts = map[specs.LinuxNamespaceType]string{
	specs.PIDNamespace: "guests see no host processes",
	specs.IPCNamespace: "guests share no memory, semaphores or queues with the host",
}

// validateNamespaces refuses what is a namespace of somebody else. Those of other
// containers a container may have; whether they are is seen when it is made. A container without a uts namespace gets one in which
// the host's names are copied, one without a cgroup namespace sees its own.
func validateNamespaces(s *specs.Spec) error {
	seen := make(map[specs.LinuxNamespaceType]bool)
	for _, ns := range s.Linux.Namespaces {
		if seen[ns.Type] {
			return fmt.Errorf("malformed spec file: duplicated ns %q", ns.Type)
		}
		seen[ns.Type] = true
		switch ns.Type {
		case specs.NetworkNamespace:
		case specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace:
		case specs.MountNamespace, specs.CgroupNamespace, specs.TimeNamespace:
			if ns.Path != "" {
				return unsupported(fmt.Sprintf("joining the %s namespace at %s", ns.Type, ns.Path), "the sandbox keeps its own")
			}
		case specs.UserNamespace:
			if ns.Path != "" {
				return unsupported("joining the user namespace at "+ns.Path, "the sandbox keeps its own")
			}
		default:
			return fmt.Errorf("namespace %q does not exist", ns.Type)
		}
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace} {
		if !seen[kind] {
			return unsupported(fmt.Sprintf("the host's %s namespace", kind), hosts[kind])
		}
	}
	if !seen[specs.UTSNamespace] && s.Hostname != "" {
		return errors.New("unable to set hostname without a private UTS namespace")
	}
	return validateMappings(s.Linux, seen[specs.UserNamespace])
}

// HostNetwork reports whether the container is to be in the host's network namespace: it
// names none, or names by a path, as Docker does, that of this process or of the host's
// first.
func HostNetwork(s *specs.Spec) bool {
	ns := Namespace(s, specs.NetworkNamespace)
	if ns == nil {
		return true
	}
	return ns.Path != "" && (sameFile(ns.Path, "/proc/self/ns/net") || sameFile(ns.Path, "/proc/1/ns/net"))
}

// sameFile is false if there is no file at one of the paths: who joins a namespace there
// says so.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// Namespace returns the entry of type t, or nil when the container does not ask
// for a namespace of its own.
func Namespace(s *specs.Spec, t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	if s.Linux == nil {
		return nil
	}
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == t {
			return &s.Linux.Namespaces[i]
		}
	}
	return nil
}
