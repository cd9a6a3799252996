package mm

import (
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

func BenchmarkCopyIn(b *testing.B) {
	for _, n := range []int{8, 64, 4096} {
		b.Run(map[int]string{8: "8", 64: "64", 4096: "4096"}[n], func(b *testing.B) {
			w := newWorld(b)
			s := w.space()
			a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
			s.CopyOut(a, make([]byte, 8192))
			buf := make([]byte, n)
			for b.Loop() {
				if _, err := s.CopyIn(buf, a+128); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad32(b *testing.B) {
	w := newWorld(b)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: page, Prot: rw, Flags: anon})
	s.CopyOut(a, make([]byte, 8))
	for b.Loop() {
		s.Load32(a)
	}
}

func BenchmarkView(b *testing.B) {
	w := newWorld(b)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
	r := arch.Range{Start: a, End: a + 4096}
	for b.Loop() {
		s.View(r, arch.Write, func([][]byte) (int64, error) { return 0, nil })
	}
}

func BenchmarkMMapUnmap64K(b *testing.B) {
	w := newWorld(b)
	s := w.space()
	for range 50 { // neighbours that do not merge
		w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
		w.mmap(s, MMapOpts{Length: 4 * page, Prot: linux.PROT_READ, Flags: anon})
	}
	for b.Loop() {
		a, err := s.MMap(MMapOpts{Length: 64 << 10, Prot: rw, Flags: anon})
		if err != nil {
			b.Fatal(err)
		}
		s.Unmap(a, 64<<10)
	}
}

func BenchmarkFork60(b *testing.B) {
	w := newWorld(b)
	s := w.space()
	for range 30 {
		w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
		w.mmap(s, MMapOpts{Length: 4 * page, Prot: linux.PROT_READ, Flags: anon})
	}
	for b.Loop() {
		c, err := s.Fork(nil, w.lim)
		if err != nil {
			b.Fatal(err)
		}
		c.DecUsers()
	}
}

func BenchmarkCopyOnWrite(b *testing.B) {
	w := newWorld(b)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 16 * page, Prot: rw, Flags: anon})
	s.CopyOut(a, make([]byte, 16*page))
	for b.Loop() {
		c, err := s.Fork(nil, w.lim)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.CopyOut(a, []byte{1}); err != nil {
			b.Fatal(err)
		}
		c.DecUsers()
	}
}
