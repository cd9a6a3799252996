package ptrace_test

import (
	"testing"

	"garrison/platform/platformtest"
)

// There is no StressKilled: a thread that does what is queued has the space
// locked, and if it is the first of a process that is killed, it waits for the end
// of the others, whom nobody reaps meanwhile.
func TestStress(t *testing.T) { platformtest.Stress(t, newPlatform) }
