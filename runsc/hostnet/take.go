package hostnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Taken is what a sentry needs of a network namespace: sockets that were made there, which
// are all its rights there.
type Taken struct {
	Query  *os.File   // rtnetlink(7), for Read
	Events *os.File   // the same, told of changes; doesn't block
	Frames []*os.File // AF_PACKET, to be bound to a link each; don't block
	Claim  *os.File   // as long as it is open, the namespace is taken
	// Names is a UDP socket that is connected to a name server, whether there is one or not,
	// to which questions at NamesAt are passed on; doesn't block. nil if the loopback is down.
	Names   *os.File
	NamesAt netip.AddrPort
	// Dials are TCP sockets that are not connected, for questions to a name server at
	// NamesAt; don't block. There are some if one is known to be there.
	Dials []*os.File
	// Answers are the ports that who asks other name servers in the namespace has, in the
	// place of programs of the container; zero if nobody does.
	Answers Ports
	// Parameters are what the namespace had when it was taken.
	Parameters Parameters
}

// Ports is a range of ports, ends included.
type Ports struct{ First, Last uint16 }

// HostPorts are the ports that the host's kernel gives to sockets that choose none, in a
// namespace with a name server: others than those that the sandbox's gives, as both see what
// comes.
var HostPorts = Ports{61000, 65534} // a rule can't have the last

// dials is how many questions may be asked by TCP at the same time.
const dials = 8

// Nameserver is where Docker has a name server in the namespaces of containers, for the
// names of other containers: what is sent there on the namespace's own loopback is led to it.
var Nameserver = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 11}), 53)

// ErrTaken says that another sandbox lives in the namespace.
var ErrTaken = errors.New("the network namespace is another sandbox's")

// spareFrames is how many links more a namespace may come to have than it has at first.
const spareFrames = 8

// Take takes over the calling thread's network namespace, from its own kernel as well: what
// comes by its links is not for that to answer any more. Addresses and routes stay, for who
// manages them, and so that they can be read again. A namespace that has nothing but a
// loopback is left alone, and the result is nil.
func Take() (_ *Taken, err error) {
	t := new(Taken)
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if t.Query, err = route(0, 0); err != nil {
		return nil, err
	}
	s, err := Read(t.Query)
	if err != nil {
		return nil, err
	}
	if len(s.Links) == 0 {
		t.Close()
		return nil, nil
	}
	if t.Claim, err = claim(); err != nil {
		return nil, err
	}
	const groups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_NEIGH-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
		1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)
	if t.Events, err = route(groups, unix.SOCK_NONBLOCK); err != nil {
		return nil, err
	}
	for range len(s.Links) + spareFrames {
		f, err := frames()
		if err != nil {
			return nil, err
		}
		t.Frames = append(t.Frames, f)
	}
	t.NamesAt = Nameserver
	if t.Names, err = Names(Nameserver); err != nil {
		return nil, err
	}
	t.Parameters = readParameters(s.Links)
	if served() {
		if err := t.serve(); err != nil {
			return nil, err
		}
	}
	return t, silence(t.Query, t.Answers)
}

// serve makes the sockets for questions by TCP, and gives the ports HostPorts to those that
// the name server asks others by.
func (t *Taken) serve() error {
	for range dials {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("socket of names: %w", err)
		}
		t.Dials = append(t.Dials, os.NewFile(uintptr(fd), "names"))
	}
	t.Answers = HostPorts
	return HostPorts.reserve()
}

// portRangeName is the parameter of the network namespace for them.
const portRangeName = "ipv4/ip_local_port_range"

// text is p as that parameter has it.
func (p Ports) text() string { return fmt.Sprintf("%d\t%d", p.First, p.Last) }

// reserve gives p to sockets of the calling thread's namespace that choose no port.
func (p Ports) reserve() error {
	if err := os.WriteFile("/proc/sys/net/"+portRangeName, []byte(p.text()), 0); err != nil {
		return fmt.Errorf("ports for Docker's name server: %w", err)
	}
	return nil
}

// Close gives t up.
func (t *Taken) Close() {
	for _, f := range append(append(t.Frames, t.Dials...), t.Query, t.Events, t.Claim, t.Names) {
		if f != nil {
			f.Close()
		}
	}
}

// claim takes a name that only one process in the namespace can have.
func claim() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("claim of the network namespace: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@garrison/network"}); err != nil {
		unix.Close(fd)
		if err == unix.EADDRINUSE {
			return nil, ErrTaken
		}
		return nil, fmt.Errorf("claim of the network namespace: %w", err)
	}
	return os.NewFile(uintptr(fd), "claim"), nil
}

// served reports whether there is a name server in the namespace, at Nameserver's address
// and some port.
func served() bool {
	// "  sl  local_address rem_address", and then a line a socket.
	sockets, err := os.ReadFile("/proc/thread-self/net/udp")
	a := Nameserver.Addr().As4()
	return err == nil && bytes.Contains(sockets, fmt.Appendf(nil, ": %08X:", binary.NativeEndian.Uint32(a[:])))
}

// Names is a socket for Taken's Names in the network namespace of the caller, connected to
// server, of IPv4. nil if there is no route to it.
func Names(server netip.AddrPort) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket of names: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}); err != nil {
		unix.Close(fd)
		return nil, nil
	}
	return os.NewFile(uintptr(fd), "names"), nil
}

// route is a socket of rtnetlink(7).
func route(groups uint32, flags int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	f := os.NewFile(uintptr(fd), "rtnetlink")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		f.Close()
		return nil, fmt.Errorf("rtnetlink: bind: %w", err)
	}
	return f, nil
}

// frameBuffer is how many bytes of frames may wait on each way.
const frameBuffer = 4 << 20

// frames is a packet(7) socket that is bound to nothing. What the host would segment, or
// compute checksums of, comes and goes whole: PACKET_VNET_HDR.
func frames() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "frames")
	for _, o := range []struct {
		name              string
		level, opt, value int
	}{
		{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, frameBuffer},
		{"SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, frameBuffer},
	} {
		err := unix.SetsockoptInt(fd, o.level, o.opt, o.value)
		if err != nil && (err != unix.EPERM || o.level != unix.SOL_SOCKET) { // in a user namespace buffers are smaller
			f.Close()
			return nil, fmt.Errorf("packet socket: %s: %w", o.name, err)
		}
	}
	return f, nil
}
