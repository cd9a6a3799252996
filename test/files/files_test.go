// Package files tries files at random, and in every way that counts: operations
// compared with a model, who may do what, what a crash leaves, and what a cached name
// costs. Each guest program runs under runc first, which must be right about Linux,
// then here, on every filesystem that a container has.
package files

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/test/bundle"
)

var (
	runsc    = flag.String("runsc", "../../bin/runsc", "the runtime under test")
	peer     = flag.String("peer", "runc", "the runtime that says what is right")
	platform = flag.String("platform", "auto", "runsc's platform; \"\" for a runtime that has no such flag")
	seedFlag = flag.String("seed", "", "what random tests begin with, to do one again (default: the time)")

	programs string // directory with the guest's programs
)

// longTier, when set, makes the tests as long as they are meant to be; else each has a
// taste of what it does.
const longTier = "GARRISON_FILES"

func long() bool { return os.Getenv(longTier) != "" }

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	if os.Geteuid() != 0 {
		fmt.Println("skip: needs root")
		return 0, nil
	}
	path, err := filepath.Abs(*runsc)
	if err != nil {
		return 1, err
	}
	if _, err := os.Stat(path); err != nil {
		return 1, fmt.Errorf("%w: make build first", err)
	}
	*runsc = path
	if programs, err = os.MkdirTemp("", "files"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(programs)
	sources, _ := filepath.Glob("guest/*.c")
	for _, source := range sources {
		out := filepath.Join(programs, strings.TrimSuffix(filepath.Base(source), ".c"))
		if text, err := exec.Command("gcc", "-static", "-O1", "-Wall", "-Werror", "-pthread", "-o", out, source).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("%w: %s", err, text)
		}
	}
	if text, err := exec.Command("cp", "/bin/busybox", programs).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w: %s (apt-get install busybox-static)", err, text)
	}
	return m.Run(), nil
}

// A place is a directory of a container, on a filesystem of its own kind.
type place struct {
	name, dir string
	overlay   string // where what is written to the root goes: "" (the root itself), inMemory or inDir
}

const (
	inMemory = "memory"
	inDir    = "dir" // of the host
)

var places = []place{
	{"tmpfs", "/tmp", ""},
	{"root", "/data", ""}, // written through to the host's directory
	{"overlay", "/data", inMemory},
	{"overlay-dir", "/data", inDir},
	{"bind", "/vol", ""},
}

// A box is a bundle, whose container sees dir/vol as /vol.
type box struct {
	runtime bundle.Runtime
	dir     string
	spec    *specs.Spec
}

// rootfs has the programs in /bin, and an empty directory for each place.
func rootfs(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{"data", "vol", "tmp", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "bin"), os.DirFS(programs)); err != nil {
		t.Fatal(err)
	}
}

// newBox makes a bundle that runs args: for runc with overlay, a root below an overlay
// whose upper layer is a tmpfs, or a directory, as ours has it.
func newBox(t *testing.T, r bundle.Runtime, overlay string, args ...string) *box {
	t.Helper()
	b := &box{r, t.TempDir(), bundle.Spec(args...)}
	switch root := filepath.Join(b.dir, "rootfs"); {
	case overlay != "" && r.Path == *peer:
		lower := t.TempDir()
		rootfs(t, lower)
		if overlay == inMemory {
			if err := unix.Mount("tmpfs", b.dir, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			dir := b.dir
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		}
		undo, err := bundle.Overlay(b.dir, lower)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(undo)
	case overlay != "":
		flag := "--overlay=" + overlay
		if overlay == inDir {
			flag += "=" + t.TempDir()
		}
		b.runtime.Flags = append([]string{flag}, r.Flags...)
		fallthrough
	default:
		rootfs(t, root)
	}
	if err := os.Mkdir(b.vol(), 0o755); err != nil {
		t.Fatal(err)
	}
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: b.vol(), Options: []string{"bind", "rw"}})
	return b
}

// vol is the host's directory that the container has as /vol.
func (b *box) vol() string { return filepath.Join(b.dir, "vol") }

// run runs the container to its end, which is to be a success, and returns its output.
func (b *box) run(t *testing.T, limit time.Duration) string {
	t.Helper()
	if err := bundle.Write(b.dir, b.spec); err != nil {
		t.Fatal(err)
	}
	r, err := b.runtime.Run(context.Background(), b.dir, limit)
	switch {
	case err != nil:
		t.Fatal(err)
	case r.Late:
		t.Fatalf("%s: no end after %v:\n%s", b.runtime.Path, limit, tail(r.Output))
	case r.Code != 0:
		t.Fatalf("%s: exit status %d:\n%s", b.runtime.Path, r.Code, tail(r.Output))
	}
	return r.Output
}

// tail is the end of what a program says, where it says what was wrong.
func tail(s string) string {
	const most = 8000
	return s[max(0, len(s)-most):]
}

// runtimes are who runs a guest program: who is right, then who is tested.
func runtimes() []bundle.Runtime {
	return []bundle.Runtime{{Path: *peer}, bundle.Ours(*runsc, *platform)}
}

// compare runs a program under both runtimes in each place. It must succeed, and say the same.
func compare(t *testing.T, limit time.Duration, edit func(*specs.Spec), args func(dir string) []string) {
	t.Helper()
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			var said [2]string
			for i, r := range runtimes() {
				b := newBox(t, r, p.overlay, args(p.dir)...)
				if edit != nil {
					edit(b.spec)
				}
				start := time.Now()
				said[i] = b.run(t, limit)
				t.Logf("%s: %.2f s", filepath.Base(r.Path), time.Since(start).Seconds())
			}
			if diff := difference(said[0], said[1]); diff != "" {
				t.Errorf("%s (-) and %s (+) differ:\n%s", *peer, *runsc, diff)
			}
		})
	}
}

// difference is the first lines that two texts don't share.
func difference(want, got string) string {
	const most = 60
	var d strings.Builder
	count := map[string]int{}
	for line := range strings.Lines(got) {
		count[line]++
	}
	n := 0
	for line := range strings.Lines(want) {
		if count[line]--; count[line] < 0 {
			if n++; n <= most {
				d.WriteString("-" + line)
			}
		}
	}
	m := 0
	for line := range strings.Lines(got) {
		if count[line] > 0 {
			count[line]--
			if m++; m <= most {
				d.WriteString("+" + line)
			}
		}
	}
	if n+m > 0 {
		fmt.Fprintf(&d, "%d lines are missing, %d are not wanted\n", n, m)
	} else if want != got {
		d.WriteString("the same lines in another order\n")
	}
	return d.String()
}

// seed is what a random test begins with.
func seed(t *testing.T) string {
	t.Helper()
	s := *seedFlag
	if s == "" {
		s = strconv.FormatInt(time.Now().UnixNano()%1_000_000, 10)
	}
	t.Logf("-seed %s", s)
	return s
}
