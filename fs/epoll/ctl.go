package epoll

import (
	"cmp"
	"slices"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// Add is EPOLL_CTL_ADD: it watches d, which the caller knows as fd. EEXIST, EPERM for
// a file that can't be waited for, EINVAL for the instance itself, ELOOP.
func (ep *Epoll) Add(c vfs.Ctx, fd vfs.FD, d *vfs.FileDescription, e linux.EpollEvent) error {
	inner, _ := d.File().(*Epoll)
	if err := allowed(d, inner, ep, e.Events); err != nil {
		return err
	}
	if inner != nil {
		if err := nest(ep, inner); err != nil {
			return err
		}
	}
	it := &item{key: key{fd, d}, ep: ep, object: d.ObjectFor(c), nested: inner, events: e.Events | errors, data: e.Data}
	it.Mask, it.To = ^wait.Events(0), it
	it.Exclusive = e.Events&linux.EPOLLEXCLUSIVE != 0
	ep.mu.Lock()
	if ep.items[it.key] != nil {
		ep.mu.Unlock()
		if inner != nil {
			unnest(ep, inner)
		}
		return linux.EEXIST
	}
	ep.added++
	it.nth = ep.added
	ep.items[it.key] = it
	d.OnClose(ep)
	it.object.Watch(&it.Watch)
	ep.mu.Unlock()
	it.look()
	return nil
}

// errors is what is told of without being asked for.
const errors = uint32(wait.Err | wait.Hup)

// exclusiveOK is the events that EPOLLEXCLUSIVE may come with.
const exclusiveOK = uint32(wait.In|wait.Out|wait.RdNorm|wait.WrNorm|wait.Err|wait.Hup) |
	linux.EPOLLWAKEUP | linux.EPOLLET | linux.EPOLLEXCLUSIVE

// allowed checks what epoll_ctl(2) refuses whatever is there.
func allowed(d *vfs.FileDescription, inner, ep *Epoll, events uint32) error {
	switch {
	case !d.Pollable():
		return linux.EPERM
	case inner == ep:
		return linux.EINVAL
	case events&linux.EPOLLEXCLUSIVE != 0 && (inner != nil || events&^exclusiveOK != 0):
		return linux.EINVAL
	}
	return nil
}

// look puts an item on the list if its file is ready now: one who adds a watch has to
// look after that. mu is not held: to ask some files takes locks that come before it.
func (it *item) look() {
	if r := it.object.Ready(it.askable()); r != 0 {
		it.Take(nil, r)
	}
}

func (it *item) askable() wait.Events {
	it.ep.list.mu.Lock()
	defer it.ep.list.mu.Unlock()
	return it.mask()
}

// Modify is EPOLL_CTL_MOD. It arms an item that EPOLLONESHOT has disarmed. ENOENT,
// EINVAL.
func (ep *Epoll) Modify(fd vfs.FD, d *vfs.FileDescription, e linux.EpollEvent) error {
	if e.Events&linux.EPOLLEXCLUSIVE != 0 {
		return linux.EINVAL
	}
	ep.mu.Lock()
	it := ep.items[key{fd, d}]
	ep.mu.Unlock()
	switch {
	case it == nil:
		return linux.ENOENT
	case it.Exclusive:
		return linux.EINVAL
	}
	ep.list.mu.Lock()
	it.events, it.data = e.Events|errors, e.Data
	ep.list.mu.Unlock()
	it.look()
	return nil
}

// Delete is EPOLL_CTL_DEL. ENOENT.
func (ep *Epoll) Delete(fd vfs.FD, d *vfs.FileDescription) error {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	it := ep.items[key{fd, d}]
	if it == nil {
		return linux.ENOENT
	}
	d.ForgetClose(ep)
	ep.drop(it)
	return nil
}

// Watches reports whether d is what ep watches as fd, the nth of those with this
// number from 0: kcmp(2). ENOENT if there are fewer.
func (ep *Epoll) Watches(fd vfs.FD, nth uint32, d *vfs.FileDescription) (bool, error) {
	var found []*item
	ep.mu.Lock()
	for k, it := range ep.items {
		if k.fd == fd {
			found = append(found, it)
		}
	}
	ep.mu.Unlock()
	if uint64(nth) >= uint64(len(found)) {
		return false, linux.ENOENT
	}
	slices.SortFunc(found, func(a, b *item) int { return cmp.Compare(a.nth, b.nth) })
	return found[nth].file == d, nil
}

// drop takes an item out. mu is held.
func (ep *Epoll) drop(it *item) {
	delete(ep.items, it.key)
	it.object.Unwatch(&it.Watch)
	ep.list.mu.Lock()
	it.dead = true
	if it.place.Linked() {
		ep.list.remove(it)
	}
	ep.list.mu.Unlock()
	if it.nested != nil {
		unnest(ep, it.nested)
	}
}

// Closed implements vfs.CloseHook: a file that is closed is forgotten.
func (ep *Epoll) Closed(d *vfs.FileDescription) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for k, it := range ep.items {
		if k.file == d {
			ep.drop(it)
		}
	}
}

// Close implements vfs.File.
func (ep *Epoll) Close(vfs.Ctx) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for k, it := range ep.items {
		k.file.ForgetClose(ep)
		ep.drop(it)
	}
}

// nesting orders all changes of which instance watches which, so that no two of them
// close a loop together. It holds no state.
var nesting sync.Mutex

// nest notes that outer watches inner: ELOOP if inner watches outer, through whatever
// number of others, or if instances would watch one another deeper than
// EP_MAX_NESTS.
func nest(outer, inner *Epoll) error {
	nesting.Lock()
	defer nesting.Unlock()
	down, loop := inner.depth(outer, false)
	up, _ := outer.depth(nil, true)
	if loop || down+up+1 > linux.EP_MAX_NESTS {
		return linux.ELOOP
	}
	if outer.children == nil {
		outer.children = map[*Epoll]int{}
	}
	if inner.parents == nil {
		inner.parents = map[*Epoll]int{}
	}
	outer.children[inner]++
	inner.parents[outer]++
	return nil
}

// depth is how many instances lie below ep (or above it), and whether target is among
// them. nesting is held.
func (ep *Epoll) depth(target *Epoll, up bool) (n int, found bool) {
	next := ep.children
	if up {
		next = ep.parents
	}
	for x := range next {
		k, f := x.depth(target, up)
		n, found = max(n, k+1), found || f || x == target
	}
	return n, found
}

func unnest(outer, inner *Epoll) {
	nesting.Lock()
	defer nesting.Unlock()
	if outer.children[inner]--; outer.children[inner] == 0 {
		delete(outer.children, inner)
	}
	if inner.parents[outer]--; inner.parents[outer] == 0 {
		delete(inner.parents, outer)
	}
}
