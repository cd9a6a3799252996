package cri

import (
	"fmt"
	"os"
	"slices"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The network of the machine is the node's here.
func testHostNetwork(k *kubelet) {
	namespaces := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD}
	p := k.pod(namespaces)
	if ip := p.status().Network.GetIp(); ip != "" {
		k.t.Errorf("an address of its own: %s", ip)
	}
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", k.machine))
	if err != nil {
		k.t.Fatal(err)
	}
	c := p.start("main", "sleep", "1000")
	if k.native() {
		c.says(want, "readlink /proc/self/ns/net")
		return
	}
	// Which is inside another namespace of that name, with the node's links and sockets.
	theirs, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/if_inet6", k.machine))
	if err != nil {
		k.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(theirs)), "\n")
	slices.Sort(lines) // each kernel has an order of its own
	c.says(strings.Join(lines, "\n"), "LC_ALL=C sort /proc/net/if_inet6")
}

// testSharedProcesses is a pod in which all see each other.
func testSharedProcesses(k *kubelet) {
	p := k.pod(&cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_POD, Ipc: cri.NamespaceMode_POD})
	one := p.start("one", "sleep", "1001")
	two := p.start("two", "sleep", "1002")
	one.says("/pause", "tr '\\0' ' ' </proc/1/cmdline | cut -d' ' -f1")
	one.says("1", "ps | grep -c '[s]leep 1002'")
	one.says("", "sleep 1003 >/dev/null 2>&1 &")
	two.says("", "kill -9 $(ps | awk '$NF == 1001 { print $1 }')")
	one.ended(137, "Error")
	two.says("0", "ps | grep -c '[s]leep 1003' || :") // ended with the container that it was in
}
