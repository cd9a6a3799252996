package spec

import specs "github.com/opencontainers/runtime-spec/specs-go"

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
