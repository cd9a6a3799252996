package container

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestStore(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "root")}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	if _, err := s.Open("a"); !errors.Is(err, ErrNotExist) {
		t.Fatal(err)
	}
	c, err := s.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("a"); !errors.Is(err, ErrExist) {
		t.Fatal(err)
	}
	self, err := FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	c.Phase, c.Creator = Creating, self
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	peeked, err := s.Peek("a")
	if err != nil || peeked.Status() != "creating" {
		t.Fatal(peeked, err)
	}
	c.Phase, c.Init = Running, self
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	opened := make(chan string)
	go func() { // waits for the lock
		c, err := s.Open("a")
		if err != nil {
			opened <- err.Error()
			return
		}
		defer c.Close()
		opened <- c.Status()
	}()
	select {
	case got := <-opened:
		t.Fatalf("opened while locked: %s", got)
	case <-time.After(20 * time.Millisecond):
	}
	c.Close()
	if got := <-opened; got != "running" {
		t.Fatal(got)
	}
	c, err = s.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := s.Open("a")
		opened <- err.Error()
	}()
	time.Sleep(10 * time.Millisecond)
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	if got := <-opened; got != ErrNotExist.Error() {
		t.Fatal(got)
	}
}

func TestCrashedCreationIsDeletable(t *testing.T) {
	s := Store{t.TempDir()}
	if err := os.Mkdir(s.Dir("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := s.Open("x")
	if err != nil || c.ID != "x" || c.Status() != Stopped {
		t.Fatal(c, err)
	}
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
}

func TestIDs(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "a b", strings.Repeat("x", 201)} {
		if CheckID(id) == nil {
			t.Errorf("%q passes", id)
		}
	}
	for _, id := range []string{"a", "A-b_c.d+e", strings.Repeat("f", 64)} {
		if err := CheckID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestProcess(t *testing.T) {
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := FindProcess(cmd.Process.Pid)
	if err != nil || !p.Alive() {
		t.Fatal(p, err)
	}
	other := Process{p.PID, p.Start + 1}
	if other.Alive() || other.Signal(0) == nil {
		t.Error("a recycled pid passes for the process")
	}
	if p.Wait(5 * time.Millisecond) {
		t.Error("gone already")
	}
	if err := p.Kill(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if p.Alive() { // a zombie
		t.Error("a zombie counts as alive")
	}
	_ = cmd.Wait()
	if err := p.Kill(time.Second); err != nil {
		t.Error(err)
	}
}

func TestHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	sh := func(script string) specs.Hook {
		return specs.Hook{Path: "/bin/sh", Args: []string{"hook", "-c", script}, Env: []string{"OUT=" + out}}
	}
	state := &specs.State{ID: "web", Pid: 12}
	if err := RunHooks("prestart", []specs.Hook{sh(`cat > $OUT; sleep 10 &`)}, state, nil); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(out); !strings.Contains(string(data), `"id":"web"`) {
		t.Errorf("state: %s", data)
	}
	err := RunHooks("prestart", []specs.Hook{sh("true"), sh("echo no luck; exit 3")}, state, nil)
	if err == nil || !strings.Contains(err.Error(), "prestart hook #1") || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("%v", err)
	}
	one := 1
	slow := sh("exec sleep 20")
	slow.Timeout = &one
	if err := RunHooks("poststop", []specs.Hook{slow}, state, nil); err == nil || !strings.Contains(err.Error(), "timed out") {
		t.Errorf("%v", err)
	}
}

// TestSweep asks that a directory that is being deleted is found again by its
// container's id, and by no other's.
func TestSweep(t *testing.T) {
	s := Store{Root: t.TempDir()}
	for _, name := range []string{".removing.12.web", ".removing.34.web", ".removing.12.my.web", "web"} {
		if err := os.MkdirAll(filepath.Join(s.Root, name, "f"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sweep("web"); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(s.Root)
	if len(left) != 2 || left[0].Name() != ".removing.12.my.web" || left[1].Name() != "web" {
		t.Errorf("%v", left)
	}
	if err := (Store{Root: s.Root + "/none"}).Sweep("web"); err != nil {
		t.Error(err)
	}
}
