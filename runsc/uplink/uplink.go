package uplink

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/moby/sys/userns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// An Uplink is a way out. It ends with Close, and otherwise in two parts: its rules with this
// process, however that ends, and its links with the network namespace.
type Uplink struct {
	name  string // of the host's end, and of the rules
	rules *os.File
}

// insideName is what the link is called in the namespace.
const insideName = "eth0"

// Possible says why there can be no way out; nil if there can be one. A *Firewall may let
// the packets through all the same.
func Possible() error {
	if userns.RunningInUserNS() {
		return errors.New("there is no way out for an ordinary user's sandbox")
	}
	if _, err := wayOut(); err != nil {
		return err
	}
	return findFirewall()
}

// wayOut is the host's own way out, the link of its default route, by which packets for
// others have to be let through: to switch that on is for who keeps the host.
func wayOut() (netlink.Link, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("the host's routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() || r.LinkIndex == 0 {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			return nil, fmt.Errorf("the link of the host's default route: %w", err)
		}
		name := link.Attrs().Name
		on, err := os.ReadFile(forwarding(name))
		if err != nil {
			return nil, err
		}
		if string(on) != "1\n" {
			return nil, fmt.Errorf("the host does not forward packets that come by %s: sysctl -w net.ipv4.ip_forward=1 has it do so", name)
		}
		return link, nil
	}
	return nil, errors.New("the host has no default route of IPv4")
}

// forwarding is the file that says whether packets that come by a link go on to others.
func forwarding(link string) string { return "/proc/sys/net/ipv4/conf/" + link + "/forwarding" }

// Connect makes a way out for the network namespace ns, where its end is called eth0. The
// host's settings stay as they are.
func Connect(ns *os.File) (_ *Uplink, err error) {
	out, err := wayOut()
	if err != nil {
		return nil, err
	}
	subnet, err := freeSubnet()
	if err != nil {
		return nil, err
	}
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	u := &Uplink{name: "runsc" + hex.EncodeToString(id[:])}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: u.name, MTU: out.Attrs().MTU},
		PeerName:  insideName, PeerNamespace: netlink.NsFd(ns.Fd()),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make link %s: %w", u.name, err)
	}
	defer func() {
		if err != nil {
			u.Close()
		}
	}()
	// The rules come first: nothing gets through without them.
	if u.rules, err = addRules(u.name, subnet); err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	outside := subnet.Addr().Next()
	if err = setUp(nil, u.name, netip.PrefixFrom(outside, subnet.Bits())); err != nil {
		return nil, err
	}
	if err = os.WriteFile(forwarding(u.name), []byte("1"), 0); err != nil {
		return nil, err
	}
	if err = u.completeInside(ns, netip.PrefixFrom(outside.Next(), subnet.Bits()), outside); err != nil {
		return nil, err
	}
	return u, nil
}

// completeInside gives the end in the namespace its address and a default route.
func (u *Uplink) completeInside(ns *os.File, address netip.Prefix, gateway netip.Addr) error {
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()))
	if err != nil {
		return fmt.Errorf("rtnetlink of the network namespace: %w", err)
	}
	defer h.Close()
	if err := setUp(h, "lo", netip.Prefix{}); err != nil {
		return err
	}
	if err := setUp(h, insideName, address); err != nil {
		return err
	}
	if err := h.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return nil
}

// setUp gives a link an address, unless that is zero, and sets it up; h is for the namespace
// that it is in, nil for the caller's.
func setUp(h *netlink.Handle, name string, address netip.Prefix) error {
	if h == nil {
		h = new(netlink.Handle)
	}
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if address.IsValid() {
		n := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}
		if err := h.AddrAdd(link, &netlink.Addr{IPNet: n}); err != nil {
			return fmt.Errorf("address %v of link %s: %w", address, name, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set link %s up: %w", name, err)
	}
	return nil
}

// Close takes the way out away.
func (u *Uplink) Close() {
	if link, err := netlink.LinkByName(u.name); err == nil {
		_ = netlink.LinkDel(link) // which may go with the namespace at this moment
	}
	if u.rules != nil {
		u.rules.Close()
	}
}
