package platformtest

import (
	"fmt"
	"os"
	"testing"

	"garrison/platform"
)

// testSession: a guest's process is of its sentry's session, and not of its process
// group. Where hosts give each session its share of the processors (autogroups,
// sched(7)), one gets on no faster than the other; what is sent to the sentry's
// group is not for guests.
func testSession(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.read(dataAt)
	child := g.fork()
	defer child.release()
	group, session := belongs(t, os.Getpid())
	stubs := Children(t)
	if len(stubs) < 3 { // the first of all, the guest's, and its child's
		t.Errorf("only %d processes", len(stubs))
	}
	for pid := range stubs {
		if g, s := belongs(t, pid); g == group || s != session {
			t.Errorf("process %d is of group %s and session %s, its sentry of %s and %s", pid, g, s, group, session)
		}
	}
}

// belongs returns the process group and the session of the process pid.
func belongs(t *testing.T, pid int) (group, session string) {
	t.Helper()
	fields := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(fields) <= statSession {
		t.Fatalf("proc tells nothing of process %d", pid)
	}
	return fields[statGroup], fields[statSession]
}
