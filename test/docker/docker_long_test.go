package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDockerLong is what people do with Docker, line by line: with runc first
// (RUNTIME=runc), then with ours. Where the two differ, native says so.
func TestDockerLong(t *testing.T) {
	if os.Getenv("GARRISON_DOCKER") == "" {
		t.Skip("the long tier: make test-docker")
	}
	flags := []string{"--live-restore", "--default-runtime=runsc"}
	e, stop := startDocker(t, "d", flags...)
	e.load()
	topics := []struct {
		name string
		test func(*testing.T, *engine)
	}{
		{"life", testLife}, {"restart", testRestart}, {"streams", testStreams}, {"terminal", testTerminals}, {"exec", testExec},
		{"health", testHealth}, {"info", testInfo},
		{"process", testProcess}, {"seccomp", testSeccomp}, {"namespaces", testNamespaces}, {"privileged", testPrivileged},
		{"memory", testMemory}, {"pids", testPIDs}, {"cpus", testCPUs}, {"update", testUpdate},
		{"mounts", testMounts}, {"volumes", testVolumes}, {"devices", testDevices}, {"copy", testCopy}, {"commit", testCommit},
		{"build", testBuild},
	}
	// They mostly wait for dockerd and containerd: two at a time take half as long.
	t.Run("at once", func(t *testing.T) {
		for _, topic := range topics {
			t.Run(topic.name, func(t *testing.T) {
				t.Parallel()
				topic.test(t, e.in(t))
			})
		}
	})
	t.Run("buildkit", testBuildKit)
	t.Run("userns-remap", testRemap)
	t.Run("live restore", func(sub *testing.T) {
		e := e.in(sub)
		up := e.start("box", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done")
		ends := e.start("box", "sh", "-c", "sleep 1; exit 5")
		stop()
		startDocker(t, "d", flags...)
		e.eventually("5", "wait", ends)
		e.expect(0, "running", "inspect", "-f", "{{.State.Status}}", up)
		e.expect(0, "still", "exec", up, "echo", "still")
		before := e.must("logs", up)
		time.Sleep(500 * time.Millisecond)
		if after := e.must("logs", up); len(after) <= len(before) {
			sub.Error("no more output after the restart")
		}
		e.must("restart", "-t", "0", up)
		e.expect(0, "running", "inspect", "-f", "{{.State.Status}}", up)
	})
}

// native says that the runtime is runc.
func native() bool { return filepath.Base(runtime) == "runc" }

// start runs a container in the background and returns its id. It is removed, and
// nothing of it may be left, at the end of the test.
func (e *engine) start(args ...string) string {
	e.t.Helper()
	id := e.must(append([]string{"run", "-d", "--network=none"}, args...)...)
	e.remove(id)
	return id
}

// remove removes container id at the end of the test.
func (e *engine) remove(id string) {
	e.t.Cleanup(func() {
		e.do(nil, "rm", "-f", "-v", id)
		leftovers(e.t, id)
	})
}

// says runs a container that has to say so, and to end as code.
func (e *engine) says(code int, want string, args ...string) {
	e.t.Helper()
	args = append([]string{"run", "--rm", "--network=none"}, args...)
	r := e.do(nil, args...)
	if got := strings.TrimSpace(r.out); r.code != code || got != want {
		e.t.Errorf("%v: %+v, want %d, %q", args, r, code, want)
	}
}

// refuses runs a container that must not come to be, for the reason why.
func (e *engine) refuses(why string, args ...string) {
	e.t.Helper()
	e.expect(125, why, append([]string{"run", "--rm", "--network=none"}, args...)...)
}

// eventually asks until the answer has want in it.
func (e *engine) eventually(want string, args ...string) {
	e.t.Helper()
	var r result
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if r = e.do(nil, args...); r.code == 0 && strings.Contains(r.out, want) {
			return
		}
	}
	e.t.Errorf("%v: %+v, never %q", args, r, want)
}

// write makes a host file for a test.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
