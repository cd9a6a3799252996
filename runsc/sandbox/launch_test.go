package sandbox

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
	"garrison/runsc/container"
	"garrison/runsc/control"
)

// TestMain stands in for runsc, which looks for its programs beside itself.
func TestMain(m *testing.M) {
	if os.Getenv("SANDBOX_TEST_HELPER") != "" {
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// standIn puts a program named name beside this test's own binary: a shell that
// does what script says.
func standIn(t *testing.T, name string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs busybox-static")
	}
	data, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}

func logFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestSentryWalls looks from inside at what a sentry is started with.
func TestSentryWalls(t *testing.T) {
	needRoot(t)
	standIn(t, "sh")
	log := logFile(t)
	const look = `
show() { echo "$1:"; while IFS= read -r line; do echo "$line"; done < $1; }
show self/status; show self/uid_map; show self/limits; show 1/comm;  ls -al /; touch /x; ls -l self/fd; echo pid $$`
	const leak = 250 // a descriptor that is not close-on-exec, as a careless caller leaves
	if err := unix.Dup2(0, leak); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	p := program{name: "sh", args: []string{"-c", look}, namespaces: ownNamespaces, uid: 0x60000123, log: log}
	c, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	state, err := c.proc.Wait()
	if err != nil || !state.Success() {
		t.Log(c.failure(nil))
	}
	out, _ := os.ReadFile(log.Name())
	for _, want := range []string{
		"CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
		"NoNewPrivs:\t1\n", "Uid:\t0\t0\t0\t0\n", "Groups:\t", "1610613027 ", "Read-only file system", "pid 1\n", "1/comm:\nsh\n",
		"Max core file size        0                    0 ",
	} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q", want)
		}
	}
	if bytes.Contains(out, []byte(" 250 ->")) {
		t.Error("a descriptor of the caller's has leaked")
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("%s", out)
	}
}

func TestFailingStepIsNamed(t *testing.T) {
	needRoot(t)
	standIn(t, "sh")
	p := program{name: "sh", namespaces: unix.CLONE_NEWPID, log: logFile(t)}
	// Without a mount namespace of its own the launcher must not go on: here
	// the program is no program.
	self, _ := os.Executable()
	if err := os.WriteFile(filepath.Join(filepath.Dir(self), "sh"), []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.namespaces |= unix.CLONE_NEWNS
	c, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	_, err = c.conn.Receive(&control.Booted{})
	err = c.failure(err)
	if !errors.Is(err, unix.ENOEXEC) || !strings.Contains(err.Error(), "execute sh") {
		t.Fatal(err)
	}
}

func TestMissingProgram(t *testing.T) {
	p := program{name: "runsc-nothing"}
	if _, err := p.start(); err == nil || !strings.Contains(err.Error(), "runsc-nothing must stand beside runsc") {
		t.Fatal(err)
	}
}

func TestHolder(t *testing.T) {
	needRoot(t)
	h, err := startHolder(&holderConfig{id: "test", freshNet: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.kill()
	theirs := apart(t, h, "net")
	inside := ""
	if err := h.enter(func() error {
		out, err := exec.Command("readlink", "/proc/self/ns/net").Output()
		inside = strings.TrimSpace(string(out))
		return err
	}); err != nil || inside != theirs {
		t.Errorf("enter: %q, %v", inside, err)
	}
	h.peer.Close()
	if code, err := h.wait(); err != nil || code != 128+9 {
		t.Errorf("%d %v", code, err)
	}
	if _, err := startHolder(&holderConfig{id: "test", netPath: "/no/such/ns"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// TestOnOwnThread asks that the process's first thread, which is never rid of what f does
// to it, runs no f.
func TestOnOwnThread(t *testing.T) {
	for range 100 {
		tid := make(chan int)
		onOwnThread(func() { tid <- unix.Gettid() })
		if id := <-tid; id == os.Getpid() {
			t.Fatal("f is on the first thread")
		}
	}
}

// apart returns the holder's namespace of one kind, which must not be ours.
func apart(t *testing.T, h *holder, kind string) string {
	t.Helper()
	ours, _ := os.Readlink("/proc/self/ns/" + kind)
	theirs, _ := os.Readlink(nsPath(h.PID, kind))
	if ours == theirs || theirs == "" {
		t.Errorf("%s namespace %q, ours is %q", kind, theirs, ours)
	}
	return theirs
}

// TestHolderInNamespaces asks that a holder in a pid namespace and a user namespace of its
// own still ends by any signal, as its parent's child, and leaves nobody behind.
func TestHolderInNamespaces(t *testing.T) {
	needRoot(t)
	const id = "test-in-namespaces"
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 10}}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGSEGV} {
		h, err := startHolder(&holderConfig{id: id, freshNet: true, freshPID: true, users: ids, groups: ids})
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"net", "pid", "user"} {
			apart(t, h, kind)
		}
		if _, err := h.peer.Write(script.SignalMessage(int(sig))); err != nil {
			t.Error(err)
		}
		if code, err := h.wait(); err != nil || code != 128+int(sig) {
			t.Errorf("%d %v, want %v", code, err, sig)
		}
		h.close()
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		out, _ := exec.Command("pgrep", "-f", "^"+holderComm+" "+id).Output()
		if len(out) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %s", out)
		}
	}
}

func TestPageFile(t *testing.T) {
	needRoot(t)
	const limit = 1 << 20
	p, err := newPageFile(limit, 0x60000123)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	file := p.file
	if _, err := file.WriteAt(make([]byte, limit), 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(make([]byte, 4096), 0); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	data, err := unix.Mmap(int(file.Fd()), 1<<40, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Munmap(data)
}

func TestOpenTree(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := openTree(dir, treeOptions{recursive: true, readOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.root.Close()
	if _, err := unix.Openat(int(tree.root.Fd()), "f", unix.O_RDWR, 0); err != unix.EROFS {
		t.Error(err)
	}
	one, err := openTree(filepath.Join(dir, "f"), treeOptions{})
	if err != nil || !one.file {
		t.Fatal(one, err)
	}
	one.root.Close()
	if _, err := openTree(filepath.Join(dir, "none"), treeOptions{}); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

func TestUIDs(t *testing.T) {
	uid, err := chooseUID(container.Store{Root: t.TempDir()})
	if err != nil || uid == 0 {
		t.Fatal(uid, err)
	}
	path := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(path, []byte("         0     100000      65536\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if first, n, err := mappedRange(path); err != nil || first != 65536-4096 || n != 4096 {
		t.Error(first, n, err)
	}
}
