package shim

import (
	"os"
	"os/exec"
	"os/signal"
	"testing"
	"time"

	"github.com/containerd/containerd/sys/reaper"
	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"
)

// A process may have ended before anybody knows its pid; what ended before it
// was begun is another that had its pid.
func TestExits(t *testing.T) {
	x := &exits{early: map[int]runc.Exit{}, waiting: map[int]func(runc.Exit){}}
	got := make(chan int, 2)
	ended := func(e runc.Exit) { got <- e.Status }
	x.record(runc.Exit{Pid: 7, Status: 1})
	done := x.begin()
	x.record(runc.Exit{Pid: 8, Status: 2})
	x.expect(8, ended)
	x.expect(7, ended)
	done()
	if s := <-got; s != 2 {
		t.Errorf("8 ended with %d, want 2", s)
	}
	x.record(runc.Exit{Pid: 7, Status: 3})
	if s := <-got; s != 3 {
		t.Errorf("7 ended with %d, want 3", s)
	}
	if len(x.early) > 0 || len(x.waiting) > 0 {
		t.Errorf("kept %v, %d", x.early, len(x.waiting))
	}
}

// A command that runs on, whose end nobody waits for yet, holds up nobody who waits for
// the ends of others.
func TestUnreadExits(t *testing.T) {
	children := make(chan os.Signal, 64)
	signal.Notify(children, unix.SIGCHLD)
	t.Cleanup(func() { signal.Stop(children) })
	go func() {
		for range children {
			_ = reaper.Reap()
		}
	}()
	m := monitor{reaper.Default}
	long := exec.Command("sleep", "1000")
	ended, err := m.Start(long)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 60 { // a reaper's channel holds 32
		c := exec.Command("true")
		ended, err := m.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := m.Wait(c, ended); status != 0 || err != nil {
			t.Fatal(status, err)
		}
		if time.Since(began) > 20*time.Second { // one second each from the 33rd on
			t.Fatal("the ends of commands are held up")
		}
	}
	_ = long.Process.Kill()
	if status, err := m.Wait(long, ended); status != 128+int(unix.SIGKILL) || err != nil {
		t.Error(status, err)
	}
}
