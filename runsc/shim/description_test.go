package shim

import (
	"os"
	"path/filepath"
	"testing"

	"garrison/runsc/spec"
)

func TestDescribe(t *testing.T) {
	for config, want := range map[string]struct {
		group string
		joins bool
	}{
		`{}`: {"id", false},
		`{"annotations": {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod"}}`:   {"pod", false},
		`{"annotations": {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "pod"}}`: {"pod", true},
		`{"annotations": {"io.kubernetes.cri.sandbox-id": "pod", "io.containerd.runc.v2.group": "group"}}`:          {"group", false},
	} {
		bundle := t.TempDir()
		if err := os.WriteFile(filepath.Join(bundle, spec.ConfigName), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := describe(bundle)
		if err != nil {
			t.Fatal(err)
		}
		if d.group("id") != want.group || d.joins() != want.joins {
			t.Errorf("%s: %q, %v, want %v", config, d.group("id"), d.joins(), want)
		}
	}
	if _, err := describe(t.TempDir()); err == nil {
		t.Error("described what is not there")
	}
}
