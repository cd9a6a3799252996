package uplink

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Firewall is the chain that drops what the host is to forward unless one of its rules says
// otherwise, as Docker has it on its hosts.
type Firewall struct{ Table, Chain string }

// Error implements error.
func (f *Firewall) Error() string {
	return fmt.Sprintf("the host's firewall drops what it is not told to forward (chain %s of table %s): to and from links runsc+ it has to be told", f.Chain, f.Table)
}

// findFirewall is a Firewall if there is one, as far as nftables knows: iptables(8) of the
// old kind has rules elsewhere.
func findFirewall() error {
	q := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP)
	q.AddRawData([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0})
	answers, err := q.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	for _, a := range answers {
		f, err := dropsForwarded(a)
		if err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
		if f != nil {
			return f
		}
	}
	return nil
}

// dropsForwarded reads a message that describes a chain. nil if it is not one that drops
// packets of IPv4 which are forwarded.
func dropsForwarded(m []byte) (*Firewall, error) {
	const header = 4 // struct nfgenmsg
	if len(m) < header || m[0] != unix.NFPROTO_IPV4 && m[0] != unix.NFPROTO_INET {
		return nil, nil
	}
	chain, err := attributes(m[header:])
	if err != nil {
		return nil, err
	}
	hook, err := attributes(chain[unix.NFTA_CHAIN_HOOK])
	if err != nil {
		return nil, err
	}
	const nfDrop = 0 // NF_DROP
	at, policy := hook[unix.NFTA_HOOK_HOOKNUM], chain[unix.NFTA_CHAIN_POLICY]
	if len(at) < 4 || len(policy) < 4 || binary.BigEndian.Uint32(at) != unix.NF_INET_FORWARD || binary.BigEndian.Uint32(policy) != nfDrop {
		return nil, nil
	}
	return &Firewall{unix.ByteSliceToString(chain[unix.NFTA_CHAIN_TABLE]), unix.ByteSliceToString(chain[unix.NFTA_CHAIN_NAME])}, nil
}

func attributes(b []byte) (map[uint16][]byte, error) {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, err
	}
	out := make(map[uint16][]byte, len(list))
	for _, a := range list {
		out[a.Attr.Type&^unix.NLA_F_NESTED] = a.Value
	}
	return out, nil
}
