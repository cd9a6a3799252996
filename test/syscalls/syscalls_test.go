// Package syscalls runs the conformance tests of guest and c: under runc, where
// they must pass, and then in the sandbox.
package syscalls

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var (
	runsc    = flag.String("runsc", "../../bin/runsc", "the runtime under test")
	native   = flag.String("native", "runc", "the runtime that shows what Linux does")
	platform = flag.String("platform", "ptrace", "runsc's platform; \"\" for a runtime that has no such flag")
	only     = flag.String("only", "", "a regular expression of cases, as -test.run takes it")
)

const suiteTimeout = 5 * time.Minute

// TestConformance runs every case natively and in the sandbox.
func TestConformance(t *testing.T) {
	b := newBundle(t)
	want := b.run(t, *native, nil, *only, suiteTimeout)
	for name, verdict := range want.verdicts {
		if verdict != "PASS" {
			t.Errorf("%s: %s on Linux:\n%s", name, verdict, want.output(name))
		}
	}
	got := b.run(t, *runsc, runscFlags(), *only, suiteTimeout)
	for _, name := range want.names() {
		if v := got.verdicts[name]; v != "PASS" {
			t.Errorf("%s: %s in the sandbox, PASS on Linux:\n%s", name, v, got.output(name))
		}
	}
	if len(want.verdicts) == 0 || !got.finished || got.late {
		t.Errorf("the suite did not come to its end in the sandbox (within %v):\n%s", suiteTimeout, tail(got.text, 40))
	}
	t.Logf("%d cases", len(want.verdicts))
}

func runscFlags() []string {
	if *platform == "" {
		return nil
	}
	return []string{"--platform=" + *platform}
}

// A report is what one run of the suite printed.
type report struct {
	text     string
	verdicts map[string]string // by case, leaves only
	covers   map[string][]string
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

// output is what the suite said of one case.
func (r *report) output(name string) string {
	_, after, found := strings.Cut(r.text, "=== RUN   "+name+"\n")
	if !found {
		return "(never run) " + tail(r.text, 20)
	}
	if i := strings.Index(after, "\n=== RUN"); i >= 0 {
		after = after[:i]
	}
	return tail(after, 30)
}

var (
	verdictLine = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+)`)
	coversLine  = regexp.MustCompile(`(?m)^covers (\S+) (\S+)$`)
)

func parse(text string) *report {
	r := &report{text: text, verdicts: map[string]string{}, covers: map[string][]string{}}
	for _, m := range verdictLine.FindAllStringSubmatch(text, -1) {
		r.verdicts[m[2]] = m[1]
	}
	for name := range r.verdicts {
		if parent, _, nested := strings.Cut(name, "/"); nested {
			delete(r.verdicts, parent)
		}
	}
	for _, m := range coversLine.FindAllStringSubmatch(text, -1) {
		r.covers[m[1]] = append(r.covers[m[1]], m[2])
	}
	r.finished = strings.Contains(text, "\nPASS\n") || strings.Contains(text, "\nFAIL\n")
	return r
}

// A bundle is an OCI bundle with the suite in it.
type bundle struct{ dir string }

func newBundle(t *testing.T) bundle {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it runs containers")
	}
	b := bundle{t.TempDir()}
	rootfs := filepath.Join(b.dir, "rootfs")
	for _, d := range []string{"c", "proc", "sys", "dev", "tmp", "etc", "root"} {
		if err := os.MkdirAll(filepath.Join(rootfs, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
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
	return b
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// run runs the cases that match under runtime, for limit at most; flags go
// before its command.
func (b bundle) run(t *testing.T, runtime string, flags []string, match string, limit time.Duration) *report {
	t.Helper()
	config, err := json.Marshal(spec(match))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(b.dir, "state-"+filepath.Base(runtime))
	id := "syscalls-" + filepath.Base(filepath.Dir(b.dir))
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	base := append([]string{"--root", state}, flags...)
	cmd := exec.CommandContext(ctx, runtime, append(base, "run", "--bundle", b.dir, id)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error {
		exec.Command(runtime, append(slices.Clone(base), "delete", "--force", id)...).Run()
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 5 * time.Second
	cmd.Run() // the report says how it went
	r := parse(out.String())
	r.late = ctx.Err() != nil
	return r
}

func spec(match string) *specs.Spec {
	args := []string{"/guest.test", "-test.v", "-test.timeout=4m"}
	if match != "" {
		args = append(args, "-test.run="+match)
	}
	caps := []string{}
	for _, c := range strings.Fields("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FSETID FOWNER MKNOD NET_RAW NET_ADMIN SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE SYS_ADMIN SYS_NICE SYS_PTRACE IPC_LOCK IPC_OWNER LEASE LINUX_IMMUTABLE") {
		caps = append(caps, "CAP_"+c)
	}
	nosuid := []string{"nosuid", "noexec", "nodev"}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Args: args,
			// Go's own signals would interrupt the calls that wait.
			Env: []string{"PATH=/bin", "HOME=/root", "TMPDIR=/tmp", "GODEBUG=asyncpreemptoff=1"},
			Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{
				Bounding: caps, Effective: caps, Permitted: caps,
			},
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}},
		},
		Root:     &specs.Root{Path: "rootfs"},
		Hostname: "garrison",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: nosuid},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append(slices.Clone(nosuid), "mode=1777", "size=65536k")},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append(slices.Clone(nosuid), "ro")},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
		},
	}
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
