package platformtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// diesWithSentry is set in the environment of the sentry that
// DieWithSentry kills.
const diesWithSentry = "GARRISON_TEST_DIES_WITH_SENTRY"

// enoughStubs are the first one, the guest's, its child's and two spare ones.
const enoughStubs = 5

// DieWithSentry tests that all stubs end when the sentry is killed: those that run, that
// wait, that nothing has entered yet, and the spare ones. The calling test runs
// it, and nothing else.
func DieWithSentry(t *testing.T, newPlatform New) {
	if os.Getenv(diesWithSentry) != "" {
		sentryToKill(t, newPlatform)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), diesWithSentry+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		if pid, err := strconv.Atoi(lines.Text()); err == nil {
			pids = append(pids, pid)
		}
	}
	if len(pids) < enoughStubs {
		t.Errorf("only %d stubs", len(pids))
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range pids {
		for end := time.Now().Add(5 * time.Second); unix.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
			stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			if strings.Contains(string(stat), ") Z ") {
				break // whoever inherited it does not reap
			}
			if time.Now().After(end) {
				t.Fatalf("stub %d lives: %s", pid, stat)
			}
		}
	}
}

func sentryToKill(t *testing.T, newPlatform New) {
	p := newPlatform(t)
	g := newGuest(t, p, 0x0f, 0x05, 0xeb, 0xfe) // syscall; jmp .
	g.syscall()
	if _, err := g.as.Fork(g.c); err != nil {
		t.Fatal(err)
	}
	if _, err := g.c.Spawn(g.as); err != nil {
		t.Fatal(err)
	}
	for range 500 { // until the spare ones are made
		if len(Children(t)) >= enoughStubs {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for pid := range Children(t) {
		fmt.Println(pid)
	}
	fmt.Println("ready")
	_, _ = g.c.Switch(g.as, &g.regs)
	runtime.KeepAlive(g)
	t.Error("the guest came back")
}
