package inet

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A desk is where a link leaves what comes for a connection that is locked by a guest that sends
// by it, for that to deal with when it has sent a piece: as Linux's backlog of a socket. The
// stack by itself would wake a third goroutine to do it.
type desk struct {
	mu     sync.Mutex
	at     *tcp.Endpoint         // protected by mu: whose guest sends, nil for none
	left   []*stack.PacketBuffer // protected by mu: for at
	closed bool                  // protected by mu: the link is not attached

	// dealing is held by who deals with what was left, and above mu.
	dealing sync.Mutex
}

// maxLeft is how many packets are left at a desk, at most: a window of what is acknowledged one
// by one, and few enough for a guest whose memory is slow to be read.
const maxLeft = 64

// sit says that a guest is about to send by ep, and will call rise then. It is false if it
// needs not: others are at the desk.
func (d *desk) sit(ep tcpip.Endpoint) bool {
	e, ok := ep.(*tcp.Endpoint)
	if !ok {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at != nil || d.closed {
		return false
	}
	d.at = e
	return true
}

// leave leaves packets for e's guest, if that is sending.
func (d *desk) leave(e *tcp.Endpoint, packets []*stack.PacketBuffer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at != e || e == nil || len(d.left)+len(packets) > maxLeft {
		return false
	}
	d.left = append(d.left, packets...)
	return true
}

// take is what was left for e, which is not any more.
func (d *desk) take(e *tcp.Endpoint) (left []*stack.PacketBuffer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == e {
		left, d.left = d.left, nil
	}
	return left
}

// rise is called by who has sat down, and deals with what was left meanwhile.
func (l *packetLink) rise() {
	d := &l.desk
	var mine [batch]*stack.PacketBuffer
	for {
		d.mu.Lock()
		e, n := d.at, copy(mine[:], d.left)
		if n == 0 {
			d.at = nil
			d.mu.Unlock()
			return
		}
		d.left = d.left[:copy(d.left, d.left[n:])]
		d.mu.Unlock()
		d.dealing.Lock()
		if d.open() {
			l.hand(e, claim(e), mine[:n])
		} else {
			drop(mine[:n])
		}
		d.dealing.Unlock()
	}
}

func (d *desk) open() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.closed
}

// close has nothing dealt with any more once it has returned, until begin.
func (d *desk) close() {
	d.dealing.Lock()
	defer d.dealing.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	drop(d.left)
	d.left = nil
}

func (d *desk) begin() {
	d.mu.Lock()
	d.closed = false
	d.mu.Unlock()
}

func drop(packets []*stack.PacketBuffer) {
	for _, p := range packets {
		p.DecRef()
	}
}
