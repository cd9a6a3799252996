package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"garrison/runsc/control"
)

// pageFile is an unnamed file for the container's memory.
type pageFile struct {
	file     *os.File
	readOnly *os.File // the same, opened for reading only
	mount    *os.File // what it is on, mounted nowhere
}

func (p *pageFile) close() { control.CloseFiles([]*os.File{p.file, p.readOnly, p.mount}) }

// noLimit is the size in bytes of a page file without a limit: a tmpfs that has none
// can't be given one later.
const noLimit = 1 << 60

// newPageFile makes a page file on a tmpfs of its own, which goes with the last
// descriptor. limit is its size in bytes, the container's memory limit; 0 is no
// limit. The file belongs to uid.
func newPageFile(limit uint64, uid uint32) (*pageFile, error) {
	mount, err := newPageMount(limit)
	if err != nil {
		return nil, fmt.Errorf("page file: %w", err)
	}
	p := &pageFile{mount: mount}
	fd, err := unix.Openat(int(mount.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		p.file = os.NewFile(uintptr(fd), "page file")
		err = p.file.Chown(int(uid), int(uid))
	}
	if err == nil {
		p.readOnly, err = os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("page file: %w", err)
	}
	return p, nil
}

// device is the number of the filesystem that p is in.
func (p *pageFile) device() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(p.file.Fd()), &st); err != nil {
		return 0, fmt.Errorf("page file: %w", err)
	}
	return st.Dev, nil
}

// newPageMount is a detached tmpfs of limit bytes.
func newPageMount(limit uint64) (*os.File, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{{"size", pageSize(limit)}, {"mode", "0700"}, {"source", "garrison"}} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", o[0], o[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig: %w", err)
	}
	// Not noexec: guest code in anonymous memory lies in this file.
	m, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("fsmount: %w", err)
	}
	return os.NewFile(uintptr(m), "page mount"), nil
}

// pageSize is limit as tmpfs(5) reads it.
func pageSize(limit uint64) string {
	if limit == 0 {
		limit = noLimit
	}
	return strconv.FormatUint(limit, 10)
}

// resizePageMount gives a mount that newPageMount made another limit. EINVAL: more
// than that is in use.
func resizePageMount(mount *os.File, limit uint64) error {
	fs, err := unix.Fspick(int(mount.Fd()), "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("fspick: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "size", pageSize(limit)); err != nil {
		return fmt.Errorf("size=%d: %w", limit, err)
	}
	return unix.FsconfigReconfigure(fs)
}

// A hostTree is a file or directory of the host as the gofer gets it: a mount
// of its own that is mounted nowhere.
type hostTree struct {
	root  *os.File // O_PATH
	file  bool     // not a directory
	alone bool     // what its mount brings along from below is not to be seen
	flags uint64   // MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC that its mount has on the host
}

// treeOptions say how a host path is to be seen.
type treeOptions struct {
	recursive bool // with the mounts below it
	readOnly  bool // enforced by the host's kernel
	follow    bool // what the host mounts below it later shows up
	noExec    bool // nothing of it can be executed
}

// openTree opens path for a gofer, or for a view. The gofer's tree has no devices, whatever
// the guest's mount says: guests open the sentry's own. It may be executed,
// whatever the host's mount says, as mmap(2) of a noexec mount would refuse the
// sentry too; the guest's mount carries the flag instead.
func openTree(path string, o treeOptions) (*hostTree, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return nil, err
	}
	t := &hostTree{file: st.Mode&unix.S_IFMT != unix.S_IFDIR}
	// The ST_ flags of statfs(2) are the MS_ flags of mount(2).
	t.flags = uint64(fs.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	flags, recursive := uint(unix.OPEN_TREE_CLONE|unix.O_CLOEXEC), uint(0)
	if o.recursive && !t.file {
		recursive = unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags|recursive)
	if err == unix.EINVAL && recursive == 0 && !t.file {
		// In a user namespace the mounts below it are locked to it.
		recursive, t.alone = unix.AT_RECURSIVE, true
		fd, err = unix.OpenTree(unix.AT_FDCWD, path, flags|recursive)
	}
	if err != nil {
		return nil, fmt.Errorf("open_tree: %w", err)
	}
	t.root = os.NewFile(uintptr(fd), path)
	attr := unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID,
		Attr_clr:    unix.MOUNT_ATTR_NOEXEC,
		Propagation: unix.MS_PRIVATE,
	}
	if o.readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if o.noExec {
		attr.Attr_set, attr.Attr_clr = attr.Attr_set|unix.MOUNT_ATTR_NOEXEC, 0
	}
	if o.follow {
		attr.Propagation = unix.MS_SLAVE
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive, &attr)
	if errors.Is(err, unix.EPERM) {
		// In a user namespace the host's noexec is locked.
		attr.Attr_clr = 0
		err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive, &attr)
	}
	if err != nil {
		t.root.Close()
		return nil, fmt.Errorf("mount_setattr: %w", err)
	}
	return t, nil
}
