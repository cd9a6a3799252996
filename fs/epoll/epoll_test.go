package epoll

import (
	"sync"
	"testing"
	"time"

	"garrison/fs/eventfd"
	"garrison/sentry/linux"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A bench is an epoll instance and what a test needs beside it.
type bench struct {
	*testing.T
	c   *sockettest.Ctx
	sys *vfs.System
	ep  *Epoll
}

func newBench(t *testing.T) *bench {
	return &bench{t, sockettest.New(1), vfs.New(nil), New()}
}

func (b *bench) open(f vfs.File) *vfs.FileDescription {
	return b.sys.NewAnon(b.c, f, "[x]", linux.O_RDWR)
}

func (b *bench) eventfd() (*eventfd.File, *vfs.FileDescription) {
	f := eventfd.New(0, false, 0)
	return f, b.open(f)
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func event(e uint32, data uint32) linux.EpollEvent {
	return linux.EpollEvent{Events: e, Data: [2]uint32{data}}
}

// want checks what ep reports: the data of the events, in order.
func (b *bench) want(ep *Epoll, data ...uint32) {
	b.Helper()
	var out [10]linux.EpollEvent
	n := ep.Collect(out[:])
	ok := n == len(data)
	for i := range min(n, len(data)) {
		ok = ok && out[i].Data[0] == data[i]
	}
	if !ok {
		b.Fatalf("got %+v, want %v", out[:n], data)
	}
}

const in = uint32(wait.In)

func TestLevelTriggered(t *testing.T) {
	b := newBench(t)
	f, d := b.eventfd()
	b.must(b.ep.Add(b.c, 5, d, event(in, 1)))
	b.want(b.ep)
	f.Add(1)
	b.want(b.ep, 1)
	b.want(b.ep, 1)
	f.Read(b.c, seq(8), 0)
	b.want(b.ep)
	f.Add(1)
	b.want(b.ep, 1)
	b.must(b.ep.Modify(5, d, event(uint32(wait.Out), 2)))
	b.want(b.ep, 2)
	b.must(b.ep.Delete(5, d))
	b.want(b.ep)
	if b.ep.Modify(5, d, event(in, 1)) != linux.ENOENT || b.ep.Delete(5, d) != linux.ENOENT {
		t.Fatal("there is something")
	}
}

func TestEdgeTriggered(t *testing.T) {
	b := newBench(t)
	f, d := b.eventfd()
	f.Add(1)
	b.must(b.ep.Add(b.c, 5, d, event(in|linux.EPOLLET, 1)))
	b.want(b.ep, 1)
	b.want(b.ep)
	f.Add(1)
	b.want(b.ep, 1)
	b.want(b.ep)
	b.must(b.ep.Modify(5, d, event(in|linux.EPOLLET, 3)))
	b.want(b.ep, 3)
}

func TestOneShot(t *testing.T) {
	b := newBench(t)
	f, d := b.eventfd()
	f.Add(1)
	b.must(b.ep.Add(b.c, 5, d, event(in|linux.EPOLLONESHOT, 1)))
	b.want(b.ep, 1)
	f.Add(1)
	b.want(b.ep)
	b.must(b.ep.Modify(5, d, event(in|linux.EPOLLONESHOT, 2)))
	b.want(b.ep, 2)
	b.want(b.ep)
}

func TestErrors(t *testing.T) {
	b := newBench(t)
	_, d := b.eventfd()
	self := b.open(b.ep)
	b.must(b.ep.Add(b.c, 5, d, event(in, 1)))
	for what, c := range map[string]struct{ got, want error }{
		"twice":             {b.ep.Add(b.c, 5, d, event(in, 1)), linux.EEXIST},
		"other number":      {b.ep.Add(b.c, 6, d, event(in, 1)), nil},
		"itself":            {b.ep.Add(b.c, 7, self, event(in, 1)), linux.EINVAL},
		"exclusive oneshot": {b.ep.Add(b.c, 8, d, event(in|linux.EPOLLEXCLUSIVE|linux.EPOLLONESHOT, 1)), linux.EINVAL},
		"exclusive":         {b.ep.Add(b.c, 8, d, event(in|linux.EPOLLEXCLUSIVE, 1)), nil},
		"modify exclusive":  {b.ep.Modify(8, d, event(in, 1)), linux.EINVAL},
		"make exclusive":    {b.ep.Modify(5, d, event(in|linux.EPOLLEXCLUSIVE, 1)), linux.EINVAL},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
}

func TestClosedFilesAreForgotten(t *testing.T) {
	b := newBench(t)
	f, d := b.eventfd()
	b.must(b.ep.Add(b.c, 5, d, event(in, 1)))
	f.Add(1)
	d.Release(b.c)
	b.want(b.ep)
	if len(b.ep.items) != 0 {
		t.Fatal("still there")
	}
	_, d = b.eventfd()
	b.must(b.ep.Add(b.c, 5, d, event(in, 1)))
	self := b.open(b.ep)
	self.Release(b.c)
	d.Release(b.c)
}

func TestNested(t *testing.T) {
	b := newBench(t)
	f, d := b.eventfd()
	outer := New()
	inner := b.open(b.ep)
	b.must(b.ep.Add(b.c, 5, d, event(in, 1)))
	b.must(outer.Add(b.c, 6, inner, event(in, 2)))
	b.want(outer)
	f.Add(1)
	b.want(outer, 2)
	b.want(b.ep, 1)
	b.want(outer, 2)
	f.Read(b.c, seq(8), 0)
	b.want(outer)
	f.Add(1)
	b.want(outer, 2)
	if err := b.ep.Add(b.c, 7, b.open(outer), event(in, 3)); err != linux.ELOOP {
		t.Fatal(err)
	}
}

func TestDepth(t *testing.T) {
	b := newBench(t)
	last := b.open(b.ep)
	for i := range 10 {
		next := New()
		err := next.Add(b.c, 1, last, event(in, 1))
		if i < linux.EP_MAX_NESTS && err != nil || i >= linux.EP_MAX_NESTS && err != linux.ELOOP {
			t.Fatal(i, err)
		}
		last = b.open(next)
		if err != nil {
			return
		}
	}
}

// Each event is had by exactly one of many that wait, and none is lost.
func TestManyWaiters(t *testing.T) {
	b := newBench(t)
	const files, rounds, waiters = 8, 200, 4
	fs := make([]*eventfd.File, files)
	for i := range fs {
		f, d := b.eventfd()
		fs[i] = f
		b.must(b.ep.Add(b.c, vfs.FD(i), d, event(in|linux.EPOLLET, uint32(i))))
	}
	var wg sync.WaitGroup
	got := make(chan uint32, files*rounds)
	stop := make(chan struct{})
	for range waiters {
		wg.Go(func() {
			c := sockettest.New(2)
			var out [2]linux.EpollEvent
			for {
				n := b.ep.Collect(out[:])
				for _, e := range out[:n] {
					got <- e.Data[0]
				}
				select {
				case <-stop:
					return
				default:
				}
				if n == 0 {
					c.BlockFor(b.ep.Sleepers(), wait.Readable, 50*time.Millisecond)
				}
			}
		})
	}
	for r := range rounds {
		for _, f := range fs {
			f.Add(1)
		}
		for range files {
			select {
			case <-got:
			case <-time.After(5 * time.Second):
				t.Fatalf("round %d: an event was lost", r)
			}
		}
	}
	close(stop)
	wg.Wait()
	if len(got) != 0 {
		t.Fatal("an event was had twice")
	}
}

// Of instances that watch a file exclusively, one is told that has somebody waiting.
func TestExclusive(t *testing.T) {
	b := newBench(t)
	f, d := b.eventfd()
	eps := []*Epoll{New(), New(), New()}
	for _, ep := range eps {
		b.must(ep.Add(b.c, 5, d, event(in|linux.EPOLLEXCLUSIVE|linux.EPOLLET, 1)))
	}
	done := make(chan error)
	go func() { done <- sockettest.New(2).Block(eps[1].Sleepers(), wait.Readable) }()
	for eps[1].list.sleepers.Empty() {
		time.Sleep(time.Millisecond)
	}
	f.Add(1)
	b.must(<-done)
	b.want(eps[1], 1)
	b.want(eps[2])
}
