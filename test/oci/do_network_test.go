package oci

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// do is `runsc do` where the wire's inside is the host's network, and resolv, unless it is
// empty, its resolv.conf. flags are runsc's.
func (w *wire) do(resolv string, flags []string, args ...string) *exec.Cmd {
	w.t.Helper()
	mount := "true"
	if resolv != "" {
		path := filepath.Join(w.t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(resolv), 0o644); err != nil {
			w.t.Fatal(err)
		}
		mount = "mount --bind " + path + " /etc/resolv.conf"
	}
	all := []string{"--net=/run/netns/" + w.inside, "unshare", "--mount", "sh", "-ec", mount + `; exec "$@"`, "sh", runtime, "--root", filepath.Join(w.t.TempDir(), "root")}
	return exec.Command("nsenter", append(append(append(all, flags...), "do"), args...)...)
}

// forwards has the wire's inside forward packets, as a host has to.
func (w *wire) forwards() {
	w.t.Helper()
	w.in(w.inside, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
}

// within calls do in a network namespace.
func within(t *testing.T, ns string, do func() error) {
	t.Helper()
	failed := make(chan error, 1)
	go func() {
		goruntime.LockOSThread() // the thread ends with the goroutine
		failed <- func() error {
			f, err := os.Open("/run/netns/" + ns)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return do()
		}()
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// remains are the links and the tables of nftables that runsc has made in the inside.
func (w *wire) remains() (links, tables int) {
	w.t.Helper()
	within(w.t, w.inside, func() error {
		all, err := net.Interfaces()
		for _, l := range all {
			if strings.HasPrefix(l.Name, "runsc") {
				links++
			}
		}
		if err != nil {
			return err
		}
		q := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE, unix.NLM_F_DUMP)
		q.AddRawData([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0})
		answers, err := q.Execute(unix.NETLINK_NETFILTER, 0)
		tables = len(answers)
		return err
	})
	return links, tables
}

func (w *wire) checkRemains() {
	w.t.Helper()
	eventually(w.t, "no link and no table", func() bool {
		links, tables := w.remains()
		return links == 0 && tables == 0
	})
}

// TestDoNetwork has a command reach what the host reaches.
func TestDoNetwork(t *testing.T) {
	ours(t)
	w := newWire(t)
	w.forwards()
	path, err := netguest()
	if err != nil {
		t.Fatal(err)
	}
	w.serveOutside()
	before := w.in(w.inside, "sh", "-c", "ip -o addr; ip route; cat /proc/sys/net/ipv4/conf/*/forwarding")
	for _, kind := range []string{"tcp", "udp"} {
		w.run(w.do("", nil, path, kind, "10.77.0.1"))
	}
	w.run(w.do("", []string{"--network=sandbox"}, "busybox", "ping", "-c", "2", "-W", "2", "10.77.0.1"))
	if links, tables := w.remains(); links != 0 || tables != 0 {
		t.Errorf("left behind: %d links, %d tables", links, tables)
	}
	if after := w.in(w.inside, "sh", "-c", "ip -o addr; ip route; cat /proc/sys/net/ipv4/conf/*/forwarding"); after != before {
		t.Errorf("the host was\n%s\nand is\n%s", before, after)
	}
	// A link of 1400 bytes on the way.
	if out := w.run(w.do("", nil, "busybox", "ip", "link", "show", "eth0")); !strings.Contains(out, "mtu 1400") {
		t.Errorf("%s", out)
	}
	if out := w.run(w.do("", []string{"--network=none"}, "busybox", "ip", "addr")); strings.Contains(out, "eth0") {
		t.Errorf("none: %s", out)
	}
}

// TestDoNetworkWalls asks that nobody outside comes in, and that two commands at a time do not
// meet.
func TestDoNetworkWalls(t *testing.T) {
	ours(t)
	w := newWire(t)
	w.forwards()
	first, addr := w.serving()
	defer func() { _ = first.Process.Kill(); _ = first.Wait() }()
	const ask = "sleep 0.3; echo | busybox nc -w 2 " // the server may have to begin anew
	eventually(t, "the host itself is served", func() bool {
		out, _ := exec.Command("ip", "netns", "exec", w.inside, "sh", "-c", ask+addr+" 80").Output()
		return string(out) == "served\n"
	})
	w.in(w.outside, "ip", "route", "add", "169.254.0.0/16", "via", "10.77.0.2")
	for who, cmd := range map[string]*exec.Cmd{
		"outside":         exec.Command("ip", "netns", "exec", w.outside, "sh", "-c", ask+addr+" 80"),
		"another command": w.do("", nil, "sh", "-c", ask+addr+" 80"),
	} {
		if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "served") {
			t.Errorf("%s reaches the command", who)
		}
	}
}

// serving is a command that serves a word at port 80 of an address.
func (w *wire) serving() (cmd *exec.Cmd, addr string) {
	w.t.Helper()
	cmd = w.do("", nil, "sh", "-c", "busybox ip -4 addr show eth0; echo ready; while :; do echo served | busybox nc -l -p 80; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	_, addr, ok := strings.Cut(copyUntil(w.t, out, "ready\n"), "inet ")
	if addr, _, _ = strings.Cut(addr, "/"); !ok || !strings.HasPrefix(addr, "169.254.") {
		w.t.Fatalf("the address is %q", addr)
	}
	return cmd, addr
}

// TestDoNetworkKilled asks that nothing is left on the host when runsc is killed.
func TestDoNetworkKilled(t *testing.T) {
	ours(t)
	w := newWire(t)
	w.forwards()
	cmd, _ := w.serving()
	if links, tables := w.remains(); links != 1 || tables != 1 {
		t.Errorf("while it runs there are %d links and %d tables", links, tables)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	w.checkRemains()
}

// TestDoNetworkNames has a command ask the host's name server, which listens on the host's
// loopback.
func TestDoNetworkNames(t *testing.T) {
	ours(t)
	w := newWire(t)
	w.forwards()
	var server net.PacketConn
	within(t, w.inside, func() (err error) {
		server, err = net.ListenPacket("udp4", "127.0.0.53:53")
		return err
	})
	defer server.Close()
	go answerNames(server)
	out := w.run(w.do("# a comment\nnameserver 127.0.0.53\n", nil, "busybox", "nslookup", "-type=a", "outside.example."))
	if !strings.Contains(out, "10.70.0.99") {
		t.Errorf("%s", out)
	}
}

// answerNames answers each question with an address of IPv4 until the socket is closed.
func answerNames(server net.PacketConn) {
	buf := make([]byte, 512)
	for {
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			return
		}
		a := append([]byte{}, buf[:n]...)
		a[2], a[3], a[7] = 0x81, 0x80, 1 // an answer, recursive; one record
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 70, 0, 99)
		_, _ = server.WriteTo(a, from)
	}
}

// TestDoNetworkFirewall asks what there is where the host has been told to forward little, as
// on Docker's hosts, and where it has been told of this, too.
func TestDoNetworkFirewall(t *testing.T) {
	ours(t)
	if _, err := exec.LookPath("iptables"); err != nil {
		t.Skip("iptables is not installed")
	}
	w := newWire(t)
	w.forwards()
	path, err := netguest()
	if err != nil {
		t.Fatal(err)
	}
	w.serveOutside()
	w.in(w.inside, "iptables", "-P", "FORWARD", "DROP")
	if out := w.run(w.do("", nil, "busybox", "ip", "addr")); strings.Contains(out, "eth0") {
		t.Errorf("%s", out)
	}
	for _, flag := range []string{"-i", "-o"} {
		w.in(w.inside, "iptables", "-A", "FORWARD", flag, "runsc+", "-j", "ACCEPT")
	}
	if out := w.run(w.do("", []string{"--network=sandbox"}, path, "tcp", "10.77.0.1")); !strings.Contains(out, "chain FORWARD of table filter") {
		t.Errorf("%s", out)
	}
}

// TestDoNetworkWithout asks what there is where the host does not forward.
func TestDoNetworkWithout(t *testing.T) {
	ours(t)
	w := newWire(t)
	w.in(w.inside, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
	if out := w.run(w.do("", nil, "busybox", "ip", "addr")); strings.Contains(out, "eth0") || !strings.Contains(out, "127.0.0.1") {
		t.Errorf("%s", out)
	}
	refused := func(words ...string) {
		t.Helper()
		out, err := w.do("", []string{"--network=sandbox"}, "true").CombinedOutput()
		var exit *exec.ExitError
		for _, word := range words {
			if !errors.As(err, &exit) || !strings.Contains(string(out), word) {
				t.Errorf("%v: %s, without %q", err, out, word)
			}
		}
	}
	refused("does not forward packets that come by eth0", "net.ipv4.ip_forward=1", "--network=none")
	w.in(w.inside, "ip", "route", "del", "default")
	refused("no default route")
	w.checkRemains()
}
