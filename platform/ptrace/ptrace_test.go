package ptrace_test

import (
	"testing"

	"garrison/platform"
	"garrison/platform/platformtest"
	"garrison/platform/ptrace"
)

func newPlatform(t testing.TB) platform.Platform {
	t.Helper()
	p, err := ptrace.New(ptrace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlatform(t *testing.T) { platformtest.Test(t, newPlatform) }

func BenchmarkPlatform(b *testing.B) { platformtest.Benchmark(b, newPlatform) }

func TestNewErrors(t *testing.T) {
	p, err := ptrace.New(ptrace.Options{Proc: t.TempDir()})
	if err == nil {
		p.Release()
		t.Fatal("no error without proc")
	}
	if want := "ptrace: start stub: exec: no such file or directory"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// As the sentry starts it: proc is only the working directory, and there are
// no spare stubs.
func TestRelativeProc(t *testing.T) {
	t.Chdir("/proc")
	p, err := ptrace.New(ptrace.Options{Proc: ".", Pool: -1})
	if err != nil {
		t.Fatal(err)
	}
	if p.Facts().VDSO.Len() == 0 || p.Facts().MaxMaps < 1000 {
		t.Errorf("%+v", p.Facts())
	}
	platformtest.Shared(t, func(testing.TB) platform.Platform { return p })
	p.Release()
}
