package uplink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// tableOwner has a table end with the socket that made it: NFT_TABLE_F_OWNER, of Linux 5.12.
const tableOwner = 2

const (
	priorityFilter = 0     // NF_IP_PRI_FILTER
	prioritySource = 100   // NF_IP_PRI_NAT_SRC
	answersBits    = 2 | 4 // in conntrack's state: of a connection that is known, or belongs to one
	sourceOffset   = 12    // of the source in the header of IPv4
	register       = unix.NFT_REG_1
)

// addRules makes a table of that name, with what is due to packets of the link of the same
// name: those of the subnet behind it go out with the host's address, others that claim to
// come from there are dropped, and nothing goes there but answers. The table is there until
// the file is closed.
func addRules(name string, subnet netip.Prefix) (_ *os.File, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "nftables")
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	inside := subnet.Addr().Next().Next().AsSlice()
	const nat, forward = "nat", "forward"
	b := &batch{table: name}
	b.begin()
	b.add(unix.NFT_MSG_NEWTABLE, text(unix.NFTA_TABLE_NAME, name), number(unix.NFTA_TABLE_FLAGS, tableOwner))
	b.addChain(nat, "nat", unix.NF_INET_POST_ROUTING, prioritySource)
	b.addChain(forward, "filter", unix.NF_INET_FORWARD, priorityFilter)
	b.addRule(nat, append(source(unix.NFT_CMP_EQ, inside), expr("masq"))...)
	b.addRule(forward, append(append(linkName(unix.NFT_META_IIFNAME, name), source(unix.NFT_CMP_NEQ, inside)...), drop())...)
	b.addRule(forward, append(append(linkName(unix.NFT_META_OIFNAME, name), noAnswer()...), drop())...)
	b.end()
	if err := unix.Sendto(fd, b.bytes, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	return f, b.answers(f)
}

// A batch is messages of nftables, of which all hold or none.
type batch struct {
	table    string
	bytes    []byte
	sequence uint32
	messages int // that are answered
}

func (b *batch) begin() {
	b.append(unix.NFNL_MSG_BATCH_BEGIN, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, 0)
}
func (b *batch) end() {
	b.append(unix.NFNL_MSG_BATCH_END, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, 0)
}

// add adds a message that makes something.
func (b *batch) add(typ uint16, attrs ...*nl.RtAttr) {
	b.messages++
	b.append(unix.NFNL_SUBSYS_NFTABLES<<8|typ, unix.AF_INET, 0, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_APPEND, attrs...)
}

func (b *batch) append(typ uint16, family uint8, resource uint16, flags uint16, attrs ...*nl.RtAttr) {
	body := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource) // struct nfgenmsg
	for _, a := range attrs {
		body = append(body, a.Serialize()...)
	}
	b.sequence++
	b.bytes = binary.NativeEndian.AppendUint32(b.bytes, uint32(unix.SizeofNlMsghdr+len(body)))
	b.bytes = binary.NativeEndian.AppendUint16(b.bytes, typ)
	b.bytes = binary.NativeEndian.AppendUint16(b.bytes, unix.NLM_F_REQUEST|flags)
	b.bytes = binary.NativeEndian.AppendUint32(b.bytes, b.sequence)
	b.bytes = binary.NativeEndian.AppendUint32(b.bytes, 0) // port
	b.bytes = append(b.bytes, body...)
}

// addChain makes a chain that packets come to, and go on from, at a hook of IPv4.
func (b *batch) addChain(name, typ string, hook, priority uint32) {
	b.add(unix.NFT_MSG_NEWCHAIN, text(unix.NFTA_CHAIN_TABLE, b.table), text(unix.NFTA_CHAIN_NAME, name),
		nest(unix.NFTA_CHAIN_HOOK, number(unix.NFTA_HOOK_HOOKNUM, hook), number(unix.NFTA_HOOK_PRIORITY, priority)),
		text(unix.NFTA_CHAIN_TYPE, typ))
}

func (b *batch) addRule(chain string, exprs ...*nl.RtAttr) {
	b.add(unix.NFT_MSG_NEWRULE, text(unix.NFTA_RULE_TABLE, b.table), text(unix.NFTA_RULE_CHAIN, chain),
		nest(unix.NFTA_RULE_EXPRESSIONS, exprs...))
}

// answers reads what the kernel says of the messages.
func (b *batch) answers(f *os.File) error {
	buf := make([]byte, 16<<10)
	for seen := 0; seen < b.messages; {
		n, err := f.Read(buf)
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				return errors.New("an answer that is none")
			}
			if n := -int32(binary.NativeEndian.Uint32(m.Data)); n != 0 {
				return fmt.Errorf("message %d: %w", m.Header.Seq, unix.Errno(n))
			}
			seen++
		}
	}
	return nil
}

// Attributes of nftables: numbers are big-endian there.

func text(typ int, s string) *nl.RtAttr { return nl.NewRtAttr(typ, append([]byte(s), 0)) }

func number(typ int, n uint32) *nl.RtAttr {
	return nl.NewRtAttr(typ, binary.BigEndian.AppendUint32(nil, n))
}

func nest(typ int, attrs ...*nl.RtAttr) *nl.RtAttr {
	a := nl.NewRtAttr(typ|unix.NLA_F_NESTED, nil)
	for _, child := range attrs {
		a.AddChild(child)
	}
	return a
}

// expr is an expression as part of a rule's list.
func expr(name string, attrs ...*nl.RtAttr) *nl.RtAttr {
	return nest(unix.NFTA_LIST_ELEM, text(unix.NFTA_EXPR_NAME, name), nest(unix.NFTA_EXPR_DATA, attrs...))
}

func value(typ int, b []byte) *nl.RtAttr { return nest(typ, nl.NewRtAttr(unix.NFTA_DATA_VALUE, b)) }

// compare goes on with the next expression if the register is, or is not, b.
func compare(op uint32, b []byte) *nl.RtAttr {
	return expr("cmp", number(unix.NFTA_CMP_SREG, register), number(unix.NFTA_CMP_OP, op), value(unix.NFTA_CMP_DATA, b))
}

// source compares the packet's source.
func source(op uint32, address []byte) []*nl.RtAttr {
	return []*nl.RtAttr{
		expr("payload", number(unix.NFTA_PAYLOAD_DREG, register), number(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_NETWORK_HEADER),
			number(unix.NFTA_PAYLOAD_OFFSET, sourceOffset), number(unix.NFTA_PAYLOAD_LEN, uint32(len(address)))),
		compare(op, address),
	}
}

// linkName compares the name of a link that the packet comes or goes by.
func linkName(key uint32, name string) []*nl.RtAttr {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return []*nl.RtAttr{expr("meta", number(unix.NFTA_META_DREG, register), number(unix.NFTA_META_KEY, key)), compare(unix.NFT_CMP_EQ, b)}
}

// noAnswer is of what belongs to no connection that is known.
func noAnswer() []*nl.RtAttr {
	none := make([]byte, 4)
	return []*nl.RtAttr{
		expr("ct", number(unix.NFTA_CT_DREG, register), number(unix.NFTA_CT_KEY, unix.NFT_CT_STATE)),
		expr("bitwise", number(unix.NFTA_BITWISE_SREG, register), number(unix.NFTA_BITWISE_DREG, register), number(unix.NFTA_BITWISE_LEN, 4),
			value(unix.NFTA_BITWISE_MASK, binary.NativeEndian.AppendUint32(nil, answersBits)), value(unix.NFTA_BITWISE_XOR, none)),
		compare(unix.NFT_CMP_EQ, none),
	}
}

func drop() *nl.RtAttr {
	const nfDrop = 0 // NF_DROP
	return expr("immediate", number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
		nest(unix.NFTA_IMMEDIATE_DATA, nest(unix.NFTA_DATA_VERDICT, number(unix.NFTA_VERDICT_CODE, nfDrop))))
}
