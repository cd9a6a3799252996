// Package syscalls runs the conformance tests of guest and c: under runc, where
// they must pass, and then in the sandbox.
package syscalls

import (
	"flag"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var (
	runsc    = flag.String("runsc", "../../bin/runsc", "the runtime under test")
	native   = flag.String("native", "runc", "the runtime that shows what Linux does")
	platform = flag.String("platform", "auto", "runsc's platform; \"\" for a runtime that has no such flag")
	network  = flag.String("network", "", "runsc's --network; \"\" is its default")
	only     = flag.String("only", "", "a regular expression of cases, as -test.run takes it")
)

const suiteTimeout = 10 * time.Minute // on a machine that has much else to do, five are too few

// TestConformance runs every case natively and in the sandbox.
func TestConformance(t *testing.T) {
	s := newSuite(t)
	want := s.run(t, bundle.Runtime{Path: *native}, *only, suiteTimeout)
	for name, verdict := range want.verdicts {
		if verdict != "PASS" {
			t.Errorf("%s: %s on Linux:\n%s", name, verdict, want.output(name))
		}
	}
	ours := bundle.Ours(*runsc, *platform)
	if *network != "" {
		ours.Flags = append(ours.Flags, "--network="+*network)
	}
	got := s.run(t, ours, *only, suiteTimeout)
	var failed []string
	for _, name := range want.names() {
		if v := got.groups[name]; v != "PASS" {
			failed = append(failed, name)
			t.Errorf("%s: %s in the sandbox, PASS on Linux:\n%s", name, v, got.output(name))
		}
	}
	for name := range got.absent {
		if !want.absent[name] {
			t.Errorf("%s is absent in the sandbox, and there on Linux", name)
		}
	}
	if len(want.verdicts) == 0 || !got.finished || got.late {
		t.Errorf("the suite did not come to its end in the sandbox (within %v):\n%s", suiteTimeout, tail(got.text, 40))
	}
	// Last, as a long log is read from its end.
	t.Logf("%d cases; failed in the sandbox: %q", len(want.verdicts), failed)
}

// A report is what one run of the suite printed.
type report struct {
	text     string
	verdicts map[string]string // by case: leaves, and what fails around them
	groups   map[string]string // the verdicts of all, leaves or not
	took     map[string]time.Duration
	covers   map[string][]string
	absent   map[string]bool // what the kernel was built without, or the machine has not
	finished bool
	late     bool // it was ended at its time limit
}

func (r *report) names() []string {
	var names []string
	for n := range r.verdicts {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// output is what the suite said of one case: as it began, and each time it came
// back to it. Of one that never began, what it said of the one around it.
func (r *report) output(name string) string {
	var said string
	for _, part := range strings.Split("\n"+r.text, "\n=== ") {
		head, rest, _ := strings.Cut(part, "\n")
		if of := strings.Fields(head); len(of) == 2 && (of[0] == "RUN" || of[0] == "NAME") && of[1] == name {
			said += rest + "\n"
		}
	}
	if parent := path.Dir(name); said == "" && parent != "." {
		return "(never run) " + r.output(parent)
	}
	if said == "" {
		return "(never run) " + tail(r.text, 20)
	}
	return tail(said, 30)
}

var (
	verdictLine = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+) \((\S+)\)`)
	coversLine  = regexp.MustCompile(`(?m)^covers (\S+) (\S+)$`)
	absentLine  = regexp.MustCompile(`(?m)^absent (\S.*)$`)
)

func parse(text string) *report {
	r := &report{text: text, verdicts: map[string]string{}, groups: map[string]string{}, took: map[string]time.Duration{},
		covers: map[string][]string{}, absent: map[string]bool{}}
	for _, m := range verdictLine.FindAllStringSubmatch(text, -1) {
		r.verdicts[m[2]], r.groups[m[2]] = m[1], m[1]
		r.took[m[2]], _ = time.ParseDuration(m[3])
	}
	for name := range r.groups {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if r.groups[parent] == "PASS" {
				delete(r.verdicts, parent)
			}
		}
	}
	for _, m := range coversLine.FindAllStringSubmatch(text, -1) {
		r.covers[m[1]] = append(r.covers[m[1]], m[2])
	}
	for _, m := range absentLine.FindAllStringSubmatch(text, -1) {
		r.absent[m[1]] = true
	}
	r.finished = strings.Contains(text, "\nPASS\n") || strings.Contains(text, "\nFAIL\n")
	return r
}

// A suite is an OCI bundle with the cases in it.
type suite struct{ dir string }

// newEmptySuite has no cases, and a root for them.
func newEmptySuite(t *testing.T) suite {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it runs containers")
	}
	s := suite{t.TempDir()}
	for _, d := range []string{"c", "proc", "sys", "dev", "tmp", "etc", "root"} {
		if err := os.MkdirAll(filepath.Join(s.dir, "rootfs", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func newSuite(t *testing.T) suite {
	t.Helper()
	s := newEmptySuite(t)
	rootfs := filepath.Join(s.dir, "rootfs")
	if err := os.WriteFile(filepath.Join(rootfs, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(rootfs, "guest.test"), "./guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	must(t, build)
	sources, err := filepath.Glob("c/*.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range sources {
		bin := filepath.Join(rootfs, strings.TrimSuffix(src, ".c"))
		must(t, exec.Command("gcc", "-static", "-O1", "-Wall", "-Werror", "-Wno-unused-result", "-Wno-infinite-recursion", "-pthread", "-o", bin, src))
		must(t, exec.Command("cp", src, filepath.Join(rootfs, src)))
	}
	return s
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// run runs the cases that match in a fresh container, for limit at most.
func (s suite) run(t *testing.T, r bundle.Runtime, match string, limit time.Duration, flags ...string) *report {
	t.Helper()
	if err := bundle.Write(s.dir, spec(match, flags...)); err != nil {
		t.Fatal(err)
	}
	result, err := r.Run(t.Context(), s.dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	report := parse(result.Output)
	report.late = result.Late
	return report
}

func spec(match string, flags ...string) *specs.Spec {
	s := bundle.Spec(append([]string{"/guest.test", "-test.v", "-test.timeout=6m"}, flags...)...)
	if match != "" {
		s.Process.Args = append(s.Process.Args, "-test.run="+match)
	}
	// Go's own signals would interrupt the calls that wait.
	s.Process.Env = []string{"PATH=/bin", "HOME=/root", "TMPDIR=/tmp", "GODEBUG=asyncpreemptoff=1"}
	bundle.Grant(s, bundle.Capabilities+" DAC_READ_SEARCH NET_ADMIN SYS_ADMIN SYS_NICE SYS_PTRACE IPC_LOCK IPC_OWNER LEASE LINUX_IMMUTABLE SYS_TTY_CONFIG")
	bundle.Fuse(s)
	bundle.Loop(s)
	return s
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
