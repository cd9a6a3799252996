package inet

import (
	"weak"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// neighborStates are the states of RFC 4861 in Linux's terms.
var neighborStates = map[stack.NeighborState]uint16{
	stack.Incomplete:  linux.NUD_INCOMPLETE,
	stack.Reachable:   linux.NUD_REACHABLE,
	stack.Stale:       linux.NUD_STALE,
	stack.Delay:       linux.NUD_DELAY,
	stack.Probe:       linux.NUD_PROBE,
	stack.Static:      linux.NUD_PERMANENT,
	stack.Unreachable: linux.NUD_FAILED,
}

// A neighborhood is told of a stack's neighbours. The stack doesn't know the Family.
type neighborhood struct{ of weak.Pointer[Family] }

func (h neighborhood) tell(id tcpip.NICID, n stack.NeighborEntry, gone bool) {
	if f := h.of.Value(); f != nil {
		f.net.TellNeighbor(neighbor(int32(id), n), gone)
	}
}

// OnNeighborAdded implements stack.NUDDispatcher.
func (h neighborhood) OnNeighborAdded(id tcpip.NICID, n stack.NeighborEntry) { h.tell(id, n, false) }

// OnNeighborChanged implements stack.NUDDispatcher.
func (h neighborhood) OnNeighborChanged(id tcpip.NICID, n stack.NeighborEntry) { h.tell(id, n, false) }

// OnNeighborRemoved implements stack.NUDDispatcher.
func (h neighborhood) OnNeighborRemoved(id tcpip.NICID, n stack.NeighborEntry) { h.tell(id, n, true) }

func neighbor(link int32, n stack.NeighborEntry) socket.Neighbor {
	x := socket.Neighbor{Link: link, Addr: plain(n.Addr), State: neighborStates[n.State]}
	copy(x.Hardware[:], n.LinkAddr)
	return x
}

// Neighbors implements socket.Interfaces.
func (f *Family) Neighbors() (out []socket.Neighbor) {
	s := f.current()
	if s == nil {
		return nil
	}
	for _, l := range f.outside.Load().Links {
		for _, protocol := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
			found, _ := s.Neighbors(tcpip.NICID(l.Index), protocol) // of a link that has gone, none
			for _, n := range found {
				out = append(out, neighbor(l.Index, n))
			}
		}
	}
	return out
}
