package systrap_test

import (
	"testing"

	"garrison/platform"
	"garrison/platform/platformtest"
	"garrison/platform/systrap"
)

func newPlatform(t testing.TB) platform.Platform { return newWith(t, systrap.Options{}) }

func newWith(t testing.TB, o systrap.Options) platform.Platform {
	t.Helper()
	p, err := systrap.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlatform(t *testing.T) { platformtest.Test(t, newPlatform) }

// On a host that has to be asked to load FS and GS. Where it need not, a guest can
// do so unseen.
func TestPlatformWithoutBases(t *testing.T) {
	platformtest.Test(t, func(t testing.TB) platform.Platform { return newWith(t, systrap.Options{NoBases: true}) },
		"KernelSegmentBase", "GateWithoutGS", "GateFS")
}

func BenchmarkPlatform(b *testing.B) { platformtest.Benchmark(b, newPlatform) }
