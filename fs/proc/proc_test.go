package proc_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"garrison/fs/proc"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/test/idle"
)

// A world is a kernel that has /proc.
type world struct {
	*idle.World
	t *kernel.Task // its init
}

func newWorld(t *testing.T) *world {
	w := &world{World: idle.New(t)}
	w.t = w.Init
	w.Mount("/proc", proc.Type(w.K, &proc.Config{Params: proc.NewParams(), Cmdline: "quiet"}), "")
	return w
}

func (w *world) open(name string) (*vfs.FileDescription, error) {
	return vfs.Open(w.t, vfs.At{Name: name}, vfs.OpenSpec{})
}

func (w *world) try(name string) (string, error) { return w.Read(name) }

func (w *world) read(name string) string {
	w.Helper()
	s, err := w.try(name)
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	return s
}

func (w *world) write(name, text string) error { return w.Write(name, text) }

func (w *world) readlink(name string) string {
	w.Helper()
	return w.Readlink(name)
}

// TestWalk reads everything there is: nothing fails that Linux would not fail.
func TestWalk(t *testing.T) {
	w := newWorld(t)
	seen := 0
	w.Walk("/proc", func(name string, a vfs.Attr) {
		seen++
		switch {
		case a.Mode.IsSymlink():
			w.readlink(name)
		case a.Mode.IsRegular() && a.Mode&0o444 != 0 && !strings.HasSuffix(name, "/mem") && !strings.HasSuffix(name, "/pagemap"):
			if _, err := w.try(name); err != nil && !strings.Contains(name, "/attr/") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if seen < 400 { // without a network's parameters, as there is none
		t.Errorf("only %d names", seen)
	}
}

// shape is a text with its variable parts made alike, for comparing with the host's.
func shape(s string) string {
	s = regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(s, "N")
	s = regexp.MustCompile(`-?\b[0-9a-f]*[0-9][0-9a-f]*\b`).ReplaceAllString(s, "N")
	return regexp.MustCompile(`[ \t]+`).ReplaceAllString(s, " ")
}

// keys is the words before the colons, in order.
func keys(s string) (out []string) {
	for l := range strings.Lines(s) {
		if k, _, ok := strings.Cut(l, ":"); ok {
			out = append(out, k)
		}
	}
	return out
}

func hostText(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Skip(err)
	}
	return string(b)
}

// within reports names of ours that the host does not have; machines differ in which
// they have, so that some may be missing.
func within(ours, theirs []string) (extra []string) {
	has := map[string]bool{}
	for _, k := range theirs {
		has[k] = true
	}
	for _, k := range ours {
		if !has[k] {
			extra = append(extra, k)
		}
	}
	return extra
}

// TestKeys compares the names of fields with the host's.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	for _, f := range []string{"self/status", "self/io", "meminfo", "self/smaps_rollup"} {
		ours, theirs := keys(w.read("/proc/"+f)), keys(hostText(t, "/proc/"+f))
		if extra := within(ours, theirs); len(extra) > 2 {
			t.Errorf("%s has fields that Linux has not: %v", f, extra)
		}
		if missing := within(theirs, ours); len(missing) > 3 {
			t.Errorf("%s lacks %v", f, missing)
		}
	}
}

// TestShapes compares lines with the host's, numbers apart.
func TestShapes(t *testing.T) {
	w := newWorld(t)
	first := func(s string) string { l, _, _ := strings.Cut(s, "\n"); return l }
	for _, f := range []string{"self/statm", "uptime", "loadavg", "self/schedstat", "sys/kernel/random/uuid", "sys/kernel/sem", "sys/kernel/printk"} {
		if got, want := len(strings.FieldsFunc(w.read("/proc/"+f), notWord)), len(strings.FieldsFunc(hostText(t, "/proc/"+f), notWord)); got != want {
			t.Errorf("%s: %d fields, Linux has %d", f, got, want)
		}
	}
	for _, f := range []string{"net/dev", "net/tcp", "net/udp", "net/unix", "net/route", "swaps", "self/limits", "net/raw6", "net/tcp6"} {
		if got, want := first(w.read("/proc/"+f)), first(hostText(t, "/proc/"+f)); got != want {
			t.Errorf("%s begins %q, Linux %q", f, got, want)
		}
	}
	if got, want := shape(w.read("/proc/self/limits")), shape(hostText(t, "/proc/self/limits")); len(strings.Split(got, "\n")) != len(strings.Split(want, "\n")) {
		t.Errorf("limits:\n%s\nLinux has\n%s", got, want)
	}
	got, want := strings.Fields(w.read("/proc/self/stat")), strings.Fields(hostText(t, "/proc/self/stat"))
	if len(got) != len(want) {
		t.Errorf("stat has %d fields, Linux %d: %v", len(got), len(want), got)
	}
}

func notWord(r rune) bool { return r == ' ' || r == '\t' || r == '\n' }

func TestProcess(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{
		"/proc/self/cmdline":         "/init\x00an arg\x00",
		"/proc/self/environ":         "A=1\x00B=2\x00",
		"/proc/self/comm":            "init\n",
		"/proc/1/cgroup":             "0::/\n",
		"/proc/sys/kernel/hostname":  "guest\n",
		"/proc/sys/kernel/ostype":    "Linux\n",
		"/proc/sys/kernel/osrelease": "6.12.0\n",
		"/proc/cmdline":              "quiet\n",
		"/proc/self/oom_score_adj":   "0\n",
	} {
		if got := w.read(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"/proc/self":             "1",
		"/proc/thread-self":      "1/task/1",
		"/proc/self/exe":         "/init",
		"/proc/self/cwd":         "/proc",
		"/proc/self/root":        "/",
		"/proc/mounts":           "self/mounts",
		"/proc/self/task/1/exe":  "/init",
		"/proc/thread-self/root": "/",
	} {
		if got := w.readlink(name); name != "/proc/self/cwd" && got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// A magic link opens what it leads to, whatever is in the way of its name.
	if got := w.read("/proc/self/exe"); got != string(idle.Program()) {
		t.Errorf("exe reads as %d bytes", len(got))
	}
	if got := w.read("/proc/1/root/proc/1/comm"); got != "init\n" {
		t.Errorf("through root: %q", got)
	}
	if _, err := w.try("/proc/2"); err != linux.ENOENT {
		t.Errorf("/proc/2: %v", err)
	}
	for _, name := range []string{"/proc/01", "/proc/+1", "/proc/1x", "/proc/99999999999"} {
		if _, err := w.try(name); err != linux.ENOENT {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !regexp.MustCompile(`^uts:\[\d+\]$`).MatchString(w.readlink("/proc/self/ns/uts")) {
		t.Error(w.readlink("/proc/self/ns/uts"))
	}
}

func TestMaps(t *testing.T) {
	w := newWorld(t)
	line := regexp.MustCompile(`^[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-][ps] [0-9a-f]{8} [0-9a-f]{2,}:[0-9a-f]{2,} \d+( +\S.*)?$`)
	maps := w.read("/proc/self/maps")
	for l := range strings.Lines(maps) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("%q", l)
		}
	}
	for _, want := range []string{"/init", "[stack]"} {
		if !strings.Contains(maps, want) {
			t.Errorf("no %s in\n%s", want, maps)
		}
	}
	host := keys(strings.Join(strings.Split(hostText(t, "/proc/self/smaps"), "\n")[1:25], "\n"))
	ours := strings.Split(w.read("/proc/self/smaps"), "\n")
	if got := keys(strings.Join(ours[1:25], "\n")); len(within(got, host)) > 1 {
		t.Errorf("smaps has %v", within(got, host))
	}
}

func TestMem(t *testing.T) {
	w := newWorld(t)
	d, err := vfs.Open(w.t, vfs.At{Name: "/proc/self/mem"}, vfs.OpenSpec{Flags: linux.O_RDWR})
	w.Must(err)
	defer d.Release(w.t)
	buf := make([]byte, 4)
	n, err := d.ReadAt(w.t, usermem.FromBytes(buf), 0x400000)
	if n != 4 || err != nil || string(buf) != "\x7fELF" {
		t.Fatalf("%d %v %q", n, err, buf)
	}
	// A debugger writes where the program itself may not.
	if n, err := d.WriteAt(w.t, usermem.FromBytes([]byte{0xcc}), 0x400078); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := d.ReadAt(w.t, usermem.FromBytes(buf), 0x400078); n != 4 || err != nil || buf[0] != 0xcc {
		t.Fatal(n, err, buf)
	}
	if _, err := d.ReadAt(w.t, usermem.FromBytes(buf), 0x1000); err != linux.EIO {
		t.Fatal(err)
	}
}

func TestParams(t *testing.T) {
	w := newWorld(t)
	good := map[string][2]string{
		"vm/swappiness":       {"10\n", "10\n"},
		"kernel/sem":          {"1 2\n", "1\t2\t500\t32000\n"},
		"kernel/core_pattern": {"|/bin/x %p\n", "|/bin/x %p\n"},
		"kernel/hostname":     {"other\n", "other\n"},
	}
	for name, x := range good {
		if err := w.write("/proc/sys/"+name, x[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := w.read("/proc/sys/" + name); got != x[1] {
			t.Errorf("%s: %q, want %q", name, got, x[1])
		}
	}
	for _, x := range [][2]string{{"vm/swappiness", "201"}, {"vm/swappiness", "x"}, {"kernel/sem", "1 2 3 4 5"}, {"kernel/hostname", strings.Repeat("x", 65)}} {
		if err := w.write("/proc/sys/"+x[0], x[1]); err != linux.EINVAL {
			t.Errorf("%s %s: %v", x[0], x[1], err)
		}
	}
}

func TestStores(t *testing.T) {
	w := newWorld(t)
	w.Must(w.write("/proc/self/comm", "a name that is much too long\n"))
	if got := w.read("/proc/self/comm"); got != "a name that is \n" {
		t.Errorf("%q", got)
	}
	w.Must(w.write("/proc/self/oom_score_adj", "500\n"))
	if got := w.read("/proc/self/oom_score_adj"); got != "500\n" {
		t.Errorf("%q", got)
	}
	if err := w.write("/proc/self/oom_score_adj", "1001"); err != linux.EINVAL {
		t.Error(err)
	}
	if err := w.write("/proc/self/uid_map", "0 0 1"); err != linux.EPERM {
		t.Error(err)
	}
}

func TestFDs(t *testing.T) {
	w := newWorld(t)
	d, err := w.open("/init")
	w.Must(err)
	fd, err := w.t.FDs().Install(w.t, d, 5, true)
	w.Must(err)
	d.Release(w.t)
	if fd != 5 || w.readlink("/proc/self/fd/5") != "/init" {
		t.Error(fd, w.readlink("/proc/self/fd/5"))
	}
	if got := w.read("/proc/self/fd/5"); got != string(idle.Program()) {
		t.Error("opened anew it is another file")
	}
	info := w.read("/proc/self/fdinfo/5")
	if !strings.Contains(info, "flags:\t0") || !strings.Contains(info, "pos:\t0\n") || !strings.Contains(info, "mnt_id:\t") {
		t.Errorf("%q", info)
	}
	w.Must(vfs.Unlink(w.t, vfs.At{Name: "/init"}))
	if got := w.readlink("/proc/self/fd/5"); got != "/init (deleted)" {
		t.Error(got)
	}
	w.Must(w.t.FDs().Close(w.t, 5))
	if _, err := w.try("/proc/self/fd/5"); err != linux.ENOENT {
		t.Error(err)
	}
}

func TestMounts(t *testing.T) {
	w := newWorld(t)
	if got := w.read("/proc/self/mounts"); !regexp.MustCompile(`(?m)^proc /proc proc rw,\S+ 0 0$`).MatchString(got) {
		t.Errorf("%q", got)
	}
	line := regexp.MustCompile(`^\d+ \d+ \d+:\d+ \S+ \S+ r[wo]\S* (\S+ )?- \S+ \S+ r[wo]\S*\n$`)
	for l := range strings.Lines(w.read("/proc/self/mountinfo")) {
		if !line.MatchString(l) {
			t.Errorf("%q", l)
		}
	}
}

// TestHide mounts with hidepid: others see neither the process nor into it.
func TestHide(t *testing.T) {
	w := newWorld(t)
	if _, err := parse(w, "hidepid=3"); err != linux.EINVAL {
		t.Error(err)
	}
	for _, o := range []string{"hidepid=2", "hidepid=invisible", "gid=5", "subset=pid", "hidepid=ptraceable,gid=7"} {
		if _, err := parse(w, o); err != nil {
			t.Error(o, err)
		}
	}
}

func parse(w *world, o string) (*vfs.Filesystem, error) {
	return w.K.VFS.NewFilesystem(w.t, w.K.VFS.Type("proc"), &vfs.NewArgs{Options: vfs.ParseOptions(o)})
}

func TestCPUInfo(t *testing.T) {
	w := newWorld(t)
	text := w.read("/proc/cpuinfo")
	if n := len(regexp.MustCompile(`(?m)^processor\t: \d+$`).FindAllString(text, -1)); n != 2 {
		t.Errorf("%d processors in\n%s", n, text)
	}
	for _, key := range []string{"vendor_id\t: ", "flags\t\t: fpu ", "model name\t: "} {
		if !strings.Contains(text, key) {
			t.Errorf("no %q", key)
		}
	}
	if !strings.HasPrefix(w.read("/proc/stat"), "cpu  ") || !strings.Contains(w.read("/proc/stat"), "\nbtime ") {
		t.Error(w.read("/proc/stat"))
	}
}

func TestSysVIPC(t *testing.T) {
	w := newWorld(t)
	ns := w.t.Namespaces().IPC.SysV
	if _, err := ns.NewSet(w.t.IPCCaller(), 7, 3, linux.IPC_CREAT|0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ns.NewQueue(w.t.IPCCaller(), 8, linux.IPC_CREAT|0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sem": `(?m)^ +7 +0 +640 +3 +0 +0 +0 +0 +0 +\d+$`,
		"msg": `(?m)^ +8 +0 +600 +0 +0 +0 +0 +0 +0 +0 +0 +0 +0 +\d+$`,
		"shm": `^ +key +shmid`,
	} {
		if got := w.read("/proc/sysvipc/" + name); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
