package spec

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hosts says why a sandbox can't do without a namespace of its own: a container
// that names none of a type wants the host's (namespaces(7)).
var hosts = map[specs.LinuxNamespaceType]string{
	specs.PIDNamespace:     "guests see no host processes",
	specs.NetworkNamespace: "there is no host network yet; use none",
	specs.IPCNamespace:     "guests share no memory, semaphores or queues with the host",
}

// validateNamespaces refuses what is a namespace of somebody else: the host's, or
// that of another sandbox. Those of its pod's other containers a container may have;
// whether they are is seen when it is made. A container without a uts namespace gets one in which
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
			if isOwn(ns.Path) { // Docker names the host's by a path
				return unsupported("the host's network namespace", hosts[ns.Type])
			}
		case specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace:
			if ns.Path != "" && Pod(s) == "" {
				return unsupported(fmt.Sprintf("joining the %s namespace at %s", ns.Type, ns.Path), "the sandbox keeps its own")
			}
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
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace} {
		if !seen[kind] {
			return unsupported(fmt.Sprintf("the host's %s namespace", kind), hosts[kind])
		}
	}
	if !seen[specs.UTSNamespace] && s.Hostname != "" {
		return errors.New("unable to set hostname without a private UTS namespace")
	}
	return validateMappings(s.Linux, seen[specs.UserNamespace])
}

// isOwn reports whether path is the network namespace of this process, the host's. Who
// joins one at a path that does not exist says so.
func isOwn(path string) bool {
	own, err := os.Stat("/proc/self/ns/net")
	if err != nil || path == "" {
		return false
	}
	other, err := os.Stat(path)
	return err == nil && os.SameFile(own, other)
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
