// Package validation runs the programs by which the OCI tests runtimes
// (github.com/opencontainers/runtime-tools), under runc first and then under ours:
// each point that runc passes must pass here too, but for those of differences_test.go.
// `make validation` builds the programs; without them there is nothing to run.
package validation

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	programsFlag = flag.String("programs", "", "directory of the programs, runtimetest and the archive of their root filesystem")
	runtimeFlag  = flag.String("runtime", "../../../bin/runsc", "runtime to test")
)

func TestPrograms(t *testing.T) {
	if *programsFlag == "" {
		t.Skip("make validation builds the programs")
	}
	programs, err := filepath.Abs(*programsFlag)
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []string{archive, "runtimetest"} {
		if _, err := os.Stat(filepath.Join(programs, needed)); err != nil {
			t.Fatalf("%v: make validation puts it there", err)
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Fatalf("%v: test/deps installs it", err)
	}
	path, err := filepath.Abs(*runtimeFlag)
	if err != nil {
		t.Fatal(err)
	}
	native, ours := newRuntime(t, runc), newRuntime(t, path)
	files, err := os.ReadDir(programs)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() == archive || f.Name() == "runtimetest" || racy[f.Name()] != "" {
			continue
		}
		// One after the other: some make cgroups of the same name.
		t.Run(f.Name(), func(t *testing.T) { compare(t, native, ours, filepath.Join(programs, f.Name())) })
	}
}

// compare asks that what the program finds right with native is right with ours.
func compare(t *testing.T, native, ours runtime, program string) {
	want, _ := native.validate(t, program)
	got, said := ours.validate(t, program)
	passed := 0
	for _, ok := range want {
		if ok {
			passed++
		}
	}
	lost := got.lost(want)
	t.Logf("%d points, %d of them pass under runc, and %d of those here", len(want), passed, passed-len(lost))
	d := differences[filepath.Base(program)]
	allowed := regexp.MustCompile("^(" + d.points + ")(, [0-9]+)?$")
	used := false
	for _, text := range lost {
		if d.points != "" && allowed.MatchString(text) {
			used = true
			continue
		}
		t.Errorf("passes under runc and not here: %s", text)
	}
	if d.points != "" && !used {
		t.Errorf("differences_test.go: %q passes", d.points)
	}
	if t.Failed() {
		t.Logf("%s", said)
	}
}
