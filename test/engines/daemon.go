// Package engines is what the tests of container engines share: daemons of their
// own, and images made here, as there is no registry.
package engines

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Need skips the test if a program of an engine is not installed.
func Need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// Daemon starts an engine's daemon, which keeps everything below work, and waits
// until ready says that it answers. It is stopped at the end of the test, or by
// stop; what it logged is shown if the test failed.
func Daemon(t *testing.T, work string, ready func() bool, args ...string) (stop func()) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Errorf("%s does not stop", args[0])
			_ = cmd.Process.Kill()
		}
	})
	t.Cleanup(func() {
		stop()
		UnmountBelow(work)
		if t.Failed() {
			data, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", args[0], data[max(0, len(data)-8000):])
		}
		log.Close()
	})
	for end := time.Now().Add(30 * time.Second); !ready(); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			data, _ := os.ReadFile(log.Name())
			t.Fatalf("%s ended: %v\n%s", args[0], err, data)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready", args[0])
		}
	}
	return stop
}

// UnmountBelow undoes mounts that an engine has left.
func UnmountBelow(dir string) {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	lines := strings.Split(string(data), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			_ = unix.Unmount(f[4], unix.MNT_DETACH)
		}
	}
}
