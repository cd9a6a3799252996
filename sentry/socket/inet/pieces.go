package inet

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/usermem"
)

// The stack makes a segment of each Write, and cuts off what is too long for one frame. What is
// left over it sends as a frame of its own, unless a whole other Write fits into the same one:
// of 128 KiB there would be two long frames and one of a few hundred bytes, which costs both ends
// as much. So long messages are written in pieces that fill a frame with what was left before.

// longest is the most that the host takes as one packet, in bytes, and reserved is what the
// stack does not use of that: it leaves room for any headers.
const (
	longest  = 65536
	reserved = header.TCPTotalHeaderMaximumSize + 1
)

// pieceOf is how many bytes of a stream a frame of a link takes: as many segments as fit, so
// that the host has no short one to send at the end of each frame.
func pieceOf(mtu uint32) int {
	const headers = header.IPv4MinimumSize + header.TCPMinimumSize + header.TCPOptionTSLength + 2 // aligned
	const room = longest - reserved
	if mtu <= headers || mtu-headers > room {
		return room
	}
	segment := int(mtu - headers)
	return room / segment * segment
}

// A filling is how much of the last frame of a stream has been written, if all are full: a
// guess, as what is there may have been sent as it was.
type filling struct{ n atomic.Int64 }

// next is how much to write next of what is left of a message.
func (f *filling) next(left, piece int64) int64 { return min(left, piece-f.n.Load()%piece) }

// add says that n bytes were written.
func (f *filling) add(n, piece int64) { f.n.Store((f.n.Load() + n) % piece) }

// writeStream gives the stack what it takes of a stream's src.
func (e *Endpoint) writeStream(src usermem.Seq, o *sending) (done int64, err tcpip.Error) {
	e.steer()
	link := e.fam.only.Load()
	switch {
	case link == nil:
		return e.writeOnce(src, o)
	case src.Len() <= link.piece: // a short message is not cut in two
		return e.writePiece(link, src, o)
	}
	for left := src.Len(); left > 0; {
		n := e.filling.next(left, link.piece)
		k, err := e.writePiece(link, src.Take(n), o)
		done, left = done+k, left-k
		if err != nil || k < n {
			return done, err
		}
		src = src.Skip(n)
	}
	return done, nil
}

// writePiece is one Write of a stream by a link, and what has come by that meanwhile.
func (e *Endpoint) writePiece(link *packetLink, src usermem.Seq, o *sending) (int64, tcpip.Error) {
	sits := link.desk.sit(e.ep())
	n, err := e.writeOnce(src, o)
	if sits {
		link.rise()
	}
	if n >= longPiece {
		link.glance()
	}
	e.filling.add(n, link.piece)
	return n, err
}

// writeOnce is one Write.
func (e *Endpoint) writeOnce(src usermem.Seq, o *sending) (int64, tcpip.Error) {
	p := e.payload(src)
	n, err := e.ep().Write(p, o.WriteOptions)
	e.done(p)
	return n, err
}
