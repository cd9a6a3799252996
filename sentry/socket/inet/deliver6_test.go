package inet

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// come6 is come of IPv6, with hops, an extension header, before the segment if that is not
// empty.
func come6(ack uint32, flags header.TCPFlags, options, hops []byte, data string) *stack.PacketBuffer {
	size := header.TCPMinimumSize + len(options)
	b := make([]byte, header.IPv6MinimumSize)
	fields := header.IPv6Fields{
		PayloadLength: uint16(len(hops) + size + len(data)), TransportProtocol: tcp.ProtocolNumber, HopLimit: 64,
		SrcAddr: tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 2}), DstAddr: tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 1}),
	}
	header.IPv6(b).Encode(&fields)
	if len(hops) > 0 {
		header.IPv6(b).SetNextHeader(uint8(header.IPv6HopByHopOptionsExtHdrIdentifier))
	}
	h := header.TCP(make([]byte, size))
	h.Encode(&header.TCPFields{SrcPort: 7, DstPort: 80, AckNum: ack, Flags: flags, DataOffset: uint8(size)})
	copy(h[header.TCPMinimumSize:], options)
	return framed(ipv6.ProtocolNumber, append(append(append(b, hops...), h...), data...))
}

// TestOutdone6: which acknowledgements by IPv6 the stack need not see, and that none is taken
// for one whose segment begins elsewhere.
func TestOutdone6(t *testing.T) {
	const ack = header.TCPFlagAck
	stamp := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	sack := []byte{1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	bare := func(n uint32) *stack.PacketBuffer { return come6(n, ack, stamp, nil, "") }
	cut := bare(1)
	cut.Data().CapLength(header.IPv6MinimumSize + header.TCPMinimumSize)
	wrong := bare(1)
	whole, ok := wrong.Data().PullUp(header.IPv6MinimumSize)
	if !ok {
		t.Fatal("a packet without a header")
	}
	header.IPv6(whole).SetPayloadLength(1000)
	for _, c := range []struct {
		name    string
		packets []*stack.PacketBuffer
		left    []int
	}{
		{"a later one", []*stack.PacketBuffer{bare(1), bare(2)}, []int{1}},
		{"three without options", []*stack.PacketBuffer{come6(1, ack, nil, nil, ""), come6(2, ack, nil, nil, ""), come6(9, ack, nil, nil, "")}, []int{2}},
		{"the same again", []*stack.PacketBuffer{bare(1), bare(1)}, []int{0, 1}},
		{"data", []*stack.PacketBuffer{bare(1), come6(2, ack, stamp, nil, "x"), bare(3)}, []int{0, 1, 2}},
		{"an end", []*stack.PacketBuffer{bare(1), come6(2, ack|header.TCPFlagFin, stamp, nil, "")}, []int{0, 1}},
		{"a loss told", []*stack.PacketBuffer{come6(1, ack, sack, nil, ""), bare(2)}, []int{0, 1}},
		{"one without its end", []*stack.PacketBuffer{cut, bare(2)}, []int{0, 1}},
		{"one that says it is longer", []*stack.PacketBuffer{wrong, bare(2)}, []int{0, 1}},
	} {
		all := append([]*stack.PacketBuffer(nil), c.packets...)
		got := withoutOutdone(c.packets)
		same := len(got) == len(c.left)
		for i := 0; same && i < len(got); i++ {
			same = got[i] == all[c.left[i]]
		}
		if !same {
			t.Errorf("%s: %d are left, not %v", c.name, len(got), c.left)
		}
	}
}

// TestConnectionOf6: whose a packet of IPv6 is; of one with other headers before the segment
// that is left to the stack.
func TestConnectionOf6(t *testing.T) {
	want := stack.TransportEndpointID{
		LocalPort: 80, LocalAddress: tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 1}),
		RemotePort: 7, RemoteAddress: tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 2}),
	}
	if id, ok := connectionOf(come6(1, header.TCPFlagAck, nil, nil, "x")); !ok || id != want {
		t.Errorf("%+v, %v", id, ok)
	}
	hops := []byte{6, 0, 1, 4, 0, 0, 0, 0} // TCP is next; padding
	if id, ok := connectionOf(come6(1, header.TCPFlagAck, nil, hops, "x")); ok {
		t.Errorf("with options for each hop: %+v", id)
	}
	short := come6(1, header.TCPFlagAck, nil, nil, "")
	short.Data().CapLength(header.IPv6MinimumSize + 2)
	if id, ok := connectionOf(short); ok {
		t.Errorf("without its ports: %+v", id)
	}
}
