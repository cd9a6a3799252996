package spec

import (
	"fmt"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// podAnnotations are how the engines that make pods say which container is one of whose:
// containerd's CRI plugin, and CRI-O, whose words podman has.
var podAnnotations = []struct{ kind, pod string }{
	{"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},
	{"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"},
}

// Pod is the container in whose sandbox the one of s is to be, or "" for a sandbox of its
// own. The first container of a pod has one.
func Pod(s *specs.Spec) string {
	for _, a := range podAnnotations {
		if s.Annotations[a.kind] == "container" {
			return s.Annotations[a.pod]
		}
	}
	return ""
}

// podLimits are the annotations in which the CRI plugin tells the first container of a pod
// what all of them may use together.
var podLimits = []struct {
	name string
	set  func(*specs.LinuxResources, int64)
}{
	{"io.kubernetes.cri.sandbox-cpu-period", func(r *specs.LinuxResources, n int64) { period := uint64(n); r.CPU.Period = &period }},
	{"io.kubernetes.cri.sandbox-cpu-quota", func(r *specs.LinuxResources, n int64) { r.CPU.Quota = &n }},
	{"io.kubernetes.cri.sandbox-cpu-shares", func(r *specs.LinuxResources, n int64) { shares := uint64(n); r.CPU.Shares = &shares }},
	{"io.kubernetes.cri.sandbox-memory", func(r *specs.LinuxResources, n int64) { r.Memory.Limit = &n }},
}

// limitPod gives the first container of a pod, in whose cgroup the sandbox with all that
// runs in it is, the pod's limits. Its own are those of a program that only waits, which
// would starve the others.
func limitPod(s *specs.Spec) error {
	if s.Annotations[podAnnotations[0].kind] != "sandbox" || s.Linux.Resources == nil {
		return nil
	}
	r := *s.Linux.Resources
	r.CPU, r.Memory = copyOrNew(r.CPU), copyOrNew(r.Memory)
	r.CPU.Shares = nil
	for _, l := range podLimits {
		text := s.Annotations[l.name]
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("annotation %s=%q: not a number", l.name, text)
		}
		if n > 0 { // 0 is no wish
			l.set(&r, n)
		}
	}
	s.Linux.Resources = &r
	return nil
}

func copyOrNew[T any](p *T) *T {
	v := new(T)
	if p != nil {
		*v = *p
	}
	return v
}
