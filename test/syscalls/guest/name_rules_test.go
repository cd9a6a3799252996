package guest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnprivilegedNames: what nobody may not do in root's directory (0755), to
// root's file (0644) and past root's directory (0700).
func TestUnprivilegedNames(t *testing.T) {
	d := dir(t)
	ok(t, unix.Chmod(d, 0o755))
	ok(t, os.WriteFile(d+"/file", []byte("x"), 0o644))
	ok(t, os.WriteFile(d+"/secret", []byte("x"), 0o600))
	ok(t, os.Mkdir(d+"/private", 0o700))
	fd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	ok(t, err)
	closeLater(t, fd)
	rf, err := unix.Openat(fd, "file", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	ok(t, err)
	closeLater(t, rf)
	at, r := uintptr(fd), uintptr(rf)
	name, secret, within, fresh := cstring(t, "file"), cstring(t, "secret"), cstring(t, "private/x"), cstring(t, "new")
	times := ptr(kept(t, [4]int64{1, 0, 1, 0}))
	for _, c := range []refusal{
		{"openat to write", unix.SYS_OPENAT, a{at, name, unix.O_WRONLY}, unix.EACCES},
		{"openat to truncate", unix.SYS_OPENAT, a{at, name, unix.O_RDONLY | unix.O_TRUNC}, unix.EACCES},
		{"openat to read what is secret", unix.SYS_OPENAT, a{at, secret, unix.O_RDONLY}, unix.EACCES},
		{"openat to create", unix.SYS_OPENAT, a{at, fresh, unix.O_CREAT | unix.O_RDWR, 0o600}, unix.EACCES},
		{"openat O_NOATIME", unix.SYS_OPENAT, a{at, name, unix.O_RDONLY | unix.O_NOATIME}, unix.EPERM},
		{"openat past a private directory", unix.SYS_OPENAT, a{at, within, unix.O_RDONLY}, unix.EACCES},
		{"openat O_PATH past a private directory", unix.SYS_OPENAT, a{at, within, unix.O_PATH}, unix.EACCES},
		{"openat of a private directory", unix.SYS_OPENAT, a{at, cstring(t, "private"), unix.O_RDONLY}, unix.EACCES},
		{"newfstatat past a private directory", unix.SYS_NEWFSTATAT, a{at, within, ptr(kept(t, unix.Stat_t{})), 0}, unix.EACCES},
		{"faccessat W_OK", unix.SYS_FACCESSAT, a{at, name, unix.W_OK}, unix.EACCES},
		{"faccessat X_OK", unix.SYS_FACCESSAT, a{at, name, unix.X_OK}, unix.EACCES},
		{"mkdirat", unix.SYS_MKDIRAT, a{at, fresh, 0o700}, unix.EACCES},
		{"mknodat of a fifo", unix.SYS_MKNODAT, a{at, fresh, unix.S_IFIFO | 0o600, 0}, unix.EACCES},
		{"symlinkat", unix.SYS_SYMLINKAT, a{name, at, fresh}, unix.EACCES},
		{"unlinkat", unix.SYS_UNLINKAT, a{at, name, 0}, unix.EACCES},
		{"unlinkat of a directory", unix.SYS_UNLINKAT, a{at, cstring(t, "private"), unix.AT_REMOVEDIR}, unix.EACCES},
		{"renameat", unix.SYS_RENAMEAT, a{at, name, at, fresh}, unix.EACCES},
		{"fchmodat", unix.SYS_FCHMODAT, a{at, name, 0o666}, unix.EPERM},
		{"fchmod", unix.SYS_FCHMOD, a{r, 0o666}, unix.EPERM},
		{"fchownat to oneself", unix.SYS_FCHOWNAT, a{at, name, 65534, 65534, 0}, unix.EPERM},
		{"fchown", unix.SYS_FCHOWN, a{r, 65534, 65534}, unix.EPERM},
		{"utimensat to a time", unix.SYS_UTIMENSAT, a{at, name, times, 0}, unix.EPERM},
		{"utimensat to now", unix.SYS_UTIMENSAT, a{at, name, 0, 0}, unix.EACCES},
		{"chroot", unix.SYS_CHROOT, a{cstring(t, "/")}, unix.EPERM},
		{"mount", unix.SYS_MOUNT, a{name, cstring(t, "/tmp"), cstring(t, "tmpfs"), 0, 0}, unix.EPERM},
		{"umount2", unix.SYS_UMOUNT2, a{cstring(t, "/proc"), 0}, unix.EPERM},
	} {
		covers(t, strings.Fields(c.name)[0])
		t.Run(c.name, func(t *testing.T) {
			asNobody(t, func() {
				_, err := call(c.nr, c.args...)
				fails(t, err, c.want)
			})
		})
	}
}

// inTree makes a file, an empty directory, a full one and a link in a directory.
func inTree(t *testing.T) string {
	d := dir(t)
	ok(t, os.WriteFile(d+"/file", []byte("file"), 0o644))
	ok(t, os.WriteFile(d+"/other", []byte("other"), 0o644))
	ok(t, os.Mkdir(d+"/empty", 0o755))
	ok(t, os.MkdirAll(d+"/full/sub", 0o755))
	ok(t, os.Symlink("file", d+"/link"))
	ok(t, os.Symlink("empty", d+"/dirlink"))
	return d
}

func TestRenameRules(t *testing.T) {
	covers(t, "renameat2", "renameat")
	for _, c := range []struct {
		name, from, to string
		flags          uint
		want           error
	}{
		{"directory over an empty one", "full", "empty", 0, nil},
		{"directory over a full one", "empty", "full", 0, unix.ENOTEMPTY},
		{"directory over a file", "empty", "file", 0, unix.ENOTDIR},
		{"file over a directory", "file", "empty", 0, unix.EISDIR},
		{"directory below itself", "full", "full/sub/x", 0, unix.EINVAL},
		{"over a directory that it is in", "full/sub", "full", 0, unix.ENOTEMPTY},
		{"dot", "empty/.", "x", 0, unix.EBUSY},
		{"to dot", "full", "empty/.", 0, unix.EBUSY},
		{"dot dot", "empty/..", "x", 0, unix.EBUSY},
		{"to itself", "file", "file", 0, nil},
		{"no replace over a file", "file", "other", unix.RENAME_NOREPLACE, unix.EEXIST},
		{"no replace over itself", "file", "file", unix.RENAME_NOREPLACE, unix.EEXIST},
		{"no replace to a new name", "file", "new", unix.RENAME_NOREPLACE, nil},
		{"exchange with nothing", "file", "new", unix.RENAME_EXCHANGE, unix.ENOENT},
		{"exchange of a file and a directory", "file", "full", unix.RENAME_EXCHANGE, nil},
		{"exchange with a parent", "full", "full/sub", unix.RENAME_EXCHANGE, unix.EINVAL},
		{"exchange with an own parent", "full/sub", "full", unix.RENAME_EXCHANGE, unix.EINVAL},
		{"file to a name with a slash", "file", "new/", 0, unix.ENOTDIR},
		{"file through a slash", "file/", "new", 0, unix.ENOTDIR},
		{"directory to a name with a slash", "empty", "new/", 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := inTree(t)
			moved := statOf(t, d+"/"+strings.TrimSuffix(c.from, "/")).Ino
			err := unix.Renameat2(unix.AT_FDCWD, d+"/"+c.from, unix.AT_FDCWD, d+"/"+c.to, c.flags)
			equal(t, "error", err, c.want)
			if c.want == nil {
				equal(t, "the same inode", statOf(t, d+"/"+strings.TrimSuffix(c.to, "/")).Ino, moved)
			}
		})
	}
}

func TestRenameOfLinks(t *testing.T) {
	covers(t, "renameat2")
	t.Run("a link moves, not what it names", func(t *testing.T) {
		d := inTree(t)
		ok(t, unix.Rename(d+"/link", d+"/moved"))
		equal(t, "type", statOf(t, d+"/moved").Mode&unix.S_IFMT, unix.S_IFLNK)
		equal(t, "target", textOf(t, d+"/file"), "file")
	})
	t.Run("a link is replaced, not what it names", func(t *testing.T) {
		d := inTree(t)
		ok(t, unix.Rename(d+"/other", d+"/link"))
		equal(t, "type", statOf(t, d+"/link").Mode&unix.S_IFMT, unix.S_IFREG)
		equal(t, "target", textOf(t, d+"/file"), "file")
	})
	t.Run("exchange of a link and a file", func(t *testing.T) {
		d := inTree(t)
		ok(t, unix.Renameat2(unix.AT_FDCWD, d+"/link", unix.AT_FDCWD, d+"/other", unix.RENAME_EXCHANGE))
		equal(t, "content", textOf(t, d+"/link"), "other")
		equal(t, "type", statOf(t, d+"/other").Mode&unix.S_IFMT, unix.S_IFLNK)
	})
	t.Run("a directory over a link to one", func(t *testing.T) {
		d := inTree(t)
		fails(t, unix.Rename(d+"/full", d+"/dirlink"), unix.ENOTDIR)
	})
}

func TestUnlinkRules(t *testing.T) {
	covers(t, "unlinkat", "mkdirat")
	rmdir := func(n string) error { return unix.Rmdir(n) }
	unlink := func(n string) error { return unix.Unlink(n) }
	mkdir := func(n string) error { return unix.Mkdir(n, 0o700) }
	for _, c := range []struct {
		name string
		do   func(string) error
		path string
		want error
	}{
		{"unlink a file through a slash", unlink, "file/", unix.ENOTDIR},
		{"unlink a directory through a slash", unlink, "empty/", unix.EISDIR},
		{"unlink dot", unlink, "empty/.", unix.EISDIR},
		{"unlink a link to a directory", unlink, "dirlink", nil},
		{"unlink a link to a directory through a slash", unlink, "dirlink/", unix.ENOTDIR},
		{"rmdir a link to a directory", rmdir, "dirlink", unix.ENOTDIR},
		{"rmdir a link to a directory through a slash", rmdir, "dirlink/", unix.ENOTDIR},
		{"rmdir through a slash", rmdir, "empty/", nil},
		{"rmdir dot", rmdir, "empty/.", unix.EINVAL},
		{"rmdir dot dot", rmdir, "full/sub/..", unix.ENOTEMPTY},
		{"rmdir the root", rmdir, "../../../../../../../..", unix.ENOTEMPTY},
		{"mkdir dot", mkdir, "empty/.", unix.EEXIST},
		{"mkdir over a link to nothing", mkdir, "empty/dangling", unix.EEXIST},
		{"mkdir with many slashes", mkdir, "new///", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := inTree(t)
			if strings.HasSuffix(c.path, "dangling") {
				ok(t, os.Symlink("nowhere", d+"/"+c.path))
			}
			equal(t, "error", c.do(d+"/"+c.path), c.want)
		})
	}
}

func TestOpenRules(t *testing.T) {
	covers(t, "openat")
	for _, c := range []struct {
		name, path string
		flags      int
		want       error
	}{
		{"create over a directory", "empty", unix.O_CREAT | unix.O_RDONLY, unix.EISDIR},
		{"create exclusively over a directory", "empty", unix.O_CREAT | unix.O_EXCL, unix.EEXIST},
		{"create through a slash", "new/", unix.O_CREAT | unix.O_RDWR, unix.EISDIR},
		{"create exclusively over a link", "link", unix.O_CREAT | unix.O_EXCL | unix.O_RDWR, unix.EEXIST},
		{"link with O_NOFOLLOW", "link", unix.O_RDONLY | unix.O_NOFOLLOW, unix.ELOOP},
		{"link in the middle with O_NOFOLLOW", "dirlink/.", unix.O_RDONLY | unix.O_NOFOLLOW, nil},
		{"link with O_NOFOLLOW and O_DIRECTORY", "dirlink", unix.O_DIRECTORY | unix.O_NOFOLLOW, unix.ENOTDIR},
		{"link with O_NOFOLLOW and O_PATH", "link", unix.O_PATH | unix.O_NOFOLLOW, nil},
		{"file with O_PATH and O_DIRECTORY", "file", unix.O_PATH | unix.O_DIRECTORY, unix.ENOTDIR},
		{"directory with O_TRUNC", "empty", unix.O_RDONLY | unix.O_TRUNC, unix.EISDIR},
		{"O_TMPFILE in a file", "file", unix.O_TMPFILE | unix.O_RDWR, unix.ENOTDIR},
		{"O_PATH overrules O_CREAT", "new", unix.O_PATH | unix.O_CREAT, unix.ENOENT},
	} {
		t.Run(c.name, func(t *testing.T) {
			fd, err := unix.Open(inTree(t)+"/"+c.path, c.flags|unix.O_CLOEXEC, 0o600)
			equal(t, "error", err, c.want)
			if err == nil {
				closeLater(t, fd)
			}
		})
	}
}

// TestParentTimes: what changes a directory's entries changes its mtime.
func TestParentTimes(t *testing.T) {
	covers(t, "mkdirat", "unlinkat", "linkat", "symlinkat", "renameat")
	for _, c := range []struct {
		name string
		do   func(d string) error
		want bool
	}{
		{"create", func(d string) error { return os.WriteFile(d+"/new", nil, 0o600) }, true},
		{"mkdir", func(d string) error { return unix.Mkdir(d+"/new", 0o700) }, true},
		{"symlink", func(d string) error { return unix.Symlink("x", d+"/new") }, true},
		{"link", func(d string) error { return unix.Link(d+"/file", d+"/new") }, true},
		{"unlink", func(d string) error { return unix.Unlink(d + "/file") }, true},
		{"rmdir", func(d string) error { return unix.Rmdir(d + "/empty") }, true},
		{"rename", func(d string) error { return unix.Rename(d+"/file", d+"/new") }, true},
		{"write to a file in it", func(d string) error { return os.WriteFile(d+"/file", []byte("y"), 0) }, false},
		{"mkdir below", func(d string) error { return unix.Mkdir(d+"/empty/new", 0o700) }, false},
		{"chmod of a file in it", func(d string) error { return unix.Chmod(d+"/file", 0o600) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := inTree(t)
			ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, d, []unix.Timespec{{Sec: 1000}, {Sec: 1000}}, 0))
			ok(t, c.do(d))
			equal(t, "mtime moved", statOf(t, d).Mtim.Sec != 1000, c.want)
		})
	}
}
