package mm

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm/mmtest"
)

// TestFewHostMappings: with few mappings in the host, copies grow until they fit.
func TestFewHostMappings(t *testing.T) {
	w := newWorld(t)
	w.p.F.MaxMaps = 300
	w.env = NewEnv(w.p, w.f)
	s := w.space()
	const n = 20000
	a := w.mmap(s, MMapOpts{Length: n * page, Prot: rw, Flags: anon})
	g := guest{s: s}
	for i := 0; i < n; i += 7 {
		g.store(t, a+arch.Addr(i)*page, uint64(i))
	}
	c, err := s.Fork(nil, w.lim)
	if err != nil {
		t.Fatal(err)
	}
	h := guest{s: c}
	for k := range n / 40 { // far apart, in no order
		i := k * 7919 % n
		h.store(t, a+arch.Addr(i)*page+8, 1)
	}
	for i := 0; i < n; i += 7 {
		if h.load(t, a+arch.Addr(i)*page) != uint64(i) {
			t.Fatal("lost page", i)
		}
	}
	// The guest's own mappings are refused before the host's run out.
	for i := 0; ; i++ {
		if err := s.Protect(a+arch.Addr(i)*2*page, page, linux.PROT_NONE); err == linux.ENOMEM {
			break
		} else if err != nil || i > 300 {
			t.Fatal(i, err)
		}
	}
	s.DecUsers()
	c.DecUsers()
	w.check()
}

// TestShortFile: the host's file is shorter than what is mapped of it.
func TestShortFile(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	f := newHostFile(t, 400) // more than a window
	a := w.mmap(s, MMapOpts{Length: 400 * page, Prot: rw, Flags: linux.MAP_PRIVATE, File: f, Identity: f.identity(), MaxProt: rw | linux.PROT_EXEC})
	b := make([]byte, 400*page)
	if n, err := s.CopyIn(b, a); n != len(b) || err != nil || b[399*page] != 1399&0xff {
		t.Fatal(n, err)
	}
	if err := f.f.Truncate(300*page + 10); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CopyIn(b, a); n != 301*page || err != linux.EFAULT {
		t.Fatal(n, err)
	}
	if _, err := s.CopyOut(a+350*page, []byte{1}); err != linux.EFAULT {
		t.Fatal(err)
	}
	if n, err := s.CopyOut(a+300*page+20, []byte{1}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r, sink, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer sink.Close()
	n, err := s.View(arch.Range{Start: a + 299*page, End: a + 310*page}, arch.Read, func(p [][]byte) (int64, error) {
		n, err := unix.Writev(int(sink.Fd()), p)
		return int64(n), err
	})
	if n == 0 && err == nil || n > 2*page {
		t.Fatal(n, err)
	}
	// What a guest gets is what the host says of its own mapping.
	ev := platform.Event{Kind: platform.Fault, Addr: a + 350*page, Signal: int32(linux.SIGBUS), Code: linux.BUS_ADRERR}
	if r := s.HandleFault(&ev, &FaultMemo{}); r.Signal != linux.SIGBUS || r.Code != linux.BUS_ADRERR || r.Addr != a+350*page {
		t.Fatalf("%+v", r)
	}
	s.DecUsers()
	w.check()
}

// TestWindows reads many files: the windows onto them are bounded.
func TestWindows(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	var at []arch.Addr
	for range hostWindows + 20 {
		f := newHostFile(t, 2)
		at = append(at, w.mmap(s, MMapOpts{Length: 2 * page, Prot: linux.PROT_READ, Flags: linux.MAP_SHARED, File: f, MaxProt: rw}))
	}
	for range 3 {
		for _, a := range at {
			var b [8]byte
			if _, err := s.CopyIn(b[:], a+page); err != nil || b[0] != 1001&0xff {
				t.Fatal(err, b)
			}
		}
	}
	if n := len(w.env.windows.all); n > hostWindows {
		t.Fatal(n, "windows")
	}
	s.DecUsers()
	w.check()
}

// TestOutOfMemory: a page file on a file system with a limit.
func TestOutOfMemory(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("mount:", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	name := filepath.Join(dir, "memory")
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ro, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := memfile.New(fd, ro)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &world{t: t, p: mmtest.New(), f: f, lim: limits.NewSet()}
	w.env = NewEnv(w.p, f)
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(zero)
	calls := 0
	w.env.SetOutOfMemory(func() { calls++ })
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 1 << 20, Prot: rw, Flags: anon})
	n, err := s.CopyOut(a, make([]byte, 1<<20))
	if err != linux.EFAULT || n > 256<<10 || calls != 1 {
		t.Fatal(n, err, calls)
	}
	ev := platform.Event{Kind: platform.Fault, Addr: a + 900<<10, Signal: int32(linux.SIGBUS), Code: linux.BUS_ADRERR}
	if r := s.HandleFault(&ev, &FaultMemo{}); !r.OutOfMemory {
		t.Fatalf("%+v", r)
	}
	read := func() (int64, error) { // as a file is read into guest memory
		return s.View(arch.Range{Start: a + 900<<10, End: a + 904<<10}, arch.Write, func(p [][]byte) (int64, error) {
			n, err := unix.Readv(zero, p)
			return int64(max(n, 0)), err
		})
	}
	if _, err := read(); err != linux.EFAULT || calls != 2 {
		t.Fatal(err, calls)
	}
	s.Unmap(a, 512<<10) // what was freed a moment ago is found
	if r := s.HandleFault(&ev, &FaultMemo{}); !r.Resolved {
		t.Fatalf("%+v", r)
	}
	if n, err := read(); n != 4096 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := s.CopyOut(a+900<<10, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Fork(nil, w.lim)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CopyOut(a+600<<10, make([]byte, 250<<10)); err != linux.EFAULT {
		t.Fatal("more than there is:", err)
	}
	s.DecUsers()
	c.DecUsers()
	w.check()
}

// TestManyThreads changes one space from many goroutines at once.
func TestManyThreads(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
	errs := make(chan error)
	const workers = 4
	for k := range workers {
		go func() { errs <- hammer(w, s, a+arch.Addr(k)*16*page) }()
	}
	for range workers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s.DecUsers()
	w.check()
}

// hammer changes s in many ways, and the pages at at.
func hammer(w *world, s *Space, at arch.Addr) error {
	var b [16]byte
	for i := range 500 {
		b[0] = byte(i)
		if _, err := s.CopyOut(at+arch.Addr(i%16)*page, b[:]); err != nil {
			return err
		}
		m, err := s.MMap(MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
		if err != nil {
			return err
		}
		if was, err := s.Update32(m, func(v uint32) uint32 { return v + 1 }); was != 0 || err != nil {
			return fmt.Errorf("fresh memory is %d: %v", was, err)
		}
		if i%50 == 0 {
			c, err := s.Fork(nil, w.lim)
			if err != nil {
				return err
			}
			defer c.DecUsers()
		}
		if err := s.Unmap(m, 4*page); err != nil {
			return err
		}
	}
	return nil
}
