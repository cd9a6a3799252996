package dev

import (
	"fmt"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A Node is a device to be made in a /dev.
type Node struct {
	Name         string
	Mode         linux.FileMode // type and permissions
	Major, Minor uint32
	UID, GID     uint32
}

// Standard is the devices that the OCI runtime specification asks for.
func Standard() []Node {
	chr := func(name string, major, minor uint32) Node {
		return Node{Name: name, Mode: linux.S_IFCHR | 0o666, Major: major, Minor: minor}
	}
	return []Node{
		chr("null", memMajor, nullMinor),
		chr("zero", memMajor, zeroMinor),
		chr("full", memMajor, fullMinor),
		chr("random", memMajor, randomMinor),
		chr("urandom", memMajor, urandomMinor),
		chr("tty", linux.TTYAUX_MAJOR, ttyMinor),
	}
}

// Console is the node of /dev/console.
func Console() Node {
	return Node{Name: "console", Mode: linux.S_IFCHR | 0o620, Major: linux.TTYAUX_MAJOR, Minor: consoleMinor}
}

// links is the symbolic links that go with them.
var links = [...][2]string{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
}

// Populate makes nodes and the standard links in dir, a container's /dev. What is
// there already stays.
func Populate(c vfs.Ctx, dir vfs.Path, nodes []Node) error {
	for _, n := range nodes {
		if err := n.make(c, dir); err != nil {
			return fmt.Errorf("making /dev/%s: %w", n.Name, err)
		}
	}
	for _, l := range links {
		err := vfs.MakeSymlink(c, l[1], vfs.At{Start: dir, Name: l[0]})
		if err != nil && err != linux.EEXIST {
			return fmt.Errorf("making /dev/%s: %w", l[0], err)
		}
	}
	return nil
}

func (n *Node) make(c vfs.Ctx, dir vfs.Path) error {
	p, err := vfs.Mknod(c, vfs.At{Start: dir, Name: n.Name}, n.Mode, linux.Makedev(n.Major, n.Minor))
	if err == linux.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Drop()
	// Whatever the umask made of it.
	if err := vfs.Chmod(c, p, n.Mode.Perm()); err != nil {
		return err
	}
	if n.UID == 0 && n.GID == 0 {
		return nil
	}
	return vfs.Chown(c, p, n.UID, n.GID)
}
