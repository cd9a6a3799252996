package docker

import (
	"testing"
)

const (
	// hog takes memory until it dies.
	hog = "a=x; while :; do a=$a$a; done"
	// forks tries to have 12 processes at a time.
	forks = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait; echo all"
)

func testMemory(t *testing.T, e *engine) {
	id := e.start("-m", "32m", "box", "sh", "-c", hog)
	e.expect(0, "137", "wait", id)
	// Only one process dies, not the container.
	e.says(4, "inner 137", "-m", "32m", "box", "sh", "-c", "sh -c '"+hog+"'; echo inner $?; exit 4")
	id = e.start("-m", "32m", "box", "sleep", "1000")
	e.expect(137, "", "exec", id, "sh", "-c", hog)
	e.expect(0, "alive", "exec", id, "echo", "alive")
	e.expect(137, "", "exec", id, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=60")
}

// left notes, for runtimes but runc, that something is not there yet, and reports
// whether that is still so: a test must not go on saying it.
func (e *engine) left(what string, args ...string) {
	e.t.Helper()
	if r := e.do(nil, args...); r.code == 0 {
		e.t.Errorf("%s works: test it", what)
	}
}

func testPIDs(t *testing.T, e *engine) {
	args := []string{"--pids-limit", "10", "box", "sh", "-c", forks}
	if native() {
		e.says(2, "", args...)
	} else {
		e.says(0, "all", args...) // of the guest's processes nobody counts yet
	}
	e.says(0, "all", "--pids-limit", "50", "box", "sh", "-c", forks)
}

func testCPUs(t *testing.T, e *engine) {
	e.says(0, "1", "--cpuset-cpus", "0", "box", "nproc")
	id := e.start("--cpus", "0.5", "box", "sh", "-c", "while :; do :; done")
	e.expect(0, "500000000", "inspect", "-f", "{{.HostConfig.NanoCpus}}", id)
	e.must("kill", id)
}

func testUpdate(t *testing.T, e *engine) {
	id := e.start("-m", "64m", "--memory-swap", "64m", "box", "sleep", "1000")
	args := []string{"update", "-m", "100m", "--memory-swap", "100m", "--cpus", "1", id}
	if !native() {
		e.left("update", args...)
		return
	}
	e.must(args...)
	e.expect(0, "104857600", "inspect", "-f", "{{.HostConfig.Memory}}", id)
}
