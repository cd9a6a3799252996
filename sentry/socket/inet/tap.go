package inet

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// taps is who sees the frames of all links.
type taps struct {
	mu  sync.Mutex
	all atomic.Pointer[[]socket.Tap] // mu is for changing it; nil if there are none
}

// Tap implements socket.Framer. Connections of TCP from the sandbox to itself are no frames.
func (f *Family) Tap(t socket.Tap) (stop func()) {
	f.taps.change(func(all []socket.Tap) []socket.Tap { return append(all, t) })
	return func() {
		f.taps.change(func(all []socket.Tap) []socket.Tap {
			return slices.DeleteFunc(all, func(x socket.Tap) bool { return x == t })
		})
	}
}

func (t *taps) change(f func([]socket.Tap) []socket.Tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []socket.Tap
	if now := t.all.Load(); now != nil {
		all = slices.Clone(*now)
	}
	if all = f(all); len(all) == 0 {
		t.all.Store(nil)
		return
	}
	t.all.Store(&all)
}

// on reports whether anybody would see a frame.
func (t *taps) on() bool { return t != nil && t.all.Load() != nil }

// show has all but one see a frame.
func (t *taps) show(f *socket.Frame, but socket.Tap) {
	all := t.all.Load()
	if all == nil {
		return
	}
	for _, x := range *all {
		if x != but {
			x.See(f)
		}
	}
}

// Transmit implements socket.Framer.
func (f *Family) Transmit(link int32, frame []byte, from socket.Tap) error {
	if _, err := f.stack(); err != nil {
		return linux.ENOMEM
	}
	if link == loopbackIndex {
		f.taps.show(&socket.Frame{Link: link, Hardware: linux.ARPHRD_LOOPBACK, Type: linux.PACKET_OUTGOING, Data: frame}, from)
		f.lo.receive(frame)
		return nil
	}
	l := f.outside.Load().link(link)
	if l == nil {
		return linux.ENXIO
	}
	p, ok := l.Endpoint.(*packetLink)
	if !ok {
		return linux.ENXIO
	}
	f.taps.show(&socket.Frame{Link: link, Hardware: linux.ARPHRD_ETHER, Type: linux.PACKET_OUTGOING, Data: frame}, from)
	return p.transmit(frame)
}

// transmit sends a frame that is not the stack's.
func (l *packetLink) transmit(frame []byte) error {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
	defer p.DecRef()
	if !l.ParseHeader(p) {
		return linux.EINVAL
	}
	var list stack.PacketBufferList
	list.PushBack(p)
	_, err := l.LinkEndpoint.WritePackets(list)
	return errno(err)
}

// out sends packets of the stack, which others may see.
func (l *packetLink) out(ps stack.PacketBufferList) (int, tcpip.Error) {
	if l.taps.on() {
		for _, p := range ps.AsSlice() {
			l.taps.show(&socket.Frame{
				Link: int32(l.id), Hardware: linux.ARPHRD_ETHER, Type: linux.PACKET_OUTGOING, Data: bytesOf(p),
				Partial: p.GSOOptions.NeedsCsum,
			}, nil)
		}
	}
	return l.LinkEndpoint.WritePackets(ps)
}

// bytesOf is a copy of all of p, from its link's header on.
func bytesOf(p *stack.PacketBuffer) []byte {
	b := p.ToBuffer()
	b.TrimFront(int64(len(p.VirtioNetHeader().Slice())))
	defer b.Release()
	return b.Flatten()
}

// came shows a frame that has come by l, before anybody judges it. virtio says that its
// checksum is yet to be computed, or is known.
func (l *packetLink) came(frame []byte, virtio byte) {
	if len(frame) < header.EthernetMinimumSize {
		return
	}
	l.taps.show(&socket.Frame{
		Link: int32(l.id), Hardware: linux.ARPHRD_ETHER, Type: l.typeOf(header.Ethernet(frame).DestinationAddress()), Data: frame,
		Partial: virtio&vnetNeedsSum != 0, Valid: virtio&vnetDataValid != 0,
	}, nil)
}

// typeOf is what a frame to an address is to l.
func (l *packetLink) typeOf(to tcpip.LinkAddress) uint8 {
	switch {
	case to == header.EthernetBroadcastAddress:
		return linux.PACKET_BROADCAST
	case to[0]&1 != 0:
		return linux.PACKET_MULTICAST
	case to == *l.hardware.Load():
		return linux.PACKET_HOST
	}
	return linux.PACKET_OTHERHOST
}

// show has packets of the loopback be seen: as they go, and as they come.
func (l *loopbackLink) show(p *stack.PacketBuffer) {
	frame := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+p.Size())
	binary.BigEndian.PutUint16(frame[header.EthernetMinimumSize-2:], uint16(p.NetworkProtocolNumber))
	frame = append(frame, bytesOf(p)...)
	for _, typ := range []uint8{linux.PACKET_OUTGOING, linux.PACKET_HOST} {
		l.taps.show(&socket.Frame{Link: loopbackIndex, Hardware: linux.ARPHRD_LOOPBACK, Type: typ, Data: frame, Valid: true}, nil)
	}
}

// receive has a frame come by the loopback.
func (l *loopbackLink) receive(frame []byte) {
	l.taps.show(&socket.Frame{Link: loopbackIndex, Hardware: linux.ARPHRD_LOOPBACK, Type: linux.PACKET_HOST, Data: frame, Valid: true}, nil)
	d := l.dispatcher.Load()
	if d == nil || *d == nil {
		return
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame[header.EthernetMinimumSize:])})
	defer p.DecRef()
	(*d).DeliverNetworkPacket(header.Ethernet(frame).Type(), p)
}
