package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// remapped is the host's id of root in containers of testRemap's dockerd.
const remapped = 300000

// testRemap is a dockerd with userns-remap: what containers write is theirs only
// there, and what is the host's root's they can't.
func testRemap(t *testing.T) {
	if err := os.Mkdir(filepath.Join(work, "r"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(work, 0o711); err != nil { // container's root must get through
		t.Fatal(err)
	}
	// Whose ranges these are stands in files of the host's, so dockerd is started where
	// others are in their place.
	ids := write(t, t.TempDir(), "ids", fmt.Sprintf("daemon:%d:65536\n", remapped))
	script := fmt.Sprintf(`mount --bind %[1]s /etc/subuid && mount --bind %[1]s /etc/subgid && exec "$@"`, ids)
	e, _ := startDockerBy(t, []string{"unshare", "--mount", "sh", "-c", script, "sh"}, "r", "--default-runtime=runsc", "--userns-remap=daemon:daemon")
	e.load()
	dir := filepath.Join(work, "remapped")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "foreign", "x")
	e.says(0, "0.0\n65534\n0\n7", "-v", dir+":/v", "box", "sh", "-c",
		"stat -c %u.%g /etc/passwd; stat -c %u /v/foreign; echo x > /v/made; stat -c %u /v/made; mkdir /v/d; chown 7 /v/d; stat -c %u /v/d")
	for name, want := range map[string]uint32{"made": remapped, "d": remapped + 7} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, name), &st); err != nil || st.Uid != want {
			t.Errorf("%s: user %d, want %d: %v", name, st.Uid, want, err)
		}
	}
	e.says(1, "", "-v", dir+":/v", "box", "sh", "-c", "echo y >> /v/foreign")
	e.says(0, "5", "--user", "5", "box", "id", "-u")
	id := e.start("box", "sh", "-c", "echo kept > /etc/mark; echo up; exec sleep 1000")
	e.eventually("up", "logs", id)
	e.expect(0, "A /etc/mark", "diff", id)
	e.must("cp", write(t, t.TempDir(), "in", "in\n"), id+":/etc/in")
	e.eventually("0.in", "exec", id, "sh", "-c", "echo $(stat -c %u /etc/in).$(cat /etc/in)")
}
