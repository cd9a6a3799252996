package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"garrison/test/engines"
)

// containerd starts a daemon that keeps everything below work/name, with our image,
// and returns its client, and a function that starts it again.
func containerd(t *testing.T, name string) (e *engine, restart func()) {
	dir := filepath.Join(work, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%[1]s/s"
[ttrpc]
  address = "%[1]s/t"
`, dir)
	if err := os.WriteFile(dir+"/config.toml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	e = &engine{t: t, args: []string{"ctr", "--address", dir + "/s"}}
	start := func() func() {
		return engines.Daemon(t, work, func() bool { return e.command("version").Run() == nil }, "containerd", "--config", dir+"/config.toml")
	}
	stop := start()
	if err := os.WriteFile(dir+"/box.tar", engines.Archive(t, "localhost/box:latest", engines.Box(t), "sh"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.must("image", "import", dir+"/box.tar")
	return e, func() {
		stop()
		stop = start()
	}
}

func TestContainerd(t *testing.T) {
	engines.Need(t, "containerd", "ctr", "containerd-shim-runc-v2")
	e, _ := containerd(t, "c")
	run := func(id string, args ...string) []string {
		return append([]string{"run", "--rm", "--runc-binary", runtime, "localhost/box:latest", id}, args...)
	}
	e.expect(0, ourVersion, run("one", "cat", "/proc/version")...)
	e.expect(3, "", run("two", "sh", "-c", "exit 3")...)
	e.expect(1, "executable file not found in $PATH", run("three", "nosuch")...)
	e.must("run", "-d", "--runc-binary", runtime, "localhost/box:latest", "four", "sleep", "1000")
	e.expect(6, "in exec", "task", "exec", "--exec-id", "x", "four", "sh", "-c", "echo in exec; exit 6")
	e.must("task", "pause", "four")
	e.must("task", "resume", "four")
	e.must("task", "kill", "--signal", "SIGKILL", "four")
	e.do(nil, "task", "delete", "--force", "four")
	e.must("container", "delete", "four")
	leftovers(t, "four")
}
