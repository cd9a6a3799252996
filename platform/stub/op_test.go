package stub

import (
	"maps"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

type numbered struct{ fd int }

func (n *numbered) FD() int { return n.fd }

// shown is what ops leave of pages, by their addresses.
func shown(ops []Op) map[arch.Addr]Op {
	m := map[arch.Addr]Op{}
	for _, o := range ops {
		for at := o.Range.Start; at < o.Range.End; at += arch.PageSize {
			p := m[at]
			switch o.Kind {
			case Map:
				m[at] = Op{Access: o.Access, File: o.File, Off: o.Off + uint64(at-o.Range.Start)}
			case Unmap:
				delete(m, at)
			case Protect:
				if p.File != nil {
					p.Access = o.Access
					m[at] = p
				}
			}
		}
	}
	return m
}

// A queue leaves what its operations, one after the other, would.
func TestQueue(t *testing.T) {
	files := []*numbered{{1}, {2}}
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 0))
		var all []Op
		var q Queue
		for range 1 + r.IntN(7) {
			at := arch.Addr(r.IntN(8)) << arch.PageShift
			o := Op{Kind: OpKind(r.IntN(3)), Range: arch.Range{Start: at, End: at + arch.Addr(r.IntN(6))<<arch.PageShift}}
			if o.Kind != Unmap && r.IntN(2) == 0 {
				o.Access = arch.Read
			}
			if o.Kind == Map {
				o.File, o.Off = files[r.IntN(2)], uint64(at)
			}
			all = append(all, o)
			q.Add(o)
		}
		if got, want := shown(q), shown(all); !maps.Equal(got, want) {
			t.Fatalf("seed %d: %v queued as %v", seed, all, q)
		}
	}
}

// A program's text that is mapped over part of its file needs no order.
func TestQueueMapsOver(t *testing.T) {
	file, text := &numbered{1}, &numbered{2}
	var q Queue
	q.Add(Op{Kind: Map, Access: arch.Read, Range: arch.Range{Start: 0x1000, End: 0x9000}, File: file})
	q.Add(Op{Kind: Map, Access: arch.Read, Range: arch.Range{Start: 0x2000, End: 0x4000}, File: text})
	q.Add(Op{Kind: Map, Access: arch.Read, Range: arch.Range{Start: 0x7000, End: 0xa000}, File: text})
	for i := range q {
		for j := range q[:i] {
			if q[i].Range.Overlaps(q[j].Range) {
				t.Errorf("%v and %v", q[j], q[i])
			}
		}
	}
	if len(q) != 4 {
		t.Errorf("%v", q)
	}
}

// What is not to be mapped any more needs no descriptor.
func TestQueueLetsGo(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := arch.Range{Start: 0x1000, End: 0x2000}
	var q Queue
	q.Add(Op{Kind: Map, Range: r, File: &numbered{int(f.Fd())}})
	if err := q.KeepFiles(); err != nil {
		t.Fatal(err)
	}
	fd := q[0].File.FD()
	q.Add(Op{Kind: Unmap, Range: r})
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor is kept: %v", err)
	}
}
