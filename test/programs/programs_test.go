// Package programs runs real programs in a Debian root filesystem, under runc
// and under Garrison, and compares what they print and how they end.
package programs

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"garrison/test/bundle"
)

var (
	root     = flag.String("root", "/var/cache/garrison/bookworm", "the Debian root filesystem, made by mkroot")
	suites   = flag.String("suites", "/var/cache/garrison/suites", "the one with more programs, made by mksuites")
	runsc    = flag.String("runsc", "../../bin/runsc", "the runtime under test")
	peer     = flag.String("peer", "runc", "the runtime that says what is right")
	update   = flag.Bool("update", false, "record what Linux has in tree/linux anew")
	platform = flag.String("platform", "auto", "runsc's platform; \"\" for a runtime that has no such flag")
)

// TestPrograms runs each script of jobs/ under both runtimes.
func TestPrograms(t *testing.T) {
	needs(t)
	jobs, err := filepath.Glob("jobs/*.sh")
	if err != nil || len(jobs) == 0 {
		t.Fatal("no jobs", err)
	}
	goprog := filepath.Join(t.TempDir(), "goprog")
	build := exec.Command("go", "build", "-o", goprog, "./goprog")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, job := range jobs {
		name := strings.TrimSuffix(filepath.Base(job), ".sh")
		t.Run(name, func(t *testing.T) {
			want := run(t, bundle.Runtime{Path: *peer}, job, goprog)
			got := run(t, bundle.Ours(*runsc, *platform), job, goprog)
			if got.Code != want.Code {
				t.Errorf("exit code %d, under %s %d", got.Code, *peer, want.Code)
			}
			if g, w := normalise(name, got.Output), normalise(name, want.Output); g != w {
				t.Errorf("output differs (-%s +runsc):\n%s", *peer, diff(t, w, g))
			}
		})
	}
}

func needs(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts overlays and runs containers")
	}
	for _, dir := range []string{*root, *suites} {
		if _, err := os.Stat(dir + "/.recipe"); err != nil {
			t.Fatalf("no root filesystem at %s (make suites-root)", dir)
		}
	}
	if _, err := exec.LookPath(*peer); err != nil {
		t.Fatalf("%s is not installed (make deps)", *peer)
	}
	if _, err := os.Stat(*runsc); err != nil {
		t.Fatalf("%s is not built (make build)", *runsc)
	}
}

// diff is the first lines of diff(1).
func diff(t *testing.T, want, got string) string {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "want"), filepath.Join(dir, "got")
	for f, s := range map[string]string{a: want, b: got} {
		if err := os.WriteFile(f, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command("diff", "-u", a, b).Output()
	lines := strings.SplitAfterN(string(out), "\n", 60)
	return strings.Join(lines[:min(len(lines), 59)], "")
}
