package files

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/test/bundle"
)

// TestPermissions has guest/perms.c try every operation on files and directories of
// every kind, as all sorts of users: each ends as under runc.
func TestPermissions(t *testing.T) {
	step, first := "1", "0"
	if !long() {
		step, first = "97", seed(t) // some of the 50,000 cases, others each time
	}
	grant := func(s *specs.Spec) { bundle.Grant(s, bundle.Capabilities+" DAC_READ_SEARCH") }
	compare(t, patience, grant, func(dir string) []string {
		return []string{"/bin/perms", dir, step, first}
	})
}
