package filter

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs itself confined, so that a violation kills only that process.
func TestMain(m *testing.M) {
	switch os.Getenv("FILTER_TEST") {
	case "allowed", "forbidden":
		if err := Install(Kill, Runtime(os.Getpid()), Gofer()); err != nil {
			panic(err)
		}
		done := make(chan bool)
		go func() { // another thread
			_ = make([]byte, 1<<20)
			done <- true
		}()
		<-done
		if os.Getenv("FILTER_TEST") == "forbidden" {
			_, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func confined(t *testing.T, how string) error {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FILTER_TEST="+how)
	return cmd.Run()
}

func TestKill(t *testing.T) {
	if err := confined(t, "allowed"); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := confined(t, "forbidden"); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if s := exit.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != unix.SIGSYS {
		t.Fatal(exit)
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, Runtime(1), Gofer()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Go runtime\n", "\n  futex(*, == 0x80)", "\n  socket(== 0x1)", "\n  getpid\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for range b.N {
		if _, err := Compile(Kill, Runtime(1), Gofer()); err != nil {
			b.Fatal(err)
		}
	}
}
