package posture

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTurns holds what serves a guest, and what runs it, to short turns.
func TestTurns(t *testing.T) {
	const shortest = 100_000 // ns
	mine, err := unix.SchedGetAttr(0, 0)
	if err != nil || mine.Runtime == 0 {
		t.Skip("this host has no turns of a process's own (Linux 6.12)")
	}
	b := newBox(t, []string{"sh", "-c", "/bin/true; exec sleep 1000"}, nil)
	b.start()
	who := b.processes()
	delete(who, "holder") // it does nothing
	for name, pids := range who {
		for _, pid := range pids {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
				continue // that of /bin/true has ended since
			}
			if len(tasks) == 0 {
				t.Errorf("%s: no threads", name)
			}
			for _, task := range tasks {
				tid, _ := strconv.Atoi(filepath.Base(task))
				a, err := unix.SchedGetAttr(tid, 0)
				if err == nil && (a.Runtime != shortest || a.Nice != mine.Nice || a.Policy != mine.Policy) {
					t.Errorf("%s: thread %d has %+v", name, tid, *a)
				}
			}
		}
	}
}
