// Package oci drives an OCI runtime from outside, as engines do: the life of a
// container, the words of errors, exit statuses, signals, hooks and terminals,
// and that nothing is left behind. The same assertions hold for runc
// (RUNTIME=runc go test ./test/oci), but for what the OCI leaves open.
package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var (
	runtimeFlag = flag.String("runtime", "", "runtime to test (default: $RUNTIME, else bin/runsc)")
	rootfs      string // busybox's, shared by the tests
	runtime     string // path of the runtime
	native      bool   // it is not ours
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
	runtime = *runtimeFlag
	if runtime == "" {
		runtime = os.Getenv("RUNTIME")
	}
	if runtime == "" {
		runtime, _ = filepath.Abs("../../bin/runsc")
	}
	path, err := exec.LookPath(runtime)
	if err != nil {
		return 1, fmt.Errorf("%w: make build first", err)
	}
	runtime, native = path, filepath.Base(path) != "runsc"
	if os.Geteuid() != 0 {
		fmt.Println("skip: needs root")
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// The root of a user namespace is somebody else here.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	rootfs = filepath.Join(dir, "rootfs")
	if err := makeRootfs(rootfs); err != nil {
		return 1, err
	}
	// What a runtime leaves to its caller's subreaper comes here, as to a shim.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// makeRootfs puts busybox and a few files in dir.
func makeRootfs(dir string) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w: apt-get install busybox-static", err)
	}
	for _, d := range []string{"bin", "etc", "tmp", "proc", "sys", "dev", "vol"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	data, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), data, 0o755); err != nil {
		return err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	for _, a := range strings.Fields(string(applets)) {
		if a != "busybox" {
			if err := os.Symlink("busybox", filepath.Join(dir, "bin", a)); err != nil {
				return err
			}
		}
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
		"etc/group":  "root:x:0:\nuser:x:1000:\n",
		"etc/plain":  "no program\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "bin/garbage"), []byte("\x01\x02\x03\x04\n"), 0o755)
}

// A box is one container of a test, with a bundle of its own.
type box struct {
	t      *testing.T
	id     string
	root   string // --root
	bundle string
}

var boxes atomic.Int32

// newBox makes a bundle that runs args; edit, which may be nil, changes its
// configuration. Whatever the test does, the container is deleted at its end and
// nothing may be left of it.
func newBox(t *testing.T, args []string, edit func(*specs.Spec)) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{
		t: t, id: fmt.Sprintf("oci%d-%d", os.Getpid(), boxes.Add(1)),
		root: filepath.Join(dir, "root"), bundle: filepath.Join(dir, "bundle"),
	}
	if err := os.Mkdir(b.bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(runtime, "spec")
	cmd.Dir = b.bundle
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("spec: %v: %s", err, out)
	}
	s := b.config()
	s.Root.Path = rootfs
	s.Process.Args = args
	s.Process.Terminal = false
	if edit != nil {
		edit(s)
	}
	b.save(s)
	t.Cleanup(func() {
		b.command("delete", "--force", b.id).Run()
		b.checkGone()
	})
	return b
}

func (b *box) config() *specs.Spec {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.bundle, "config.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	s := new(specs.Spec)
	if err := json.Unmarshal(data, s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *box) save(s *specs.Spec) {
	b.t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(data)
}

func (b *box) write(config []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.bundle, "config.json"), config, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// command is the runtime with args, in the bundle's directory.
func (b *box) command(args ...string) *exec.Cmd {
	cmd := exec.Command(runtime, append([]string{"--root", b.root}, args...)...)
	cmd.Dir = b.bundle
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// A result is how a command ended.
type result struct {
	code     int
	out, err string
}

// do runs the runtime with args and in on its standard input.
func (b *box) do(in string, args ...string) result {
	b.t.Helper()
	return b.finish(b.command(args...), in)
}

func (b *box) finish(cmd *exec.Cmd, in string) result {
	b.t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// start starts cmd, and sees to it that it does not outlive the test.
func (b *box) start(cmd *exec.Cmd) {
	b.t.Helper()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	b.t.Cleanup(func() {
		timer.Stop()
		_ = cmd.Process.Kill()
	})
}

// words are what an error says, without the marks that quoting adds in logs.
func (r result) words() string { return strings.ReplaceAll(r.err, `\"`, `"`) }

// run is `run` in the foreground.
func (b *box) run(in string, flags ...string) result {
	b.t.Helper()
	return b.do(in, append(append([]string{"run"}, flags...), b.id)...)
}

// must is do that has to succeed. Its output goes to files: what a detached
// container inherits must not keep the test waiting.
func (b *box) must(args ...string) string {
	b.t.Helper()
	f, err := os.CreateTemp(b.t.TempDir(), "out")
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	cmd := b.command(args...)
	cmd.Stdout, cmd.Stderr = f, f
	err = cmd.Run()
	out, _ := os.ReadFile(f.Name())
	if err != nil {
		b.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// state is the container's state.
func (b *box) state() (s struct {
	ID, Status, Bundle, Rootfs, Created string
	PID                                 int
	OCIVersion                          string
	Annotations                         map[string]string
}) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.must("state", b.id)), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// await waits until the container has the status.
func (b *box) await(status string) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); b.state().Status != status; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("status is %s, not %s", b.state().Status, status)
		}
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in 10 s", what)
		}
	}
}

// reap waits for the process that callers see, which must be a child of its
// caller's subreaper, and returns how it ended.
func (b *box) reap(pid int) unix.WaitStatus {
	b.t.Helper()
	var status unix.WaitStatus
	done := time.Now().Add(20 * time.Second)
	for {
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			b.t.Fatalf("wait for %d: %v", pid, err)
		case got == pid:
			return status
		}
		if time.Now().After(done) {
			b.t.Fatalf("process %d does not end", pid)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// left is what of a container can be found on the host.
type left struct {
	processes, mounts, cgroups, files []string
}

// leftovers looks for what has to do with container id, or with the root that the
// tests share: others on this machine make mounts too.
func leftovers(id string) (l left) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		line, _ := os.ReadFile(d + "/cmdline")
		stat, _ := os.ReadFile(d + "/stat")
		if zombie := bytes.Contains(stat, []byte(") Z ")); bytes.Contains(line, []byte(id)) && !zombie {
			pid, _ := strconv.Atoi(filepath.Base(d))
			if pid != os.Getpid() {
				l.processes = append(l.processes, fmt.Sprintf("%d %q", pid, line))
			}
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, id) || strings.Contains(line, filepath.Dir(rootfs)) {
			l.mounts = append(l.mounts, line)
		}
	}
	// Below the root of each hierarchy, or the caller's own cgroup there.
	places := []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"}
	own, _ := os.ReadFile("/proc/self/cgroup")
	for _, line := range strings.Split(strings.TrimSpace(string(own)), "\n") {
		path := line[strings.LastIndexByte(line, ':')+1:]
		places = append(places, "/sys/fs/cgroup"+path+"/", "/sys/fs/cgroup/*"+path+"/")
	}
	for _, p := range places {
		found, _ := filepath.Glob(p + id + "*")
		l.cgroups = append(l.cgroups, found...)
	}
	sockets, _ := os.ReadFile("/proc/net/unix")
	for _, line := range strings.Split(string(sockets), "\n") {
		if strings.Contains(line, id) {
			l.files = append(l.files, line)
		}
	}
	for _, p := range []string{"/dev/shm/*", "/run/*", "/run/*/*"} {
		found, _ := filepath.Glob(p + id + "*")
		l.files = append(l.files, found...)
	}
	return l
}

// reapOrphans reaps what has been left to this process, which is a subreaper, and ended.
func reapOrphans() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}

// checkGone asserts that nothing is left of the container.
func (b *box) checkGone() {
	b.t.Helper()
	reapOrphans()
	var l left
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		l = leftovers(b.id)
		if len(l.processes)+len(l.mounts)+len(l.cgroups)+len(l.files) == 0 || time.Now().After(end) {
			break
		}
	}
	for _, p := range l.processes {
		b.t.Errorf("left behind: process %s", p)
	}
	for _, m := range slices.Concat(l.mounts, l.cgroups, l.files) {
		b.t.Errorf("left behind: %s", m)
	}
	entries, err := os.ReadDir(b.root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Error(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), b.id) || strings.HasPrefix(e.Name(), ".") { // others may share the root
			b.t.Errorf("left behind: %s", filepath.Join(b.root, e.Name()))
		}
	}
}

// sh is a command line for the shell.
func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

// ours skips a test of what runc has not, or has otherwise.
func ours(t *testing.T) {
	t.Helper()
	if native {
		t.Skip("about Garrison's own ways")
	}
}

// copyUntil reads r until it has given what is wanted.
func copyUntil(t *testing.T, r io.Reader, want string) string {
	t.Helper()
	var got strings.Builder
	buf := make([]byte, 4096)
	if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = d.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	for !strings.Contains(got.String(), want) {
		n, err := r.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after %q, waiting for %q", err, got.String(), want)
		}
	}
	return got.String()
}
