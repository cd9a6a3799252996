package cri

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// background is the context of every call, which the client limits.
var background = context.Background()

// A kubelet is who calls CRI, in one test of a runtime.
type kubelet struct {
	t *testing.T
	*node
	handler string
	pods    int // so many have been made
}

// native says that the runtime is runc.
func (k *kubelet) native() bool { return k.handler == "runc" }

// A pod is one that runs.
type pod struct {
	k      *kubelet
	id     string
	config *cri.PodSandboxConfig
}

// pod runs one with these namespaces. It is removed at the end of the test.
func (k *kubelet) pod(namespaces *cri.NamespaceOption) *pod {
	k.t.Helper()
	p, err := k.tryPod(namespaces)
	if err != nil {
		k.t.Fatalf("run a pod: %v", err)
	}
	k.t.Cleanup(p.remove)
	return p
}

func (k *kubelet) tryPod(namespaces *cri.NamespaceOption) (*pod, error) {
	k.pods++
	name := fmt.Sprintf("%s-%d", strings.ReplaceAll(k.t.Name(), "/", "-"), k.pods)
	p := &pod{k: k, config: &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "test"},
		Hostname:     "pod",
		LogDirectory: k.t.TempDir(),
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    k.cgroups,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: namespaces},
		},
	}}
	if namespaces.Network == cri.NamespaceMode_NODE {
		p.config.Hostname = "" // it is the machine's
	}
	a, err := k.runtime.RunPodSandbox(background, &cri.RunPodSandboxRequest{Config: p.config, RuntimeHandler: k.handler})
	p.id = a.GetPodSandboxId()
	return p, err
}

// own is a pod's own network, which its containers share, and nothing else shared but
// System V IPC and POSIX's.
func own() *cri.NamespaceOption {
	return &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD}
}

// stop ends all that runs in the pod.
func (p *pod) stop() {
	p.k.t.Helper()
	if _, err := p.k.runtime.StopPodSandbox(background, &cri.StopPodSandboxRequest{PodSandboxId: p.id}); err != nil {
		p.k.t.Errorf("stop the pod: %v", err)
	}
}

// remove stops and removes the pod, with all of its containers.
func (p *pod) remove() {
	p.k.t.Helper()
	p.stop()
	if _, err := p.k.runtime.RemovePodSandbox(background, &cri.RemovePodSandboxRequest{PodSandboxId: p.id}); err != nil {
		p.k.t.Errorf("remove the pod: %v", err)
	}
}

func (p *pod) status() *cri.PodSandboxStatus {
	p.k.t.Helper()
	a, err := p.k.runtime.PodSandboxStatus(background, &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		p.k.t.Fatalf("status of the pod: %v", err)
	}
	return a.Status
}

// A container is one of a pod's.
type container struct {
	*pod
	id  string
	log string // where its output is
}

// create makes a container that will run a command. more changes its configuration.
func (p *pod) create(name string, command []string, more ...func(*cri.ContainerConfig)) *container {
	p.k.t.Helper()
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name},
		Image:    &cri.ImageSpec{Image: boxImage},
		Command:  command,
		LogPath:  name + ".log",
		Linux: &cri.LinuxContainerConfig{
			SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: p.config.Linux.SecurityContext.NamespaceOptions},
		},
	}
	for _, change := range more {
		change(config)
	}
	a, err := p.k.runtime.CreateContainer(background, &cri.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config})
	if err != nil {
		p.k.t.Fatalf("create %s: %v", name, err)
	}
	return &container{p, a.ContainerId, filepath.Join(p.config.LogDirectory, config.LogPath)}
}

// start runs a container.
func (p *pod) start(name string, command ...string) *container {
	p.k.t.Helper()
	c := p.create(name, command)
	if err := c.start(); err != nil {
		p.k.t.Fatalf("start %s: %v", name, err)
	}
	return c
}

func (c *container) start() error {
	_, err := c.k.runtime.StartContainer(background, &cri.StartContainerRequest{ContainerId: c.id})
	return err
}

// stop ends a container, which is given so many seconds.
func (c *container) stop(grace int64) {
	c.k.t.Helper()
	if _, err := c.k.runtime.StopContainer(background, &cri.StopContainerRequest{ContainerId: c.id, Timeout: grace}); err != nil {
		c.k.t.Errorf("stop: %v", err)
	}
}

// remove removes a container, after which it is not known.
func (c *container) remove() {
	c.k.t.Helper()
	if _, err := c.k.runtime.RemoveContainer(background, &cri.RemoveContainerRequest{ContainerId: c.id}); err != nil {
		c.k.t.Errorf("remove: %v", err)
	}
	_, err := c.k.runtime.ContainerStatus(background, &cri.ContainerStatusRequest{ContainerId: c.id})
	if status.Code(err) != codes.NotFound {
		c.k.t.Errorf("status of what has been removed: %v", err)
	}
}

func (c *container) status() *cri.ContainerStatus {
	c.k.t.Helper()
	a, err := c.k.runtime.ContainerStatus(background, &cri.ContainerStatusRequest{ContainerId: c.id})
	if err != nil {
		c.k.t.Fatalf("status: %v", err)
	}
	return a.Status
}

// ended waits for a container's end, which has to be so.
func (c *container) ended(code int32, reason string) {
	c.k.t.Helper()
	var s *cri.ContainerStatus
	until(c.k.t, func() string {
		if s = c.status(); s.State != cri.ContainerState_CONTAINER_EXITED {
			return fmt.Sprintf("it has not ended: %v", s)
		}
		return ""
	})
	if s.ExitCode != code || s.Reason != reason || s.FinishedAt < s.CreatedAt {
		c.k.t.Errorf("%v, want %d, %q", s, code, reason)
	}
}

// do runs a command in a container, and returns its exit code and what it writes.
func (c *container) do(command ...string) (code int32, out, errs string) {
	c.k.t.Helper()
	a, err := c.k.runtime.ExecSync(background, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: command, Timeout: 30})
	if err != nil {
		c.k.t.Fatalf("%v: %v", command, err)
	}
	return a.ExitCode, string(a.Stdout), string(a.Stderr)
}

// says runs a shell command in a container, which has to succeed and write this.
func (c *container) says(want, script string) {
	c.k.t.Helper()
	if code, out, errs := c.do("sh", "-c", script); code != 0 || strings.TrimSpace(out) != want || errs != "" {
		c.k.t.Errorf("%s: %d, %q, %q; want %q", script, code, out, errs, want)
	}
}
