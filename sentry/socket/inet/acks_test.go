package inet

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// segment is a TCP segment from a port to port 80, as the stack gives it to a link.
func segment(port uint16, ack uint32, flags header.TCPFlags, options []byte, data string) *stack.PacketBuffer {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.IPv4MinimumSize + header.TCPMinimumSize + len(options),
		Payload:            buffer.MakeWithData([]byte(data)),
	})
	t := header.TCP(p.TransportHeader().Push(header.TCPMinimumSize + len(options)))
	t.Encode(&header.TCPFields{SrcPort: port, DstPort: 80, AckNum: ack, Flags: flags, DataOffset: uint8(header.TCPMinimumSize + len(options))})
	copy(t[header.TCPMinimumSize:], options)
	header.IPv4(p.NetworkHeader().Push(header.IPv4MinimumSize)).Encode(&header.IPv4Fields{
		Protocol: uint8(tcp.ProtocolNumber), SrcAddr: tcpip.AddrFrom4([4]byte{10, 9, 0, 2}), DstAddr: tcpip.AddrFrom4([4]byte{10, 9, 0, 1}),
	})
	p.NetworkProtocolNumber, p.TransportProtocolNumber = ipv4.ProtocolNumber, tcp.ProtocolNumber
	return p
}

// TestAcks: what waits, and what it does not outlive.
func TestAcks(t *testing.T) {
	const ack = header.TCPFlagAck
	stamp := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	sack := []byte{1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	for _, c := range []struct {
		name         string
		p            *stack.PacketBuffer
		waits        bool
		first, stays bool // what waited before is sent first; waits still
	}{
		{"a later one", segment(7, 0x10, ack, stamp, ""), true, false, false},
		{"across the end of numbers", segment(7, 0x80000000, ack, stamp, ""), true, false, false},
		{"the same again", segment(7, 1, ack, stamp, ""), true, true, false},
		{"an earlier one", segment(7, 0, ack, stamp, ""), true, true, false},
		{"another connection's", segment(8, 2, ack, stamp, ""), true, true, false},
		{"an answer", segment(7, 1, ack|header.TCPFlagPsh, stamp, "x"), false, false, false},
		{"an older answer", segment(7, 0, ack, stamp, "x"), false, false, true},
		{"an end", segment(7, 1, ack|header.TCPFlagFin, stamp, ""), false, false, false},
		{"one that tells of a loss", segment(7, 2, ack, sack, ""), false, false, false},
		{"that of another connection", segment(8, 2, ack, sack, ""), false, false, true},
	} {
		var a acks
		old := segment(7, 1, ack, stamp, "")
		if first, waits := a.before(old); first != nil || waits {
			t.Fatal("waits without a reason")
		}
		a.begin()
		if first, waits := a.before(old); first != nil || !waits {
			t.Fatal("does not wait")
		}
		first, waits := a.before(c.p)
		a.end()
		if waits != c.waits || (first == old) != c.first {
			t.Errorf("%s: waits: %v, after one that did: %v", c.name, waits, first == old)
		}
		want := (*stack.PacketBuffer)(nil)
		switch {
		case c.waits:
			want = c.p
		case c.stays:
			want = old
		}
		if got := a.take(); got != want || a.take() != nil {
			t.Errorf("%s: another waits then than should", c.name)
		}
	}
}

// TestAckAlone: a guest that does not answer acknowledges all the same, soon.
func TestAckAlone(t *testing.T) {
	h, _ := outsideLink(t)
	c, s, _ := h.called()
	const rounds = 50
	g := newFetcher(2)
	var end sync.WaitGroup
	end.Go(func() { g.echo(t, s, rounds) })
	converse(t, c, rounds)
	end.Wait()
	end.Go(func() { // and then runs, without another look at its sockets
		g.drop(t, s)
		time.Sleep(50 * time.Millisecond)
	})
	time.Sleep(20 * time.Millisecond)
	_, err := unix.Write(c, []byte("x"))
	h.must(err)
	for began := time.Now(); ; {
		left, err := unix.IoctlGetInt(c, unix.SIOCOUTQ)
		h.must(err)
		if left == 0 {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("not acknowledged")
		}
		time.Sleep(time.Millisecond)
	}
	end.Wait()
}
