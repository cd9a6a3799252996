package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"garrison/runsc/control"
)

// annotationPrefix begins the annotations of a config.json that are flags:
// dev.garrison.platform=ptrace is --platform=ptrace.
const annotationPrefix = "dev.garrison."

// defaultAllowed is the file that names the flags which annotations may set.
const defaultAllowed = "/etc/garrison/allowed-annotations"

// sandboxFlags are the global flags that are about one sandbox.
var sandboxFlags = []string{"debug", "debug-log", "kernel-release", "network", "overlay", "platform", "rootfs", "strace"}

// dangerous reports whether a value opens a wall of the sandbox: a flag's name in the file
// of those allowed does not allow it. An image on the host may be another tenant's.
func dangerous(name, value string) bool {
	return name == "network" && value == control.NetworkHost || name == "rootfs"
}

// flagsFromAnnotations sets the global flags that annotations ask for. Whoever may
// write a pod's description can write annotations, so only the flags count that a
// file of root's names, one a line, as "flag", or with one value, as "flag=value"; any
// other is an error, not ignored.
func (a *app) flagsFromAnnotations(c *cobra.Command, annotations map[string]string) error {
	var names []string
	for key := range annotations {
		if name, ok := strings.CutPrefix(key, annotationPrefix); ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	allowed, err := allowedFlags(a.allowed)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		key := annotationPrefix + name
		f := c.Root().PersistentFlags().Lookup(name)
		switch {
		case f == nil || !slices.Contains(sandboxFlags, name):
			return fmt.Errorf("annotation %s: there is no such flag of a sandbox", key)
		case slices.Contains(allowed, name+"="+annotations[key]):
		case !slices.Contains(allowed, name), dangerous(name, annotations[key]):
			return fmt.Errorf("annotation %s=%s: not allowed on this host (%s names those that are)", key, annotations[key], a.allowed)
		}
		if err := f.Value.Set(annotations[key]); err != nil {
			return fmt.Errorf("annotation %s=%s: %w", key, annotations[key], err)
		}
	}
	return a.check(c)
}

// allowedFlags reads the file at path: a flag a line, "#" begins a comment. Nobody but
// root may be able to write it.
func allowedFlags(path string) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st := fi.Sys().(*syscall.Stat_t); st.Uid != 0 || fi.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s: must be root's, and writable by nobody else", path)
	}
	var names []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), "#")
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}
