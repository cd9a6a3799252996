package gofer

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// TestMain lets the test binary be a gofer process: see startProcess.
func TestMain(m *testing.M) {
	if os.Getenv("GOFER_TEST_PROCESS") == "" {
		os.Exit(m.Run())
	}
	Prepare()
	var cfg Config
	err := json.NewDecoder(os.NewFile(4, "config")).Decode(&cfg)
	if err == nil {
		cfg.Proc, err = unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		err = Serve(3, cfg)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// startProcess serves a new directory from a process of its own.
func startProcess(t testing.TB) (c *wire.Client, dir string, root wire.ID, cmd *exec.Cmd) {
	t.Helper()
	dir = t.TempDir()
	a, b, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GOFER_TEST_PROCESS=1")
	cmd.Stderr = os.Stderr
	conn := os.NewFile(uintptr(b), "conn")
	cmd.ExtraFiles = []*os.File{conn, r}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.Close()
	if err := json.NewEncoder(w).Encode(Config{Mounts: []Mount{{Path: dir}}}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	c, err = wire.NewClient(a)
	if err != nil {
		unix.Close(a)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = cmd.Wait()
	})
	var at wire.AttachResp
	if err := c.Call(nil, &wire.AttachReq{}, &at, nil); err != nil {
		t.Fatal(err)
	}
	return c, dir, at.Node.ID, cmd
}

func BenchmarkProcessGetattr(b *testing.B) {
	c, _, root, _ := startProcess(b)
	b.ReportAllocs()
	for b.Loop() {
		var r wire.AttrResp
		if err := c.Call(nil, &wire.GetattrReq{ID: root}, &r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProcessForget(b *testing.B) {
	c, _, _, _ := startProcess(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Call(nil, &wire.ForgetReq{}, &wire.Empty{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// late is a reply that says when it is there.
type late struct {
	wire.ApplyResp
	told chan error
}

func (l *late) Late(err error) { l.told <- err }

// onProcessor binds the test, until its end, to the processor of this index among those it
// may use, or to the last.
func onProcessor(t *testing.T, index int) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	var one unix.CPUSet
	for cpu := range len(processors) * 64 {
		if processors.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
			if index--; index < 0 {
				break
			}
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
}

// processors are those that the tests may use.
var processors = func() (set unix.CPUSet) {
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		panic(err)
	}
	return set
}()

// Changes that a caller no longer waits for are made, and their reply is told.
func TestLateReply(t *testing.T) {
	c, dir, root, cmd := startProcess(t)
	if err := os.WriteFile(dir+"/f", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	onProcessor(t, 0)
	r := &late{told: make(chan error, 1)}
	q := &wire.ApplyReq{Edits: unlinks(wire.UnlinkReq{Dir: root, Name: "f"}), Then: wire.OpGetattr, Body: wire.Marshal(&wire.GetattrReq{ID: root})}
	if err := c.Call(nil, q, r, nil); err != nil || len(r.told) != 0 || r.Errno != 0 {
		t.Fatal(err, r)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatal(ws, err)
	}
	// Also on a processor which the gofer has still to be asked for a connection of.
	onProcessor(t, 1)
	done := make(chan struct{})
	close(done)
	if err := c.Call(done, q, r, nil); err != syscall.EINTR {
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-r.told; err != nil || len(r.Errnos) != 1 || r.Errnos[0] != uint32(unix.ENOENT) || r.Errno != 0 {
		t.Error(err, r)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(nil, q, r, nil); wire.Errno(err) != syscall.EIO {
		t.Error(err)
	}
}
