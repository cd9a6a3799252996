package unix

import (
	"slices"
	"sync"

	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// rights is files on their way: SCM_RIGHTS. Each is held.
type rights struct {
	files []*vfs.FileDescription
	uid   uint32 // on whose account they travel
}

// copy is the same files for one who only peeks: held once more, not in flight.
func (r *rights) copy() *rights {
	if r == nil {
		return nil
	}
	for _, d := range r.files {
		d.IncRef()
	}
	return &rights{files: slices.Clone(r.files), uid: r.uid}
}

// A Flight is all files in flight through a kernel's unix sockets. A unix socket
// that is only held by messages which only such sockets could receive is garbage,
// and is found by collect. The zero Flight is ready to use.
type Flight struct {
	// mu comes before all sockets' locks: a scan must not see a message arrive.
	mu     sync.Mutex
	byUser map[uint32]uint64       // protected by mu
	socks  map[*Endpoint]*inFlight // protected by mu: unix sockets in flight
}

// An inFlight is a unix socket in flight.
type inFlight struct {
	file  *vfs.FileDescription
	count int64 // how often

	// Used by collect:
	left    int64 // messages that hold it and are not in a suspect's queue
	suspect bool
}

// endpoint is the unix socket that d is; nil.
func endpoint(d *vfs.FileDescription) *Endpoint {
	if s, ok := d.File().(*socket.Socket); ok {
		if e, ok := s.Proto().(*Endpoint); ok {
			return e
		}
	}
	return nil
}

// launch puts files in flight: ETOOMANYREFS if their sender has more there than it
// may have open.
func (f *Flight) launch(c vfs.Ctx, files []*vfs.FileDescription) (*rights, error) {
	if f.busy(manyInFlight) {
		f.collect(c)
	}
	who := c.Creds()
	r := &rights{files: files, uid: who.RUID}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byUser == nil {
		f.byUser, f.socks = map[uint32]uint64{}, map[*Endpoint]*inFlight{}
	}
	if f.byUser[r.uid] > c.Limit(limits.NOFile) && !who.Capable(auth.CapSysResource) && !who.Capable(auth.CapSysAdmin) {
		return nil, linux.ETOOMANYREFS
	}
	f.byUser[r.uid] += uint64(len(files))
	for _, d := range files {
		e := endpoint(d)
		if e == nil {
			continue
		}
		x := f.socks[e]
		if x == nil {
			x = &inFlight{file: d}
			f.socks[e] = x
		}
		x.count++
	}
	return r, nil
}

// land takes files out of flight; they stay held.
func (f *Flight) land(r *rights) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byUser[r.uid] -= uint64(len(r.files)); f.byUser[r.uid] == 0 {
		delete(f.byUser, r.uid)
	}
	for _, d := range r.files {
		e := endpoint(d)
		if x := f.socks[e]; e != nil && x != nil {
			if x.count--; x.count == 0 {
				delete(f.socks, e)
			}
		}
	}
}

// drop lands files and releases them.
func (f *Flight) drop(c vfs.Ctx, all []*rights) {
	for _, r := range all {
		f.land(r)
		for _, d := range r.files {
			d.Release(c)
		}
	}
}

// collect finds the unix sockets in flight that nobody can ever receive, and takes
// the files out of their queues, which ends them. A suspect is a socket of which
// every reference is in flight; it is garbage unless a message outside the suspects'
// queues holds it, or a suspect that is no garbage does.
func (f *Flight) collect(c vfs.Ctx) {
	f.drop(c, f.garbage())
}

func (f *Flight) garbage() (out []*rights) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := false
	for _, x := range f.socks {
		x.left, x.suspect = x.count, x.file.Refs() == x.count
		found = found || x.suspect
	}
	if !found {
		return nil
	}
	for e, x := range f.socks {
		if x.suspect {
			f.scan(e, func(y *inFlight) { y.left-- })
		}
	}
	for e, x := range f.socks {
		if x.suspect && x.left > 0 {
			f.acquit(e, x)
		}
	}
	for e, x := range f.socks {
		if x.suspect {
			for _, ch := range e.inboxes() {
				out = append(out, ch.takeRights()...)
			}
		}
	}
	return out
}

// acquit clears a suspect and all that its queues hold. mu is held.
func (f *Flight) acquit(e *Endpoint, x *inFlight) {
	x.suspect = false
	for todo := []*Endpoint{e}; len(todo) > 0; {
		e, todo = todo[len(todo)-1], todo[:len(todo)-1]
		f.scan(e, func(y *inFlight) {
			if y.suspect {
				y.suspect = false
				todo = append(todo, endpoint(y.file))
			}
		})
	}
}

// scan calls fn for each unix socket in flight in e's queues. mu is held.
func (f *Flight) scan(e *Endpoint, fn func(*inFlight)) {
	for _, ch := range e.inboxes() {
		ch.inside(func(r *rights) {
			for _, d := range r.files {
				if o := endpoint(d); o != nil && f.socks[o] != nil {
					fn(f.socks[o])
				}
			}
		})
	}
}

// manyInFlight is how many sockets in flight make a sender look for garbage, which
// otherwise the close of a socket does.
const manyInFlight = 4000

// busy reports whether more than n unix sockets are in flight.
func (f *Flight) busy(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.socks) > n
}

// deliver gives m what came with the data, or drops the files if it has no place
// for them. With peek, they are copies that are not in flight.
func (e *Endpoint) deliver(c vfs.Ctx, m *socket.Msg, got segment, peek bool) {
	if m != nil {
		m.Cred, m.HasCred, m.HasPidfd = got.cred, e.opts.Has(linux.SO_PASSCRED), e.opts.Has(linux.SO_PASSPIDFD)
	}
	if got.rights == nil {
		return
	}
	if !peek {
		e.fam.flight.land(got.rights)
	}
	if m != nil {
		m.Rights = got.rights.files
		return
	}
	for _, d := range got.rights.files {
		d.Release(c)
	}
}
