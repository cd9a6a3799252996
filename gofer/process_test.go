package gofer

import (
	"encoding/json"
	"os"
	"os/exec"
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
