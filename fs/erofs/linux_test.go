package erofs_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// All attributes are those that Linux shows of the same image, where it can mount one that
// is a file, which it has been able to since 6.12.
func TestAsLinux(t *testing.T) {
	host := tree(t)
	file, native := mkfs(t, host, "-Eforce-inode-extended"), t.TempDir()
	if err := unix.Mount(file, native, "erofs", unix.MS_RDONLY, ""); err != nil {
		t.Skipf("no EROFS image can be mounted here: %v", err)
	}
	defer unix.Unmount(native, unix.MNT_DETACH)
	w := mounted(t, host, file)
	err := filepath.WalkDir(native, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, native)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		p, err := vfs.Resolve(w.c, vfs.At{Name: "/" + name, Flags: vfs.NoFollow})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		defer p.Drop()
		a, err := p.Attr(w.c)
		got := []any{a.Ino, uint32(a.Mode), uint64(a.Nlink), a.UID, a.GID, a.Rdev, a.Size, int64(a.Blocks), int64(a.Blksize), a.Atime, a.Mtime, a.Ctime}
		want := []any{st.Ino, st.Mode, st.Nlink, st.Uid, st.Gid, st.Rdev, st.Size, st.Blocks, st.Blksize, st.Atim, st.Mtim, st.Ctim}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(native, &st); err != nil {
		t.Fatal(err)
	}
	root, err := vfs.Resolve(w.c, vfs.At{Name: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Drop()
	got, err := root.Filesystem().Statfs(w.c, root.Mount())
	if err != nil || fmt.Sprint(got.Type, got.Bsize, got.Blocks, got.Bfree, got.Files, got.Ffree, got.Namelen, got.Frsize) !=
		fmt.Sprint(st.Type, st.Bsize, st.Blocks, st.Bfree, st.Files, st.Ffree, st.Namelen, st.Frsize) {
		t.Errorf("statfs: got %+v, %v, want %+v", got, err, st)
	}
	line, err := exec.Command("sh", "-c", "grep ' "+native+" ' /proc/self/mountinfo | sed 's/.* //'").Output()
	if shown := root.Filesystem().RootInode().(vfs.Shower).ShowOptions(); err != nil || strings.TrimSpace(string(line)) != "ro,"+shown {
		t.Errorf("options %q, %v, want %q", shown, err, line)
	}
}

// An access control list in an image holds.
func TestACL(t *testing.T) {
	host := t.TempDir()
	if err := os.Chmod(host, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(host+"/f", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := vfs.ACL{
		{Tag: linux.ACL_USER_OBJ, Perm: 6}, {Tag: linux.ACL_USER, Perm: 4, ID: 1234},
		{Tag: linux.ACL_GROUP_OBJ}, {Tag: linux.ACL_MASK, Perm: 4}, {Tag: linux.ACL_OTHER},
	}
	if err := unix.Setxattr(host+"/f", "system.posix_acl_access", list.Encode(), 0); err != nil {
		t.Skipf("no access control lists here: %v", err)
	}
	w := mounted(t, host, mkfs(t, host))
	for uid, want := range map[uint32]error{1234: nil, 1235: linux.EACCES} {
		d, err := vfs.Open(w.c.As(uid, uid), vfs.At{Name: "/f"}, vfs.OpenSpec{})
		if err != nil && want == nil || err != want && want != nil {
			t.Errorf("user %d: %v, want %v", uid, err, want)
		}
		if err == nil {
			d.Release(w.c)
		}
	}
}
