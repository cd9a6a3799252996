package socket

// A Framer is Interfaces whose links carry frames, which others may see and send: packet(7).
type Framer interface {
	// Tap has t see the frames that come and go from now on, until stop is called.
	Tap(t Tap) (stop func())
	// Transmit sends a frame, header and all, by a link: ENXIO if there is no such link.
	// Whoever taps sees it, but from.
	Transmit(link int32, frame []byte, from Tap) error
}

// A Tap is told of frames. It may be called from any goroutine, whatever it holds, and must
// not wait for long.
type Tap interface{ See(f *Frame) }

// A Frame is one that came or goes. All who see it share it: it never changes.
type Frame struct {
	Link     int32
	Hardware uint16 // the link's ARPHRD_*
	Type     uint8  // PACKET_*
	Data     []byte // from Ethernet's header on
	// Partial says that its checksum is yet to be computed, Valid that it has been found
	// right or need not be.
	Partial, Valid bool
}
