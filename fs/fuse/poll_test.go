package fuse

import (
	"sync"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// TestPollTogether: a server that says of a file that it has changed, as it answers what was
// asked about the last change, is asked once more.
func TestPollTogether(t *testing.T) {
	b := newBench(t)
	b.open(linux.FuseInitOut{Major: 7, Minor: 31})
	f := b.m.newInode(6, 0, linux.S_IFREG).opened(0, &linux.FuseOpenOut{}).(*file)
	f.poll.name(b.m)
	ready := raw(linux.FusePollOut{Revents: uint32(wait.In)})
	pending := func() []*request {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		return append([]*request(nil), b.m.pending...)
	}
	for range 20_000 {
		f.poll.changed()
		first := pending()
		if len(first) != 1 {
			t.Fatalf("asked %d times", len(first))
		}
		var both sync.WaitGroup
		both.Go(func() { b.m.finish(first[0], ready, nil) })
		f.poll.changed()
		both.Wait()
		next := pending()
		if len(next) != 1 {
			t.Fatalf("asked %d times after another change", len(next))
		}
		b.m.finish(next[0], ready, nil)
	}
}
