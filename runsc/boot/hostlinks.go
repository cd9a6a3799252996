package boot

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"garrison/runsc/hostnet"
	"garrison/sentry/socket"
)

// hostLinks is what a network namespace of the host has, asked for anew each time: nothing
// has to be told of changes, and an idle sandbox hears nothing.
type hostLinks struct {
	mu    sync.Mutex // of one question and its answer
	query *os.File
}

// ask calls each with all objects of a kind.
func (h *hostLinks) ask(typ uint16, each func(body []byte, attrs map[uint16][]byte)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := hostnet.Dump(h.query, typ, func(m syscall.NetlinkMessage, attrs map[uint16][]byte) { each(m.Data, attrs) })
	if err != nil {
		logf("host network: %v", err)
	}
}

// word is the 32-bit number at the beginning of b, 0 if b is too short.
func word(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// Links implements socket.Interfaces.
func (h *hostLinks) Links() (out []socket.Link) {
	h.ask(unix.RTM_GETLINK, func(b []byte, attrs map[uint16][]byte) { // struct ifinfomsg
		l := socket.Link{
			Index: int32(word(b[4:])), Name: unix.ByteSliceToString(attrs[unix.IFLA_IFNAME]), Flags: word(b[8:]),
			MTU: word(attrs[unix.IFLA_MTU]), Type: binary.NativeEndian.Uint16(b[2:]), Stats: linkStats(attrs[unix.IFLA_STATS64]),
		}
		copy(l.Hardware[:], attrs[unix.IFLA_ADDRESS])
		out = append(out, l)
	})
	return out
}

// linkStats reads a struct rtnl_link_stats64.
func linkStats(b []byte) (s socket.LinkStats) {
	for _, to := range []*uint64{
		&s.RxPackets, &s.TxPackets, &s.RxBytes, &s.TxBytes, &s.RxErrors, &s.TxErrors, &s.RxDropped, &s.TxDropped,
	} {
		if len(b) < 8 {
			break
		}
		*to, b = binary.NativeEndian.Uint64(b), b[8:]
	}
	return s
}

// Addresses implements socket.Interfaces.
func (h *hostLinks) Addresses() (out []socket.LinkAddr) {
	names := map[int32]string{}
	for _, l := range h.Links() {
		names[l.Index] = l.Name
	}
	h.ask(unix.RTM_GETADDR, func(b []byte, attrs map[uint16][]byte) { // struct ifaddrmsg
		local := attrs[unix.IFA_LOCAL] // of a link with two ends, IFA_ADDRESS is the other one
		if local == nil {
			local = attrs[unix.IFA_ADDRESS]
		}
		addr, ok := netip.AddrFromSlice(local)
		if !ok {
			return
		}
		a := socket.LinkAddr{Link: int32(word(b[4:])), Prefix: netip.PrefixFrom(addr, int(b[1])), Scope: b[3]}
		a.Broadcast, _ = netip.AddrFromSlice(attrs[unix.IFA_BROADCAST])
		if a.Label = unix.ByteSliceToString(attrs[unix.IFA_LABEL]); a.Label == "" {
			a.Label = names[a.Link]
		}
		out = append(out, a)
	})
	return out
}

// Routes implements socket.Interfaces.
func (h *hostLinks) Routes() (out []socket.Route) {
	h.ask(unix.RTM_GETROUTE, func(b []byte, attrs map[uint16][]byte) { // struct rtmsg
		table := word(attrs[unix.RTA_TABLE])
		dst, ok := netip.AddrFromSlice(attrs[unix.RTA_DST])
		switch {
		case table > 255: // which programs inside have no name for
			return
		case ok:
		case b[0] == unix.AF_INET:
			dst = netip.IPv4Unspecified()
		case b[0] == unix.AF_INET6:
			dst = netip.IPv6Unspecified()
		default:
			return
		}
		r := socket.Route{
			Dst: netip.PrefixFrom(dst, int(b[1])), Link: int32(word(attrs[unix.RTA_OIF])), Metric: word(attrs[unix.RTA_PRIORITY]),
			Table: uint8(table), Type: b[7], Scope: b[6], Protocol: b[5],
		}
		r.Gateway, _ = netip.AddrFromSlice(attrs[unix.RTA_GATEWAY])
		r.Source, _ = netip.AddrFromSlice(attrs[unix.RTA_PREFSRC])
		out = append(out, r)
	})
	return out
}

// Neighbors implements socket.Interfaces.
func (h *hostLinks) Neighbors() (out []socket.Neighbor) {
	h.ask(unix.RTM_GETNEIGH, func(b []byte, attrs map[uint16][]byte) { // struct ndmsg
		addr, ok := netip.AddrFromSlice(attrs[unix.NDA_DST])
		if !ok || len(b) < 10 {
			return
		}
		n := socket.Neighbor{Link: int32(word(b[4:])), Addr: addr, State: binary.NativeEndian.Uint16(b[8:])}
		copy(n.Hardware[:], attrs[unix.NDA_LLADDR])
		out = append(out, n)
	})
	return out
}
