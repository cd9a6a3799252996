// Package posture looks at a running sandbox from the host, and asserts that its
// processes have given up what they promise to give up; and lets hostile guests
// try to do harm.
package posture

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var (
	update  = flag.Bool("update", false, "write the golden files anew")
	runtime string
	rootfs  string
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	runtime = os.Getenv("RUNTIME")
	if runtime == "" {
		runtime = "../../bin/runsc"
	}
	var err error
	if runtime, err = filepath.Abs(runtime); err != nil {
		return 1, err
	}
	if _, err := os.Stat(runtime); err != nil {
		return 1, fmt.Errorf("%w: make build first", err)
	}
	if os.Geteuid() != 0 {
		fmt.Println("skip: needs root")
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "posture")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	rootfs = filepath.Join(dir, "root")
	for _, d := range []string{"bin", "etc", "tmp", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(rootfs, d), 0o755); err != nil {
			return 1, err
		}
	}
	if err := os.WriteFile(filepath.Join(rootfs, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\n"), 0o644); err != nil {
		return 1, err
	}
	if out, err := exec.Command("cp", "/bin/busybox", filepath.Join(rootfs, "bin/busybox")).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w: %s (apt-get install busybox-static)", err, out)
	}
	for _, a := range []string{"sh", "sleep", "cat", "echo", "true", "tail", "wc", "head"} {
		if err := os.Symlink("busybox", filepath.Join(rootfs, "bin", a)); err != nil {
			return 1, err
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(rootfs, "bin/hostile"), "./hostile")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w: %s", err, out)
	}
	return m.Run(), nil
}

// A box is a running container.
type box struct {
	t                   *testing.T
	root, bundle, id    string
	init, sentry, gofer int // host pids
	platform, name      string
}

var count int

// newBox makes a bundle that runs args.
func newBox(t *testing.T, args []string, edit func(*specs.Spec)) *box {
	t.Helper()
	count++
	dir := t.TempDir()
	b := &box{t: t, root: filepath.Join(dir, "root"), bundle: filepath.Join(dir, "bundle"), id: fmt.Sprintf("posture%d-%d", os.Getpid(), count)}
	if err := os.Mkdir(b.bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(runtime, "spec")
	cmd.Dir = b.bundle
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(b.bundle, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	s.Process.Args, s.Process.Terminal, s.Root.Path = args, false, rootfs
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
	if edit != nil {
		edit(&s)
	}
	if data, err = json.Marshal(&s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.command("delete", "--force", b.id).Run() })
	return b
}

func (b *box) command(args ...string) *exec.Cmd {
	global := []string{"--root", b.root, "--debug-log", b.log()}
	if b.platform != "" {
		global = append(global, "--platform", b.platform)
	}
	cmd := exec.Command(runtime, append(global, args...)...)
	cmd.Dir, cmd.WaitDelay = b.bundle, 10*time.Second
	return cmd
}

func (b *box) log() string { return b.bundle + "/log" }

// start runs the container in the background and learns its processes.
func (b *box) start() {
	b.t.Helper()
	cmd := b.command("run", "--detach", b.id)
	var errs bytes.Buffer
	f, err := os.Create(b.bundle + "/out")
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		out, _ := os.ReadFile(f.Name())
		b.t.Fatalf("%v: %s%s", err, errs.String(), out)
	}
	data, err := os.ReadFile(filepath.Join(b.root, b.id, "state.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	var s struct{ Init, Sentry, Gofer struct{ PID int } }
	if err := json.Unmarshal(data, &s); err != nil {
		b.t.Fatal(err)
	}
	b.init, b.sentry, b.gofer = s.Init.PID, s.Sentry.PID, s.Gofer.PID
}

// run runs the container to its end. A panic of the sentry fails the test.
func (b *box) run() (code int, out string) {
	b.t.Helper()
	cmd := b.command("run", b.id)
	timer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	data, _ := cmd.CombinedOutput()
	b.checkLog()
	return cmd.ProcessState.ExitCode(), string(data)
}

func (b *box) checkLog() {
	b.t.Helper()
	all, _ := os.ReadFile(b.log())
	// What ends a guest's task is told there, too, and may be SIGSYS.
	var log []byte
	for line := range bytes.Lines(all) {
		if !bytes.Contains(line, []byte(" sentry: task ")) {
			log = append(log, line...)
		}
	}
	for _, mark := range []string{"panic: ", "fatal error: ", "SIGSYS"} {
		if i := bytes.Index(log, []byte(mark)); i >= 0 {
			b.t.Errorf("the sentry broke:\n%s", log[i:min(len(log), i+6000)])
			return
		}
	}
}

// status reads the fields of /proc/pid/status.
func status(t *testing.T, pid int) map[string]string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			m[k] = strings.TrimSpace(v)
		}
	}
	return m
}

// children are the processes whose parent is pid.
func children(pid int) (found []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, d := range dirs {
		data, _ := os.ReadFile(d)
		if _, rest, ok := strings.Cut(string(data), ") "); ok {
			if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
				n, _ := strconv.Atoi(filepath.Base(filepath.Dir(d)))
				found = append(found, n)
			}
		}
	}
	return found
}

// namespaces are those of a process that is not to share any with others.
var namespaces = []string{"mnt", "pid", "net", "ipc", "uts", "cgroup"}

func namespace(t *testing.T, pid int, name string) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

const noCapabilities = "0000000000000000"

// confined asserts what holds for every process of a sandbox but the holder.
func confined(t *testing.T, who string, pid int, caps string) {
	t.Helper()
	s := status(t, pid)
	for field, want := range map[string]string{
		"NoNewPrivs": "1", "Seccomp": "2", "CapInh": noCapabilities, "CapAmb": noCapabilities, "CapPrm": caps, "CapEff": caps, "CapBnd": caps,
	} {
		if s[field] != want {
			t.Errorf("%s: %s is %s, not %s", who, field, s[field], want)
		}
	}
	for _, ns := range namespaces {
		if namespace(t, pid, ns) == namespace(t, os.Getpid(), ns) {
			t.Errorf("%s: shares the host's %s namespace", who, ns)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(string(mounts)); strings.Count(string(mounts), "\n") != 1 || f[4] != "/" || !strings.HasPrefix(f[5], "ro,") || !strings.Contains(string(mounts), " - tmpfs ") {
		t.Errorf("%s: mounts:\n%s", who, mounts)
	}
	if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root", pid)); err != nil || len(entries) != 0 {
		t.Errorf("%s: its root holds %v, %v", who, entries, err)
	}
	if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); cwd != "/" {
		t.Errorf("%s: its working directory is %s", who, cwd)
	}
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for _, e := range strings.Split(string(environ), "\x00") {
		if e != "" && !strings.HasPrefix(e, "GO") {
			t.Errorf("%s: has %s in its environment", who, e)
		}
	}
}

// undumpable asserts that not even a process of the same user may look into pid,
// and that no core dump will hold its memory.
func undumpable(t *testing.T, who string, pid int) {
	t.Helper()
	uid, _ := strconv.ParseUint(strings.Fields(status(t, pid)["Uid"])[0], 10, 32)
	if uid != 0 { // of root's nothing can be hidden from root
		cmd := exec.Command("cat", fmt.Sprintf("/proc/%d/maps", pid))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
			t.Errorf("%s: its user can read its maps: %v %.100s", who, err, out)
		}
	}
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	for _, line := range strings.Split(string(limits), "\n") {
		if strings.HasPrefix(line, "Max core file size") && strings.Join(strings.Fields(line)[4:6], " ") != "0 0" {
			t.Errorf("%s: %s", who, line)
		}
	}
}

func TestProcesses(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.start()
	confined(t, "sentry", b.sentry, noCapabilities)
	undumpable(t, "sentry", b.sentry)
	undumpable(t, "gofer", b.gofer)
	// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, MKNOD, SETFCAP.
	confined(t, "gofer", b.gofer, "000000008800001f")
	for _, ns := range append(namespaces, "user") {
		if namespace(t, b.sentry, ns) == namespace(t, b.gofer, ns) {
			t.Errorf("sentry and gofer share the %s namespace", ns)
		}
	}
	if s := status(t, b.sentry); s["Uid"] == "0\t0\t0\t0" || strings.TrimSpace(s["Groups"]) != "" {
		t.Errorf("sentry: Uid %s, Groups %s", s["Uid"], s["Groups"])
	}
	if namespace(t, b.sentry, "user") == namespace(t, os.Getpid(), "user") {
		t.Error("sentry: shares the host's user namespace")
	}
	stubs := children(b.sentry)
	if len(stubs) == 0 {
		t.Error("the sentry has no stubs")
	}
	for _, pid := range stubs {
		confined(t, "stub", pid, noCapabilities)
	}
}

func TestUsers(t *testing.T) {
	a, b := newBox(t, []string{"sleep", "1000"}, nil), newBox(t, []string{"sleep", "1000"}, nil)
	b.root = a.root
	a.start()
	b.start()
	if x, y := status(t, a.sentry)["Uid"], status(t, b.sentry)["Uid"]; x == y {
		t.Errorf("two sentries run as %s", x)
	}
}

// TestDescriptors asserts that a sentry holds nothing that leads anywhere: no
// directory, no file but those it was given.
func TestDescriptors(t *testing.T) {
	b := newBox(t, []string{"sh", "-c", "cat /etc/passwd >/dev/null; exec sleep 1000"}, nil)
	b.start()
	time.Sleep(50 * time.Millisecond)
	for who, pid := range map[string]int{"sentry": b.sentry, "stub": children(b.sentry)[0]} {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			link, _ := os.Readlink(filepath.Join(dir, e.Name()))
			fi, err := os.Stat(filepath.Join(dir, e.Name()))
			if err == nil && fi.IsDir() && link != "/" { // the page file's mount is an empty "/"
				t.Errorf("%s: descriptor %s is the directory %s", who, e.Name(), link)
			}
			known := strings.HasPrefix(link, rootfs+"/") || strings.HasPrefix(link, "/memfd:") || strings.HasPrefix(link, "socket:") ||
				strings.HasPrefix(link, "pipe:") || strings.HasPrefix(link, "anon_inode:") || link == "/dev/null" ||
				link == b.log() || link == b.bundle+"/out" || link == "/" || strings.HasPrefix(link, "/#")
			// A donated file of the root shows as its path on the detached mount.
			if _, err := os.Lstat(filepath.Join(rootfs, link)); err == nil {
				known = true
			}
			if !known {
				t.Errorf("%s: descriptor %s is %s", who, e.Name(), link)
			}
		}
	}
}

// TestStubsDieWithTheSentry kills it while its guest computes.
func TestStubsDieWithTheSentry(t *testing.T) {
	b := newBox(t, []string{"sh", "-c", "while :; do :; done & while :; do :; done"}, nil)
	b.start()
	time.Sleep(50 * time.Millisecond)
	stubs := children(b.sentry)
	p, err := os.FindProcess(b.sentry)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		alive := 0
		for _, pid := range stubs {
			if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(data), ") Z ") {
				alive++
			}
		}
		if alive == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d stubs live", alive, len(stubs))
		}
	}
}

// TestSeccompTables compares the allow-lists with the file in which each change
// of them shows.
func TestSeccompTables(t *testing.T) {
	out, err := exec.Command(runtime, "debug", "--seccomp").Output()
	if err != nil {
		t.Fatal(err)
	}
	const path = "seccomp.golden"
	if *update {
		if err := os.WriteFile(path, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out, want) {
		t.Errorf("the tables differ from %s (go test ./test/posture -run Seccomp -update writes it):\n%s", path, difference(string(want), string(out)))
	}
}

// difference lists the lines that only one of two texts has.
func difference(a, b string) string {
	var out strings.Builder
	count := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		count[l]--
	}
	for _, l := range strings.Split(b, "\n") {
		count[l]++
	}
	for l, n := range count {
		if n < 0 {
			fmt.Fprintf(&out, "- %s\n", l)
		} else if n > 0 {
			fmt.Fprintf(&out, "+ %s\n", l)
		}
	}
	return out.String()
}
