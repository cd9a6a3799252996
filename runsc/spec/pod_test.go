package spec

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestPodOf(t *testing.T) {
	for _, c := range []struct {
		annotations map[string]string
		want        string
	}{
		{nil, ""},
		{map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "a"}, ""},
		{map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "a"}, "a"},
		{map[string]string{"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "b"}, "b"},
		{map[string]string{"io.kubernetes.cri.sandbox-id": "a"}, ""},
	} {
		if got := Pod(&specs.Spec{Annotations: c.annotations}); got != c.want {
			t.Errorf("%v: %q", c.annotations, got)
		}
	}
}

func TestPodLimits(t *testing.T) {
	shares, own := uint64(2), int64(1<<20)
	made := func(annotations ...string) *specs.Spec {
		s := &specs.Spec{Annotations: map[string]string{}, Linux: &specs.Linux{Resources: &specs.LinuxResources{
			CPU: &specs.LinuxCPU{Shares: &shares}, Memory: &specs.LinuxMemory{Limit: &own},
		}}}
		for i := 0; i < len(annotations); i += 2 {
			s.Annotations["io.kubernetes.cri."+annotations[i]] = annotations[i+1]
		}
		return s
	}
	s := made("container-type", "sandbox", "sandbox-cpu-shares", "512", "sandbox-cpu-quota", "0", "sandbox-memory", "4096")
	if err := limitPod(s); err != nil {
		t.Fatal(err)
	}
	r := s.Linux.Resources
	if *r.CPU.Shares != 512 || r.CPU.Quota != nil || *r.Memory.Limit != 4096 || shares != 2 {
		t.Errorf("%+v %+v", r.CPU, r.Memory)
	}
	s = made("container-type", "sandbox")
	if err := limitPod(s); err != nil || s.Linux.Resources.CPU.Shares != nil || *s.Linux.Resources.Memory.Limit != own {
		t.Errorf("%v %+v", err, s.Linux.Resources)
	}
	s = made("container-type", "container", "sandbox-memory", "4096")
	if err := limitPod(s); err != nil || *s.Linux.Resources.CPU.Shares != 2 || *s.Linux.Resources.Memory.Limit != own {
		t.Errorf("%v %+v", err, s.Linux.Resources)
	}
	if err := limitPod(made("container-type", "sandbox", "sandbox-memory", "much")); err == nil || !strings.Contains(err.Error(), `sandbox-memory="much": not a number`) {
		t.Error(err)
	}
}
