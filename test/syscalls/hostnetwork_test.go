package syscalls

import (
	"path"
	"testing"

	"garrison/test/bundle"
)

// hostNetworkCases is the cases that are about sockets and links: two expressions, as one has
// the same number of elements for all.
var hostNetworkCases = []string{
	`Test(Socket|TCP|UDP|Unix|Seqpacket|Passing|IPv6|Proc|Poll|Epoll)`,
	`TestC/^(mcast_source|net_rtnl|net_sysctl|packet|packet_fanout|packet_proc|packet_ring|passing|peekoff|peekoff_inet|rawip|segments|send_control|send_mark|sock_filter|sockopt_effects)$`,
}

// notOfHost is what the host's network does not do, by the program or the case that fails, and
// why. What fails in a program ends it, so a case is the last of its program's.
var notOfHost = map[string]string{
	"TestC/packet":           "the sentry has no right to packet sockets on the host",
	"TestC/packet_fanout":    "likewise",
	"TestC/packet_proc":      "likewise",
	"TestC/packet_ring":      "likewise",
	"TestC/rawip":            "nor to raw ones",
	"TestC/send_control/raw": "likewise",
	"TestC/send_mark":        "nor to mark packets: who marks them has them go other ways, so it fails",
	"TestC/sock_filter":      "guests' programs are not run by the host",
}

// TestHostNetwork runs the cases of sockets with --network=host: by sockets of the host, in a
// namespace like the one that they have natively.
func TestHostNetwork(t *testing.T) {
	s := newSuite(t)
	ours := bundle.Ours(*runsc, *platform)
	ours.Flags = append(ours.Flags, "--network=host")
	failed := map[string]bool{}
	for _, cases := range hostNetworkCases {
		want := s.run(t, bundle.Runtime{Path: *native}, cases, suiteTimeout)
		got := s.run(t, ours, cases, suiteTimeout)
		if len(want.verdicts) == 0 || !got.finished || got.late {
			t.Fatalf("%s: the suite did not come to its end in the sandbox:\n%s", cases, tail(got.text, 40))
		}
		for _, name := range want.names() {
			if got.groups[name] == "PASS" || want.verdicts[name] != "PASS" {
				continue
			}
			if why := excused(name); why != "" {
				failed[why] = true
				continue
			}
			t.Errorf("%s: %s with the host's network, PASS on Linux:\n%s", name, got.groups[name], got.output(name))
		}
		t.Logf("%d cases", len(want.verdicts))
	}
	for name, why := range notOfHost {
		if !failed[name] {
			t.Errorf("%s passes, though %q", name, why)
		}
	}
}

// excused is the entry of notOfHost for a case, "" if there is none.
func excused(name string) string {
	for ; name != "."; name = path.Dir(name) {
		if notOfHost[name] != "" {
			return name
		}
	}
	return ""
}
