package hostinet

import (
	"bytes"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// controlRoom is room for all the control messages that a host's message can have of those
// that a guest can ask for, in bytes.
const controlRoom = 512

// A cmsgKey names a control message.
type cmsgKey struct{ level, typ int32 }

// sendable is the control messages that a guest may send, and the most bytes of their data.
var sendable = map[cmsgKey]int{
	{linux.SOL_IP, linux.IP_TTL}:              4,
	{linux.SOL_IP, linux.IP_TOS}:              4,
	{linux.SOL_IP, linux.IP_PKTINFO}:          12,
	{linux.SOL_IPV6, linux.IPV6_HOPLIMIT}:     4,
	{linux.SOL_IPV6, linux.IPV6_TCLASS}:       4,
	{linux.SOL_IPV6, linux.IPV6_PKTINFO}:      20,
	{linux.SOL_IPV6, linux.IPV6_DONTFRAG}:     4,
	{linux.SOL_IPV6, linux.IPV6_2292HOPLIMIT}: 4,
	{linux.SOL_IPV6, linux.IPV6_2292PKTINFO}:  20,
	{linux.SOL_UDP, linux.UDP_SEGMENT}:        2,
}

// receivable is those that a guest is given.
var receivable = map[cmsgKey]bool{
	{linux.SOL_SOCKET, linux.SO_TIMESTAMP}:        true,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPNS}:      true,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMP_NEW}:    true,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPNS_NEW}:  true,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPING}:     true,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPING_NEW}: true,
	{linux.SOL_SOCKET, linux.SO_RXQ_OVFL}:         true,
	{linux.SOL_IP, linux.IP_TTL}:                  true,
	{linux.SOL_IP, linux.IP_TOS}:                  true,
	{linux.SOL_IP, linux.IP_PKTINFO}:              true,
	{linux.SOL_IP, linux.IP_RECVERR}:              true,
	{linux.SOL_IP, linux.IP_RECVORIGDSTADDR}:      true,
	{linux.SOL_IPV6, linux.IPV6_HOPLIMIT}:         true,
	{linux.SOL_IPV6, linux.IPV6_TCLASS}:           true,
	{linux.SOL_IPV6, linux.IPV6_PKTINFO}:          true,
	{linux.SOL_IPV6, linux.IPV6_2292HOPLIMIT}:     true,
	{linux.SOL_IPV6, linux.IPV6_2292PKTINFO}:      true,
	{linux.SOL_IPV6, linux.IPV6_RECVERR}:          true,
	{linux.SOL_IPV6, linux.IPV6_RECVORIGDSTADDR}:  true,
	{linux.SOL_UDP, linux.UDP_GRO}:                true,
	{linux.SOL_TCP, linux.TCP_INQ}:                true,
}

// sendControl puts the control messages that a sender gives into b, as the host takes
// them, and returns their length. What no table names is EINVAL, where Linux reads it.
func (e *Endpoint) sendControl(b []byte, ms []socket.Cmsg) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	w := socket.WriteCmsgs(len(b))
	for _, m := range ms {
		size, ok := sendable[cmsgKey{m.Level, m.Type}]
		switch {
		case m.Level == linux.SOL_SOCKET:
			return 0, linux.EINVAL
		case e.stream: // TCP looks at no other level
			continue
		case m.Level != linux.SOL_IP && m.Level != linux.SOL_IPV6 && m.Level != linux.SOL_UDP:
			continue
		case !ok, len(m.Data) > size:
			return 0, linux.EINVAL
		}
		w.Put(m.Level, m.Type, m.Data)
	}
	if w.Truncated() {
		return 0, linux.ENOBUFS
	}
	return copy(b, w.Bytes()), nil
}

// recvControl adds the control messages in b that a guest may have to m.
func recvControl(m *socket.Msg, b []byte) {
	r := socket.ReadCmsgs(b)
	for {
		c, ok := r.Next()
		if !ok {
			return
		}
		if receivable[cmsgKey{c.Level, c.Type}] {
			m.Add(c.Level, c.Type, bytes.Clone(c.Data))
		}
	}
}
