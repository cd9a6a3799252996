package hostinet

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// A table is a file of /proc/net that lists sockets, proc_pid_net(5).
type table struct {
	name string
	socket.Kind
}

func tables(family uint16) []table {
	tail, ping := "", int32(linux.IPPROTO_ICMP)
	if family == linux.AF_INET6 {
		tail, ping = "6", linux.IPPROTO_ICMPV6
	}
	return []table{
		{"tcp" + tail, socket.Kind{Family: family, Type: linux.SOCK_STREAM, Protocol: linux.IPPROTO_TCP}},
		{"udp" + tail, socket.Kind{Family: family, Type: linux.SOCK_DGRAM, Protocol: linux.IPPROTO_UDP}},
		{"udplite" + tail, socket.Kind{Family: family, Type: linux.SOCK_DGRAM, Protocol: linux.IPPROTO_UDPLITE}},
		{"icmp" + tail, socket.Kind{Family: family, Type: linux.SOCK_DGRAM, Protocol: ping}},
		{"raw" + tail, socket.Kind{Family: family, Type: linux.SOCK_RAW}},
	}
}

// Sockets implements socket.Lister: those of everybody in the namespace, as for a
// container of Linux's with the host's network. Those of the sandbox have the numbers and
// users that they have inside; others have none.
func (m *member) Sockets() (out []socket.Info) {
	own := m.numbers()
	for _, t := range tables(m.family) {
		_, lines, _ := strings.Cut(m.Table(t.name), "\n")
		for line := range strings.Lines(lines) {
			i, ok := parse(t.Kind, line)
			if !ok {
				continue
			}
			e := own[i.Inode]
			if i.Inode, i.UID = 0, auth.OverflowID; e != nil {
				i.Inode, i.UID = e.socket.Inode(), e.uid
			}
			out = append(out, i)
		}
	}
	return out
}

// numbers is the sandbox's sockets by the numbers of the host's inodes. Holding mu keeps
// each open meanwhile.
func (f *Family) numbers() map[uint64]*Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[uint64]*Endpoint, len(f.all))
	for e := range f.all {
		var st unix.Stat_t
		if unix.Fstat(e.fd, &st) == nil {
			out[st.Ino] = e
		}
	}
	return out
}

// parse reads a line: number, addresses, state, queues, timer, retransmissions, user,
// time-out, inode.
func parse(k socket.Kind, line string) (i socket.Info, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return i, false
	}
	i.Kind = k
	var ok1, ok2 bool
	i.Local, ok1 = parseAddr(f[1])
	i.Remote, ok2 = parseAddr(f[2])
	state, err := strconv.ParseUint(f[3], 16, 8)
	sent, received, _ := strings.Cut(f[4], ":")
	i.State, i.Sent, i.Recv = linux.TCPState(state), hexNumber(sent), hexNumber(received)
	i.Listening = k.Type == linux.SOCK_STREAM && i.State == linux.TCP_LISTEN
	if k.Type == linux.SOCK_RAW {
		i.Protocol = int32(i.Local.Port())
	}
	var err2 error
	i.Inode, err2 = strconv.ParseUint(f[9], 10, 64)
	return i, ok1 && ok2 && err == nil && err2 == nil
}

func hexNumber(s string) uint32 {
	n, _ := strconv.ParseUint(s, 16, 32)
	return uint32(n)
}

// parseAddr reads an address as these files have it: 32-bit words in network order,
// printed as the machine's numbers, and the port.
func parseAddr(s string) (netip.AddrPort, bool) {
	addr, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(addr)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for w := b; len(w) > 0; w = w[4:] {
		binary.LittleEndian.PutUint32(w, binary.BigEndian.Uint32(w))
	}
	ip, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip, uint16(hexNumber(port))), ok
}
