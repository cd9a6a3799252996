// Package docker is a smoke of the engines that people use: dockerd, containerd
// and podman, as the distribution has them, each on sockets and directories of
// its own, with an image made here. It takes a minute or two.
package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

var (
	runtimeFlag = flag.String("runtime", "", "runtime to test (default: $RUNTIME, else bin/runsc)")
	runtime     string // its path
	work        string // a short path: sockets are below it
)

// ourVersion is what only our kernel says of itself.
const ourVersion = "Garrison"

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
	if work, err = os.MkdirTemp("/run", "gd"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(work)
	return m.Run(), nil
}

// need skips the test if a program of an engine is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// image is a root filesystem as a tar archive: busybox and a few files.
func image(t *testing.T) []byte {
	t.Helper()
	need(t, "busybox")
	path, _ := exec.LookPath("busybox")
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin", "etc", "tmp", "root", "proc", "sys", "dev"} {
		add(&tar.Header{Name: d + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	add(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	add(&tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range strings.Fields(string(applets)) {
		if a != "busybox" {
			add(&tar.Header{Name: "bin/" + a, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// daemon starts an engine's daemon and waits until ready says that it answers.
// It is stopped at the end of the test, or by stop; what it logged is shown if the
// test failed.
func daemon(t *testing.T, ready func() bool, args ...string) (stop func()) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Errorf("%s does not stop", args[0])
			_ = cmd.Process.Kill()
		}
	})
	t.Cleanup(func() {
		stop()
		unmountBelow(work)
		if t.Failed() {
			data, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", args[0], data[max(0, len(data)-8000):])
		}
		log.Close()
	})
	for end := time.Now().Add(30 * time.Second); !ready(); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			data, _ := os.ReadFile(log.Name())
			t.Fatalf("%s ended: %v\n%s", args[0], err, data)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready", args[0])
		}
	}
	return stop
}

// unmountBelow undoes mounts that an engine has left.
func unmountBelow(dir string) {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	lines := strings.Split(string(data), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			_ = unix.Unmount(f[4], unix.MNT_DETACH)
		}
	}
}

// An engine is a client's command line.
type engine struct {
	t    *testing.T
	args []string
	env  []string
}

// A result is how a command ended.
type result struct {
	code     int
	out, err string
}

func (e *engine) command(args ...string) *exec.Cmd {
	all := append(append([]string{}, e.args...), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Env = append(os.Environ(), e.env...)
	return cmd
}

// do runs the client.
func (e *engine) do(in io.Reader, args ...string) result {
	e.t.Helper()
	cmd := e.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// expect runs the client and asks how it ends and what it says.
func (e *engine) expect(code int, want string, args ...string) {
	e.t.Helper()
	if r := e.do(nil, args...); r.code != code || !strings.Contains(r.out+r.err, want) {
		e.t.Errorf("%v: %+v, want %d, %q", args, r, code, want)
	}
}

// must runs the client, which has to succeed, and returns the first word it says.
func (e *engine) must(args ...string) string {
	e.t.Helper()
	r := e.do(nil, args...)
	if r.code != 0 {
		e.t.Fatalf("%v: %+v", args, r)
	}
	return strings.TrimSpace(r.out)
}

// resize, with "HEIGHT WIDTH" behind it, changes the terminal's size in place of typing.
const resize = "\x00resize "

// onTerminal runs the client on a terminal, types what keys say, each line
// after its prompt has been seen, and returns the exit status and all output.
func (e *engine) onTerminal(keys [][2]string, args ...string) (int, string) {
	e.t.Helper()
	master, path, err := console.NewPty()
	if err != nil {
		e.t.Fatal(err)
	}
	defer master.Close()
	_ = master.Resize(console.WinSize{Height: 33, Width: 99})
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	cmd := e.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	slave.Close()
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var got strings.Builder
	answered := 0 // so much of it
	buf := make([]byte, 4096)
	for {
		if len(keys) > 0 && strings.Contains(got.String()[answered:], keys[0][0]) {
			answered = got.Len()
			if err := typeKeys(master, keys[0][1]); err != nil {
				e.t.Error(err)
			}
			keys = keys[1:]
		}
		n, err := master.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), got.String()
}

func typeKeys(master console.Console, keys string) error {
	size, ok := strings.CutPrefix(keys, resize)
	if !ok {
		_, err := master.Write([]byte(keys))
		return err
	}
	var s console.WinSize
	if _, err := fmt.Sscan(size, &s.Height, &s.Width); err != nil {
		return err
	}
	return master.Resize(s)
}

// leftovers are processes of ours that still run.
func leftovers(t *testing.T, ids ...string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		found := ""
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, d := range dirs {
			line, _ := os.ReadFile(d + "/cmdline")
			for _, id := range ids {
				if id != "" && bytes.HasPrefix(line, []byte("runsc-")) && bytes.Contains(line, []byte(id)) {
					found = fmt.Sprintf("%s %q", d, line)
				}
			}
		}
		if found == "" {
			return
		}
		if time.Now().After(end) {
			t.Errorf("left behind: %s", found)
			return
		}
	}
}
