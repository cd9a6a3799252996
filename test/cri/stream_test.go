package cri

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/net/websocket"
	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// streamProtocol is how the streams of a process share a connection: the first byte
// of a message says of which stream it is.
const streamProtocol = "v4.channel.k8s.io"

const (
	stdinStream  = 0
	statusStream = 3 // how the process ended, as JSON
	resizeStream = 4
)

// A session is a process that somebody is connected to.
type session struct {
	k    *kubelet
	conn *websocket.Conn
	got  [5]string // by stream
}

// open connects to where CRI has said that a process is.
func (k *kubelet) open(where string) *session {
	k.t.Helper()
	u, err := url.Parse(where)
	if err != nil {
		k.t.Fatal(err)
	}
	config, err := websocket.NewConfig("ws://"+u.Host+u.Path, "http://localhost")
	if err != nil {
		k.t.Fatal(err)
	}
	config.Protocol = []string{streamProtocol}
	conn, err := k.dial(u.Host)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		k.t.Fatal(err)
	}
	s := &session{k: k}
	if s.conn, err = websocket.NewClient(config, conn); err != nil {
		k.t.Fatalf("%s: %v", where, err)
	}
	return s
}

// dial connects to a port of the node's loopback, by a thread that is there meanwhile.
func (n *node) dial(address string) (net.Conn, error) {
	own, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	theirs, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", n.machine))
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", address)
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(err) // others would get the thread
	}
	return conn, err
}

func (s *session) send(stream byte, text string) {
	s.k.t.Helper()
	if err := websocket.Message.Send(s.conn, append([]byte{stream}, text...)); err != nil {
		s.k.t.Fatalf("send: %v", err)
	}
}

// until reads until a stream has said this.
func (s *session) until(stream byte, want string) {
	s.k.t.Helper()
	for !strings.Contains(s.got[stream], want) {
		var message []byte
		if err := websocket.Message.Receive(s.conn, &message); err != nil {
			s.k.t.Fatalf("%v, after %q, without %q", err, s.got, want)
		}
		if len(message) > 0 {
			s.got[message[0]] += string(message[1:])
		}
	}
}

// ends reads all that comes until the process has ended, with this exit code.
func (s *session) ends(code string) {
	s.k.t.Helper()
	s.until(statusStream, "}")
	var status struct {
		Status  string
		Details struct {
			Causes []struct{ Reason, Message string }
		}
	}
	if err := json.Unmarshal([]byte(s.got[statusStream]), &status); err != nil {
		s.k.t.Fatalf("%q: %v", s.got[statusStream], err)
	}
	got := status.Status
	for _, c := range status.Details.Causes {
		got = c.Message
	}
	if got != code {
		s.k.t.Errorf("it ended with %q, want %q", got, code)
	}
}

// exec runs a command that somebody is connected to.
func (c *container) exec(tty bool, command ...string) *session {
	c.k.t.Helper()
	a, err := c.k.runtime.Exec(background, &cri.ExecRequest{
		ContainerId: c.id, Cmd: command, Tty: tty, Stdin: true, Stdout: true, Stderr: !tty,
	})
	if err != nil {
		c.k.t.Fatalf("exec: %v", err)
	}
	return c.k.open(a.Url)
}

// attach connects to a container's own process.
func (c *container) attach(tty bool) *session {
	c.k.t.Helper()
	a, err := c.k.runtime.Attach(background, &cri.AttachRequest{ContainerId: c.id, Tty: tty, Stdin: true, Stdout: true, Stderr: !tty})
	if err != nil {
		c.k.t.Fatalf("attach: %v", err)
	}
	return c.k.open(a.Url)
}

// sized is typed to a shell, which shall have a terminal of the size that is set.
const sized = `until [ "$(stty size)" = "33 99" ]; do sleep 0.05; done; tty; exit 9` + "\r"

// testStreams is `kubectl exec -i` and `attach -i`, with and without a terminal.
func testStreams(k *kubelet) {
	p := k.pod(own())
	main := p.start("main", "sleep", "1000")
	s := main.exec(false, "sh", "-c", "read x; echo out $x; echo err >&2; exit 3")
	s.send(stdinStream, "typed\n")
	s.ends("3")
	if s.got[1] != "out typed\n" || s.got[2] != "err\n" {
		k.t.Errorf("%q", s.got)
	}
	s = main.exec(false, "true")
	s.ends("Success")
	s = main.exec(true, "sh")
	s.send(resizeStream, `{"Width": 99, "Height": 33}`)
	s.send(stdinStream, sized)
	s.ends("9")
	if !strings.Contains(s.got[1], "/dev/pts/0") {
		k.t.Errorf("%q", s.got)
	}

	asks := func(tty bool) func(*cri.ContainerConfig) {
		return func(c *cri.ContainerConfig) { c.Stdin, c.StdinOnce, c.Tty = true, true, tty }
	}
	piped := p.create("piped", []string{"sh", "-c", "read x; echo got $x; cat; exit 2"}, asks(false))
	if err := piped.start(); err != nil {
		k.t.Fatal(err)
	}
	s = piped.attach(false)
	s.send(stdinStream, "typed\n")
	s.until(1, "got typed\n")
	s.conn.Close() // ends its input, as it is attached to once
	piped.ended(2, "Error")
	piped.logs("stdout F got typed")

	terminal := p.create("terminal", []string{"sh"}, asks(true))
	if err := terminal.start(); err != nil {
		k.t.Fatal(err)
	}
	s = terminal.attach(true)
	s.send(resizeStream, `{"Width": 99, "Height": 33}`)
	s.send(stdinStream, sized)
	s.until(1, "/dev/pts/0")
	terminal.ended(9, "Error")
}
