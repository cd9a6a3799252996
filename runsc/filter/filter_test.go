package filter

import (
	"errors"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
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
	// As the launcher has it: the runtime would look after its cgroup's limits.
	cmd.Env = append(os.Environ(), "FILTER_TEST="+how, "GODEBUG=containermaxprocs=0,updatemaxprocs=0")
	return cmd.Run()
}

func TestKill(t *testing.T) {
	if withCgo() {
		t.Skip("built with cgo, as for -race: threads of libc make calls of their own")
	}
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

// withCgo reports whether this program was built with cgo, which runsc's never are.
func withCgo() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "CGO_ENABLED" && s.Value == "1"
	})
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
