package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if links, err := os.ReadDir("/sys/class/net"); err == nil {
		for _, l := range links {
			e.expect(0, l.Name()+":", "run", "--rm", "--network=host", "localhost/box", "cat", "/proc/net/dev")
		}
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

// TestPodmanFiles asks for what podman does in a running container's root, as it finds it
// on the host: files that come and go by podman cp, which the container sees within a
// second though it had looked for them before, and podman top. runc passes it (RUNTIME=runc).
func TestPodmanFiles(t *testing.T) {
	e := newPodman(t)
	dir := t.TempDir()
	old, vol := write(t, dir, "old", "old\n"), t.TempDir()
	id := e.must("run", "-d", "--network=none", "-v", vol+":/vol", "localhost/box", "sleep", "1000")
	e.must("exec", id, "sh", "-c", "mkdir /d; echo before > /d/there; ln -s /d /l; ls / /d /vol; cat /d/there; ! ls /d/absent; ! ls /vol/new")
	for _, to := range []string{"/d/absent", "/d/there", "/l/fresh", "/vol/new"} {
		e.must("cp", old, id+":"+to)
	}
	time.Sleep(time.Second)
	e.expect(0, "old\nold\nold\nold\nabsent\nfresh\nthere\n", "exec", id, "sh", "-c", "cat /d/absent /d/there /d/fresh /vol/new; ls /d")
	if data, err := os.ReadFile(filepath.Join(vol, "new")); err != nil || string(data) != "old\n" {
		t.Errorf("%q %v", data, err)
	}
	e.must("exec", id, "sh", "-c", "echo mine > /mine; echo too > /vol/mine; ln -s /mine /vol/link; rm /d/there")
	for from, want := range map[string]string{"/mine": "mine\n", "/vol/mine": "too\n", "/vol/link": "mine\n"} {
		to := filepath.Join(dir, filepath.Base(from))
		e.must("cp", id+":"+from, to)
		if data, err := os.ReadFile(to); err != nil || string(data) != want {
			t.Errorf("%s: %q %v", from, data, err)
		}
	}
	if r := e.do(nil, "cp", id+":/d/there", dir); r.code == 0 {
		t.Error("what was removed can be copied")
	}
	want := "sleep 1000"
	if !native() {
		want = "runsc-init" // what stands for the container
	}
	e.expect(0, want, "top", id)
	e.expect(0, "sleep", "top", id, "-o", "pid,args") // which ps(1) of the container answers
	e.must("rm", "--force", "--time=0", id)
	leftovers(t, id)
}
