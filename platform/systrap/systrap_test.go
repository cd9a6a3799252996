package systrap_test

import (
	"testing"

	"garrison/platform"
	"garrison/platform/platformtest"
	"garrison/platform/systrap"
)

func newPlatform(t testing.TB) platform.Platform {
	t.Helper()
	p, err := systrap.New(systrap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlatform(t *testing.T) { platformtest.Test(t, newPlatform) }

func BenchmarkPlatform(b *testing.B) { platformtest.Benchmark(b, newPlatform) }
