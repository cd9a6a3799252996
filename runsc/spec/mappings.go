package spec

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// validateMappings checks the maps of a user namespace, which has some, and else
// there are none.
func validateMappings(l *specs.Linux, namespace bool) error {
	if !namespace {
		if len(l.UIDMappings)+len(l.GIDMappings) > 0 {
			return errors.New("linux.uidMappings and gidMappings are for a user namespace, and linux.namespaces has none")
		}
		return nil
	}
	for _, m := range []struct {
		mappings  []specs.LinuxIDMapping
		id, whose string
	}{{l.UIDMappings, "uid", "user"}, {l.GIDMappings, "gid", "group"}} {
		if len(m.mappings) == 0 {
			return fmt.Errorf("user namespaces enabled, but no %s mappings found", m.id)
		}
		rooted := false
		for i, a := range m.mappings {
			// As in /proc/pid/uid_map: (uid_t) -1 is no id.
			if end := ^uint32(0); a.Size == 0 || a.ContainerID > end-a.Size || a.HostID > end-a.Size {
				return fmt.Errorf("linux.%sMappings[%d]: no ids, or more than there are", m.id, i)
			}
			for j, b := range m.mappings[:i] {
				if overlap(a.ContainerID, b.ContainerID, a.Size, b.Size) || overlap(a.HostID, b.HostID, a.Size, b.Size) {
					return fmt.Errorf("linux.%sMappings[%d] and [%d] have ids in common", m.id, j, i)
				}
			}
			rooted = rooted || a.ContainerID == 0
		}
		if !rooted {
			return fmt.Errorf("user namespaces enabled, but no %s mapping found: linux.%sMappings must map 0", m.whose, m.id)
		}
	}
	return nil
}

// overlap says whether the m ids from a and the n ids from b have any in common.
func overlap(a, b, m, n uint32) bool { return a < b+n && b < a+m }
