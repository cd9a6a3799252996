package docker

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testMounts(t *testing.T, e *engine) {
	e.says(1, "", "--read-only", "box", "touch", "/x")
	e.says(0, "", "--read-only", "box", "touch", "/dev/x")
	e.says(0, "1770.5.6\n64", "--read-only", "--tmpfs", "/t:size=64k,mode=1770,uid=5,gid=6", "box", "sh", "-c",
		"stat -c %a.%u.%g /t; dd if=/dev/zero of=/t/a bs=1k count=100 2> /dev/null; du -k /t/a | cut -f1")
	e.says(0, "rw,nosuid,nodev,noexec,relatime", "--tmpfs", "/run", "box", "sh", "-c", "grep ' /run ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1-5")
	e.says(1, "", "--tmpfs", "/t:ro", "box", "touch", "/t/x")
	e.says(0, "700\n1024", "--mount", "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=700", "box", "sh", "-c", "stat -c %a /m; df -k /m | tail -n 1 | awk '{print $2}'")

	dir := t.TempDir()
	file := write(t, dir, "file", "one\n")
	e.says(0, "one", "-v", file+":/file:ro", "box", "cat", "/file")
	e.says(1, "", "-v", file+":/file:ro", "box", "sh", "-c", "echo > /file")
	e.says(0, "", "-v", file+":/file", "box", "sh", "-c", "echo two >> /file")
	e.says(1, "", "--mount", "type=bind,src="+dir+",dst=/m,readonly", "box", "touch", "/m/x")
	e.says(0, "", "-v", dir+":/m", "-w", "/m", "box", "sh", "-c", "mkdir d; echo in > d/new; ln -s d l; chmod 4711 file")
	if data, err := os.ReadFile(file); err != nil || string(data) != "one\ntwo\n" {
		t.Errorf("%q %v", data, err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode() != 0o711|os.ModeSetuid {
		t.Error(fi.Mode(), err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "l/new")); err != nil || string(data) != "in\n" {
		t.Errorf("%q %v", data, err)
	}
	e.refuses("bind source path does not exist", "--mount", "type=bind,src="+dir+"/none,dst=/m", "box", "true")
}

func testVolumes(t *testing.T, e *engine) {
	e.must("volume", "create", "named")
	defer e.do(nil, "volume", "rm", "named", "filled")
	e.says(0, "", "-v", "named:/vol", "box", "sh", "-c", "echo in > /vol/f")
	dir := t.TempDir()
	id := e.start("-v", "named:/vol:ro", "-v", dir+":/host", "-v", "/anon", "box", "sh", "-c", "echo ho > /host/f; touch /anon/x /ready; exec sleep 1000")
	e.eventually("/ready", "exec", id, "ls", "/ready")
	e.expect(1, "Read-only file system", "exec", id, "touch", "/vol/g")
	e.says(0, "in\nho\nx", "--volumes-from", id, "box", "sh", "-c", "cat /vol/f /host/f; ls /anon")
	e.says(1, "", "--volumes-from", id+":ro", "box", "touch", "/host/x")
	e.says(0, "same", "-v", "filled:/etc", "box", "sh", "-c", "ls /etc/passwd > /dev/null && echo same") // an empty volume gets the image's files
}

// testCopy is files that come and go by docker cp while the container runs, which
// it sees within a second though it had looked for them before.
func testCopy(t *testing.T, e *engine) {
	id := e.start("box", "sleep", "1000")
	dir := t.TempDir()
	old, tree := write(t, dir, "old", "old\n"), filepath.Join(dir, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, tree, "sub/leaf", "leaf\n")
	e.must("exec", id, "sh", "-c", "mkdir /d; echo before > /d/there; ls / /d; cat /d/there; ! ls /d/absent; ! ls /tree")
	for _, to := range []string{"/d/absent", "/d/there", "/d/fresh"} {
		e.must("cp", old, id+":"+to)
	}
	e.must("cp", tree, id+":/tree")
	time.Sleep(time.Second)
	e.expect(0, "old\nold\nold\nleaf\nabsent\nfresh\nthere\n", "exec", id, "sh", "-c", "cat /d/absent /d/there /d/fresh /tree/sub/leaf; ls /d")
	e.must("exec", id, "sh", "-c", "echo mine > /mine; mkdir -p /q/w; echo z > /q/w/e; chmod 600 /mine; rm /d/there")
	e.must("cp", id+":/mine", filepath.Join(dir, "mine"))
	if data, err := os.ReadFile(filepath.Join(dir, "mine")); err != nil || string(data) != "mine\n" {
		t.Errorf("%q %v", data, err)
	}
	e.must("cp", id+":/q", filepath.Join(dir, "q"))
	if data, err := os.ReadFile(filepath.Join(dir, "q/w/e")); err != nil || string(data) != "z\n" {
		t.Errorf("%q %v", data, err)
	}
	if r := e.do(nil, "cp", id+":/d/there", dir); r.code == 0 {
		t.Error("what was removed can be copied")
	}
}

func testCommit(t *testing.T, e *engine) {
	id := e.start("box", "sh", "-c", "echo kept > /etc/mark; rm /etc/passwd; mkdir -p /a/b; ln -s b /a/l; echo up; exec sleep 1000")
	e.eventually("up", "logs", id)
	if got, want := e.must("diff", id), "A /a\nA /a/b\nA /a/l\nA /etc/mark\nC /etc\nD /etc/passwd"; sorted(got) != want {
		t.Errorf("diff: %q, want %q", sorted(got), want)
	}
	var names []string
	r := e.do(nil, "export", id)
	for in := tar.NewReader(strings.NewReader(r.out)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if all := strings.Join(names, " ") + " "; !strings.Contains(all, "etc/mark ") || !strings.Contains(all, "a/l ") || strings.Contains(all, "etc/passwd ") {
		t.Errorf("export: %s", all)
	}
	e.must("commit", "-c", "ENV B=5", id, "committed")
	defer e.do(nil, "rmi", "committed")
	e.says(1, "kept\nb\n5", "committed", "sh", "-c", "cat /etc/mark; readlink /a/l; echo $B; cat /etc/passwd")
}
