package inet

import (
	"net/netip"
	"slices"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// news is a family that remembers what it was told of last.
type news struct {
	socket.Family
	before, after socket.State
	told          int
}

func (n *news) Changed(before, after *socket.State) {
	n.before, n.after, n.told = *before, *after, n.told+1
}

func (*news) NeighborChanged(socket.Neighbor, bool) {}

// TestAfter has somebody inside change what is changed outside, too.
func TestAfter(t *testing.T) {
	a := func(s string) AddressConfig { return AddressConfig{Prefix: netip.MustParsePrefix(s)} }
	outside := func(mtu uint32, addresses ...AddressConfig) *Outside {
		o := &Outside{Links: []LinkConfig{{Name: "eth0", Index: 2, MTU: mtu, Flags: linux.IFF_UP, Addresses: addresses}}}
		for _, x := range addresses {
			o.connect(2, x.Prefix)
		}
		return o
	}
	was, mine := outside(1500, a("10.0.0.1/24"), a("10.0.1.1/24")), outside(1400, a("10.0.1.1/24"), a("10.0.2.1/24"))
	mine.Loopback = loopbackConfig()
	got := mine.after(was, outside(1500, a("10.0.0.1/24"), a("10.0.3.1/24")))
	// The first was removed inside, the second outside; the third came inside, the fourth outside.
	want := []AddressConfig{a("10.0.2.1/24"), a("10.0.3.1/24")}
	if l := got.Links[0]; !slices.Equal(l.Addresses, want) || l.MTU != 1400 || len(got.Routes) != 2 || got.Loopback.Name != "lo" {
		t.Errorf("%+v", got)
	}
	if got = mine.after(was, outside(1300)); got.Links[0].MTU != 1300 {
		t.Errorf("MTU %d", got.Links[0].MTU)
	}
	if got = mine.after(was, &Outside{}); len(got.Links)+len(got.Routes) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestChangeAddress(t *testing.T) {
	n, heard := socket.NewNetwork(), new(news)
	f := New(n)
	n.Add(linux.AF_NETLINK, heard)
	a := socket.LinkAddr{Link: loopbackIndex, Prefix: netip.MustParsePrefix("10.1.2.3/24")}
	if err := f.ChangeAddress(a, true); err != nil {
		t.Fatal(err)
	}
	if len(heard.after.Addresses) != len(heard.before.Addresses)+1 || len(heard.after.Routes) != len(heard.before.Routes)+3 {
		t.Errorf("%+v", heard.after)
	}
	if !f.isLocal(netip.MustParseAddr("10.1.2.9")) || f.isLocal(netip.MustParseAddr("10.1.3.3")) {
		t.Error("the loopback has all of its networks, and nothing else")
	}
	if err := f.ChangeAddress(a, true); err != linux.EEXIST {
		t.Error(err)
	}
	if err := f.ChangeAddress(a, false); err != nil {
		t.Error(err)
	}
	if err := f.ChangeAddress(a, false); err != linux.EADDRNOTAVAIL || heard.told != 2 {
		t.Error(err, heard.told)
	}
	a.Link = 9
	if err := f.ChangeAddress(a, true); err != linux.ENODEV {
		t.Error(err)
	}
}
