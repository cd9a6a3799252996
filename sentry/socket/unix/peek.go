package unix

import (
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// Later implements socket.Later: who peeks waits for what is behind SO_PEEK_OFF.
func (e *Endpoint) Later(flags linux.MsgFlags) wait.Object {
	if flags&linux.MSG_PEEK != 0 && e.opts.PeekOff() > 0 {
		return unpeeked{e}
	}
	return e
}

// unpeeked is an endpoint that is only readable for what is behind SO_PEEK_OFF.
type unpeeked struct{ *Endpoint }

// Ready implements wait.Object.
func (u unpeeked) Ready(want wait.Events) wait.Events {
	r := u.Endpoint.Ready(want)
	if ch := u.inbox(); ch != nil && !ch.holds(u.opts.PeekOff()) {
		r &^= wait.Readable
	}
	return r
}

// holds reports whether there is anything behind the first skip bytes, or never
// will be.
func (ch *channel) holds(skip int) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for x := range ch.msgs.All() {
		if skip == 0 || skip < len(x.data) {
			return true
		}
		skip -= len(x.data)
	}
	return ch.shut || ch.ring.Used() > skip
}
