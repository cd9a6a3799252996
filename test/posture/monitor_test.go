package posture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMonitor: Go's monitor sleeps by a coarse clock, and so may what it has made; not
// what serves a guest.
func TestMonitor(t *testing.T) {
	const coarse, fine = "500000", "50000" // ns
	usual, err := os.ReadFile("/proc/self/timerslack_ns")
	if err != nil || strings.TrimSpace(string(usual)) != fine {
		t.Skipf("this host has another slack, or does not tell of it: %s %v", usual, err)
	}
	for _, platform := range platforms {
		b := newBox(t, []string{"sh", "-c", "/bin/true; exec sleep 1000"}, nil).on(platform)
		b.start()
		who := b.processes()
		for name, least := range map[string]int{"sentry": 2, "gofer": 1} {
			for _, pid := range who[name] {
				slack := map[string]int{}
				tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
				for _, task := range tasks {
					ns, _ := os.ReadFile("/proc/" + filepath.Base(task) + "/timerslack_ns")
					slack[strings.TrimSpace(string(ns))]++
				}
				if slack[coarse] == 0 || slack[fine] < least || slack[coarse]+slack[fine] != len(tasks) {
					t.Errorf("%s, %s: threads by their slack: %v", platform, name, slack)
				}
			}
		}
	}
}
