package docker

import "testing"

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

func testPIDs(t *testing.T, e *engine) {
	e.says(2, "", "--pids-limit", "10", "box", "sh", "-c", forks)
	e.says(0, "all", "--pids-limit", "50", "box", "sh", "-c", forks)
}

func testCPUs(t *testing.T, e *engine) {
	e.says(0, "1", "--cpuset-cpus", "0", "box", "nproc")
	id := e.start("--cpus", "0.5", "box", "sh", "-c", "while :; do :; done")
	e.expect(0, "500000000", "inspect", "-f", "{{.HostConfig.NanoCpus}}", id)
	e.must("kill", id)
}

func testUpdate(t *testing.T, e *engine) {
	id := e.start("-m", "64m", "--memory-swap", "64m", "--shm-size=150m", "box", "sleep", "1000")
	fill := []string{"exec", id, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=100"}
	e.expect(137, "", fill...)
	e.must("exec", id, "rm", "/dev/shm/x")
	e.must("update", "-m", "200m", "--memory-swap", "200m", "--cpus", "1", id)
	e.must(fill...)
	e.expect(0, "209715200", "inspect", "-f", "{{.HostConfig.Memory}}", id)
}
