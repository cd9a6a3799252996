package hostnet

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A rule is a line of `ip rule`.
type rule struct {
	family   uint8
	priority uint32
	action   uint8  // FR_ACT_*
	table    uint8  // for FR_ACT_TO_TBL
	flags    uint32 // FIB_RULE_*
	from     string // the link by which packets come
	protocol uint8  // of IP, and
	port     uint16 // by which of its ports they come; 0 for any
	to       Ports  // to which they go; zero for any
}

// Of <linux/fib_rules.h>.
const (
	ruleToTable   = 1 // FR_ACT_TO_TBL
	ruleBlackhole = 6 // FR_ACT_BLACKHOLE
	ruleInvert    = 2 // FIB_RULE_INVERT

	rulePriority = 6  // FRA_PRIORITY
	ruleFrom     = 3  // FRA_IIFNAME
	ruleProtocol = 22 // FRA_IP_PROTO
	rulePort     = 23 // FRA_SPORT_RANGE
	ruleTo       = 24 // FRA_DPORT_RANGE
)

// silence has the namespace's own kernel drop what comes by any link but the loopback. By
// rules of routing, as they hold for links and addresses that are yet to come, need no
// netfilter, and leave what engines put there alone; packet sockets see all frames before.
// What the kernel itself would do of what it hears, as to answer ARP, to take an IPv6
// address that a router announces, or to reset connections that it doesn't know, needs a
// route to the sender or to itself. It hears what name servers answer to the ports in
// answers, if there are any: who asks them in the namespace is Docker's own name server there.
func silence(socket *os.File, answers Ports) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		local := rule{family: family, priority: 1, action: ruleToTable, table: unix.RT_TABLE_LOCAL}
		foreign := rule{family: family, action: ruleBlackhole, flags: ruleInvert, from: "lo"}
		first := local
		first.priority = 0
		// The table local is always looked at, and from the last step on after the others.
		err := local.change(socket, unix.RTM_NEWRULE)
		for _, protocol := range []uint8{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			answer := first
			answer.protocol, answer.port, answer.to = protocol, Nameserver.Port(), answers
			if err == nil && answers != (Ports{}) {
				err = answer.change(socket, unix.RTM_NEWRULE)
			}
		}
		if err == nil {
			err = foreign.change(socket, unix.RTM_NEWRULE)
		}
		if err == nil {
			err = first.change(socket, unix.RTM_DELRULE)
		}
		if family == unix.AF_INET6 && (err == unix.EAFNOSUPPORT || err == unix.EOPNOTSUPP) {
			continue // a host without IPv6
		}
		if err != nil {
			return fmt.Errorf("policy routing in the container's network namespace: %w (--network=none does without)", err)
		}
	}
	return nil
}

// append adds an attribute with the struct fib_rule_port_range p to b, unless p is zero.
func (p Ports) append(b []byte, attribute uint16) []byte {
	if p == (Ports{}) {
		return b
	}
	b = binary.NativeEndian.AppendUint16(b, 8)
	b = binary.NativeEndian.AppendUint16(b, attribute)
	b = binary.NativeEndian.AppendUint16(b, p.First)
	return binary.NativeEndian.AppendUint16(b, p.Last)
}

// change adds or removes r. That it is there, or has gone, already is no error.
func (r *rule) change(socket *os.File, typ uint16) error {
	b := make([]byte, unix.SizeofRtMsg) // struct fib_rule_hdr has the same size
	b[0], b[4], b[7] = r.family, r.table, r.action
	binary.NativeEndian.PutUint32(b[8:], r.flags)
	b = binary.NativeEndian.AppendUint16(b, 8)
	b = binary.NativeEndian.AppendUint16(b, rulePriority)
	b = binary.NativeEndian.AppendUint32(b, r.priority)
	if r.from != "" {
		name := append([]byte(r.from), 0)
		b = binary.NativeEndian.AppendUint16(b, uint16(4+len(name)))
		b = binary.NativeEndian.AppendUint16(b, ruleFrom)
		b = append(b, name...)
		b = append(b, make([]byte, -len(b)&3)...)
	}
	if r.port != 0 {
		b = binary.NativeEndian.AppendUint16(b, 5)
		b = binary.NativeEndian.AppendUint16(b, ruleProtocol)
		b = append(b, r.protocol, 0, 0, 0)
		b = Ports{r.port, r.port}.append(b, rulePort)
		b = r.to.append(b, ruleTo)
	}
	flags := uint16(unix.NLM_F_ACK)
	if typ == unix.RTM_NEWRULE {
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	if err := send(socket, typ, flags, b); err != nil {
		return err
	}
	messages, err := receive(socket, make([]byte, 4096))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if m.Header.Type == unix.NLMSG_ERROR {
			err = answer(m)
		}
	}
	if err == unix.EEXIST || err == unix.ENOENT {
		return nil
	}
	return err
}
