package posture

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A size is how much of everything a sandbox has.
type size struct {
	goroutines, descriptors, threads, stubs int
	networks                                int // goroutines that serve TCP, of goroutines
	pss                                     int // KiB, of all its processes
}

// open is what the sandbox's processes have open, and how often.
func (b *box) open() map[string]int {
	all := map[string]int{}
	for who, pids := range b.processes() {
		for _, pid := range pids {
			fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
			for _, fd := range fds {
				link, _ := os.Readlink(fd)
				all[who+" "+strings.TrimRight(link, "0123456789]")]++
			}
		}
	}
	return all
}

// stacks are those of the sentry's goroutines.
func (b *box) stacks() string {
	b.t.Helper()
	out, err := b.command("debug", "--stacks", b.id).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// size looks at the sandbox when it is at rest.
func (b *box) size() (s size, stacks string) {
	b.t.Helper()
	b.stacks() // collects garbage, and gives its memory back
	settle(b.t, b)
	stacks = b.stacks()
	s.goroutines = strings.Count("\n"+stacks, "\ngoroutine ")
	s.networks = strings.Count(stacks, "\ncreated by gvisor.dev/gvisor/pkg/tcpip/")
	settle(b.t, b)
	for who, pids := range b.processes() {
		for _, pid := range pids {
			fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
			if _, rest, ok := strings.Cut(string(rollup), "\nPss:"); ok {
				n, _ := strconv.Atoi(strings.Fields(rest)[0])
				s.pss += n
			}
			s.descriptors += len(fds)
			if s.threads += len(tasks); who == "stub" {
				s.stubs++
			}
		}
	}
	return s, stacks
}

// cycle makes a process of the sandbox fork and exec n times. The program is
// statically linked, and so looks at its /proc/self/exe before main.
func (b *box) cycle(n int) {
	b.t.Helper()
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do /bin/true || exit 1; i=$((i+1)); done; echo $i", n)
	out, err := b.command("exec", b.id, "/bin/sh", "-c", script).CombinedOutput()
	if want := strconv.Itoa(n); err != nil || strings.TrimSpace(string(out)) != want {
		b.t.Fatalf("%v: %s, want %s", err, out, want)
	}
}

// Bounds of what a sandbox may have more after any number of processes: something
// may be about to end when it is counted, Go keeps threads that it once needed, and
// its heap has a size between two collections.
const (
	few         = 3
	moreThreads = 8
	morePSS     = 8 << 10
)

// TestGrowth asserts that processes that have come and gone leave nothing behind.
func TestGrowth(t *testing.T) {
	cycles := 500
	if os.Getenv(longTier) != "" {
		cycles = 10_000
	}
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			b := newBox(t, []string{"sleep", "100000"}, nil).on(platform)
			b.start()
			b.cycle(max(100, cycles/10)) // what is kept for the next time is there afterwards
			before, _ := b.size()
			b.cycle(cycles)
			after, stacks := b.size()
			t.Logf("%+v became %+v", before, after)
			if before.goroutines < 5 || before.descriptors < 10 || before.stubs < 1 || before.pss < 1000 {
				t.Errorf("that can't be all: %+v", before)
			}
			if after.goroutines > before.goroutines+few || after.descriptors > before.descriptors+few || after.stubs > before.stubs+few {
				t.Errorf("%+v became %+v in %d cycles:\n%s", before, after, cycles, stacks)
			}
			if after.threads > before.threads+moreThreads || after.pss > before.pss+morePSS {
				t.Errorf("%+v became %+v in %d cycles: more than ever", before, after, cycles)
			}
			b.checkLog()
			if left, _ := filepath.Glob(filepath.Join(b.root, "*")); len(left) == 0 {
				t.Error("the container is not on record")
			}
		})
	}
}
