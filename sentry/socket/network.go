package socket

import (
	"net/netip"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A Network is the sockets of one network namespace: network_namespaces(7). Which
// families it has is settled when it is made.
type Network struct {
	// Owner is the user namespace that the network belongs to, set before it is in use.
	Owner *auth.UserNamespace
	// Foreign says that links and routes are the host's: nobody is privileged over them.
	// Set before it is in use, too.
	Foreign bool

	families map[uint16]Family
	routes   Interfaces
	heeders  []Heeder
	watchers []Watcher

	settings settings
}

// NewNetwork is a network without families.
func NewNetwork() *Network { return &Network{families: map[uint16]Family{}} }

// Capable reports whether c is privileged over n. Over a foreign network nobody is, but
// that it has ports for the privileged, as on Linux a container with the host's network
// has.
func (n *Network) Capable(c vfs.Ctx, x auth.Cap) bool {
	if n.Foreign && x != auth.CapNetBindService {
		return false
	}
	return c.Creds().HasCapIn(n.Owner, x)
}

// Add gives n a family, before n is in use.
func (n *Network) Add(family uint16, f Family) {
	n.families[family] = f
	if i, ok := f.(Interfaces); ok && n.routes == nil {
		n.routes = i
	}
	if h, ok := f.(Heeder); ok {
		n.heeders = append(n.heeders, h)
	}
	if w, ok := f.(Watcher); ok {
		n.watchers = append(n.watchers, w)
	}
}

// Socket is socket(2), with typ free of flags.
func (n *Network) Socket(c vfs.Ctx, k Kind) (*Socket, error) {
	f, err := n.family(k)
	if err != nil {
		return nil, err
	}
	return f.Socket(c, k.Type, k.Protocol)
}

// Pair is socketpair(2).
func (n *Network) Pair(c vfs.Ctx, k Kind) (a, b *Socket, err error) {
	f, err := n.family(k)
	if err != nil {
		return nil, nil, err
	}
	if p, ok := f.(Pairer); ok {
		return p.Pair(c, k.Type, k.Protocol)
	}
	// The arguments are judged first, as Linux does, which makes both sockets
	// before it finds that they can't be joined.
	s, err := f.Socket(c, k.Type, k.Protocol)
	if err != nil {
		return nil, nil, err
	}
	s.Close(c)
	return nil, nil, linux.EOPNOTSUPP
}

func (n *Network) family(k Kind) (Family, error) {
	if k.Family >= linux.AF_MAX {
		return nil, linux.EAFNOSUPPORT
	}
	if k.Type < 0 || k.Type >= linux.SOCK_MAX {
		return nil, linux.EINVAL
	}
	if f := n.families[k.Family]; f != nil {
		return f, nil
	}
	return nil, linux.EAFNOSUPPORT
}

// Family is the family with that number, nil if n lacks it.
func (n *Network) Family(family uint16) Family { return n.families[family] }

// Interfaces is the links, addresses, routes and neighbours of a network.
type Interfaces interface {
	Links() []Link
	Addresses() []LinkAddr
	Routes() []Route
	Neighbors() []Neighbor
}

// Interfaces is n's own; they are empty if no family has any.
func (n *Network) Interfaces() Interfaces {
	if n.routes == nil {
		return noInterfaces{}
	}
	return n.routes
}

type noInterfaces struct{}

func (noInterfaces) Links() []Link         { return nil }
func (noInterfaces) Addresses() []LinkAddr { return nil }
func (noInterfaces) Routes() []Route       { return nil }
func (noInterfaces) Neighbors() []Neighbor { return nil }

// A Link is a network interface.
type Link struct {
	Index    int32
	Name     string
	Flags    uint32 // IFF_*
	MTU      uint32
	Type     uint16 // ARPHRD_*
	Hardware [6]byte
	Stats    LinkStats
}

// SetFlags asks for those of l's flags that mask names. IFF_UP is the one that may change:
// EOPNOTSUPP. EPERM without CAP_NET_ADMIN over n, l's network.
func (l *Link) SetFlags(c vfs.Ctx, n *Network, flags, mask uint32) error {
	const others = linux.IFF_NOARP | linux.IFF_PROMISC | linux.IFF_ALLMULTI
	switch {
	case !n.Capable(c, auth.CapNetAdmin):
		return linux.EPERM
	case (l.Flags^flags)&mask&others != 0:
		return linux.EOPNOTSUPP
	case (l.Flags^flags)&mask&linux.IFF_UP == 0:
		return nil
	}
	if x, ok := n.Interfaces().(Configurer); ok {
		return x.SetUp(l.Index, flags&linux.IFF_UP != 0)
	}
	return linux.EOPNOTSUPP
}

// LinkStats is a link's counters.
type LinkStats struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// A LinkAddr is an address of a link.
type LinkAddr struct {
	Link      int32
	Prefix    netip.Prefix
	Broadcast netip.Addr // zero if none
	Scope     uint8      // RT_SCOPE_*
	Label     string     // the link's name
}

// A Route is a line of a routing table.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // zero if none
	Source  netip.Addr // preferred; zero if none
	Link    int32
	Metric  uint32
	Table   uint8 // RT_TABLE_*
	Type    uint8 // RTN_*
	Scope   uint8 // RT_SCOPE_*
	// Protocol is who made it: RTPROT_*
	Protocol uint8
}

// A Neighbor is who has an address on a link, as far as is known: arp(7).
type Neighbor struct {
	Link     int32
	Addr     netip.Addr
	State    uint16  // NUD_*
	Hardware [6]byte // zero until it is known
}

// A Lister is a Family that lists its sockets.
type Lister interface {
	Sockets() []Info
}

// An Info is a line of /proc/net/{tcp,udp,unix,netlink…} and of sock_diag(7).
type Info struct {
	Kind
	State         linux.TCPState
	Inode         uint64
	UID           uint32
	Local, Remote netip.AddrPort
	// Recv and Sent are the bytes to be read and those not yet acknowledged; of a
	// socket that listens, Recv is the connections to be accepted.
	Recv, Sent uint32
	Backlog    uint32 // of a socket that listens
	// Name is the address of a unix socket: a path, or "@" and an abstract name.
	Name      string
	Listening bool   // a unix socket
	Peer      uint64 // a unix socket's peer: its inode number
	Port      uint32 // a netlink socket's
	Groups    uint32 // a netlink socket's
	Refs      int
	Link      int32 // a packet socket's, 0 for all
	Running   bool  // a packet socket that sees packets
}

// Sockets lists the sockets of a family and type in n; type 0 is all.
func (n *Network) Sockets(family uint16, typ linux.SockType) (out []Info) {
	l, ok := n.families[family].(Lister)
	if !ok {
		return nil
	}
	for _, i := range l.Sockets() {
		if i.Family == family && (typ == 0 || i.Type == typ) {
			out = append(out, i)
		}
	}
	return out
}
