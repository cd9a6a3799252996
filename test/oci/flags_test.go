package oci

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestPsOptions(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	for _, c := range []struct {
		options     []string
		title, line string // but for the process's number
	}{
		{[]string{"-o", "comm,args"}, "COMMAND COMMAND", "sleep sleep 1000"},
		{[]string{"-e", "-ocmd"}, "CMD", "sleep 1000"},
		{[]string{"-o", "nlwp", "-o", "comm"}, "NLWP COMMAND", "1 sleep"},
	} {
		if native { // whose filter needs the number
			c.options = append([]string{"-o", "pid"}, c.options...)
			c.title, c.line = "PID "+c.title, "* "+c.line
		}
		lines := strings.Split(b.must(append([]string{"ps", b.id}, c.options...)...), "\n")
		title, line := strings.Fields(lines[0]), strings.Fields(lines[1])
		if native {
			line[0] = "*"
		}
		if got := strings.Join(title, " "); got != c.title {
			t.Errorf("%v: title %q, want %q", c.options, got, c.title)
		}
		if got := strings.Join(line, " "); got != c.line {
			t.Errorf("%v: %q, want %q", c.options, got, c.line)
		}
	}
	if lines := strings.Split(b.must("ps", b.id, "-ef"), "\n"); !slices.Contains(strings.Fields(lines[1]), "sleep") {
		t.Errorf("-ef: %q", lines)
	}
	if r := b.do("", "ps", b.id, "-o", "nosuch"); r.code == 0 {
		t.Errorf("a column that does not exist: %+v", r)
	}
}

func TestExecCgroup(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](77)}})
	b.must("run", "--detach", b.id)
	b.must("exec", "--cgroup", "/", b.id, "true")
	if r := b.do("", "exec", "--cgroup", "nosuch", b.id, "true"); r.code != 255 || !strings.Contains(r.err, "cgroup") {
		t.Errorf("below the container's: %+v", r)
	}
}

func TestExecPaused(t *testing.T) {
	dir := t.TempDir()
	b := limited(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](77)}})
	s := b.config()
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: dir, Options: []string{"bind"}})
	b.save(s)
	b.must("run", "--detach", b.id)
	b.must("pause", b.id)
	if r := b.do("", "exec", b.id, "true"); r.code != 255 || !strings.Contains(r.err, "cannot exec in a paused container (use --ignore-paused to override)") {
		t.Errorf("%+v", r)
	}
	if native { // waits until it is resumed
		b.must("resume", b.id)
		return
	}
	b.must("exec", "--detach", "--ignore-paused", b.id, "touch", "/vol/x")
	there := func() bool { _, err := os.Stat(filepath.Join(dir, "x")); return err == nil }
	time.Sleep(100 * time.Millisecond)
	if there() {
		t.Error("it runs in a paused container")
	}
	b.must("resume", b.id)
	eventually(t, "it runs", there)
}
