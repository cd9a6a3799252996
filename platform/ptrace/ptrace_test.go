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
