package oci

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/console"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// withTerminal asks for a terminal of 24 by 80.
func withTerminal(s *specs.Spec) {
	s.Process.Terminal = true
	s.Process.ConsoleSize = &specs.Box{Height: 24, Width: 80}
	s.Process.Env = append(s.Process.Env, "TERM=dumb", "PS1=$ ")
}

// A consoleSocket receives the master of a container's terminal.
type consoleSocket struct {
	t    *testing.T
	path string
	l    *net.UnixListener
}

func newConsoleSocket(t *testing.T) *consoleSocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &consoleSocket{t, path, l}
}

// receive returns the master.
func (s *consoleSocket) receive() *os.File {
	s.t.Helper()
	c, err := s.l.AcceptUnix()
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	name, oob := make([]byte, 256), make([]byte, 256)
	n, oobn, _, _, err := c.ReadMsgUnix(name, oob)
	if err != nil || n == 0 {
		s.t.Fatal(n, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		s.t.Fatal(messages, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		s.t.Fatal(fds, err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // for deadlines
		s.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), string(name[:n]))
	s.t.Cleanup(func() { f.Close() })
	return f
}

func typeIn(t *testing.T, f *os.File, keys string) {
	t.Helper()
	if _, err := f.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

func TestConsoleSocket(t *testing.T) {
	b := newBox(t, sh(`stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo tty; trap 'stty size; echo resized' WINCH; while :; do read -r line && echo "<$line>"; done`), withTerminal)
	s := newConsoleSocket(t)
	done := make(chan *os.File, 1)
	go func() { done <- s.receive() }()
	b.must("create", "--console-socket", s.path, b.id)
	master := <-done
	pid := b.state().PID
	b.must("start", b.id)
	copyUntil(t, master, "tty\r\n")
	typeIn(t, master, "wrong\x15right\r") // ^U takes the line back
	if got := copyUntil(t, master, "<right>\r\n"); !strings.Contains(got, "wrong") {
		t.Errorf("no echo: %q", got)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 132}); err != nil {
		t.Fatal(err)
	}
	typeIn(t, master, "\r") // the shell traps between commands
	copyUntil(t, master, "50 132\r\n")
	b.must("kill", b.id, "KILL")
	if w := b.reap(pid); w.Signal() != unix.SIGKILL {
		t.Errorf("wait status %#x", w)
	}
}

// TestInterrupt asks that ^C reaches the foreground job and nobody else.
func TestInterrupt(t *testing.T) {
	b := newBox(t, []string{"/bin/sh", "-i"}, withTerminal)
	s := newConsoleSocket(t)
	done := make(chan *os.File, 1)
	go func() { done <- s.receive() }()
	b.must("run", "--detach", "--console-socket", s.path, b.id)
	master := <-done
	// The job itself says that it has begun: the shell would say so before the
	// terminal is the job's.
	typeIn(t, master, "sh -c 'echo be\"gin\"; exec sleep 1000'\r")
	copyUntil(t, master, "begin\r\n")
	typeIn(t, master, "\x03")
	typeIn(t, master, "echo status $?\r")
	// ^D means nothing while the shell changes the terminal's modes.
	copyUntil(t, master, "status 130\r\n$ ")
	typeIn(t, master, "\x04")
	b.await("stopped")
}

// onTerminal starts the runtime with args on a terminal of 33 by 99 of its own.
func (b *box) onTerminal(args ...string) (console.Console, *exec.Cmd) {
	b.t.Helper()
	master, slavePath, err := console.NewPty()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { master.Close() })
	if err := master.Resize(console.WinSize{Height: 33, Width: 99}); err != nil {
		b.t.Fatal(err)
	}
	slave, err := os.OpenFile(slavePath, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer slave.Close()
	cmd := b.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	b.start(cmd)
	return master, cmd
}

// TestForegroundTerminal runs the runtime itself on a terminal.
func TestForegroundTerminal(t *testing.T) {
	b := newBox(t, sh(`stty size; read -r x; echo "<$x>"; exit 5`), func(s *specs.Spec) {
		withTerminal(s)
		s.Process.ConsoleSize = nil
	})
	master, cmd := b.onTerminal("run", b.id)
	copyUntil(t, master, "33 99\r\n")
	if _, err := master.Write([]byte("typed\r")); err != nil {
		t.Fatal(err)
	}
	copyUntil(t, master, "<typed>\r\n")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("exit status %d", code)
	}
}

// TestForegroundExecTerminal is exec on a terminal: it ends when its process
// does, with nothing left of its terminal, though the container goes on.
func TestForegroundExecTerminal(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	for range 3 {
		master, cmd := b.onTerminal("exec", "--tty", b.id, "sh", "-c", "tty; stty size; sleep 1000 & exit 4")
		if got := copyUntil(t, master, "33 99\r\n"); got != "/dev/pts/0\r\n33 99\r\n" {
			t.Errorf("%q", got)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 4 {
			t.Errorf("exit status %d", code)
		}
	}
	if out := b.must("exec", b.id, "ls", "/dev/pts"); out != "ptmx\n" {
		t.Errorf("left in /dev/pts: %q", out)
	}
}

func TestExecTerminal(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	s := newConsoleSocket(t)
	done := make(chan *os.File, 1)
	go func() { done <- s.receive() }()
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("exec", "--detach", "--tty", "--pid-file", pidFile, "--console-socket", s.path, b.id, "sh", "-c", "[ -t 0 ] && echo a tty; read x; echo got $x; read y")
	master := <-done
	copyUntil(t, master, "a tty\r\n")
	typeIn(t, master, "word\r")
	copyUntil(t, master, "got word\r\n")
	typeIn(t, master, "\r")
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(string(data))
	if w := b.reap(pid); w.ExitStatus() != 0 {
		t.Errorf("wait status %#x", w)
	}
	if err := master.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(master); !errors.Is(err, unix.EIO) {
		t.Errorf("the end of the terminal: %q, %v", rest, err)
	}
}

func TestTerminalNeedsSocket(t *testing.T) {
	b := newBox(t, []string{"true"}, withTerminal)
	if r := b.do("", "create", b.id); r.code == 0 || !strings.Contains(r.err, "console socket") {
		t.Errorf("%+v", r)
	}
	plain := newBox(t, []string{"true"}, nil)
	if r := plain.do("", "create", "--console-socket", "/tmp/none", plain.id); r.code == 0 {
		t.Errorf("%+v", r)
	}
}
