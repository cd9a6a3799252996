package docker

import (
	"os"
	"strings"
	"testing"

	"garrison/test/engines"
)

// composeFile is two services: a web server, and one that asks it by its name and then stays.
const composeFile = `
version: "2.4"
services:
  web:
    image: box
    runtime: RUNTIME
    command: ["sh", "-c", "mkdir -p /www && echo a page of web >/www/index.html && exec httpd -f -p 80 -h /www"]
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"]
      interval: 1s
      retries: 30
  client:
    image: box
    runtime: RUNTIME
    depends_on:
      web:
        condition: service_healthy
    command: ["sh", "-c", "trap 'exit 0' TERM; echo client got $$(wget -q -O - http://web/); while :; do sleep 0.1; done"]
    volumes: ["data:/data"]
volumes:
  data:
`

// TestDockerCompose is docker-compose, with services that talk by their names.
func TestDockerCompose(t *testing.T) {
	if os.Getenv("GARRISON_DOCKER") == "" {
		t.Skip("the long tier: make test-docker")
	}
	engines.Need(t, "docker-compose", "ip", "iptables", "docker-proxy")
	m := newMachines(t, "c")
	m.docker.load()
	file := write(t, t.TempDir(), "compose.yml", strings.ReplaceAll(composeFile, "RUNTIME", runtimeName()))
	docker := m.docker
	compose := &engine{t: t, env: docker.env,
		args: []string{"docker-compose", "--no-ansi", "-H", docker.args[2], "-f", file, "-p", "pair"}}

	compose.must("up", "-d")
	down := func() { compose.must("down", "-v", "-t", "1") }
	t.Cleanup(down)
	ids := strings.Fields(docker.must("ps", "-aq", "--no-trunc"))
	if len(ids) != 2 {
		t.Fatalf("up made %q", ids)
	}
	compose.eventually("client got a page of web", "logs", "client")
	ps := compose.must("ps")
	if strings.Count(ps, " Up ") != 2 || !strings.Contains(ps, "pair_web_1") || !strings.Contains(ps, "pair_client_1") {
		t.Errorf("ps: %s", ps)
	}
	compose.expect(0, "a page of web", "exec", "-T", "client", "wget", "-q", "-O", "-", "http://web/")
	compose.expect(5, "in exec", "exec", "-T", "client", "sh", "-c", "echo in exec; exit 5")

	// What is written stays over a restart, and so do the names.
	compose.must("exec", "-T", "client", "sh", "-c", "echo kept >/data/mark")
	compose.must("restart", "-t", "1")
	compose.eventually("a page of web", "exec", "-T", "client", "wget", "-q", "-O", "-", "http://web/")
	compose.expect(0, "kept", "exec", "-T", "client", "cat", "/data/mark")

	// One that is scaled has more addresses than one.
	compose.must("up", "-d", "--scale", "web=2")
	compose.eventually("a page of web", "exec", "-T", "client", "wget", "-q", "-O", "-", "http://pair_web_2/")

	ids = strings.Fields(docker.must("ps", "-aq", "--no-trunc"))
	down()
	for _, args := range [][]string{{"ps", "-aq"}, {"volume", "ls", "-q"}, {"network", "ls", "-q", "--filter=name=pair"}} {
		if left := docker.must(args...); left != "" {
			t.Errorf("down left %v: %s", args, left)
		}
	}
	leftovers(t, ids...)
}
