package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/test/bundle"
)

//go:embed guest/*.c guest/*.h
var guestSource embed.FS

// A bench is what all parts need: the guest program, the roots that containers
// are given, and the cgroup that they run in.
type bench struct {
	dir    string // everything that is written is below it, on the host's disk
	ram    string // a tmpfs
	debian string // the Debian root; nothing writes to it
	layer  string // goes over the Debian root: /bench, and directories to mount on
	tiny   string // a root that holds the guest alone
	// clients goes over the Debian root where the network is measured: servers and clients.
	clients string
	seeds   map[string]uint64 // of what each runtime's wire has lost last
	leftOut []string          // what can't be measured on this host, and why
	goroot  string
	group   *group
	smoke   bool
	effort
}

// An effort is how much is done for one reading.
type effort struct {
	micros, repeats int           // of an operation of the guest: how long one repetition takes
	divide          int           // of a job: what its counts are divided by
	runs, lives     int           // of containers: of each kind of start-up
	crowds          int           // start-ups of many containers
	parallel        int           // how many those are
	idle            time.Duration // how long wake-ups are counted,
	watched         time.Duration // and the time of busy loops, after a quarter of that
	crowd           [3]int        // how many idle sandboxes there are for each line of memory
}

var (
	full    = effort{40_000, 5, 1, 15, 5, 3, 20, 10 * time.Second, 3 * time.Second, [3]int{1, 10, 50}}
	cursory = effort{2_000, 1, 10, 1, 1, 1, 4, time.Second, 100 * time.Millisecond, [3]int{1, 2, 3}}
)

// newBench makes ready what all parts need. The caller closes it.
func newBench(o options) (*bench, error) {
	if _, err := os.Stat(o.root + "/.recipe"); err != nil {
		return nil, fmt.Errorf("no root filesystem at %s (make root)", o.root)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, ram: dir + "/ram", debian: o.root, clients: o.clients, layer: dir + "/layer", tiny: dir + "/tiny", smoke: o.smoke, seeds: map[string]uint64{}, effort: full}
	if o.smoke {
		b.effort = cursory
	}
	if b.group, err = newGroup(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := b.furnish(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	b.group.close()
	_ = syscall.Unmount(b.ram, syscall.MNT_DETACH)
	os.RemoveAll(b.dir)
}

// furnish fills the two roots.
func (b *bench) furnish() error {
	out, err := onHost("", nil, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	b.goroot = strings.TrimSpace(out)
	if err := spread(b.dir); err != nil {
		return err
	}
	if err := os.Mkdir(b.ram, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", b.ram, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	for _, d := range []string{b.layer + "/bench", b.layer + "/bind", b.layer + "/work", b.layer + b.goroot,
		b.tiny + "/proc", b.tiny + "/dev", b.tiny + "/sys", b.tiny + "/tmp"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := os.CopyFS(b.dir, guestSource); err != nil {
		return err
	}
	source, err := filepath.Glob(b.dir + "/guest/*.c")
	if err != nil {
		return err
	}
	guest := b.layer + "/bench/guest"
	args := append([]string{"-static", "-O2", "-pthread", "-o", guest}, source...)
	if _, err := onHost("", nil, "gcc", args...); err != nil {
		return err
	}
	return os.Link(guest, b.tiny+"/guest")
}

// spread has ext4 put the directories that are made in dir far from each other
// (chattr +T). It looks at each inode that was freed near by in the last
// minutes, and passes it over, whenever it makes a file: what one container
// removed, others would pay for. Other filesystems may have no such flag.
func spread(dir string) error {
	const topDir = 0x20000 // FS_TOPDIR_FL
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	flags, err := unix.IoctlGetInt(int(d.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		_ = unix.IoctlSetPointerInt(int(d.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	return nil
}

// onHost runs a command that makes something ready, and returns its output.
func onHost(dir string, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return string(out), err
}

// box makes a bundle of s below a directory, whose container runs in the group.
func (b *bench) box(below string, s *specs.Spec) (dir string, err error) {
	if dir, err = os.MkdirTemp(below, "box"); err != nil {
		return "", err
	}
	s.Linux.CgroupsPath = b.group.path(filepath.Base(dir))
	return dir, bundle.Write(dir, s)
}

// tinyBox is a bundle of the tiny root, whose container runs the guest.
func (b *bench) tinyBox(args ...string) (dir string, err error) {
	s := bundle.Spec(append([]string{"/guest"}, args...)...)
	s.Root.Path = b.tiny
	return b.box(b.ram, s)
}

// debianBox is a bundle of the Debian root, on which its container may write,
// and which runs the guest. What it writes goes below a directory. The caller
// undoes it.
func (b *bench) debianBox(below string, args ...string) (dir string, undo func(), err error) {
	s := bundle.Spec(append([]string{"/bench/guest"}, args...)...)
	s.Process.Env = append(s.Process.Env, "GOROOT="+b.goroot, fmt.Sprintf("DIVIDE=%d", b.divide))
	bind, err := os.MkdirTemp(below, "bind")
	if err != nil {
		return "", nil, err
	}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/bind", Type: "bind", Source: bind, Options: []string{"rbind", "rw"}},
		specs.Mount{Destination: b.goroot, Type: "bind", Source: b.goroot, Options: []string{"rbind", "ro"}})
	if dir, err = b.box(below, s); err != nil {
		return "", nil, err
	}
	unmount, err := bundle.Overlay(dir, b.layer+":"+b.debian)
	if err != nil {
		return "", nil, err
	}
	return dir, func() {
		unmount()
		os.RemoveAll(dir)
		os.RemoveAll(bind)
	}, nil
}
