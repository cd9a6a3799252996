package oci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/test/bundle"
)

// image makes an EROFS image of the directory of root filesystems.
func image(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.erofs")
	if out, err := exec.Command("mkfs.erofs", append(flags, file, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v: %s", err, out)
	}
	return file
}

// TestRootImage asks that a container's root can be an EROFS image, for several containers
// at once, read-only or below an overlay, and that the image stays as it is.
func TestRootImage(t *testing.T) {
	ours(t)
	file := image(t, rootfs)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const script = `grep -E '^([^ ]+ ){4}/ ' /proc/self/mountinfo | sed 's/.* - //; s/,.*//'; busybox md5sum < /bin/busybox; echo new > /new && cat /new`
	sum, err := exec.Command("md5sum", filepath.Join(rootfs, "bin/busybox")).Output()
	if err != nil {
		t.Fatal(err)
	}
	md5 := strings.Fields(string(sum))[0] + "  -\n"
	first := newBox(t, []string{"sleep", "1000"}, nil)
	first.must("--rootfs="+file, "run", "--detach", first.id)
	for _, x := range []struct{ overlay, out, err string }{
		{"none", "erofs root.erofs ro\n" + md5, "Read-only file system"},
		{"memory", "overlay root.erofs rw\n" + md5 + "new\n", ""},
		{"dir=" + t.TempDir(), "overlay root.erofs rw\n" + md5 + "new\n", ""},
	} {
		b := newBox(t, sh(script), func(s *specs.Spec) { s.Root.Readonly = false })
		if r := b.do("", "--rootfs="+file, "--overlay="+x.overlay, "run", b.id); r.out != x.out || !strings.Contains(r.err, x.err) {
			t.Errorf("--overlay=%s: %+v", x.overlay, r)
		}
	}
	if r := first.do("", "exec", first.id, "busybox", "md5sum", "/bin/busybox"); !strings.HasPrefix(r.out, md5[:32]) {
		t.Errorf("%+v", r)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the image has changed: %v", err)
	}
}

// TestRootImageErrors asks that what is no such image is refused by name, with the reason.
func TestRootImageErrors(t *testing.T) {
	ours(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no image ", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"/none":                      "open /none: no such file or directory",
		"/tmp":                       "--rootfs=/tmp: not a regular file",
		"/dev/null":                  "--rootfs=/dev/null: not a regular file",
		text:                         "text: no EROFS image: magic",
		image(t, rootfs, "-zlz4"):    "such as compression, that are not read",
		image(t, filepath.Dir(text)): "mount point: read-only file system",
	} {
		b := newBox(t, []string{"true"}, nil)
		if r := b.do("", "--rootfs="+file, "run", b.id); r.code == 0 || !strings.Contains(r.words(), want) {
			t.Errorf("%s: %+v, want %q", file, r, want)
		}
	}
}

// TestMountImage asks that a program can mount an image that is a file of the container's,
// and nothing but an image, as Linux does since 6.12.
func TestMountImage(t *testing.T) {
	ours(t)
	if _, err := buildGuest("mountguest"); err != nil {
		t.Fatal(err)
	}
	file := image(t, rootfs)
	b := newBox(t, sh(`cd /tmp; cp image here; mkdir m n
mountguest erofs here m && m/bin/busybox echo runs && grep -c ' erofs ' /proc/mounts && cmp m/bin/busybox /bin/busybox && echo same
mountguest erofs image n && cmp n/bin/busybox /bin/busybox && echo same
rm here; echo x >m/new; umount m n && grep -c ' erofs ' /proc/mounts
mountguest erofs /etc/passwd m; mountguest erofs /etc m; mountguest erofs none m`), func(s *specs.Spec) {
		bundle.Grant(s, bundle.Capabilities+" SYS_ADMIN")
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
			specs.Mount{Destination: "/tmp/image", Type: "bind", Source: file, Options: []string{"bind", "ro"}})
	})
	r := b.run("")
	if r.out != "runs\n1\nsame\nsame\n0\n" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{"m/new: Read-only file system", "mount /etc/passwd: invalid argument",
		"mount /etc: block device required", "mount none: no such file or directory"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in %s", want, r.err)
		}
	}
}
