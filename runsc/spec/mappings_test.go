package spec

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestMappings(t *testing.T) {
	ids := func(inside, outside, n uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: inside, HostID: outside, Size: n}}
	}
	one := ids(0, 1000, 1)
	for _, c := range []struct {
		uids, gids []specs.LinuxIDMapping
		path, want string
	}{
		{one, append(ids(0, 1000, 10), ids(10, 1010, 5)...), "", ""},
		{ids(0, 0, 1<<32-1), one, "", ""},
		{nil, one, "", "no uid mappings found"},
		{one, nil, "", "no gid mappings found"},
		{ids(1, 1000, 1), one, "", "no user mapping found"},
		{one, ids(1, 1000, 1), "", "no group mapping found"},
		{one, ids(0, 1000, 0), "", "linux.gidMappings[0]: no ids"},
		{ids(0, 1, 1<<32-1), one, "", "linux.uidMappings[0]: no ids, or more than there are"},
		{append(ids(0, 1000, 10), ids(20, 1009, 1)...), one, "", "linux.uidMappings[0] and [1] have ids in common"},
		{one, one, "/proc/1/ns/user", "joining the user namespace at /proc/1/ns/user is not supported"},
	} {
		s := Example()
		s.Linux.UIDMappings, s.Linux.GIDMappings = c.uids, c.gids
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: c.path})
		err := Validate(s)
		if got := errorText(err); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%v %v: got %q, want %q", c.uids, c.gids, got, c.want)
		}
	}
	s := Example()
	s.Linux.UIDMappings = one
	if err := Validate(s); !strings.Contains(errorText(err), "are for a user namespace") {
		t.Errorf("without a namespace: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
