package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/runsc/control"
	"garrison/runsc/spec"
)

// A layout is the filesystems of a container: what the sentry mounts, and the
// host files that the gofer serves for it.
type layout struct {
	mounts []control.Mount
	gofer  []control.GoferMount // Root is set when they are sent
	trees  []*hostTree          // one for each of gofer
}

// close gives up the host files; processes that got them keep them.
func (l *layout) close() {
	for _, t := range l.trees {
		t.root.Close()
	}
}

// files are the roots of the gofer's mounts, in their order.
func (l *layout) files() []*os.File {
	var roots []*os.File
	for _, t := range l.trees {
		roots = append(roots, t.root)
	}
	return roots
}

// serve adds host files to what the gofer serves and returns their number.
func (l *layout) serve(path string, o treeOptions, shared bool) (int, *hostTree, error) {
	t, err := openTree(path, o)
	if err != nil {
		return 0, nil, err
	}
	l.trees = append(l.trees, t)
	l.gofer = append(l.gofer, control.GoferMount{File: t.file, ReadOnly: o.readOnly, Shared: shared, Path: path})
	return len(l.gofer) - 1, t, nil
}

// newLayout opens the host files that s asks for. overlay is the command line's
// choice for the root: "none", "memory" or "dir=PATH".
func newLayout(id string, s *specs.Spec, bundle, overlay string) (*layout, error) {
	l := new(layout)
	if err := l.addRoot(id, s.Root, overlay); err != nil {
		l.close()
		return nil, err
	}
	for _, m := range s.Mounts {
		if err := l.addMount(spec.ParseMount(m), bundle); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *layout) addRoot(id string, root *specs.Root, overlay string) error {
	m := control.Mount{Destination: "/", Type: "gofer", Source: "root"}
	if root.Readonly {
		m.Flags |= unix.MS_RDONLY
	}
	upper := ""
	switch {
	case overlay == "" || overlay == "none":
	case overlay == "memory":
		m.Overlay = overlay
	case strings.HasPrefix(overlay, "dir=") && filepath.IsAbs(overlay[len("dir="):]):
		m.Overlay, upper = "gofer", filepath.Join(overlay[len("dir="):], id)
	default:
		return fmt.Errorf("--overlay=%s: must be none, memory or dir=/absolute/path", overlay)
	}
	// A read-only root is the guest's business, not the gofer's: mount points
	// may still have to be made in it.
	o := treeOptions{recursive: true, readOnly: m.Overlay != ""}
	number, tree, err := l.serve(root.Path, o, false)
	if err != nil {
		return fmt.Errorf("rootfs %s: %w", root.Path, err)
	}
	m.Gofer = number
	m.Flags |= tree.flags &^ unix.MS_NODEV // devices are the sentry's own
	if m.Overlay != "" {
		m.Flags &^= tree.flags & unix.MS_RDONLY
	}
	if upper != "" {
		if err := os.MkdirAll(upper, 0o755); err != nil {
			return fmt.Errorf("--overlay=%s: %w", overlay, err)
		}
		if m.Upper, _, err = l.serve(upper, treeOptions{}, false); err != nil {
			return fmt.Errorf("--overlay=%s: %w", overlay, err)
		}
	}
	l.mounts = append(l.mounts, m)
	return nil
}

func (l *layout) addMount(m spec.Mount, bundle string) error {
	out := control.Mount{Destination: m.Destination, Type: m.Type, Source: m.Source, Flags: m.Flags, Data: m.Data, Shared: m.Shared}
	if !m.Bind {
		l.mounts = append(l.mounts, out)
		return nil
	}
	source := m.Source
	if !filepath.IsAbs(source) {
		source = filepath.Join(bundle, source)
	}
	o := treeOptions{recursive: m.Recursive, readOnly: m.Flags&unix.MS_RDONLY != 0, follow: true}
	number, tree, err := l.serve(source, o, m.Shared)
	if err != nil {
		return fmt.Errorf("mount %s: source %s: %w", m.Destination, source, err)
	}
	out.Type, out.Source, out.Gofer, out.File = "gofer", source, number, tree.file
	out.Flags |= tree.flags
	l.mounts = append(l.mounts, out)
	return nil
}

// ReadMounts lists the mounts of this process's namespace that hold files of a
// disk or of memory, apart from the root: what a copy of the host's root has to
// be completed with. The kernel's own filesystems, which a sandbox has
// of its own, are left out, as is what lies below them.
func ReadMounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		// proc_pid_mountinfo(5): id parent dev root point options… - type source super
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			return nil, errors.New("/proc/self/mountinfo: malformed line")
		}
		point, kind := unescape(fields[4]), strings.Fields(after)[0]
		if point == "/" || kernelOwn[kind] || below(point, "/proc") || below(point, "/sys") || below(point, "/dev") {
			continue
		}
		found = append(found, point)
	}
	return found, nil
}

// kernelOwn are filesystem types that show a kernel's state, not files.
var kernelOwn = map[string]bool{
	"proc": true, "sysfs": true, "devtmpfs": true, "devpts": true, "cgroup": true, "cgroup2": true, "securityfs": true,
	"debugfs": true, "tracefs": true, "mqueue": true, "bpf": true, "pstore": true, "configfs": true, "fusectl": true,
	"autofs": true, "hugetlbfs": true, "binfmt_misc": true, "nsfs": true, "efivarfs": true, "rpc_pipefs": true, "selinuxfs": true,
}

func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// unescape undoes mountinfo's octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
