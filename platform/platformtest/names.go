package platformtest

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"garrison/platform"
	"garrison/platform/arch"
)

// name is what the host is to show of g from the next Switch on.
func (g *guest) name(comm string, args ...string) {
	g.t.Helper()
	n, ok := g.c.(platform.Namer)
	if !ok {
		g.t.Fatalf("%T is no Namer", g.c)
	}
	n.Name(comm, []byte(strings.Join(args, "\x00")+"\x00"))
}

// shown checks what the host shows of g's process and its threads. A thread that was
// released is seen for as long as the host takes to end it.
func (g *guest) shown(args []string, comms ...string) {
	g.t.Helper()
	process, _, _ := hostTime(g.t, g.c)
	dir := "/proc/" + strconv.Itoa(process)
	if got, err := os.ReadFile(dir + "/cmdline"); err != nil || string(got) != strings.Join(args, "\x00")+"\x00" {
		g.t.Errorf("arguments %q, want %q (%v)", got, args, err)
	}
	got := threadNames(g.t, dir)
	for end := time.Now().Add(10 * time.Second); len(got) > len(comms) && time.Now().Before(end); got = threadNames(g.t, dir) {
		time.Sleep(time.Millisecond)
	}
	if !slices.Equal(got, comms) {
		g.t.Errorf("names %q, want %q", got, comms)
	}
}

// threadNames are those of the host process whose /proc directory is dir.
func threadNames(t testing.TB, dir string) []string {
	t.Helper()
	tasks, err := os.ReadDir(dir + "/task")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range tasks {
		comm, err := os.ReadFile(dir + "/task/" + x.Name() + "/comm")
		if err == nil { // else it has ended since
			names = append(names, strings.TrimSuffix(string(comm), "\n"))
		}
	}
	return names
}

// testNames: threads and processes are called what their makers are, until they say
// otherwise.
func testNames(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	first := []string{"/bin/first", "one", "", "more"}
	g.name("first", first...)
	g.read(dataAt)
	g.shown(first, "first")

	h := g.spawn()
	child := g.fork()
	wait := elsewhere(func() {
		defer h.c.Release()
		h.read(dataAt)
		h.shown(first, "first", "first")
		h.name("longer than fifteen", first...)
		h.read(dataAt)
		h.shown(first, "first", "longer than fif")
		// What is queued for all threads goes with it.
		h.as.Unmap(pages(spareAt, 1))
		h.name("h", first...)
		h.read(dataAt)
		h.shown(first, "first", "h")
		if err := h.as.Barrier(h.c); err != nil {
			t.Error(err)
		}
		h.name("barrier", first...)
		if err := h.as.Barrier(h.c); err != nil {
			t.Error(err)
		}
		h.shown(first, "first", "barrier")
	})
	wait()
	elsewhere(func() {
		defer child.release()
		child.read(dataAt)
		child.shown(first, "first")
		testNamesAnew(child)
	})()
	g.shown(first, "first")
}

// testNamesAnew gives g another program, and names that are odd.
func testNamesAnew(g *guest) {
	as, err := g.p.NewAddressSpace()
	if err != nil {
		g.t.Fatal(err)
	}
	old := g.as
	g.as = as
	g.layout(as)
	second := []string{"second", strings.Repeat("x", 10000)}
	g.name("second", second...)
	g.read(dataAt)
	old.Release()
	g.shown(second, "second")
	g.name("", "")
	g.read(dataAt)
	g.shown([]string{""}, "")
	g.as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
	huge := strings.Repeat("y", 100000)
	g.name("huge", huge)
	g.read(spareAt)
	const most = 0x6000 - 128 - 1
	g.shown([]string{huge[:most]}, "huge")
}
