package shim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/spec"
)

// groupAnnotations name what containers share a shim by, the strongest first.
var groupAnnotations = []string{"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}

// A description is what the shim wants to know of a bundle's config.json.
type description struct {
	Annotations map[string]string
}

func describe(bundle string) (*description, error) {
	path := filepath.Join(bundle, spec.ConfigName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := &description{}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// group is what container id shares a shim by: its own id if it shares none.
func (d *description) group(id string) string {
	for _, name := range groupAnnotations {
		if group := d.Annotations[name]; group != "" {
			return group
		}
	}
	return id
}

// joins reports whether the sandbox is another container's.
func (d *description) joins() bool { return spec.Pod(&specs.Spec{Annotations: d.Annotations}) != "" }
