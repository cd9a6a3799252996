package posture

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// longTier is set, to a duration, for tests that are to take their time.
const longTier = "GARRISON_STRESS"

// platforms are those of this host.
var platforms = []string{"systrap", "ptrace"}

// on makes the box run on the platform.
func (b *box) on(platform string) *box {
	b.platform = platform
	return b
}

// processes are the sandbox's: sentry, gofer, holder and stubs.
func (b *box) processes() map[string][]int {
	return map[string][]int{"sentry": {b.sentry}, "gofer": {b.gofer}, "holder": {b.init}, "stub": children(b.sentry)}
}

// switches is how often each thread of the sandboxes has been switched to.
func switches(boxes []*box) map[string]int {
	all := map[string]int{}
	for _, b := range boxes {
		b.addSwitches(all)
	}
	return all
}

func (b *box) addSwitches(all map[string]int) {
	for who, pids := range b.processes() {
		for _, pid := range pids {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
			for _, task := range tasks {
				status, err := os.ReadFile(task)
				if err != nil {
					continue
				}
				name := b.name + ": " + who + " " + filepath.Base(filepath.Dir(task))
				for line := range strings.Lines(string(status)) {
					if k, v, ok := strings.Cut(line, ":"); ok && strings.HasSuffix(k, "voluntary_ctxt_switches") {
						n, _ := strconv.Atoi(strings.TrimSpace(v))
						all[name] += n
					}
				}
			}
		}
	}
}

// TestIdle asserts that a sandbox whose program waits makes no thread of it run,
// not one time, once what began with it has settled.
func TestIdle(t *testing.T) {
	watch := 2 * time.Second
	if os.Getenv(longTier) != "" {
		watch = 10 * time.Second
	}
	var boxes []*box
	for _, platform := range platforms {
		for name, script := range map[string]string{
			"sleep":      "exec sleep 1000",
			"wait":       "sleep 1000 & wait",
			"read":       "sleep 1000 | cat",
			"after work": "i=0; while [ $i -lt 100 ]; do /bin/true; cat /etc/passwd >/tmp/$i; i=$((i+1)); done; exec sleep 1000",
		} {
			b := newBox(t, []string{"sh", "-c", script}, nil).on(platform)
			b.name = platform + ", " + name
			b.start()
			boxes = append(boxes, b)
		}
	}
	settle(t, boxes...)
	before := switches(boxes)
	time.Sleep(watch)
	after := switches(boxes)
	if len(before) < 4*len(boxes) {
		t.Errorf("only these threads: %v", before)
	}
	for thread, n := range after {
		if was, ok := before[thread]; !ok || n != was {
			t.Errorf("%s: switched to %d times (it is new: %v)", thread, n-was, !ok)
		}
	}
}

// settle waits until the sandboxes have come to rest: what their start has left
// to be done later is done.
func settle(t *testing.T, boxes ...*box) {
	t.Helper()
	last, quiet := switches(boxes), 0
	for end := time.Now().Add(time.Minute); quiet < 5; {
		time.Sleep(200 * time.Millisecond)
		now := switches(boxes)
		if quiet++; !maps.Equal(now, last) {
			quiet = 0
		}
		last = now
		if time.Now().After(end) {
			t.Fatal("they don't come to rest")
		}
	}
}
