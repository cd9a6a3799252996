package mm

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/sentry/list"
	"garrison/sentry/lock"
)

// How guests' directly mapped files are read by the sentry: through windows,
// mappings of its own, of which it keeps the ones used last.
const (
	hostWindowSize = 1 << 20
	hostWindows    = 128
)

type windowKey struct {
	file     HostFile
	at       uint64 // in units of hostWindowSize
	writable bool
}

// A hostWindow is one mapping of a part of a host file.
type hostWindow struct {
	list.Elem[*hostWindow]
	key  windowKey
	mem  []byte
	refs atomic.Int64 // users, and one for the cache; once 0, for ever
}

// acquire adds a user; false if the window is gone.
func (w *hostWindow) acquire() bool {
	for {
		n := w.refs.Load()
		if n == 0 {
			return false
		}
		if w.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (w *hostWindow) release() {
	if w.refs.Add(-1) == 0 {
		unix.Munmap(w.mem) //nolint:errcheck // it is mapped
	}
}

// A windowCache is the windows of a container.
type windowCache struct {
	mu  lock.Mutex[lock.Leaf]
	all map[windowKey]*hostWindow // protected by mu
	lru list.List[*hostWindow]    // the one used last is last; protected by mu
}

func newWindowCache() *windowCache {
	return &windowCache{all: make(map[windowKey]*hostWindow)}
}

// get returns the window that holds byte off of f, acquired, and the bytes from
// off on, at most n; nil if the host can't map it.
func (c *windowCache) get(f HostFile, off, n uint64, writable bool) (*hostWindow, []byte) {
	k := windowKey{f, off / hostWindowSize, writable}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.all[k]
	if w == nil {
		if w = c.open(k); w == nil {
			return nil, nil
		}
	} else {
		w.Remove()
	}
	c.lru.PushBack(&w.Elem)
	w.refs.Add(1)
	b := w.mem[off%hostWindowSize:]
	return w, b[:min(uint64(len(b)), n)]
}

// open makes the window k, in the place of the one unused longest.
func (c *windowCache) open(k windowKey) *hostWindow {
	for len(c.all) >= hostWindows {
		c.drop(c.lru.Front().Value)
	}
	prot := unix.PROT_READ
	if k.writable {
		prot |= unix.PROT_WRITE
	}
	m, err := unix.Mmap(k.file.FD(), int64(k.at*hostWindowSize), hostWindowSize, prot, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	w := &hostWindow{key: k, mem: m}
	w.Value = w
	w.refs.Store(1)
	c.all[k] = w
	return w
}

func (c *windowCache) drop(w *hostWindow) {
	delete(c.all, w.key)
	w.Remove()
	w.release()
}

func (c *windowCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.all {
		c.drop(w)
	}
}
