package script_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
)

// run executes s with a report pipe on descriptor 3 and extra files behind it.
func run(t *testing.T, s *script.Script, extra ...*os.File) (out string, state *os.ProcessState, failure error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	s.ReportTo(3)
	cmd := command(t, s, append([]*os.File{w}, extra...)...)
	var b strings.Builder
	cmd.Stdout = &b
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	w.Close()
	report, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState, s.Error(report)
}

func command(t *testing.T, s *script.Script, extra ...*os.File) *exec.Cmd {
	t.Helper()
	f, err := s.Memfd("script")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cmd := exec.Command("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	cmd.ExtraFiles = extra
	return cmd
}

func write(s *script.Script, text string) {
	s.Call("write "+text, unix.SYS_WRITE, script.Int(1), s.String(text), script.Int(uintptr(len(text))))
}

func TestOrderAndEnd(t *testing.T) {
	var s script.Script
	for _, w := range []string{"one ", "two ", "three"} {
		write(&s, w)
	}
	out, state, failure := run(t, &s)
	if out != "one two three" || state.ExitCode() != 0 || failure != nil {
		t.Fatalf("%q, %v, %v", out, state, failure)
	}
}

func TestHighBase(t *testing.T) {
	s := script.Script{Base: 0x7ffff0000000}
	write(&s, "high")
	if out, state, _ := run(t, &s); out != "high" || !state.Success() {
		t.Fatalf("%q, %v", out, state)
	}
}

func TestFailureStopsAndIsNamed(t *testing.T) {
	var s script.Script
	write(&s, "before ")
	s.Call("mount /proc", unix.SYS_MOUNT, s.String("proc"), s.String("/no/such/place"), s.String("proc"), script.Int(0), script.Int(0))
	write(&s, "after")
	out, state, failure := run(t, &s)
	if out != "before " || state.ExitCode() != script.FailureStatus {
		t.Fatalf("%q, %v", out, state)
	}
	if failure == nil || failure.Error() != "mount /proc: no such file or directory" || !errors.Is(failure, unix.ENOENT) {
		t.Fatalf("failure: %v", failure)
	}
}

func TestPolicies(t *testing.T) {
	var s script.Script
	bad := func() script.Step { return s.Call("close", unix.SYS_CLOSE, script.Int(999)) }
	bad().Ignore(unix.EPERM, unix.EBADF)
	kept := bad().Keep()
	wrong, after := s.NewLabel(), s.NewLabel()
	s.IfNotEqual(kept.Result(), script.Signed(-int(unix.EBADF)), wrong)
	bad().OnError(after)
	s.Place(wrong)
	s.Exit(script.Int(3))
	s.Place(after)
	s.Exit(script.Int(42))
	if _, state, failure := run(t, &s); state.ExitCode() != 42 || failure != nil {
		t.Fatalf("%v, %v", state, failure)
	}
}

func TestResultsBuffersAndArithmetic(t *testing.T) {
	var s script.Script
	fds := s.Buffer(8)
	s.Call("pipe", unix.SYS_PIPE2, fds.At(0), script.Int(0))
	s.Call("write", unix.SYS_WRITE, fds.Load32(4), s.String("through"), script.Int(7))
	in := s.Buffer(16)
	n := s.Call("read", unix.SYS_READ, fds.Load32(0), in.At(0), script.Int(16))
	s.Call("write", unix.SYS_WRITE, script.Int(1), in.At(0), n.Result())
	s.Store32(in.At(4), script.Int(0x11))
	s.Store64(in.At(8), s.Or(in.Load32(4), script.Int(0x22)).Result())
	v := s.ShiftLeft(s.And(in.Load64(8), script.Int(0x31)).Result(), script.Int(1)) // 0x62
	s.Exit(s.Xor(v.Result(), script.Int(1)).Result())
	if out, state, failure := run(t, &s); out != "through" || state.ExitCode() != 0x63 || failure != nil {
		t.Fatalf("%q, %v, %v", out, state, failure)
	}
}

func TestExecVectors(t *testing.T) {
	sh, err := os.Open("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	defer sh.Close()
	var s script.Script
	s.Call("execveat", unix.SYS_EXECVEAT, script.Int(4), s.String(""),
		s.Strings([]string{"sh", "-c", `echo "$0 $1 $V"`, "a b", "c"}), s.Strings([]string{"V=w"}), script.Int(unix.AT_EMPTY_PATH))
	if out, _, failure := run(t, &s, sh); out != "a b c w\n" || failure != nil {
		t.Fatalf("%q, %v", out, failure)
	}
}

func TestForkAndWait(t *testing.T) {
	var s script.Script
	child := s.NewLabel()
	pid := s.Call("fork", unix.SYS_CLONE, script.Int(uintptr(unix.SIGCHLD)))
	s.IfEqual(pid.Result(), script.Int(0), child)
	status := s.Buffer(4)
	s.Call("wait4", unix.SYS_WAIT4, pid.Result(), status.At(0), script.Int(0), script.Int(0)).Retry(unix.EINTR)
	s.Exit(s.Add(status.Load32(0), script.Int(1)).Result())
	s.Place(child)
	s.Exit(script.Int(0))
	if _, state, failure := run(t, &s); state.ExitCode() != 1 || failure != nil {
		t.Fatalf("%v, %v", state, failure)
	}
}

func TestUnplacedLabel(t *testing.T) {
	var s script.Script
	s.Jump(s.NewLabel())
	if _, err := s.ELF(); err == nil {
		t.Fatal("no error")
	}
}

func TestErrorOfReports(t *testing.T) {
	var s script.Script
	if err := s.Error(nil); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]byte{{1, 2}, {9, 0, 0, 0, 1, 0, 0, 0}} {
		if s.Error(bad) == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func hold(t *testing.T, message []byte) syscall.WaitStatus {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var s script.Script
	s.Hold(3, "holder:test")
	cmd := command(t, &s, r)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A holder outlives signals.
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGUSR1} {
		for {
			comm, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/comm")
			if string(comm) == "holder:test\n" {
				break
			}
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if len(message) > 0 {
		if _, err := w.Write(message); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	_ = cmd.Wait()
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func TestHolder(t *testing.T) {
	for _, code := range []int{0, 7, 255} {
		if ws := hold(t, script.ExitMessage(code)); !ws.Exited() || ws.ExitStatus() != code {
			t.Errorf("exit %d: status %#x", code, ws)
		}
	}
	for _, sig := range []syscall.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGSEGV, unix.SIGABRT, 40, 64} {
		if ws := hold(t, script.SignalMessage(int(sig))); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("signal %d: status %#x", sig, ws)
		}
	}
	for _, bad := range [][]byte{nil, {1, 0}, {9, 0, 0, 0, 0, 0, 0, 0}} {
		if ws := hold(t, bad); !ws.Signaled() || ws.Signal() != unix.SIGKILL {
			t.Errorf("message %v: status %#x", bad, ws)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	var s script.Script
	f, err := s.Memfd("script")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for b.Loop() {
		if err := exec.Command("/proc/self/fd/" + strconv.Itoa(int(f.Fd()))).Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHolderForwardsSignals(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	var s script.Script
	s.Hold(3, "holder:test")
	cmd := command(t, &s, theirs)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	for comm := ""; comm != "holder:test\n"; {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/comm")
		comm = string(b)
	}
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGWINCH} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2*script.SignalSize)
		if n, err := ours.Read(buf); n != script.SignalSize || buf[0] != byte(sig) {
			t.Fatalf("%d bytes, signal %d, %v", n, buf[0], err)
		}
	}
	if _, err := ours.Write(script.ExitMessage(7)); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Fatal(cmd.ProcessState)
	}
}
