package programs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const jobTimeout = 5 * time.Minute

// run runs one job in a fresh container: the cached root below an overlay of
// its own, so that no job sees what another wrote.
func run(t *testing.T, r bundle.Runtime, job, goprog string) bundle.Result {
	t.Helper()
	dir := t.TempDir()
	undo, err := bundle.Overlay(dir, lower(t, job))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(undo)
	copyFile(t, job, filepath.Join(dir, "rootfs/job.sh"))
	copyFile(t, goprog, filepath.Join(dir, "rootfs/goprog"))
	if err := bundle.Write(dir, spec(t, job)); err != nil {
		t.Fatal(err)
	}
	result, err := r.Run(t.Context(), dir, jobTimeout)
	if err != nil {
		t.Fatal(err)
	}
	if result.Late {
		t.Errorf("%s: no end after %v", r.Path, jobTimeout)
	}
	return result
}

// lower is the root filesystem of a job: a line of its own asks for the bigger one.
func lower(t *testing.T, job string) string {
	text, err := os.ReadFile(job)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "# root: suites\n") {
		return *suites
	}
	return *root
}

var capabilityLine = regexp.MustCompile(`(?m)^# capabilities: (.+)$`)

// spec is a container that runs job, with the capabilities beyond the usual ones that a
// line of the job asks for.
func spec(t *testing.T, job string) *specs.Spec {
	text, err := os.ReadFile(job)
	if err != nil {
		t.Fatal(err)
	}
	s := bundle.Spec("/bin/bash", "/job.sh")
	if m := capabilityLine.FindSubmatch(text); m != nil {
		bundle.Grant(s, bundle.Capabilities+" "+string(m[1]))
	}
	return s
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}
