package docker

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"garrison/test/engines"
)

var serversRoot = flag.String("servers", "/var/cache/garrison/servers", "the Debian root filesystem with servers, made by mkservers")

// crowd is how many connections are open at the same time.
const crowd = 1000

// TestDockerServers puts load on servers whose ports are published, from another machine, as
// far as it is one: a network namespace behind a link.
func TestDockerServers(t *testing.T) {
	if os.Getenv("GARRISON_DOCKER") == "" {
		t.Skip("the long tier: make test-docker")
	}
	engines.Need(t, "ip", "iptables", "docker-proxy")
	if _, err := os.Stat(*serversRoot + "/.recipe"); err != nil {
		t.Fatalf("no root filesystem at %s (make servers-root)", *serversRoot)
	}
	m := newMachines(t, "s")
	serveNames(t, m.path("far"), "10.70.0.2:53", [4]byte{10, 70, 0, 99})
	m.docker.load()
	m.loadServers()
	for _, test := range []struct {
		name string
		test func(*servers)
	}{
		{"nginx", (*servers).nginx}, {"redis", (*servers).redis}, {"postgres", (*servers).postgres},
		{"python", (*servers).python}, {"go", (*servers).goServer}, {"names", (*servers).names},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(&servers{t, m, m.docker.in(t)}) })
	}
}

// servers is a test with a server, or some.
type servers struct {
	*testing.T
	m *machines
	e *engine
}

// loadServers gives the engine the image servers.
func (m *machines) loadServers() {
	m.t.Helper()
	tar := exec.Command("tar", "-C", *serversRoot, "--exclude=./usr/lib/jvm", "--exclude=./usr/share/doc", "--one-file-system", "-c", ".")
	out, err := tar.StdoutPipe()
	if err == nil {
		err = tar.Start()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if r := m.docker.do(out, "import", "-", "servers"); r.code != 0 {
		m.t.Fatalf("import: %+v", r)
	}
	if err := tar.Wait(); err != nil {
		m.t.Fatal(err)
	}
}

// start runs a server until the test's end; args are docker run's.
func (s *servers) start(args ...string) string {
	s.Helper()
	id := s.e.must(append([]string{"run", "-d"}, args...)...)
	s.e.remove(id)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("%+v", s.e.do(nil, "logs", id))
		}
	})
	return id
}

// far runs a program of the servers' own filesystem on the other machine, and wants it to
// succeed.
func (s *servers) far(args ...string) string {
	s.Helper()
	out, err := s.m.on("far", append([]string{"timeout", "60", "chroot", *serversRoot}, args...)...)
	if err != nil {
		s.Fatalf("%v: %v: %s", args, err, out)
	}
	return out
}

// ready waits until far has reached a server.
func (s *servers) ready(args ...string) {
	s.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := s.m.on("far", append([]string{"chroot", *serversRoot}, args...)...)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("%v: %v: %s", args, err, out)
		}
	}
}

func (s *servers) nginx() {
	id := s.start("-p", "10.70.0.1:8080:80", "servers", "nginx", "-g", "daemon off;")
	s.ready("curl", "-sf", "-o", "/dev/null", "http://10.70.0.1:8080/")
	s.e.must("exec", id, "sh", "-c", "head -c 1048576 /dev/urandom >/var/www/html/big")
	want := strings.Fields(s.e.must("exec", id, "sha256sum", "/var/www/html/big"))[0]
	if got := s.far("sh", "-c", "curl -sf http://10.70.0.1:8080/big | sha256sum"); !strings.HasPrefix(got, want) {
		s.Errorf("the file is %s, not %s", got, want)
	}
	for path, connections := range map[string]string{"": "50", "big": "5"} {
		out := s.far("wrk", "-t", "2", "-c", connections, "-d", "3s", "http://10.70.0.1:8080/"+path)
		n := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
		if n == nil || n[1] == "0" || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
			s.Errorf("wrk %q: %s", path, out)
		}
	}
}

func (s *servers) redis() {
	s.start("-p", "10.70.0.1:6379:6379", "servers", "redis-server", "--save", "", "--protected-mode", "no")
	s.ready("redis-cli", "-h", "10.70.0.1", "ping")
	for _, how := range []string{"-c 50 -n 20000", "-c 50 -n 40000 -P 16", "-c 1 -n 2000"} {
		args := append([]string{"redis-benchmark", "-h", "10.70.0.1", "-t", "set,get", "--csv"}, strings.Fields(how)...)
		if out := s.far(args...); !strings.Contains(out, `"SET",`) || !strings.Contains(out, `"GET",`) || strings.Contains(out, "rror") {
			s.Errorf("%v: %s", args, out)
		}
	}
}

// postgresScript makes a cluster whose users need no password, and serves it.
const postgresScript = `
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGDATA=/var/lib/postgresql/data
setpriv --reuid postgres --regid postgres --init-groups initdb -A trust >/dev/null
echo 'host all all all trust' >>$PGDATA/pg_hba.conf
exec setpriv --reuid postgres --regid postgres --init-groups postgres -c listen_addresses='*'`

func (s *servers) postgres() {
	s.start("-p", "10.70.0.1:5432:5432", "servers", "sh", "-c", postgresScript)
	at := strings.Fields("-h 10.70.0.1 -U postgres")
	s.ready(append([]string{"psql", "-c", "select 1", "postgres"}, at...)...)
	s.far(append(strings.Fields("pgbench -i -q -s 2 postgres"), at...)...)
	out := s.far(append(strings.Fields("pgbench -n -c 8 -j 2 -t 100 postgres"), at...)...)
	if !strings.Contains(out, "actually processed: 800/800") {
		s.Errorf("pgbench: %s", out)
	}
}

// pythonServer is what webserver is, in Python, with a thread for each connection.
const pythonServer = `
import http.server, threading
barrier, lock, answered = threading.Barrier(%[1]d), threading.Lock(), 0
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global answered
        body = b"hello\n"
        if self.path == "/together":
            barrier.wait(60)
            with lock:
                body = b"%%d\n" %% answered
                answered += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = %[1]d
Server(("", 80), Handler).serve_forever()`

func (s *servers) python() {
	s.start("-p", "10.70.0.1:8080:80", "servers", "python3", "-c", fmt.Sprintf(pythonServer, crowd))
	s.ready("curl", "-sf", "http://10.70.0.1:8080/hello")
	s.together("10.70.0.1:8080")
}

func (s *servers) goServer() {
	dir := s.TempDir()
	build := exec.Command("go", "build", "-o", dir, "./webserver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		s.Fatalf("go build: %v: %s", err, out)
	}
	id := s.start("-v", dir+":/web:ro", "-p", "10.70.0.1:8080:80", "servers", "/web/webserver", fmt.Sprint(crowd))
	s.ready("curl", "-sf", "http://10.70.0.1:8080/hello")
	s.together("10.70.0.1:8080")

	// Each connection is closed by the client first, so that none is left to wait here.
	const some, many = 2000, 10000
	s.oneByOne("10.70.0.1:8080", some)
	before := s.held(id)
	s.oneByOne("10.70.0.1:8080", many)
	after := s.held(id)
	s.Logf("before %d connects: %+v, after: %+v", many, before, after)
	if after.files > before.files+8 || after.sockets > before.sockets+8 || after.memory > before.memory+32<<20 {
		s.Errorf("before %d connects: %+v, after: %+v", many, before, after)
	}
}

// together asks for /together on a crowd of connections, and wants each answered once.
func (s *servers) together(addr string) {
	s.Helper()
	conns := make([]net.Conn, crowd)
	within(s.T, s.m.path("far"), func() (err error) {
		for i := range conns {
			if conns[i], err = net.DialTimeout("tcp", addr, 10*time.Second); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		return nil
	})
	for _, c := range conns {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(c, "GET /together HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			s.Fatal(err)
		}
	}
	seen := make([]bool, crowd)
	for _, c := range conns {
		body, err := answer(c)
		n, bad := strconv.Atoi(strings.TrimSpace(body))
		if err != nil || bad != nil || n < 0 || n >= crowd || seen[n] {
			s.Fatalf("an answer: %q, %v", body, err)
		}
		seen[n] = true
	}
}

// oneByOne asks for /hello n times, each time by a connection of its own.
func (s *servers) oneByOne(addr string, n int) {
	s.Helper()
	within(s.T, s.m.path("far"), func() error {
		for i := range n {
			c, err := net.DialTimeout("tcp", addr, 10*time.Second)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err = io.WriteString(c, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return err
			}
			if body, err := answer(c); err != nil || body != "hello\n" {
				return fmt.Errorf("connection %d: %q, %w", i, body, err)
			}
			c.Close()
		}
		return nil
	})
}

// answer is the body of what comes.
func answer(c net.Conn) (string, error) {
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

// holdings are what a sandbox has.
type holdings struct {
	files   int // descriptors of its sentry
	memory  int // bytes, of its sentry
	sockets int // as the guest sees it
}

// held is what a container's sandbox holds, when connections have come to their ends.
func (s *servers) held(id string) (h holdings) {
	s.Helper()
	time.Sleep(2 * time.Second)
	h.sockets = strings.Count(s.e.must("exec", id, "cat", "/proc/net/tcp", "/proc/net/tcp6"), "\n")
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		line, _ := os.ReadFile(d + "/cmdline")
		if !strings.HasPrefix(string(line), "runsc-sentry") || !strings.Contains(string(line), id) {
			continue
		}
		fds, _ := os.ReadDir(d + "/fd")
		status, _ := os.ReadFile(d + "/status")
		h.files = len(fds)
		if m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status); m != nil {
			kb, _ := strconv.Atoi(string(m[1]))
			h.memory = kb << 10
		}
	}
	if h.files == 0 && !native() {
		s.Error("the sandbox's sentry is not to be found")
	}
	return h
}

// names has two containers on a network of the user's talk by their names.
func (s *servers) names() {
	s.e.must("network", "create", "--ipv6", "--subnet=fd73::/64", "--subnet=10.72.7.0/24", "pair")
	s.Cleanup(func() { s.e.do(nil, "network", "rm", "pair") })
	s.start("--network=pair", "--name=web", "servers", "nginx", "-g", "daemon off;")
	client := s.start("--network=pair", "servers", "sleep", "1000")
	for _, family := range []string{"-4", "-6"} {
		s.e.eventually("Welcome to nginx", "exec", client, "curl", "-sf", family, "http://web/")
	}

	s.e.expect(0, " 0% packet loss", "run", "--rm", "box", "ping", "-c", "2", "10.70.0.2")

	// More addresses than fit in a datagram: libc asks by TCP, and so does Docker's name server.
	const count = `import socket
for i in range(20):
    print(len(socket.getaddrinfo("big%d.example." % i, 80, socket.AF_INET, socket.SOCK_STREAM)))`
	out := s.e.must("run", "--rm", "--network=pair", "--dns=10.70.0.2", "servers", "python3", "-c", count)
	if want := strings.Repeat(fmt.Sprintln(manyNames), 20); out != strings.TrimSpace(want) {
		s.Errorf("big names have %q addresses", out)
	}
	// And who asks that one by himself is not disturbed by who else asks there.
	s.e.expect(0, "rcode 0", "run", "--rm", "--network=pair", "servers", "python3", "-c", askDirectly)
}

// askDirectly asks a name server outside by TCP, 20 times.
const askDirectly = `import socket, struct
for i in range(20):
    s = socket.create_connection(("10.70.0.2", 53), 5)
    q = bytes.fromhex("1234010000010000000000000362696700") + bytes([0, 1, 0, 1])
    s.sendall(struct.pack(">H", len(q)) + q)
    head = s.recv(6)
    print("rcode", head[5] & 15)
    s.close()`
