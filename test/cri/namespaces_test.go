package cri

import (
	"fmt"
	"os"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The network of the machine is the node's here. Ours refuses it, as there is no host
// network yet: a pod that asks for it must not get a loopback of its own in its place.
func testHostNetwork(k *kubelet) {
	namespaces := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD}
	if !k.native() {
		_, err := k.tryPod(namespaces)
		if err == nil || !strings.Contains(err.Error(), "the host's network namespace is not supported") {
			k.t.Errorf("%v", err)
		}
		return
	}
	p := k.pod(namespaces)
	if ip := p.status().Network.GetIp(); ip != "" {
		k.t.Errorf("an address of its own: %s", ip)
	}
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", k.machine))
	if err != nil {
		k.t.Fatal(err)
	}
	p.start("main", "sleep", "1000").says(want, "readlink /proc/self/ns/net")
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
