package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/test/bundle"
)

// userNS gives a container a user namespace in which 2000 ids from 0 are those from
// 1000 outside.
func userNS(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 2000}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

// TestUserNamespace asks that ids are the container's inside and the host's outside.
func TestUserNamespace(t *testing.T) {
	vol := t.TempDir()
	if err := unix.Chown(vol, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, sh(`id -u; tr -s ' ' < /proc/self/uid_map
touch /vol/root /dev/shm/f; chown 5:6 /vol/root
stat -c '%u:%g' /vol /vol/root /dev/shm/f /dev/shm /bin/busybox /dev/pts/ptmx
chown 3000 /vol/root 2>/dev/null || echo unmapped
hostname inside && hostname`), func(s *specs.Spec) {
		userNS(s)
		bundle.Grant(s, bundle.Capabilities+" SYS_ADMIN")
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"bind"}})
	})
	want := "0\n 0 1000 2000\n0:0\n5:6\n0:0\n0:0\n65534:65534\n0:0\nunmapped\ninside\n"
	if r := b.run(""); r.code != 0 || r.out != want {
		t.Fatalf("%+v, want %q", r, want)
	}
	var st unix.Stat_t
	if err := unix.Stat(vol+"/root", &st); err != nil || st.Uid != 1005 || st.Gid != 1006 {
		t.Errorf("the host sees %d:%d %v", st.Uid, st.Gid, err)
	}
}

// TestUserNamespaceExec asks that what is exec'd is in the namespace too, as a user
// that it knows.
func TestUserNamespaceExec(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, userNS)
	b.must("run", "--detach", b.id)
	if r := b.do("", "exec", "--user", "7:8", b.id, "sh", "-c", "id -u; id -g; tr -s ' ' < /proc/self/uid_map"); r.out != "7\n8\n 0 1000 2000\n" {
		t.Errorf("%+v", r)
	}
	if r := b.do("", "exec", "--user", "5000", b.id, "true"); r.code == 0 || !strings.Contains(r.words(), "cannot set uid to unmapped user in user namespace") {
		t.Errorf("%+v", r)
	}
}

// TestUserNamespaceFiles is Docker's userns-remap: the container's ids are others on the
// host, and what belongs to nobody in the container is out of its reach.
func TestUserNamespaceFiles(t *testing.T) {
	dir := t.TempDir()
	for name, uid := range map[string]int{"own": 100000, "foreign": 0} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	// runc looks for its files as the container's root.
	for _, up := range []string{filepath.Dir(dir), filepath.Dir(rootfs)} {
		if err := os.Chmod(up, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	b := newBox(t, sh(`cd /vol; stat -c '%u %n' own foreign; cat own; cat foreign; chown 7:8 own; echo x > made`), func(s *specs.Spec) {
		maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: dir, Options: []string{"rbind"}})
		s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "CAP_CHOWN", "CAP_DAC_OVERRIDE")
		s.Process.Capabilities.Effective, s.Process.Capabilities.Permitted = s.Process.Capabilities.Bounding, s.Process.Capabilities.Bounding
	})
	if r := b.run(""); r.code != 0 || r.out != "0 own\n65534 foreign\nown\n" || !strings.Contains(r.err, "Permission denied") {
		t.Errorf("%+v", r)
	}
	for name, want := range map[string]uint32{"own": 100007, "made": 100000} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, name), &st); err != nil || st.Uid != want {
			t.Errorf("%s: user %d, want %d: %v", name, st.Uid, want, err)
		}
	}
}
