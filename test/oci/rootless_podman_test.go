package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"garrison/test/engines"
)

// podmanAsTester is podman with all that it keeps in the user's own directory. It leaves a
// process behind that keeps the user namespace, until it is told to end.
const podmanAsTester = `export HOME=$PWD
P="podman --root $PWD/root --runroot $PWD/run --tmpdir $PWD/tmp --cgroup-manager=cgroupfs --storage-driver=vfs --events-backend=file --runtime $R"
trap '$P pod rm --force --time=0 pod >pods; $P system migrate' EXIT
$P import image.tar localhost/box
`

// TestRootlessPodman asks that podman of an ordinary user runs containers, makes a pod and
// builds an image, as with runc.
func TestRootlessPodman(t *testing.T) {
	engines.Need(t, "podman", "conmon")
	u := newTester(t)
	home := filepath.Join(u.dir, "home")
	u.must(os.WriteFile(filepath.Join(home, "image.tar"), engines.Box(t), 0o644))
	u.must(os.WriteFile(filepath.Join(home, "Dockerfile"), []byte("FROM localhost/box\nRUN cat /proc/version >/version\n"), 0o644))
	r := u.do(podmanAsTester + `exec >out
$P run --rm --network=none -v $PWD:/home localhost/box sh -c 'id -u; echo hello >/home/made'
$P run --rm --network=none localhost/box sh -c 'exit 7' || echo $?
$P pod create --name=pod --network=none --infra-image=localhost/box --infra-command='/bin/sleep 1000'
$P run -d --pod=pod --name=one localhost/box sh -c 'touch /dev/shm/here; sleep 1000'
$P exec one sh -c 'until ls /dev/shm; do sleep 0.05; done'
$P run --rm --pod=pod localhost/box sh -c 'ls /dev/shm; echo $$'
$P cp Dockerfile one:/copied
$P exec one sh -c 'until grep -o localhost/box /copied; do sleep 0.05; done'
$P build --network=none -t localhost/built . >log
$P run --rm --network=none localhost/built cat /version`)
	out, err := os.ReadFile(filepath.Join(home, "out"))
	if r.code != 0 || err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 9 || lines[0] != "0" || lines[1] != "7" || lines[4] != "here" || lines[5] != "here" || lines[6] != "1" || lines[7] != "localhost/box" || !strings.Contains(lines[8], "Garrison") {
		t.Errorf("%q: %+v", lines, r)
	}
	if made, err := os.ReadFile(filepath.Join(home, "made")); err != nil || string(made) != "hello\n" {
		t.Errorf("%q %v", made, err)
	}
}
