// Package layers checks the shape of the tree: imports only go down, walls
// hold, every package says what it is, and files stay readable.
package layers

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

// layers, lowest first. A package may import packages on earlier lines, and its
// own subtree; never a later line, never a sibling on the same line. A braced
// exception is in siblings below.
var layers = []string{
	"platform/arch",
	"platform",
	"platform/script platform/park platform/place platform/stub",
	"platform/ptrace platform/systrap platform/kvm",
	"platform/platformtest",
	"sentry/linux",
	"sentry/list sentry/interval sentry/ref sentry/save sentry/lock",
	"sentry/wait sentry/auth sentry/limits sentry/seccomp",
	"sentry/ktime",
	"sentry/usermem",
	"sentry/memfile",
	"sentry/mm",
	"sentry/mm/mmtest",
	"sentry/vfs",
	"sentry/socket sentry/ipc sentry/aio sentry/keys sentry/keys sentry/loader/vdso",
	"sentry/socket/bpf",
	"sentry/socket/unix sentry/socket/inet sentry/socket/hostinet sentry/socket/netlink sentry/socket/packet sentry/socket/sockettest",
	"sentry/socket/netns",
	"sentry/loader",
	"sentry/kernel",
	"gofer/wire",
	"gofer",
	"fs/pseudo fs/fstest fs/tty",
	"fs/*",
	"syscalls",
	"runsc/spec runsc/control runsc/logging",
	"runsc/cgroup runsc/filter runsc/hostnet runsc/profile runsc/uplink",
	"runsc/container",
	"runsc/sandbox runsc/boot",
	"runsc/cmd runsc/shim",
	"runsc/runsc-gofer runsc/runsc-sentry runsc/containerd-shim-runsc-v1",
	"runsc",
}

// siblings may import another package of their own line.
var siblings = map[string]string{}

// walls hold whatever the order: left must never reach right, even indirectly.
var walls = [][2]string{
	{"gofer", "sentry"}, // the process that can touch host files links no guest-facing code
	{"runsc/runsc-gofer", "sentry"},
	{"platform", "sentry"},
	{"sentry", "fs"},
	{"sentry", "gofer"},
	{"fs/goferfs", "gofer/server"},
}

// A goPackage is what `go list` says of one.
type goPackage struct {
	ImportPath, Doc, Dir string
	Imports, Deps        []string
	GoFiles              []string
}

func (p *goPackage) short() string { return strings.TrimPrefix(p.ImportPath, "garrison/") }

func list(t *testing.T) (ps []goPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Dir,Imports,Deps,GoFiles", "garrison/...")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.short(), "test") {
			ps = append(ps, p)
		}
	}
}

// place returns the line that p is on. An exact name wins over a wildcard, and
// a deeper package is on its parent's line if it is on none of its own.
func place(p string) (line int, ok bool) {
	for q := p; q != "."; q = path.Dir(q) {
		for i, l := range layers {
			for _, f := range strings.Fields(l) {
				if f == q || q != p && f == q || strings.HasSuffix(f, "/*") && path.Dir(q) == strings.TrimSuffix(f, "/*") && !named(q) {
					return i, true
				}
			}
		}
	}
	return 0, false
}

func named(p string) bool {
	for _, l := range layers {
		for _, f := range strings.Fields(l) {
			if f == p {
				return true
			}
		}
	}
	return false
}

func within(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

func TestImportsGoDown(t *testing.T) {
	for _, p := range list(t) {
		me := p.short()
		mine, ok := place(me)
		if !ok {
			t.Errorf("%s is on no layer", me)
			continue
		}
		for _, imp := range p.Imports {
			it, ours := strings.CutPrefix(imp, "garrison/")
			if !ours || siblings[me] == it || within(it, me) || within(me, it) {
				continue
			}
			if theirs, ok := place(it); ok && theirs >= mine {
				t.Errorf("%s must not import %s", me, it)
			}
		}
	}
}

func TestWalls(t *testing.T) {
	for _, p := range list(t) {
		for _, w := range walls {
			for _, dep := range p.Deps {
				if within(p.short(), w[0]) && within(strings.TrimPrefix(dep, "garrison/"), w[1]) && strings.HasPrefix(dep, "garrison/") {
					t.Errorf("%s reaches %s through a wall", p.ImportPath, dep)
				}
			}
			for _, banned := range []string{"gvisor.dev/gvisor/pkg/sentry", "gvisor.dev/gvisor/runsc"} {
				for _, dep := range p.Deps {
					if within(dep, banned) {
						t.Errorf("%s imports %s", p.ImportPath, dep)
					}
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
