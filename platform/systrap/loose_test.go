package systrap

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// fakeControl is the file that no guest may ever map.
const fakeControl = 1

// A shownPage is what a process has at an address.
type shownPage struct{ file, off, prot uint64 }

// A fakeHost is a process as its host sees it.
type fakeHost struct {
	pages [64]shownPage
	files [stubFirstFile + maxFiles]uint64
	slack bool // some calls are left out: of those that fail nobody is told
}

const fakeBase = 0x100000

func (h *fakeHost) do(t *testing.T, a *armed) {
	c := &a.call
	if a.install {
		h.files[a.to] = uint64(a.source)
	}
	for off := uint64(0); off < c.Args[1]; off += arch.PageSize {
		p := &h.pages[(c.Args[0]-fakeBase+off)/arch.PageSize]
		switch {
		case c.Nr == unix.SYS_MUNMAP:
			*p = shownPage{}
		case c.Nr == unix.SYS_MMAP && h.files[c.Args[4]] == 0: // EBADF
			if !h.slack {
				t.Fatalf("%v: no such descriptor", c)
			}
		case c.Nr == unix.SYS_MMAP && h.files[c.Args[4]] == fakeControl:
			t.Fatalf("%v maps the control file", c)
		case c.Nr == unix.SYS_MMAP:
			*p = shownPage{h.files[c.Args[4]], c.Args[5] + off, c.Args[2]}
		case p.file != 0:
			p.prot = c.Args[2]
		case !h.slack:
			t.Fatalf("%v: nothing is there", c)
		}
	}
}

// batch makes the calls of a batch as a guest may: what the verifier sees in
// order and once, what it does not when the guest likes, or never.
func (h *fakeHost) batch(t *testing.T, calls []armed) (solo int) {
	var solos []*armed
	for i := range calls {
		if calls[i].solo {
			solos = append(solos, &calls[i])
		}
	}
	for i := range calls {
		if h.slack && len(solos) > 0 && rand.IntN(2) == 0 {
			h.do(t, solos[rand.IntN(len(solos))])
		}
		a := &calls[i]
		unseen := a.solo || a.call.Nr == unix.SYS_MUNMAP && free(&a.call)
		if !unseen || !h.slack || rand.IntN(2) == 0 {
			h.do(t, a)
		}
	}
	if h.slack && len(solos) > 0 {
		h.do(t, solos[rand.IntN(len(solos))])
	}
	return len(solos)
}

// Whatever a guest leaves out of what nobody verifies, or does too early, or
// again: after a Barrier it has nothing that its kernel doesn't think it has, and
// before that nothing that is not on the list.
func TestLoose(t *testing.T) {
	const rounds = 600
	solo, redone := 0, 0
	for range rounds {
		var truth [64]shownPage
		h := fakeHost{slack: rand.IntN(2) == 0}
		h.files[motherListener], h.files[motherReport] = fakeControl, fakeControl
		s := &space{}
		given := map[shownPage]bool{} // what it was ever to be able to write
		for range 1 + rand.IntN(40) {
			for range 1 + rand.IntN([]int{4, 4, 60}[rand.IntN(3)]) {
				s.randomOp(&truth)
				for _, p := range truth {
					given[p] = true
				}
			}
			for len(s.queue) > 0 {
				calls, n := s.batchLocked(&thread{})
				s.queue.Done(n)
				solo += h.batch(t, calls)
			}
			for i, p := range h.pages {
				if p != truth[i] && p.file != 0 && !s.loose.has(i) || p.prot&unix.PROT_WRITE != 0 && !given[p] {
					t.Fatalf("page %d: %+v, should be %+v", i, p, truth[i])
				}
			}
		}
		for _, a := range s.loose.calls() {
			if redone++; free(&a.call) || a.solo {
				t.Fatalf("%v is not verified", a.call)
			}
			h.do(t, &a)
		}
		for i, p := range h.pages {
			if p != truth[i] && (p.file != 0 || !h.slack) {
				t.Fatalf("proved: page %d is %+v, should be %+v", i, p, truth[i])
			}
		}
	}
	if solo < rounds || redone < rounds {
		t.Errorf("%d solo calls, %d done again", solo, redone)
	}
}

// has reports whether page i is on the list.
func (l *loose) has(i int) bool {
	at := arch.Addr(fakeBase + i*arch.PageSize)
	for _, u := range l.list {
		if u.Contains(at) {
			return true
		}
	}
	return false
}

var fakeFiles = func() (files [40]*testFile) {
	for i := range files {
		files[i] = &testFile{100 + i}
	}
	return files
}()

// randomOp queues an operation, and does it to want.
func (s *space) randomOp(want *[64]shownPage) {
	from := rand.IntN(len(want))
	n := 1 + rand.IntN(min(3, len(want)-from))
	r := arch.Range{Start: fakeBase + arch.Addr(from)*arch.PageSize, End: fakeBase + arch.Addr(from+n)*arch.PageSize}
	access := []arch.Access{arch.Read, arch.Read | arch.Write}[rand.IntN(2)]
	switch kind := stub.OpKind(rand.IntN(3)); kind {
	case stub.Map:
		f := fakeFiles[min(rand.IntN(len(fakeFiles)), rand.IntN(len(fakeFiles)))]
		off := uint64(rand.IntN(4)) * 0x100000
		s.queue.Add(stub.Op{Kind: kind, Range: r, Access: access, File: f, Off: off})
		for i := range n {
			want[from+i] = shownPage{uint64(f.fd), off + uint64(i)*arch.PageSize, stub.HostProt(access)}
		}
	case stub.Unmap:
		s.queue.Add(stub.Op{Kind: kind, Range: r})
		clear(want[from : from+n])
	default:
		for i := range n {
			if want[from+i].file == 0 {
				return
			}
		}
		s.queue.Add(stub.Op{Kind: kind, Range: r, Access: access})
		for i := range n {
			want[from+i].prot = stub.HostProt(access)
		}
	}
}
