package programs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const jobTimeout = 10 * time.Minute

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

var rootLine = regexp.MustCompile(`(?m)^# root: (.+)$`)

// lower is the root filesystem of a job: a line of its own asks for a bigger one.
func lower(t *testing.T, job string) string {
	t.Helper()
	text, err := os.ReadFile(job)
	if err != nil {
		t.Fatal(err)
	}
	roots := map[string]string{"": *root, "suites": *suites, "servers": *servers}
	name := ""
	if m := rootLine.FindSubmatch(text); m != nil {
		name = string(m[1])
	}
	dir, ok := roots[name]
	if !ok {
		t.Fatalf("%s: no root filesystem is called %q", job, name)
	}
	return dir
}

var (
	capabilityLine = regexp.MustCompile(`(?m)^# capabilities: (.+)$`)
	sourceLine     = regexp.MustCompile(`(?m)^# source$`)
	fuseLine       = regexp.MustCompile(`(?m)^# fuse$`)
	loopLine       = regexp.MustCompile(`(?m)^# loop$`)
)

// spec is a container that runs job, with what lines of the job ask for: capabilities beyond
// the usual ones; this project's source with all that builds it; /dev/fuse; loop devices.
func spec(t *testing.T, job string) *specs.Spec {
	text, err := os.ReadFile(job)
	if err != nil {
		t.Fatal(err)
	}
	s := bundle.Spec("/bin/bash", "/job.sh")
	if m := capabilityLine.FindSubmatch(text); m != nil {
		bundle.Grant(s, bundle.Capabilities+" "+string(m[1]))
	}
	if fuseLine.Match(text) {
		bundle.Fuse(s)
	}
	if loopLine.Match(text) {
		bundle.Loop(s)
	}
	if sourceLine.Match(text) {
		s.Mounts = append(s.Mounts, source(t)...)
	}
	return s
}

// source is mounts of Go as it is here, the modules it has, and this project.
func source(t *testing.T) []specs.Mount {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal("go env:", err)
	}
	project, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	at := []string{"/usr/local/go", "/root/go/pkg/mod", "/src"}
	mounts := []specs.Mount{}
	for i, dir := range append(strings.Fields(string(out)), project) {
		mounts = append(mounts, specs.Mount{Destination: at[i], Type: "bind", Source: dir, Options: []string{"rbind", "ro", "nosuid", "nodev"}})
	}
	return mounts
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
