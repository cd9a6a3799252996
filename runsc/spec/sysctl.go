package spec

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// validateSysctl refuses parameters that are not a namespace's own: those of the
// whole kernel are not one container's to set. Names may have slashes for dots.
func validateSysctl(s *specs.Spec) error {
	l := s.Linux
	for name := range l.Sysctl {
		dotted := strings.ReplaceAll(name, "/", ".")
		var in specs.LinuxNamespaceType
		switch {
		case slices.Contains(ipcSysctls, dotted), strings.HasPrefix(dotted, "fs.mqueue."):
			in = specs.IPCNamespace
		case dotted == "kernel.domainname":
			in = specs.UTSNamespace
		case strings.HasPrefix(dotted, "net."):
			in = specs.NetworkNamespace
		default:
			return fmt.Errorf("sysctl %q is not in a separate kernel namespace", name)
		}
		own := slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == in })
		if !own || in == specs.NetworkNamespace && HostNetwork(s) {
			return fmt.Errorf("sysctl %q is not allowed in the hosts %s namespace", name, in)
		}
	}
	return nil
}

var ipcSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
	"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
}
