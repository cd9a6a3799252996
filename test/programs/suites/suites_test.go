// Package suites runs the tests that others have for kernels and libraries in
// a container, under runc and under Garrison: what passes under runc must pass
// here. Each suite has a list of the cases that are known to fail
// (expected/*.txt), which only shrinks: a listed case that passes is an error too.
package suites

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var (
	root     = flag.String("root", "/var/cache/garrison/suites", "the Debian root filesystem, made by mksuites")
	runsc    = flag.String("runsc", "../../../bin/runsc", "the runtime under test")
	peer     = flag.String("peer", "runc", "the runtime that says what is right")
	platform = flag.String("platform", "auto", "runsc's platform; \"\" for a runtime that has no such flag")
	only     = flag.String("only", "", "the modules, packages or classes to run, instead of all")
)

// longTier, when set, runs the whole suites instead of a taste of each.
const longTier = "GARRISON_SUITES"

// A suite is a list of programs' names that guest/run.py knows how to run.
type suite struct {
	name  string
	all   []string // names that run one after the other, each in a container of its own
	taste []string
	each  time.Duration // what a part of a name may take, if not limit
	limit time.Duration // of each name
	mount []specs.Mount
	env   []string
	bound func(*specs.Spec) // what a container of it may use

	prepare func(t *testing.T, name string) // makes what name needs in a mount
}

// run runs the suite's names under both runtimes, and compares.
func (s *suite) run(t *testing.T) {
	needs(t)
	list, err := readExpected(filepath.Join("expected", s.name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	names, whole := s.all, true
	switch {
	case *only != "":
		names, whole = strings.Fields(*only), false
	case os.Getenv(longTier) == "":
		names, whole = s.taste, false
	}
	seen := results{}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			if s.prepare != nil {
				s.prepare(t, name)
			}
			want, out := s.inside(t, bundle.Runtime{Path: *peer}, name, nil)
			if !slices.Contains(slices.Collect(maps.Values(want)), "ok") {
				t.Fatalf("nothing passes under %s, so nothing is compared:\n%s", *peer, tail(out, 50))
			}
			for _, c := range slices.Sorted(maps.Keys(want)) {
				if want[c] == "bad" || want[c] == "hang" {
					t.Logf("not compared, as it fails under %s: %s", *peer, c)
				}
			}
			if testing.Verbose() && want[name] != "ok" {
				t.Log(tail(out, 300))
			}
			got, out := s.inside(t, bundle.Ours(*runsc, *platform), name, list.hanging())
			faults := list.judge(want, got)
			for _, f := range faults {
				t.Error(f)
			}
			if len(faults) > 0 {
				t.Log(tail(out, 200))
			}
			seen.add(want)
		})
	}
	if whole {
		for _, f := range append(list.unknown(seen), list.tooMany(seen)...) {
			t.Error(f)
		}
	}
}

// inside runs one name in a fresh container, and gives how its cases ended and what it printed.
func (s *suite) inside(t *testing.T, r bundle.Runtime, name string, leave []string) (results, string) {
	t.Helper()
	dir := t.TempDir()
	undo, err := bundle.Overlay(dir, *root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(undo)
	rootfs := filepath.Join(dir, "rootfs")
	if err := os.CopyFS(filepath.Join(rootfs, "guest"), os.DirFS("guest")); err != nil {
		t.Fatal(err)
	}
	spec := bundle.Spec("python3", "/guest/run.py", s.name, fmt.Sprint(cmp.Or(s.each, s.limit).Seconds()), strings.Join(leave, " "), name)
	spec.Process.Env = append(spec.Process.Env, s.env...)
	spec.Mounts = append(spec.Mounts, s.mount...)
	if s.bound != nil {
		s.bound(spec)
	}
	if err := bundle.Write(dir, spec); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	result, err := r.Run(t.Context(), dir, s.limit+time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if result.Late || result.Code != 0 {
		t.Errorf("%s: exit code %d, late %v\n%s", r.Path, result.Code, result.Late, tail(result.Output, 50))
	}
	found, err := readResults(filepath.Join(rootfs, "results"))
	if err != nil {
		t.Errorf("%s: %v\n%s", r.Path, err, tail(result.Output, 50))
	}
	t.Logf("%s: %v in %v", filepath.Base(r.Path), found, time.Since(began).Round(time.Second/10))
	return found, result.Output
}

func needs(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts overlays and runs containers")
	}
	if _, err := os.Stat(*root + "/.recipe"); err != nil {
		t.Fatalf("no root filesystem at %s (make suites-root)", *root)
	}
	if _, err := exec.LookPath(*peer); err != nil {
		t.Fatalf("%s is not installed (make deps)", *peer)
	}
	if _, err := os.Stat(*runsc); err != nil {
		t.Fatalf("%s is not built (make build)", *runsc)
	}
}

// tail is the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
