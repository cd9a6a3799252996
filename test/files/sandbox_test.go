package files

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"garrison/test/bundle"
)

// A sandbox is a running container of ours.
type sandbox struct {
	*box
	t             *testing.T
	id            string
	sentry, gofer int // host pids
}

// start runs the box in the background, with its output going to out.
func (b *box) start(t *testing.T, out *os.File) *sandbox {
	t.Helper()
	if err := bundle.Write(b.dir, b.spec); err != nil {
		t.Fatal(err)
	}
	s := &sandbox{box: b, t: t, id: bundle.ID(b.dir)}
	t.Cleanup(s.delete)
	cmd := s.command("run", "--detach", "--bundle", b.dir, s.id)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	data, err := os.ReadFile(filepath.Join(b.dir, "state-"+filepath.Base(b.runtime.Path), s.id, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ Sentry, Gofer struct{ PID int } }
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	if s.sentry, s.gofer = state.Sentry.PID, state.Gofer.PID; s.sentry == 0 || s.gofer == 0 {
		t.Fatalf("no processes: %s", data)
	}
	return s
}

func (s *sandbox) command(args ...string) *exec.Cmd {
	return s.runtime.Command(context.Background(), s.dir, args...)
}

func (s *sandbox) delete() { _ = s.command("delete", "--force", s.id).Run() }

// exec runs a command in the sandbox and returns what it says.
func (s *sandbox) exec(args ...string) string {
	s.t.Helper()
	out, err := s.command(append([]string{"exec", s.id}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v: %s", args, err, tail(string(out)))
	}
	return string(out)
}

// resident is how many bytes of its own memory a process has: anonymous, no file's.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "\nRssAnon:")
	if !ok {
		t.Fatalf("no RssAnon: %s", data)
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
