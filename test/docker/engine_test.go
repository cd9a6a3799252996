// Package docker is a smoke of the engines that people use: dockerd, containerd
// and podman, as the distribution has them, each on sockets and directories of
// its own, with an image made here. It takes a minute or two.
package docker

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	if !strings.Contains(runtime, "/") {
		if runtime, err = exec.LookPath(runtime); err != nil {
			return 1, err
		}
	}
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
