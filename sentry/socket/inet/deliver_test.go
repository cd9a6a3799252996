package inet

import (
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// framed is a packet as a link receives it, with padding behind it.
func framed(n tcpip.NetworkProtocolNumber, b []byte) *stack.PacketBuffer {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(append(b, 0, 0, 0))})
	p.NetworkProtocolNumber = n
	p.RXChecksumValidated = true
	return p
}

// come is a segment as a link receives it.
func come(ack uint32, flags header.TCPFlags, options []byte, data string) *stack.PacketBuffer {
	b := segment(7, ack, flags, options, data).ToBuffer()
	all := b.Flatten()
	header.IPv4(all).SetTotalLength(uint16(len(all)))
	return framed(ipv4.ProtocolNumber, all)
}

// TestOutdone: which acknowledgements the stack need not see.
func TestOutdone(t *testing.T) {
	const ack = header.TCPFlagAck
	stamp := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	sack := []byte{1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	bare := func(n uint32) *stack.PacketBuffer { return come(n, ack, stamp, "") }
	unchecked := bare(2)
	unchecked.RXChecksumValidated = false
	cut := bare(1)
	cut.Data().CapLength(header.IPv4MinimumSize + header.TCPMinimumSize)
	for _, c := range []struct {
		name    string
		packets []*stack.PacketBuffer
		left    []int
	}{
		{"one", []*stack.PacketBuffer{bare(1)}, []int{0}},
		{"a later one", []*stack.PacketBuffer{bare(1), bare(2)}, []int{1}},
		{"three", []*stack.PacketBuffer{bare(1), bare(2), bare(9)}, []int{2}},
		{"across the end of numbers", []*stack.PacketBuffer{bare(1<<32 - 1), bare(1)}, []int{1}},
		{"the same again", []*stack.PacketBuffer{bare(1), bare(1)}, []int{0, 1}},
		{"the same again, and a later one", []*stack.PacketBuffer{bare(1), bare(1), bare(2)}, []int{0, 2}},
		{"an earlier one", []*stack.PacketBuffer{bare(2), bare(1)}, []int{0, 1}},
		{"data", []*stack.PacketBuffer{bare(1), come(2, ack, stamp, "x"), bare(3)}, []int{0, 1, 2}},
		{"an end", []*stack.PacketBuffer{bare(1), come(2, ack|header.TCPFlagFin, stamp, "")}, []int{0, 1}},
		{"a reset", []*stack.PacketBuffer{come(1, ack|header.TCPFlagRst, nil, ""), bare(2)}, []int{0, 1}},
		{"a loss told", []*stack.PacketBuffer{come(1, ack, sack, ""), bare(2)}, []int{0, 1}},
		{"a loss told later", []*stack.PacketBuffer{bare(1), come(2, ack, sack, "")}, []int{0, 1}},
		{"one that may be damaged", []*stack.PacketBuffer{bare(1), unchecked}, []int{0, 1}},
		{"one without its end", []*stack.PacketBuffer{cut, bare(2)}, []int{0, 1}},
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
