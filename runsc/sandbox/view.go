package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"garrison/runsc/spec"
)

// A view is a container's files as the host's tools find them below the process that
// callers see: podman cp, /proc/pid/root. It is what the mount namespace of runc's init
// would be, of the same files of the host, with two differences. What the sentry has for
// itself, a tmpfs for one, is an empty directory that nobody can write to, rather than
// one of the root whose new files the guest would not see. And nothing in it can be executed or
// is a device or heeds a set-user-ID bit: a guest has made these files, and it is often
// root who looks.
//
// It is made on a thread of its own, which enters the holder's mount namespace: most of it
// while the sentry starts, and the rest when that has made the mount points.
type view struct {
	root   *os.File
	proc   *os.File // of the holder's pid namespace; nil if it has none
	mounts []viewMount

	points chan bool  // the mount points are made; closed: they never will be
	shown  chan error // the holder has it for its root
}

// A viewMount is what is mounted in a view.
type viewMount struct {
	at   string // a path of the container
	kind string
	tree *os.File // nil for what is the sentry's own
}

// beginView begins to make the holder's view. What lies in the sentry's memory, below an
// overlay, nobody can show, nor what lies in an image.
func (s *Sandbox) beginView() {
	if s.HostRoot || s.RootImage != "" || s.Overlay != "" && s.Overlay != "none" {
		return
	}
	v := &view{points: make(chan bool, 1), shown: make(chan error, 1)}
	onOwnThread(func() {
		defer v.close()
		v.shown <- v.show(&s.Config, s.holder.PID)
	})
	s.view = v
}

// onOwnThread begins f on a thread that ends when f returns. It is not the process's
// first, which can't end, and whose namespaces are those of /proc/self.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f() // and the thread, being locked, ends with its goroutine
			return
		}
		begun := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(begun)
			f()
		}()
		<-begun // until then this thread is not free for it
		runtime.UnlockOSThread()
	}()
}

// showFiles waits until the holder has its view. On a host that forbids it its root is
// empty, and the container does without.
func (s *Sandbox) showFiles() error {
	if s.view == nil {
		return nil
	}
	s.view.points <- true
	if err := <-s.view.shown; err != nil {
		fmt.Fprintf(s.log, "host process %d does not show the container's files: %v\n", s.holder.PID, err)
	}
	return nil
}

// show makes v the root of the holder pid, and of whoever enters its mount namespace.
func (v *view) show(c *Config, pid int) error {
	ns, err := os.Open(nsPath(pid, "mnt"))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := v.open(c, pid); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	empty, err := v.pivot()
	if err != nil {
		return err
	}
	defer empty.Close()
	if !<-v.points {
		return nil
	}
	return v.furnish(empty)
}

// open opens the files of c, of which the holder pid is to have a view.
func (v *view) open(c *Config, pid int) error {
	open := func(path string, o treeOptions) (*os.File, error) {
		o.noExec = true
		t, err := openTree(path, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return t.root, nil
	}
	var err error
	if v.root, err = open(c.Spec.Root.Path, treeOptions{recursive: true, readOnly: c.Spec.Root.Readonly}); err != nil {
		return err
	}
	for _, parsed := range c.Spec.Mounts {
		m := spec.ParseMount(parsed)
		shown := viewMount{at: m.Destination, kind: m.Type}
		if m.Bind {
			if shown.tree, err = open(bindSource(m, c.Bundle), bindOptions(m)); err != nil {
				return err
			}
		}
		v.mounts = append(v.mounts, shown)
	}
	v.proc = openProc(pid)
	return nil
}

// openProc is the procfs that the holder pid keeps, in which nothing can be written, or nil.
func openProc(pid int) *os.File {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(pid)+"/fd/"+strconv.Itoa(holderProcFD), unix.O_PATH, 0)
	if err != nil {
		return nil
	}
	var st unix.Statfs_t
	err = unix.Fstatfs(int(f.Fd()), &st)
	if err == nil && st.Type == unix.PROC_SUPER_MAGIC {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC}
		if unix.MountSetattr(int(f.Fd()), "", unix.AT_EMPTY_PATH, &attr) == nil {
			return f
		}
	}
	f.Close()
	return nil
}

func (v *view) close() {
	files := []*os.File{v.root, v.proc}
	for _, m := range v.mounts {
		files = append(files, m.tree)
	}
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// pivot makes v's root that of the mount namespace that this thread is in, and of all
// processes there. The old one, an empty directory that can't be written to, covers it
// as yet.
func (v *view) pivot() (empty *os.File, err error) {
	if empty, err = os.OpenFile("/", unix.O_PATH, 0); err != nil {
		return nil, err
	}
	err = unix.MoveMount(int(v.root.Fd()), "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err == nil {
		err = unix.Fchdir(int(v.root.Fd()))
	}
	if err == nil {
		err = unix.PivotRoot(".", ".")
	}
	if err != nil {
		empty.Close()
		return nil, fmt.Errorf("pivot_root: %w", err)
	}
	return empty, nil
}

// furnish mounts what is mounted in v, and uncovers it. The directory empty goes to the
// first place where one is needed: to unmount it would wait for RCU.
func (v *view) furnish(empty *os.File) error {
	place := -1
	defer func() {
		if place >= 0 {
			unix.Close(place)
		}
	}()
	for _, m := range v.mounts {
		at, err := v.find(m.at)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
		if at < 0 {
			continue
		}
		if place < 0 && m.tree == nil && !v.isProc(m) {
			place = at
			continue
		}
		err = v.mount(m, at, empty)
		unix.Close(at)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if place < 0 {
		return unix.Unmount(".", unix.MNT_DETACH)
	}
	return moveMount(int(empty.Fd()), place)
}

// find opens a mount point, or returns -1 for one that only a filesystem of the sentry's
// has. No name leads out of the view, whatever links the image has.
func (v *view) find(path string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	at, err := unix.Openat2(int(v.root.Fd()), path, &how)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return -1, nil
	}
	return at, err
}

func (v *view) isProc(m viewMount) bool { return m.kind == "proc" && v.proc != nil }

// mount mounts m at a mount point: a copy of empty for what is the sentry's own.
func (v *view) mount(m viewMount, at int, empty *os.File) error {
	switch {
	case m.tree != nil:
		return moveMount(int(m.tree.Fd()), at)
	case v.isProc(m):
		return moveMount(int(v.proc.Fd()), at)
	}
	tree, err := unix.OpenTree(int(empty.Fd()), "", unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)
	return moveMount(tree, at)
}

func moveMount(tree, at int) error {
	err := unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}
