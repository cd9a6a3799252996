package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"garrison/test/engines"
)

func TestPodman(t *testing.T) {
	engines.Need(t, "podman", "conmon")
	dir := filepath.Join(work, "p")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engines.UnmountBelow(dir) })
	e := &engine{t: t, args: []string{
		"podman", "--root", dir + "/root", "--runroot", dir + "/run", "--tmpdir", dir + "/tmp",
		"--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--events-backend=file", "--runtime", runtime,
	}}
	if r := e.do(bytes.NewReader(engines.Box(t)), "import", "-", "localhost/box"); r.code != 0 {
		t.Fatalf("import: %+v", r)
	}
	run := func(args ...string) []string { return append([]string{"run", "--network=none"}, args...) }
	e.expect(0, ourVersion, run("--rm", "localhost/box", "cat", "/proc/version")...)
	e.expect(7, "", run("--rm", "localhost/box", "sh", "-c", "exit 7")...)
	e.expect(127, "", run("--rm", "localhost/box", "nosuch")...)
	if r := e.do(strings.NewReader("piped\n"), run("--rm", "-i", "localhost/box", "cat")...); r.code != 0 || r.out != "piped\n" {
		t.Errorf("%+v", r)
	}
	if code, out := e.onTerminal([][2]string{{"# ", "exit 9\r"}}, run("--rm", "-it", "localhost/box", "sh")...); code != 9 {
		t.Errorf("%d: %q", code, out)
	}
	id := e.must(run("-d", "localhost/box", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")...)
	e.expect(5, "in exec", "exec", id, "sh", "-c", "echo in exec; exit 5")
	e.must("stop", id)
	e.expect(0, "3", "inspect", "-f", "{{.State.ExitCode}}", id)
	e.must("rm", id)
	leftovers(t, id)
}
