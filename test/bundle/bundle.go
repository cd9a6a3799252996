// Package bundle makes OCI bundles and runs them in the foreground under any
// OCI runtime, for the tests and benchmarks that compare runtimes.
package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Capabilities are those that Docker gives a container.
const Capabilities = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"

// Spec is an ordinary container that runs args: root inside, Capabilities, the
// usual mounts, no network but loopback. Its root is the directory rootfs
// beside its config.json.
func Spec(args ...string) *specs.Spec {
	nosuid := []string{"nosuid", "noexec", "nodev"}
	s := &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Args:    args,
			Env:     []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb"},
			Cwd:     "/",
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 1<<64 - 1}},
		},
		Root:     &specs.Root{Path: "rootfs"},
		Hostname: "garrison",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: nosuid},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append(slices.Clone(nosuid), "mode=1777", "size=65536k")},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append(slices.Clone(nosuid), "ro")},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
		},
	}
	Grant(s, Capabilities)
	return s
}

// Grant gives the container exactly the capabilities that are named, without
// their CAP_.
func Grant(s *specs.Spec, names string) {
	caps := []string{}
	for _, n := range strings.Fields(names) {
		caps = append(caps, "CAP_"+n)
	}
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
}

// Fuse gives the container /dev/fuse, as docker's --device does.
func Fuse(s *specs.Spec) { device(s, "/dev/fuse", "c", 10, 229) }

// Loop gives the container loop devices: /dev/loop-control and /dev/loop0 to 15, and the
// right to make names for others.
func Loop(s *specs.Spec) {
	const major, names = 7, 16
	device(s, "/dev/loop-control", "c", 10, 237)
	for n := range int64(names) {
		device(s, fmt.Sprintf("/dev/loop%d", n), "b", major, n)
	}
	all := int64(major)
	s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
		specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &all, Access: "rwm"})
}

// device gives the container a device.
func device(s *specs.Spec, path, kind string, major, minor int64) {
	s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{Path: path, Type: kind, Major: major, Minor: minor})
	if s.Linux.Resources == nil {
		s.Linux.Resources = &specs.LinuxResources{}
	}
	s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
		specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Minor: &minor, Access: "rwm"})
}

// Write makes dir a bundle of s.
func Write(dir string, s *specs.Spec) error {
	config, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644)
}

// Overlay mounts dir/rootfs: lower, with what is written going to dir/upper.
// The caller undoes it before it removes dir.
func Overlay(dir, lower string) (undo func(), err error) {
	for _, d := range []string{"rootfs", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	rootfs := filepath.Join(dir, "rootfs")
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, dir, dir)
	if err := syscall.Mount("overlay", rootfs, "overlay", 0, opts); err != nil {
		return nil, fmt.Errorf("mount an overlay of %s on %s: %w", lower, rootfs, err)
	}
	return func() { _ = syscall.Unmount(rootfs, syscall.MNT_DETACH) }, nil
}
