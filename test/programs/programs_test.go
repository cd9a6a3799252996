// Package programs runs real programs in a Debian root filesystem, under runc
// and under Garrison, and compares what they print and how they end.
package programs

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"
)

var (
	root     = flag.String("root", "/var/cache/garrison/bookworm", "the Debian root filesystem, made by mkroot")
	suites   = flag.String("suites", "/var/cache/garrison/suites", "the one with more programs, made by mksuites")
	servers  = flag.String("servers", "/var/cache/garrison/servers", "the one with servers and language runtimes, made by mkservers")
	scripts  = flag.String("jobs", "jobs/*.sh", "the jobs to run: long/*.sh are those that take minutes")
	runsc    = flag.String("runsc", "../../bin/runsc", "the runtime under test")
	peer     = flag.String("peer", "runc", "the runtime that says what is right")
	update   = flag.Bool("update", false, "record what Linux has in tree/linux anew")
	platform = flag.String("platform", "auto", "runsc's platform; \"\" for a runtime that has no such flag")
)

// TestPrograms runs each script of jobs/ under both runtimes.
func TestPrograms(t *testing.T) {
	jobs, err := filepath.Glob(*scripts)
	if err != nil || len(jobs) == 0 {
		t.Fatal("no jobs", err)
	}
	needs(t, jobs...)
	goprog := filepath.Join(t.TempDir(), "goprog")
	build := exec.Command("go", "build", "-o", goprog, "./goprog")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, job := range jobs {
		name := strings.TrimSuffix(filepath.Base(job), ".sh")
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			want := run(t, bundle.Runtime{Path: *peer}, job, goprog)
			if why := absentLine.FindStringSubmatch(want.Output); why != nil {
				t.Skipf("this host has no %s", why[1])
			}
			between := time.Now()
			got := run(t, bundle.Ours(*runsc, *platform), job, goprog)
			t.Logf("%v, under %s %v", time.Since(between).Round(time.Second/10), *peer, between.Sub(began).Round(time.Second/10))
			if got.Code != want.Code {
				t.Errorf("exit code %d, under %s %d", got.Code, *peer, want.Code)
			}
			if g, w := normalise(name, got.Output), normalise(name, want.Output); g != w {
				t.Errorf("output differs (-%s +runsc):\n%s", *peer, diff(t, w, g))
			}
		})
	}
}

// absentLine is what a job says when the host has not got what it looks at.
var absentLine = regexp.MustCompile(`(?m)^absent (\S.*)$`)

// needs is what the jobs can't do without.
func needs(t *testing.T, jobs ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts overlays and runs containers")
	}
	for _, job := range jobs {
		if dir := lower(t, job); !exists(dir + "/.recipe") {
			t.Fatalf("no root filesystem at %s (make suites-root servers-root)", dir)
		}
	}
	if _, err := exec.LookPath(*peer); err != nil {
		t.Fatalf("%s is not installed (make deps)", *peer)
	}
	if !exists(*runsc) {
		t.Fatalf("%s is not built (make build)", *runsc)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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
