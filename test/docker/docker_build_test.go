package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dockerfile has a stage that is thrown away, users, modes, links and files removed
// again in layers of their own.
const dockerfile = `FROM box AS one
ARG X=5
ENV A=1
RUN echo $X$A > /out && cat /proc/version > /version && mkdir -p /d/e && ln -s e /d/l && chmod 4755 /out
COPY file /copied/
WORKDIR /w
RUN pwd > where && rm /copied/file && echo again > /copied/again
FROM box
COPY --from=one /out /version /w/where /final/
COPY --from=one /d /d
COPY --from=one /copied /copied
RUN echo 'u:x:77:77::/home:/bin/sh' >> /etc/passwd && echo 'u:x:77:' >> /etc/group && mkdir -m 1777 /open
USER u
RUN id -u > /open/id
USER root
RUN ["rm", "/final/where"]
CMD ["sh", "-c", "cat /final/out /open/id; stat -c %a.%u /final/out /open/id; readlink /d/l; ls /final /copied; cat /final/version"]
`

// built is what the image says of itself, but for the version.
const built = "51\n77\n4755.0\n644.77\ne\n/copied:\nagain\n\n/final:\nout\nversion\n"

func (e *engine) checkBuilt(image string) {
	e.t.Helper()
	r := e.do(nil, "run", "--rm", "--network=none", image)
	version, ok := strings.CutPrefix(r.out, built)
	if !ok || strings.Contains(version, ourVersion) == native() {
		e.t.Errorf("%s: %+v", image, r)
	}
}

func buildContext(t *testing.T) string {
	dir := t.TempDir()
	write(t, dir, "Dockerfile", dockerfile)
	write(t, dir, "file", "hello\n")
	return dir
}

func testBuild(t *testing.T, e *engine) {
	e.env = append(slices.Clip(e.env), "DOCKER_BUILDKIT=0")
	e.must("build", "-q", "--network=none", "-t", "legacy", buildContext(t))
	e.checkBuilt("legacy")
	if r := e.do(strings.NewReader("FROM box\nRUN exit 7\n"), "build", "--network=none", "-"); r.code != 7 || !strings.Contains(r.err, "returned a non-zero code: 7") {
		t.Errorf("%+v", r)
	}
}

// testBuildKit builds with the BuildKit that is part of dockerd, which runs what
// is runc on its path. It takes a client that knows of it without a plugin.
func testBuildKit(t *testing.T) {
	client := "/usr/bin/docker"
	if out, err := exec.Command(client, "--version").Output(); err != nil || !strings.Contains(string(out), "version 20.10") {
		t.Skipf("%s is not Docker 20.10", client)
	}
	dir := t.TempDir()
	if err := os.Symlink(runtime, filepath.Join(dir, "runc")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	e, _ := startDocker(t, "k", "--default-runtime=runsc")
	e.args[0] = client
	e.env = append(e.env, "DOCKER_BUILDKIT=1")
	e.load()
	e.must("build", "-q", "--network=none", "-t", "kit", buildContext(t))
	e.checkBuilt("kit")
}

// sorted is the lines of text in order.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
