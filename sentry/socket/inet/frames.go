package inet

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/platform/park"
)

// A packetLink carries a link's frames over a packet(7) socket. What sends is the stack's
// own; what receives is not, for that hands each packet of TCP to another goroutine, which
// has to be woken, and here who has received it does the work: see turn.
type packetLink struct {
	stack.LinkEndpoint
	stack.GSOEndpoint

	fd    int
	down  func()
	piece int64 // see pieceOf
	// of is the stack, once Configure has given the link to one, id the link's there, and
	// late, taps and gates its family's.
	of    *stack.Stack
	id    tcpip.NICID
	late  *late
	taps  *taps
	gates *gates

	mu       sync.Mutex
	attached bool // protected by mu
	receives sync.WaitGroup
	turn     turn
	in       inbox // of who has the turn
	acks     acks
	desk     desk
	hardware atomic.Pointer[tcpip.LinkAddress]
}

// NewPacketLink carries a link's frames over fd, a host AF_PACKET socket that is bound to
// the host's end of it and has PACKET_VNET_HDR, so that what the host hands over and takes
// may be longer than the MTU and without checksums. fd stays the caller's, who closes it
// only after the link has gone. down is called when the host's end has gone, or is down:
// nothing comes any more.
func NewPacketLink(fd int, mtu uint32, hardware [6]byte, down func()) (stack.LinkEndpoint, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	address, piece := tcpip.LinkAddress(hardware[:]), pieceOf(mtu)
	sends, err := fdbased.New(&fdbased.Options{
		FDs:            []int{fd},
		MTU:            mtu,
		EthernetHeader: true,
		Address:        address,
		// Of each packet that is received, the host says whether its checksum is known.
		RXChecksumOffload: true,
		GSOMaxSize:        uint32(piece + reserved),
		// Without a fanout group, which would bind the socket to this link for good.
		PreConfigured:  true,
		IsPacketSocket: []bool{true},
	})
	if err != nil {
		return nil, err
	}
	l := &packetLink{LinkEndpoint: sends, GSOEndpoint: sends.(stack.GSOEndpoint), fd: fd, down: down, piece: int64(piece)}
	l.hardware.Store(&address)
	return l, nil
}

// SetLinkAddress implements stack.LinkEndpoint.
func (l *packetLink) SetLinkAddress(a tcpip.LinkAddress) {
	l.hardware.Store(&a)
	l.LinkEndpoint.SetLinkAddress(a)
}

// Attach implements stack.LinkEndpoint: packets go to d from now on, or to nobody. It
// returns when none is on its way to whom they went to before.
func (l *packetLink) Attach(d stack.NetworkDispatcher) {
	l.mu.Lock()
	if (d != nil) == l.attached {
		l.mu.Unlock()
		return
	}
	if d == nil {
		l.attached = false
		l.turn.end()
		l.mu.Unlock()
		l.receives.Wait()
		l.desk.close()
		l.turn.bell.GiveBack()
		return
	}
	defer l.mu.Unlock()
	bell, err := park.NewBell()
	if err != nil { // the host is out of descriptors: what looks after links tries another
		go l.down()
		return
	}
	l.attached = true
	l.turn.begin(bell)
	l.in.to = d
	l.desk.begin()
	l.receives.Go(func() {
		if !l.receive() {
			l.down()
		}
	})
}

// IsAttached implements stack.LinkEndpoint.
func (l *packetLink) IsAttached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attached
}

// Wait implements stack.LinkEndpoint.
func (l *packetLink) Wait() { l.receives.Wait() }

// packet is the packet in f, of n bytes with the header of virtio, or nil if it is none for
// this link.
func (l *packetLink) packet(f *frame, n int) *stack.PacketBuffer {
	if n < vnetSize+header.EthernetMinimumSize {
		return nil
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: f.pull(n - vnetSize)})
	if l.taps.on() {
		l.came(p.Data().AsRange().ToSlice(), f.vnet[0])
	}
	if l.ParseHeader(p) {
		to := header.Ethernet(p.LinkHeader().Slice()).DestinationAddress()
		if to == *l.hardware.Load() || to[0]&1 != 0 { // or to a group
			p.RXChecksumValidated = f.checked()
			return p
		}
	}
	p.DecRef()
	return nil
}

// vnetSize is the size of struct virtio_net_hdr. Of its flags, one says that the checksum is
// yet to be computed, as the packet has been nowhere, and one that it was found right.
const (
	vnetSize      = 10
	vnetNeedsSum  = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	vnetDataValid = 2 // VIRTIO_NET_HDR_F_DATA_VALID
)

// A frame is memory for one that comes: of most, the small part is all that is used.
type frame struct {
	vnet         [vnetSize]byte
	small, large *buffer.View
	iov          [3]unix.Iovec
}

const (
	smallFrame = 2 << 10
	largeFrame = 64 << 10
)

// fill makes f ready to be received into by h, with memory of a store.
func (f *frame) fill(h *rawfile.MMsgHdr, s *store) {
	f.iov[0].Base = &f.vnet[0]
	f.iov[0].SetLen(len(f.vnet))
	if f.small == nil {
		f.small = buffer.NewViewSize(smallFrame)
		f.iov[1].Base = f.small.BasePtr()
		f.iov[1].SetLen(smallFrame)
	}
	if f.large == nil {
		f.large = s.take()
		f.iov[2].Base = f.large.BasePtr()
		f.iov[2].SetLen(largeFrame)
	}
	h.Msg.Iov = &f.iov[0]
	h.Msg.SetIovlen(len(f.iov))
}

// pull takes the n bytes of a frame out.
func (f *frame) pull(n int) buffer.Buffer {
	small := f.small
	f.small = nil
	small.CapLength(n)
	b := buffer.MakeWithView(small)
	if n > smallFrame {
		large := f.large
		f.large = nil
		large.CapLength(n - smallFrame)
		_ = b.Append(large) // which fails only if it is nil
	}
	return b
}

// checked reports whether the checksum of what was received need not be looked at.
func (f *frame) checked() bool { return f.vnet[0]&(vnetNeedsSum|vnetDataValid) != 0 }

func (f *frame) release() {
	for _, v := range []*buffer.View{f.small, f.large} {
		if v != nil {
			v.Release()
		}
	}
}
