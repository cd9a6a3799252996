package mm

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// The model: what each page of a small stretch of addresses is, said naively.
const (
	modelPages = 96
	modelBase  = arch.Addr(0x200000000)
)

// A content is a page's first word, shared by who shares the page.
type content struct{ v uint64 }

type modelPage struct {
	mapped bool
	access arch.Access
	shared bool
	c      *content
	// A private page of the file that was not written yet shows the file's.
	file *content
}

type modelSpace struct {
	s *Space
	g guest
	p [modelPages]modelPage
}

type model struct {
	t      *testing.T
	w      *world
	rnd    *rand.Rand
	spaces []*modelSpace
	file   *tmpFile
	fileC  [32]*content
	next   uint64
}

func (m *model) at(i int) arch.Addr { return modelBase + arch.Addr(i)*page }

// some is a random stretch of pages.
func (m *model) some() (i, n int) {
	i = m.rnd.IntN(modelPages)
	return i, 1 + m.rnd.IntN(min(modelPages-i, 24))
}

func (m *model) prot() linux.Prot {
	return []linux.Prot{rw, rw, rw, linux.PROT_READ, linux.PROT_NONE, linux.PROT_WRITE}[m.rnd.IntN(6)]
}

func (m *model) mmap(x *modelSpace) {
	i, n := m.some()
	p := m.prot()
	o := MMapOpts{Addr: m.at(i), Length: uint64(n) * page, Prot: p, Flags: linux.MAP_FIXED | linux.MAP_PRIVATE}
	kind := m.rnd.IntN(4)
	first := m.rnd.IntN(len(m.fileC))
	switch kind {
	case 0, 1:
		o.Flags |= linux.MAP_ANONYMOUS
	case 2:
		o.Flags = linux.MAP_FIXED | linux.MAP_SHARED | linux.MAP_ANONYMOUS
	case 3:
		n = min(n, len(m.fileC)-first)
		o.Length, o.File, o.MaxProt, o.Offset = uint64(n)*page, m.file, rw|linux.PROT_EXEC, uint64(first)*page
		if m.rnd.IntN(2) == 0 {
			o.Flags = linux.MAP_FIXED | linux.MAP_SHARED
		}
	}
	m.w.mmap(x.s, o)
	for k := range n {
		g := modelPage{mapped: true, access: access(p), shared: o.Flags&linux.MAP_SHARED != 0}
		switch {
		case kind == 3 && g.shared:
			g.c = m.fileC[first+k]
		case kind == 3:
			g.file = m.fileC[first+k]
		default:
			g.c = &content{}
		}
		x.p[i+k] = g
	}
}

func (m *model) munmap(x *modelSpace) {
	i, n := m.some()
	if err := x.s.Unmap(m.at(i), uint64(n)*page); err != nil {
		m.t.Fatal(err)
	}
	clear(x.p[i : i+n])
}

func (m *model) mprotect(x *modelSpace) {
	i, n := m.some()
	p := m.prot()
	err := x.s.Protect(m.at(i), uint64(n)*page, p)
	for k := i; k < i+n; k++ {
		if !x.p[k].mapped {
			if err != linux.ENOMEM {
				m.t.Fatal("mprotect of a hole:", err)
			}
			return
		}
		x.p[k].access = access(p)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) access(x *modelSpace) {
	for range 8 {
		i := m.rnd.IntN(modelPages)
		g := &x.p[i]
		write, kernel := m.rnd.IntN(2) == 0, m.rnd.IntN(3) == 0
		m.next++
		v := m.next
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		ok := false
		switch {
		case kernel && write:
			n, err := x.s.CopyOut(m.at(i), b[:])
			ok = n == 8 && err == nil
		case kernel:
			n, err := x.s.CopyIn(b[:], m.at(i))
			ok = n == 8 && err == nil
		default:
			x.g.tell = m.rnd.IntN(2) == 0
			sig, _ := x.g.do(b[:], m.at(i), write)
			ok = sig == 0
		}
		want := g.mapped && g.access != 0 && (!write || g.access&arch.Write != 0)
		if ok != want {
			m.t.Fatalf("page %d (%+v): write %v kernel %v: %v", i, *g, write, kernel, ok)
		}
		if !ok {
			continue
		}
		if !write {
			m.compare(x, i, binary.LittleEndian.Uint64(b[:]))
			continue
		}
		if !g.shared {
			// Copy-on-write may have copied the whole cluster of file pages.
			g.c, g.file = &content{v}, nil
		} else {
			g.c.v = v
		}
	}
}

// compare checks what page i reads as.
func (m *model) compare(x *modelSpace, i int, got uint64) {
	m.t.Helper()
	g := &x.p[i]
	if g.file != nil {
		return // whether a private page follows the file is not specified
	}
	if got != g.c.v {
		m.t.Fatalf("page %d (%+v) of space %p reads %d, want %d", i, *g, x, got, g.c.v)
	}
}

func (m *model) fork(x *modelSpace) {
	if len(m.spaces) >= 5 {
		return
	}
	c, err := x.s.Fork(nil, m.w.lim)
	if err != nil {
		m.t.Fatal(err)
	}
	y := &modelSpace{s: c, g: guest{s: c}, p: x.p}
	for i := range y.p {
		if g := &y.p[i]; g.mapped && !g.shared && g.c != nil {
			g.c = &content{g.c.v}
		}
	}
	m.spaces = append(m.spaces, y)
}

func (m *model) exit(x *modelSpace) {
	if len(m.spaces) == 1 {
		return
	}
	for i, y := range m.spaces {
		if y == x {
			m.spaces = append(m.spaces[:i], m.spaces[i+1:]...)
			break
		}
	}
	x.s.DecUsers()
}

func (m *model) dontneed(x *modelSpace) {
	i, n := m.some()
	x.s.Advise(m.at(i), uint64(n)*page, linux.MADV_DONTNEED)
	for k := i; k < i+n; k++ {
		g := &x.p[k]
		if !g.mapped || g.shared {
			continue
		}
		// Private file pages go back to the file; the model forgets which.
		if g.c != nil && m.isFile(x, k) {
			g.c, g.file = nil, &content{}
		} else if g.c != nil {
			g.c = &content{}
		}
	}
}

// isFile reports whether page k is of a file mapping.
func (m *model) isFile(x *modelSpace, k int) bool {
	_, v, ok := x.s.find(m.at(k))
	return ok && v.shown != nil && v.shown.file == Mappable(m.file)
}

func (m *model) mremap(x *modelSpace) {
	i, n := m.some()
	j := m.rnd.IntN(modelPages - n + 1)
	if j < i+n && i < j+n {
		return
	}
	for k := i; k < i+n; k++ { // one mapping only
		if r, _, ok := x.s.find(m.at(k)); !ok || r.Start > m.at(i) || r.End < m.at(i+n) {
			return
		}
	}
	at, err := x.s.Remap(RemapOpts{Addr: m.at(i), Old: uint64(n) * page, New: uint64(n) * page, Flags: linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, To: m.at(j)})
	if err != nil || at != m.at(j) {
		m.t.Fatal(at, err)
	}
	copy(x.p[j:j+n], x.p[i:i+n])
	clear(x.p[i : i+n])
}

func (m *model) step() {
	x := m.spaces[m.rnd.IntN(len(m.spaces))]
	ops := []func(*modelSpace){m.mmap, m.mmap, m.munmap, m.mprotect, m.mprotect, m.access, m.access, m.access, m.fork, m.exit, m.dontneed, m.mremap}
	ops[m.rnd.IntN(len(ops))](x)
}

// TestModel does thousands of random things in a family of spaces and compares
// each page with the model.
func TestModel(t *testing.T) {
	for seed := range uint64(12) {
		w := newWorld(t)
		m := &model{t: t, w: w, rnd: rand.New(rand.NewPCG(seed, 1)), file: newTmpFile(w, 32)}
		for i := range m.fileC {
			m.fileC[i] = &content{}
		}
		first := w.space()
		m.spaces = []*modelSpace{{s: first, g: guest{s: first}}}
		for range 1500 {
			m.step()
		}
		for _, x := range m.spaces {
			for i := range x.p {
				if g := &x.p[i]; g.mapped && g.access != 0 {
					m.compare(x, i, x.g.load(t, m.at(i)))
				}
			}
			x.s.DecUsers()
		}
		w.env.Close()
		w.f.DecRef(m.file.r)
		w.f.Settle()
		if n, _ := w.f.Usage(); n != 0 {
			t.Fatal(n, "bytes leaked, seed", seed)
		}
	}
}
