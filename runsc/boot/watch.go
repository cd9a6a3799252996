package boot

import (
	"sync"
	"time"

	"garrison/runsc/control"
	"garrison/sentry/linux"
)

// watchers are those outside who are told what happens to the container.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{} // protected by mu
	end *control.Event        // protected by mu: the last event, once there is one
}

// A watcher is one connection.
type watcher struct {
	events chan control.Event // closed after the last
	told   chan struct{}      // closed when all that can be sent has been
}

// Events wait for a watcher that is slow, up to mostEvents; at the end of the
// container, for lastWords at most.
const (
	mostEvents = 64
	lastWords  = time.Second
)

// serve tells conn of events until the last, or until it is closed.
func (w *watchers) serve(conn *control.Conn) {
	x := w.add()
	defer w.remove(x)
	defer close(x.told)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var nothing control.Request
		files, _ := conn.Receive(&nothing) // it has no more to say
		control.CloseFiles(files)
	}()
	for {
		select {
		case e, more := <-x.events:
			if !more || conn.Send(&e) != nil {
				return
			}
		case <-gone:
			return
		}
	}
}

func (w *watchers) add() *watcher {
	x := &watcher{make(chan control.Event, mostEvents+1), make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil {
		x.events <- *w.end
		close(x.events)
		return x
	}
	if w.all == nil {
		w.all = map[*watcher]struct{}{}
	}
	w.all[x] = struct{}{}
	return x
}

func (w *watchers) remove(x *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, x)
}

// tell tells everybody of e, and does not wait.
func (w *watchers) tell(e control.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.all {
		if len(x.events) < mostEvents { // the last place is the end's
			x.events <- e
		}
	}
}

// close tells everybody how init has ended, and returns when they have been told.
func (w *watchers) close(status linux.WaitStatus) {
	e := control.Event{Exit: &control.Exit{Status: shellStatus(status)}}
	w.mu.Lock()
	w.end = &e
	all := w.all
	w.all = nil
	for x := range all {
		x.events <- e
		close(x.events)
	}
	w.mu.Unlock()
	late := time.After(lastWords)
	for x := range all {
		select {
		case <-x.told:
		case <-late:
			logf("who watches the container does not listen")
			return
		}
	}
}

// shellStatus is how a process ended as $? has it.
func shellStatus(w linux.WaitStatus) int {
	if w.Signaled() {
		return 128 + int(w.TermSignal())
	}
	return int(w.Code())
}
