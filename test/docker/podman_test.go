package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"garrison/test/engines"
)

// newPodman is podman with a store of its own, in which the image localhost/box is.
func newPodman(t *testing.T) *engine {
	t.Helper()
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
	// More than the default of this host's root may be more than runc can give.
	conf := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(conf, []byte("[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", conf)
	if r := e.do(bytes.NewReader(engines.Box(t)), "import", "-", "localhost/box"); r.code != 0 {
		t.Fatalf("import: %+v", r)
	}
	return e
}

func TestPodman(t *testing.T) {
	e := newPodman(t)
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

// TestPodmanPod asks for a pod of two containers, which have one kernel, one name and one
// network, and lives of their own. runc passes it (RUNTIME=runc).
func TestPodmanPod(t *testing.T) {
	e := newPodman(t)
	e.must("pod", "create", "--name=pod", "--network=none", "--hostname=both", "--infra-image=localhost/box", "--infra-command=/bin/sleep 1000")
	t.Cleanup(func() { e.do(nil, "pod", "rm", "--force", "--time=0", "pod") })
	in := func(name string, args ...string) []string {
		return append([]string{"run", "--pod=pod", "--name=" + name}, args...)
	}
	e.must(in("server", "-d", "localhost/box", "sh", "-c", "touch /dev/shm/here; while :; do echo served | nc -l -p 4000; done")...)
	e.expect(0, "both\n1\n/dev/shm/here\nserved", in("client", "--rm", "localhost/box", "sh", "-c",
		"hostname; echo $$; ls /dev/shm/here; until nc 127.0.0.1 4000 </dev/null; do sleep 0.05; done")...)
	if r := e.do(nil, "exec", "server", "cat", "/proc/version"); strings.Contains(r.out, ourVersion) == native() {
		t.Errorf("%+v", r)
	}
	e.expect(3, "", in("ends", "localhost/box", "sh", "-c", "exit 3")...)
	e.expect(0, "running", "inspect", "-f", "{{.State.Status}}", "server")
	e.must("stop", "--time=0", "server")
	e.expect(0, "exited", "inspect", "-f", "{{.State.Status}}", "server")
	e.must("start", "server")
	e.expect(0, "again", "exec", "server", "echo", "again")
	infra := e.must("pod", "inspect", "-f", "{{.InfraContainerID}}", "pod")
	server := e.must("inspect", "-f", "{{.ID}}", "server")
	e.must("pod", "rm", "--force", "--time=0", "pod")
	leftovers(t, infra, server)
}

// TestPodmanBuild asks for a build of two stages, whose RUN lines our kernel runs.
func TestPodmanBuild(t *testing.T) {
	e := newPodman(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Dockerfile": `FROM localhost/box AS first
RUN cat /proc/version >/version && mkdir -m 777 /made && chown 7:8 /made
COPY given /made/given
FROM localhost/box
COPY --from=first /version /version
COPY --from=first --chown=5:6 /made /made
USER 5
RUN id -u >/made/user
CMD ["sh", "-c", "cat /version /made/given /made/user; stat -c %u:%g /made"]
`,
		"given": "given\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e.must("build", "--network=none", "-t", "localhost/built", dir)
	r := e.do(nil, "run", "--rm", "--network=none", "localhost/built")
	if r.code != 0 || strings.Contains(r.out, ourVersion) == native() || !strings.HasSuffix(r.out, "given\n5\n5:6\n") {
		t.Errorf("%+v", r)
	}
	leftovers(t, filepath.Join(work, "p"))
}
