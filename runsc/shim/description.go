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

// kindAnnotation says of which kind a container of a pod is: the first of the pod, or
// joining, one that is started in its sandbox.
const (
	kindAnnotation = "io.kubernetes.cri.container-type"
	joining        = "container"
)

// A description is what the shim wants to know of a bundle's config.json.
type description struct {
	Annotations map[string]string
	Linux       struct{ Namespaces []specs.LinuxNamespace }
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
func (d *description) joins() bool { return d.Annotations[kindAnnotation] == joining }

// endsWhole reports whether all of the container's processes end with its init, which
// is the first of a namespace then.
func (d *description) endsWhole() bool {
	for _, n := range d.Linux.Namespaces {
		if n.Type == specs.PIDNamespace {
			return n.Path == ""
		}
	}
	return false
}
