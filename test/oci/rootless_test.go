package oci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asTester runs $1 as an ordinary user who has subordinate ids, in a mount namespace where
// /etc says so: the host's own files stay as they are. The programs under test lie where
// everybody may run them.
const asTester = `set -e
mount --make-rprivate /
cd "$TEST_DIR"
for f in passwd subuid subgid; do cat /etc/$f >$f 2>/dev/null || :; done
echo 'tester:x:54321:54321::/:/bin/sh' >>passwd
if [ -n "$TEST_IDS" ]; then echo "tester:$TEST_IDS" >>subuid; echo "tester:$TEST_IDS" >>subgid; fi
for f in passwd subuid subgid; do [ -e /etc/$f ] || continue; mount --bind $f /etc/$f; done
cd home
exec setpriv --reuid 54321 --regid 54321 --clear-groups sh -c "$1"`

// A tester is an ordinary user with a directory and a runsc of his own.
type tester struct {
	t   *testing.T
	dir string
	ids string
}

func newTester(t *testing.T) *tester {
	t.Helper()
	if native {
		t.Skip("runc has other ways to be rootless")
	}
	for _, p := range []string{"newuidmap", "unshare", "setpriv"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: make deps", err)
		}
	}
	dir, err := os.MkdirTemp("", "rootless")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	u := &tester{t, dir, "700000:65536"}
	u.must(os.Chmod(dir, 0o755))
	u.must(os.MkdirAll(filepath.Join(dir, "home/bundle/rootfs/bin"), 0o755))
	u.must(os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	for _, name := range []string{"runsc", "runsc-sentry", "runsc-gofer"} {
		u.copy(filepath.Join(filepath.Dir(runtime), name), filepath.Join(dir, "bin", name))
	}
	u.copy(filepath.Join(rootfs, "bin/busybox"), filepath.Join(dir, "home/bundle/rootfs/bin/sh"))
	u.must(exec.Command("chown", "-R", "54321:54321", filepath.Join(dir, "home")).Run())
	return u
}

func (u *tester) must(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

func (u *tester) copy(from, to string) {
	u.t.Helper()
	data, err := os.ReadFile(from)
	u.must(err)
	u.must(os.WriteFile(to, data, 0o755))
}

// do runs a script as the user; runsc is what $R says.
func (u *tester) do(script string, env ...string) result {
	u.t.Helper()
	cmd := exec.Command("unshare", "-m", "sh", "-c", asTester, "sh", script)
	home := filepath.Join(u.dir, "home")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TEST_DIR=" + u.dir, "TEST_IDS=" + u.ids, "XDG_RUNTIME_DIR=" + home,
		"R=" + filepath.Join(u.dir, "bin/runsc")}, env...)
	cmd.WaitDelay = 10 * time.Second
	return (&box{t: u.t}).finish(cmd, "")
}

// TestRootlessDo: an ordinary user's command is root in the sandbox, and itself outside.
func TestRootlessDo(t *testing.T) {
	u := newTester(t)
	r := u.do(`$R --rootless do -v $PWD:/work -- sh -c 'id -u; cat /proc/version; echo made >/work/f; touch /etc/x && rm /etc/hosts; exit 7'`)
	if r.code != 7 || !strings.HasPrefix(r.out, "0\nLinux") || !strings.Contains(r.out, "Garrison") || r.err != "" {
		t.Errorf("%+v", r)
	}
	if r := u.do("cat f; stat -c %u f; ls garrison"); r.out != "made\n54321\n" {
		t.Errorf("%+v", r)
	}
}

// TestRootlessLife: later commands find a container and its user namespace again.
func TestRootlessLife(t *testing.T) {
	u := newTester(t)
	r := u.do(`set -e
cd bundle
$R spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sh", "-c", "sleep 1000"/' config.json
$R --rootless run --detach one >/dev/null 2>&1
$R --rootless exec one sh -c 'echo in exec'
$R --rootless list -q
$R --rootless pause one
$R --rootless resume one
$R --rootless kill one KILL
while $R --rootless state one | grep -q running; do sleep 0.05; done
$R --rootless delete one
$R --rootless list -q`)
	if r.code != 0 || r.out != "in exec\none\n" || r.err != "" {
		t.Errorf("%+v", r)
	}
}

// TestRootlessErrors is users who can't have a user namespace, and what they are told.
func TestRootlessErrors(t *testing.T) {
	u := newTester(t)
	if r := u.do("$R --rootless do true", "XDG_RUNTIME_DIR="); r.code != 1 || !strings.Contains(r.err, "XDG_RUNTIME_DIR") {
		t.Errorf("%+v", r)
	}
	if r := u.do("$R --rootless=perhaps do true"); r.code != 1 || !strings.Contains(r.err, "must be true or false") {
		t.Errorf("%+v", r)
	}
	if r := u.do("$R do true"); r.code != 1 || !strings.Contains(r.err, "--rootless") {
		t.Errorf("%+v", r)
	}
	u.ids = "700000:1" // the first is mapped, and there is none to spare
	if r := u.do("$R --rootless do true"); r.code != 1 || !strings.Contains(r.err, "no user ids to spare") {
		t.Errorf("%+v", r)
	}
	u.ids = ""
	if r := u.do("$R --rootless do true"); r.code != 1 || !strings.Contains(r.err, "/etc/subuid gives no ids to this user") {
		t.Errorf("%+v", r)
	}
}
