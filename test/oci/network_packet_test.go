package oci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNetworkPackets has programs ask by frames of their own, packet(7): who has an address,
// and which one they may have themselves.
func TestNetworkPackets(t *testing.T) {
	w := newWire(t)
	b := w.box()
	hardware := strings.TrimSpace(w.in(w.outside, "cat", "/sys/class/net/peer/address"))
	if got := b.must("exec", b.id, "arping", "-c", "2", "-I", "eth0", "10.77.0.1"); !strings.Contains(got, "["+hardware+"]") || !strings.Contains(got, "Received 2 response") {
		t.Errorf("arping: %s", got)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "conf")
	text := "start 10.77.0.50\nend 10.77.0.59\ninterface peer\nlease_file " + dir + "/leases\npidfile " + dir + "/pid\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	server := exec.Command("ip", "netns", "exec", w.outside, "busybox", "udhcpd", "-f", config)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	got := b.must("exec", b.id, "sh", "-c", "udhcpc -f -n -q -i eth0 -s /bin/true 2>&1")
	if !strings.Contains(got, "lease of 10.77.0.5") {
		t.Errorf("udhcpc: %s", got)
	}
}
