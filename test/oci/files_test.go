package oci

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestReadOnlyRoot(t *testing.T) {
	b := newBox(t, sh(`echo x > /file; echo $?; mkdir /new 2>/dev/null; echo $?`), nil)
	if r := b.run(""); r.out != "1\n1\n" || !strings.Contains(r.err, "Read-only file system") {
		t.Errorf("%+v", r)
	}
}

func TestVolumes(t *testing.T) {
	rw, ro := t.TempDir(), t.TempDir()
	one := filepath.Join(t.TempDir(), "one")
	for path, text := range map[string]string{filepath.Join(ro, "f"): "ro\n", one: "one file\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := newBox(t, sh(`echo written > /vol/f; cat /ro/f; echo no > /ro/f; cat /etc/one; mkdir /vol/d; touch -d @1000000000 /vol/d; ln -s f /vol/l; chmod 600 /vol/f; chown 5:6 /vol/f; sync; stat -c '%U %s' /scratch`),
		func(s *specs.Spec) {
			s.Root.Readonly = false
			s.Root.Path = cloneRootfs(t)
			s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE")
			s.Process.Capabilities.Effective = append(s.Process.Capabilities.Effective, "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE")
			s.Process.Capabilities.Permitted = append(s.Process.Capabilities.Permitted, "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE")
			s.Mounts = append(s.Mounts,
				specs.Mount{Destination: "/vol", Type: "bind", Source: rw, Options: []string{"rbind"}},
				specs.Mount{Destination: "/ro", Type: "bind", Source: ro, Options: []string{"bind", "ro"}},
				specs.Mount{Destination: "/etc/one", Type: "bind", Source: one, Options: []string{"bind"}},
				specs.Mount{Destination: "/scratch/deep", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=1m"}},
			)
		})
	r := b.run("")
	if r.code != 0 || !strings.HasPrefix(r.out, "ro\none file\nroot ") || !strings.Contains(r.err, "Read-only file system") {
		t.Errorf("%+v", r)
	}
	if data, err := os.ReadFile(filepath.Join(rw, "f")); err != nil || string(data) != "written\n" {
		t.Errorf("%q %v", data, err)
	}
	if fi, err := os.Stat(filepath.Join(rw, "f")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi, err)
	}
	if fi, err := os.Stat(filepath.Join(rw, "d")); err != nil || fi.ModTime().Unix() != 1000000000 {
		t.Errorf("%v %v", fi, err)
	}
	if target, err := os.Readlink(filepath.Join(rw, "l")); err != nil || target != "f" {
		t.Errorf("%q %v", target, err)
	}
}

// cloneRootfs is a root filesystem that the test may write to.
func cloneRootfs(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := makeRootfs(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWritesReachTheRoot(t *testing.T) {
	var root string
	b := newBox(t, sh(`echo kept > /file; rm /etc/plain`), func(s *specs.Spec) {
		root = cloneRootfs(t)
		s.Root.Path, s.Root.Readonly = root, false
	})
	if r := b.run(""); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if data, err := os.ReadFile(filepath.Join(root, "file")); err != nil || string(data) != "kept\n" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/plain")); err == nil {
		t.Error("a removed file is still there")
	}
}

// rowBox is a running container that writes to its root, and in whose directory /row are
// names to remove.
func rowBox(t *testing.T, names int) (b *box, row string) {
	t.Helper()
	root := cloneRootfs(t)
	row = filepath.Join(root, "row")
	if err := os.Mkdir(row, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range names {
		if err := os.WriteFile(filepath.Join(row, strconv.Itoa(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b = newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) { s.Root.Path, s.Root.Readonly = root, false })
	b.must("run", "--detach", b.id)
	return b, row
}

// namesIn is how many names a directory has.
func namesIn(t *testing.T, dir string) int {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(es)
}

// TestRemovedForAll asks that what a process has removed is gone on the host when it
// has ended.
func TestRemovedForAll(t *testing.T) {
	const rounds, each = 20, 50
	b, row := rowBox(t, rounds*each)
	for i := range rounds {
		rm := fmt.Sprintf("cd /row; rm $(seq %d %d)", i*each, i*each+each-1)
		b.must("exec", b.id, "sh", "-c", rm)
		if n := namesIn(t, row); n != (rounds-i-1)*each {
			t.Fatalf("round %d: %d names are left", i, n)
		}
	}
}

// TestRemovedBeforeTold asks the same when a process says so.
func TestRemovedBeforeTold(t *testing.T) {
	const rounds, each = 20, 50
	b, row := rowBox(t, rounds*each)
	c := b.command("exec", b.id, "sh", "-c", fmt.Sprintf("cd /row; for i in $(seq 0 %d); do rm $(seq $((i * %d)) $((i * %d + %d))); echo $i; done", rounds-1, each, each, each-1))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := range rounds {
		if !lines.Scan() {
			t.Fatal("the output ends after", i)
		}
		if n := namesIn(t, row); n > (rounds-i-1)*each {
			t.Errorf("round %d: %d names are left", i, n)
		}
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestOverlay(t *testing.T) {
	ours(t)
	upper := t.TempDir()
	for _, overlay := range []string{"memory", "dir=" + upper} {
		b := newBox(t, sh(`echo gone > /file; cat /file; rm /etc/plain; ls /etc/plain`), func(s *specs.Spec) { s.Root.Readonly = false })
		if r := b.do("", "--overlay="+overlay, "run", b.id); r.out != "gone\n" || !strings.Contains(r.err, "/etc/plain") {
			t.Errorf("%s: %+v", overlay, r)
		}
		if _, err := os.Stat(filepath.Join(rootfs, "file")); err == nil {
			t.Errorf("%s: the write reached the root", overlay)
		}
		if strings.HasPrefix(overlay, "dir=") {
			if data, err := os.ReadFile(filepath.Join(upper, b.id, "file")); err != nil || string(data) != "gone\n" {
				t.Errorf("upper: %q %v", data, err)
			}
		}
	}
}

func TestStandardDevices(t *testing.T) {
	b := newBox(t, sh(`for d in null zero full random urandom tty; do stat -c '%n %t %T %a' /dev/$d; done; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done
echo x > /dev/null; head -c 2 /dev/zero | od -An -tx1; echo x > /dev/full; ls /dev/pts; ls -d /dev/shm /dev/mqueue`), nil)
	want := `/dev/null 1 3 666
/dev/zero 1 5 666
/dev/full 1 7 666
/dev/random 1 8 666
/dev/urandom 1 9 666
/dev/tty 5 0 666
/proc/self/fd
/proc/self/fd/0
/proc/self/fd/1
/proc/self/fd/2
pts/ptmx
 00 00
ptmx
/dev/mqueue
/dev/shm
`
	if r := b.run(""); r.out != want || !strings.Contains(r.err, "No space left on device") {
		t.Errorf("%s%s", r.out, r.err)
	}
}

func TestHiddenPaths(t *testing.T) {
	b := newBox(t, sh(`cat /etc/passwd | wc -c; ls /tmp | wc -l; echo x > /vol/f; echo $?`), func(s *specs.Spec) {
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/etc/passwd", "/tmp", "/nonexistent")
		s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/vol", "/nonexistent")
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "tmpfs", Source: "tmpfs"})
	})
	if r := b.run(""); strings.Join(strings.Fields(r.out), " ") != "0 0 1" {
		t.Errorf("%+v", r)
	}
}

// TestBindIsNamed asks that /proc/self/mountinfo tells what a bind mount is of: programs
// learn from it in which container they are.
func TestBindIsNamed(t *testing.T) {
	vol := t.TempDir()
	b := newBox(t, sh(`mkdir /vol/sub; awk '$5 == "/vol" { print $4 }' /proc/self/mountinfo`), func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"bind"}})
	})
	if r := b.run(""); r.code != 0 || !strings.HasSuffix(vol+"\n", r.out) || len(r.out) < 2 {
		t.Errorf("%+v, want the end of %s", r, vol)
	}
}

// TestPIDLeadsNotToTheHost asks that who enters the container by the pid that callers
// see, as podman cp does, finds nothing of the host there.
func TestPIDLeadsNotToTheHost(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("run", "--detach", b.id)
	b.must("exec", "--detach", "--pid-file", pidFile, b.id, "sleep", "1000")
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	exec, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	if init, err := os.Readlink("/proc/" + itoa(b.state().PID) + "/ns/pid"); err != nil || init == own {
		t.Errorf("pid: %s, ours %s, %v", init, own, err)
	}
	pids := []int{exec, b.state().PID}
	for _, p := range pids {
		pid := itoa(p)
		if _, err := os.Stat("/proc/" + pid + "/root" + b.bundle); err == nil {
			t.Errorf("%s is there", b.bundle)
		}
		for _, ns := range []string{"mnt", "ipc", "uts"} {
			theirs, err := os.Readlink("/proc/" + pid + "/ns/" + ns)
			own, _ := os.Readlink("/proc/self/ns/" + ns)
			if err != nil || theirs == own {
				t.Errorf("%s: %s, ours %s, %v", ns, theirs, own, err)
			}
		}
	}
	b.must("kill", b.id, "KILL")
	for _, p := range pids {
		b.reap(p)
	}
}
