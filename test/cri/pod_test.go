package cri

import (
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ready asks that a pod runs, or does not.
func (p *pod) ready(want cri.PodSandboxState) {
	p.k.t.Helper()
	if got := p.status().State; got != want {
		p.k.t.Errorf("the pod is %v, want %v", got, want)
	}
}

// listed is what a list of the pod's containers says that this one does.
func (c *container) listed() string {
	c.k.t.Helper()
	a, err := c.k.runtime.ListContainers(background, &cri.ListContainersRequest{Filter: &cri.ContainerFilter{PodSandboxId: c.pod.id}})
	if err != nil {
		c.k.t.Fatalf("list: %v", err)
	}
	for _, other := range a.Containers {
		if other.Id == c.id {
			return other.State.String()
		}
	}
	return ""
}

// testPod is the life of a pod with one container.
func testPod(k *kubelet) {
	p := k.pod(own())
	p.ready(cri.PodSandboxState_SANDBOX_READY)
	if s := p.status(); !strings.HasPrefix(s.Network.GetIp(), subnet+".") || s.RuntimeHandler != k.handler {
		k.t.Errorf("%v", s)
	}
	c := p.create("main", []string{"sh", "-c", "trap 'exit 3' TERM; echo begun; echo wrong >&2; sleep 1000 & wait"})
	if got := c.listed(); got != "CONTAINER_CREATED" {
		k.t.Errorf("made, it is %q", got)
	}
	if err := c.start(); err != nil {
		k.t.Fatal(err)
	}
	if got := c.listed(); got != "CONTAINER_RUNNING" {
		k.t.Errorf("started, it is %q", got)
	}
	c.logs("stdout F begun", "stderr F wrong")
	k.seen()
	version := "0"
	if !k.native() {
		version = "1"
	}
	c.says(version, "grep -c Garrison /proc/version || :")
	c.says("pod", "hostname")
	if code, out, errs := c.do("sh", "-c", "echo out; echo err >&2; exit 6"); code != 6 || out != "out\n" || errs != "err\n" {
		k.t.Errorf("%d, %q, %q", code, out, errs)
	}
	if use := c.stats(); use.Memory.GetWorkingSetBytes().GetValue() == 0 || use.Cpu.GetUsageCoreNanoSeconds().GetValue() == 0 {
		k.t.Errorf("it uses nothing: %v", use)
	}
	c.stop(20)
	c.ended(3, "Error")
	if got := c.listed(); got != "CONTAINER_EXITED" {
		k.t.Errorf("ended, it is %q", got)
	}
	p.ready(cri.PodSandboxState_SANDBOX_READY)
	c.remove()
	if got := c.listed(); got != "" {
		k.t.Errorf("removed, it is %q", got)
	}
	p.stop()
	p.ready(cri.PodSandboxState_SANDBOX_NOTREADY)
}

// serve answers who connects to the pod's loopback, until it is told to end.
const serve = "mkdir /srv && echo served >/srv/f && httpd -p 127.0.0.1:8080 -h /srv && " +
	"until [ -e /tmp/end ]; do sleep 0.1; done; exit 4"

// ask connects to it, which may not listen yet.
const ask = "for i in $(seq 30); do wget -qO- http://127.0.0.1:8080/f 2>/dev/null && exit; sleep 0.1; done"

// testTogether is what containers of a pod share, and what not.
func testTogether(k *kubelet) {
	p := k.pod(own())
	one := p.start("one", "sh", "-c", serve)
	two := p.start("two", "sh", "-c", "echo $$; sleep 1000 & wait")

	two.logs("stdout F 1") // its pid
	one.says("0", "ps | grep -c ' sleep 1000$' || :")
	two.says("0", "ps | grep -c '[h]ttpd' || :")
	two.says("1", "ps | grep -c ' sleep 1000$'")

	one.says("", "echo shared >/dev/shm/f; echo own >/root/f")
	two.says("shared", "cat /dev/shm/f")
	two.says("1", "[ -e /root/f ]; echo $?")

	two.says("served", ask)
	one.says("served", ask)

	one.says("", "touch /tmp/end")
	one.ended(4, "Error")
	two.says("still", "echo still")
	p.ready(cri.PodSandboxState_SANDBOX_READY)
	one.remove()

	// Another in its place finds what the pod has, and what others find when they ask.
	again := p.start("again", "sh", "-c", serve)
	again.says("shared", "cat /dev/shm/f")
	two.says("served", ask)
	two.stop(0)
	two.ended(137, "Error")
	again.says("still", "echo still")
}
