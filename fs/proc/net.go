package proc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// netNode is /proc/pid/net: the network of p's namespace.
func netNode(p *process, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	n := socket.NewNetwork()
	if ns := p.task().Namespaces().Net; ns != nil {
		if x, ok := ns.Network.(*socket.Network); ok && x != nil {
			n = x
		}
	}
	of := &pseudo.Subject[*socket.Network]{Owner: func(_ *socket.Network, mode linux.FileMode) (uint32, uint32) {
		if mode.IsDir() {
			return p.owner(mode)
		}
		return 0, 0 // the files are the network's, which is nobody's
	}}
	return pseudo.NewDir(at, n, pseudo.DirSpec[*socket.Network]{Subject: of, Table: netTable()})
}

type netEntry = pseudo.Entry[*socket.Network]

// netTable is /proc/pid/net, proc_pid_net(5).
var netTable = sync.OnceValue(func() []netEntry {
	const (
		head4   = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
		head6   = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
		pointer = " ref pointer drops"
	)
	inet := func(name, head string, width int, family uint16, typ linux.SockType, protocol int32) netEntry {
		t := inetTable{head: head, width: width, family: family, typ: typ, protocol: protocol}
		return netEntry{Name: name, Show: t.show}
	}
	return []netEntry{
		{Name: "anycast6", Show: netText("")},
		{Name: "arp", Show: showARP},
		{Name: "dev", Show: showNetDev},
		{Name: "dev_mcast", Show: netText("")},
		inet("icmp", head4+pointer, 127, linux.AF_INET, linux.SOCK_DGRAM, linux.IPPROTO_ICMP),
		inet("icmp6", head6+pointer, 0, linux.AF_INET6, linux.SOCK_DGRAM, linux.IPPROTO_ICMPV6),
		{Name: "if_inet6", Show: showIfInet6},
		{Name: "igmp", Show: netText("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n")},
		{Name: "igmp6", Show: netText("")},
		{Name: "ipv6_route", Show: showRoute6},
		{Name: "netlink", Show: showNetlink},
		{Name: "netstat", Show: netText(netstat)},
		{Name: "packet", Show: showPacket},
		{Name: "protocols", Show: netText("protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n")},
		{Name: "psched", Show: netText("000003e8 00000040 000f4240 3b9aca00\n")},
		{Name: "ptype", Show: netText("Type Device      Function\n")},
		inet("raw", head4+pointer, 127, linux.AF_INET, linux.SOCK_RAW, 0),
		inet("raw6", head6+pointer, 0, linux.AF_INET6, linux.SOCK_RAW, 0),
		{Name: "route", Show: showRoute4},
		{Name: "snmp", Show: netText(snmp)},
		{Name: "snmp6", Show: netText("Ip6InReceives                   \t0\nIp6OutRequests                  \t0\n")},
		{Name: "sockstat", Show: showSockstat},
		{Name: "sockstat6", Show: showSockstat6},
		{Name: "softnet_stat", Show: netText(strings.Repeat("00000000 ", 14) + "00000000\n")},
		inet("tcp", head4, 149, linux.AF_INET, linux.SOCK_STREAM, 0),
		inet("tcp6", head6, 0, linux.AF_INET6, linux.SOCK_STREAM, 0),
		inet("udp", " "+head4+pointer, 127, linux.AF_INET, linux.SOCK_DGRAM, linux.IPPROTO_UDP),
		inet("udp6", head6+pointer, 0, linux.AF_INET6, linux.SOCK_DGRAM, linux.IPPROTO_UDP),
		{Name: "udplite", Show: netText(" " + head4 + pointer + "\n")},
		{Name: "udplite6", Show: netText(head6 + pointer + "\n")},
		{Name: "unix", Show: showUnix},
		{Name: "wireless", Show: netText("Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n" +
			" face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n")},
	}
})

func netText(s string) func(*socket.Network, vfs.Ctx, *bytes.Buffer) error {
	return func(_ *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(s)
		return nil
	}
}

// snmp and netstat are counters nobody keeps: zeros under the names that
// netstat(8) and monitoring programs look for.
const (
	snmp = "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits\n" +
		"Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" +
		"Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps\n" +
		"Icmp: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" +
		"IcmpMsg: InType3 OutType3\nIcmpMsg: 0 0\n" +
		"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n" +
		"Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n" +
		"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n" +
		"Udp: 0 0 0 0 0 0 0 0 0\n" +
		"UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n" +
		"UdpLite: 0 0 0 0 0 0 0 0 0\n"
	netstat = "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops TCPTimeouts TCPSynRetrans\n" +
		"TcpExt: 0 0 0 0 0 0 0\nIpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets\n" +
		"IpExt: 0 0 0 0 0 0 0 0\n"
)

// An inetTable is one of tcp, udp, raw and their like.
type inetTable struct {
	head     string
	width    int // of a line, padded; 0: not padded
	family   uint16
	typ      linux.SockType
	protocol int32 // 0: any
}

// hexAddr is an address as these files have it: 32-bit words in network order,
// printed as the machine's numbers.
func hexAddr(family uint16, a netip.AddrPort) string {
	var b []byte
	if family == linux.AF_INET {
		x := [4]byte{}
		if a.Addr().Unmap().Is4() {
			x = a.Addr().Unmap().As4()
		}
		b = x[:]
	} else {
		x := [16]byte{}
		if a.Addr().IsValid() {
			x = a.Addr().As16()
		}
		b = x[:]
	}
	var s strings.Builder
	for ; len(b) > 0; b = b[4:] {
		fmt.Fprintf(&s, "%08X", binary.LittleEndian.Uint32(b))
	}
	fmt.Fprintf(&s, ":%04X", a.Port())
	return s.String()
}

func (t inetTable) show(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	pad := func(line string) { fmt.Fprintf(w, "%-*s\n", t.width, line) }
	pad(t.head)
	i := 0
	for _, s := range n.Sockets(t.family, t.typ) {
		if t.protocol != 0 && s.Protocol != t.protocol {
			continue
		}
		num, tail := "%4d", ""
		switch {
		case t.typ == linux.SOCK_STREAM:
			tail = " 100 0 0 10 0"
			if s.State == linux.TCP_ESTABLISHED {
				tail = " 20 4 0 10 -1"
			}
		case t.width == 127 && t.typ == linux.SOCK_DGRAM:
			num, tail = "%5d", " 0"
		default:
			tail = " 0"
		}
		// Recv and Sent of a listener are its backlog, as on Linux.
		pad(fmt.Sprintf(num+": %s %s %02X %08X:%08X %02X:%08X %08X %5d %8d %d %d %016x%s",
			i, hexAddr(t.family, s.Local), hexAddr(t.family, s.Remote), uint8(s.State), s.Sent, s.Recv, 0, 0, 0,
			s.UID, 0, s.Inode, max(1, s.Refs), 0, tail))
		i++
	}
	return nil
}

// States of a unix socket (SS_*), <linux/net.h>, and the flag of a listening one.
const (
	ssUnconnected = 1
	ssConnected   = 3
	acceptsConns  = 0x10000
)

// showUnix is /proc/pid/net/unix.
func showUnix(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("Num       RefCount Protocol Flags    Type St Inode Path\n")
	for _, s := range n.Sockets(linux.AF_UNIX, 0) {
		flags, state := 0, ssUnconnected
		if s.Listening {
			flags = acceptsConns
		} else if s.Peer != 0 || s.State == linux.TCP_ESTABLISHED {
			state = ssConnected
		}
		fmt.Fprintf(w, "%016x: %08X %08X %08X %04X %02X %5d", 0, max(2, s.Refs), 0, flags, int(s.Type), state, s.Inode)
		if s.Name != "" {
			fmt.Fprintf(w, " %s", strings.ReplaceAll(s.Name, "\x00", "@"))
		}
		w.WriteByte('\n')
	}
	return nil
}

// showNetlink is /proc/pid/net/netlink.
func showNetlink(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n")
	for _, s := range n.Sockets(linux.AF_NETLINK, 0) {
		fmt.Fprintf(w, "%016x %-3d %-10d %08x %-8d %-8d %-5d %-8d %-8d %-8d\n",
			0, s.Protocol, s.Port, s.Groups, s.Recv, s.Sent, 0, max(2, s.Refs), 0, s.Inode)
	}
	return nil
}

// showPacket is /proc/pid/net/packet.
func showPacket(n *socket.Network, c vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n")
	for _, s := range n.Sockets(linux.AF_PACKET, 0) {
		running := 0
		if s.Running {
			running = 1
		}
		fmt.Fprintf(w, "%016x %-6d %-4d %04x   %-5d %1d %-6d %-6d %-6d\n",
			0, s.Refs, s.Type, s.Protocol, s.Link, running, s.Recv, c.Creds().UserNS.ShowUID(s.UID), s.Inode)
	}
	return nil
}

func showSockstat(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	tcp, udp, raw := n.Sockets(linux.AF_INET, linux.SOCK_STREAM), n.Sockets(linux.AF_INET, linux.SOCK_DGRAM), n.Sockets(linux.AF_INET, linux.SOCK_RAW)
	used := len(tcp) + len(udp) + len(raw) + len(n.Sockets(linux.AF_UNIX, 0)) + len(n.Sockets(linux.AF_NETLINK, 0)) + len(n.Sockets(linux.AF_INET6, 0))
	fmt.Fprintf(w, "sockets: used %d\nTCP: inuse %d orphan 0 tw 0 alloc %d mem 0\nUDP: inuse %d mem 0\nUDPLITE: inuse 0\nRAW: inuse %d\nFRAG: inuse 0 memory 0\n",
		used, len(tcp), len(tcp), len(udp), len(raw))
	return nil
}

func showSockstat6(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "TCP6: inuse %d\nUDP6: inuse %d\nUDPLITE6: inuse 0\nRAW6: inuse %d\nFRAG6: inuse 0 memory 0\n",
		len(n.Sockets(linux.AF_INET6, linux.SOCK_STREAM)), len(n.Sockets(linux.AF_INET6, linux.SOCK_DGRAM)), len(n.Sockets(linux.AF_INET6, linux.SOCK_RAW)))
	return nil
}
