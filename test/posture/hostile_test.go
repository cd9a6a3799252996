package posture

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// alive runs script, whose last command says that the sandbox still works.
func alive(t *testing.T, script string, edit func(*specs.Spec)) string {
	t.Helper()
	b := newBox(t, []string{"sh", "-c", script + "; echo alive; read x < /etc/passwd; echo $x; cat /proc/self/stat > /dev/null && sh -c 'exit 42'"}, edit)
	code, out := b.run()
	if code != 42 || !strings.HasSuffix(out, "alive\nroot:x:0:0::/:/bin/sh\n") {
		t.Errorf("exit status %d: %s", code, out[max(0, len(out)-2000):])
	}
	return out
}

// TestMemory touches more than the limit: the guest process dies, and nobody else.
func TestMemory(t *testing.T) {
	limit := int64(96 << 20)
	out := alive(t, `hostile memory; echo ended $?`, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
	})
	if !strings.Contains(out, "ended 137") {
		t.Errorf("%s", out[max(0, len(out)-2000):])
	}
}

func TestDescriptorExhaustion(t *testing.T) {
	if out := alive(t, `hostile descriptors`, nil); !strings.Contains(out, "true too many open files") {
		t.Errorf("%s", out)
	}
}

func TestThreads(t *testing.T) {
	alive(t, `hostile threads >/dev/null 2>&1`, nil)
}

func TestForkBomb(t *testing.T) {
	pids := int64(64)
	alive(t, `b() { b 2>/dev/null & b 2>/dev/null; }; (ulimit -p 100 2>/dev/null; sh -c 'i=0; while [ $i -lt 300 ]; do sleep 5 2>/dev/null & i=$((i+1)); done') >/dev/null 2>&1`, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &pids}}
		s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_NPROC", Soft: 200, Hard: 200})
	})
}

func TestRaces(t *testing.T) {
	if out := alive(t, `hostile race`, nil); !strings.Contains(out, "raced") {
		t.Errorf("%s", out)
	}
}
