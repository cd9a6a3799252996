package cri

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// testNetwork is what pods and their machine say to each other over CNI's bridge.
func testNetwork(k *kubelet) {
	server := k.pod(own())
	server.start("main", "sh", "-c", "mkdir /srv && echo served >/srv/f && exec httpd -f -p 8080 -h /srv")
	client := k.pod(own()).start("main", "sleep", "1000")
	for _, ip := range server.addresses() {
		url := "http://" + ip + ":8080/f"
		if strings.Contains(ip, ":") {
			url = "http://[" + ip + "]:8080/f"
		}
		client.says("served", fmt.Sprintf("for i in $(seq 30); do wget -qO- %s 2>/dev/null && exit; sleep 0.1; done; exit 1", url))
		out, err := exec.Command("nsenter", "--net", "--target", strconv.Itoa(k.machine), "busybox", "wget", "-qO-", url).CombinedOutput()
		if err != nil || string(out) != "served\n" {
			k.t.Errorf("from the machine, %s: %v: %s", url, err, out)
		}
		client.says("", "ping -c 1 -w 5 "+ip+" >/dev/null")
	}
	if len(server.addresses()) != 2 {
		k.t.Errorf("the pod has addresses %v", server.addresses())
	}
}

// addresses are a pod's.
func (p *pod) addresses() (all []string) {
	p.k.t.Helper()
	n := p.status().Network
	for _, ip := range append([]*cri.PodIP{{Ip: n.GetIp()}}, n.GetAdditionalIps()...) {
		all = append(all, ip.Ip)
	}
	return all
}
