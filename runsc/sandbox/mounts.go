package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	image  *os.File             // that is the root; nil for none
}

// closeTrees gives up the host files that the gofer has got.
func (l *layout) closeTrees() {
	for _, t := range l.trees {
		t.root.Close()
	}
	l.trees = nil
}

// close gives up all host files; processes that got them keep them.
func (l *layout) close() {
	l.closeTrees()
	if l.image != nil {
		l.image.Close()
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
	l.gofer = append(l.gofer, control.GoferMount{File: t.file, ReadOnly: o.readOnly, Shared: shared, NoXDev: t.alone, Path: path})
	return len(l.gofer) - 1, t, nil
}

// newLayout opens the host files that c asks for.
func newLayout(c *Config) (*layout, error) {
	l := new(layout)
	err := l.addRoot(c)
	if err == nil && c.HostRoot {
		err = l.addHostMounts()
	}
	for _, m := range c.Spec.Mounts {
		if err == nil {
			err = l.addMount(spec.ParseMount(m), c.Bundle)
		}
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *layout) addRoot(c *Config) error {
	m := control.Mount{Destination: "/", Type: "gofer", Source: "root"}
	if c.Spec.Root.Readonly {
		m.Flags |= unix.MS_RDONLY
	}
	upper := ""
	switch dir, isDir := strings.CutPrefix(c.Overlay, "dir="); {
	case c.Overlay == "" || c.Overlay == "none":
	case c.Overlay == "memory":
		m.Overlay = c.Overlay
	case isDir && filepath.IsAbs(dir):
		m.Overlay, upper = "gofer", filepath.Join(dir, c.ID)
	default:
		return fmt.Errorf("--overlay=%s: must be none, memory or dir=/absolute/path", c.Overlay)
	}
	add := l.addRootTree
	if c.RootImage != "" {
		add = l.addRootImage
	}
	if err := add(c, &m); err != nil {
		return err
	}
	if upper != "" {
		if err := os.MkdirAll(upper, 0o755); err != nil {
			return fmt.Errorf("--overlay=%s: %w", c.Overlay, err)
		}
		var err error
		if m.Upper, _, err = l.serve(upper, treeOptions{}, false); err != nil {
			return fmt.Errorf("--overlay=%s: %w", c.Overlay, err)
		}
	}
	l.mounts = append(l.mounts, m)
	return nil
}

// addRootTree has m be a directory of the host.
func (l *layout) addRootTree(c *Config, m *control.Mount) error {
	// A read-only root is the guest's business, not the gofer's: mount points
	// may still have to be made in it.
	o := treeOptions{recursive: !c.HostRoot, readOnly: m.Overlay != ""}
	number, tree, err := l.serve(c.Spec.Root.Path, o, false)
	if err != nil {
		return fmt.Errorf("rootfs %s: %w", c.Spec.Root.Path, err)
	}
	m.Gofer = number
	m.Flags |= tree.flags &^ unix.MS_NODEV // devices are the sentry's own
	if m.Overlay != "" {
		m.Flags &^= tree.flags & unix.MS_RDONLY
	}
	return nil
}

// addRootImage has m be an image.
func (l *layout) addRootImage(c *Config, m *control.Mount) error {
	f, err := os.OpenFile(c.RootImage, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("--rootfs: %w", err)
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return errors.Join(err, fmt.Errorf("--rootfs=%s: not a regular file", c.RootImage))
	}
	l.image = f
	m.Type, m.Source = "erofs", filepath.Base(c.RootImage) // where it lies on the host is not the guest's business
	if m.Overlay == "" {
		m.Flags |= unix.MS_RDONLY
	}
	return nil
}

// addHostMounts adds what the host has mounted below its root, each below an
// overlay of its own. What can't be opened is not there for the guest either.
func (l *layout) addHostMounts() error {
	points, err := hostMounts()
	if err != nil {
		return err
	}
	for _, point := range points {
		number, tree, err := l.serve(point, treeOptions{readOnly: true}, false)
		if err != nil {
			continue
		}
		m := control.Mount{Destination: point, Type: "gofer", Source: point, Gofer: number, File: tree.file, Flags: tree.flags &^ unix.MS_NODEV}
		if !tree.file {
			m.Overlay = "memory"
			m.Flags &^= unix.MS_RDONLY
		}
		l.mounts = append(l.mounts, m)
	}
	return nil
}

func (l *layout) addMount(m spec.Mount, bundle string) error {
	out := control.Mount{Destination: m.Destination, Type: m.Type, Source: m.Source, Flags: m.Flags, Data: m.Data, Shared: m.Shared}
	if !m.Bind {
		l.mounts = append(l.mounts, out)
		return nil
	}
	source := bindSource(m, bundle)
	number, tree, err := l.serve(source, bindOptions(m), m.Shared)
	if err != nil {
		return fmt.Errorf("mount %s: source %s: %w", m.Destination, source, err)
	}
	out.Type, out.Source, out.Gofer, out.File, out.Bind = "gofer", source, number, tree.file, true
	out.Flags |= tree.flags
	l.mounts = append(l.mounts, out)
	return nil
}

// bindSource is what of the host the bind mount m shows.
func bindSource(m spec.Mount, bundle string) string {
	if filepath.IsAbs(m.Source) {
		return m.Source
	}
	return filepath.Join(bundle, m.Source)
}

// bindOptions are how.
func bindOptions(m spec.Mount) treeOptions {
	return treeOptions{recursive: m.Recursive, readOnly: m.Flags&unix.MS_RDONLY != 0, follow: true}
}

// hostMounts lists the mounts of this process's namespace that hold files of a
// disk or of memory, apart from the root: what a copy of the host's root has to
// be completed with. The kernel's own filesystems, which a sandbox has
// of its own, are left out, as is what lies below them.
func hostMounts() ([]string, error) {
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
