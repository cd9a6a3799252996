package netlink

import (
	"encoding/binary"
	"net/netip"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// route is NETLINK_ROUTE, rtnetlink(7).
func route(f *Family, c vfs.Ctx, r *request, w *reply) error {
	if r.Type > linux.RTM_MAX {
		return linux.EOPNOTSUPP
	}
	// Types come in fours: new, delete, get, set. All but get change something.
	if r.Type&3 != 2 && !f.net.Capable(c, auth.CapNetAdmin) {
		return linux.EPERM
	}
	ifs := f.net.Interfaces()
	if change := changes[r.Type]; change != nil {
		if to, ok := ifs.(socket.Configurer); ok {
			return change(f, c, r, to)
		}
		return linux.EOPNOTSUPP
	}
	dump := r.Flags&linux.NLM_F_DUMP == linux.NLM_F_DUMP
	switch r.Type {
	case linux.RTM_GETLINK:
		return links(r, w, ifs, dump)
	case linux.RTM_GETADDR:
		if !dump {
			return linux.EOPNOTSUPP
		}
		addresses(r, w, ifs)
		return nil
	case linux.RTM_GETROUTE:
		if dump {
			routes(r, w, ifs)
			return nil
		}
		return lookup(c, r, w, ifs)
	case linux.RTM_GETRULE:
		if dump {
			rules(r, w)
			return nil
		}
	case linux.RTM_GETNEIGH:
		if dump {
			neighbors(r, w, ifs)
			return nil
		}
	case linux.RTM_GETQDISC:
		if dump {
			return nil // there are none
		}
	}
	return linux.EOPNOTSUPP
}

// header is that of an answer to r.
func header(r *request, typ uint16, dump bool) linux.NlMsghdr {
	h := linux.NlMsghdr{Type: typ, Seq: r.Seq, PortID: r.PortID}
	if dump {
		h.Flags = linux.NLM_F_MULTI
	}
	return h
}

// links answers RTM_GETLINK: all, or the one that index or name tells.
func links(r *request, w *reply, ifs socket.Interfaces, dump bool) error {
	if dump {
		for _, l := range ifs.Links() {
			putLink(w, header(r, linux.RTM_NEWLINK, true), &l, 0)
		}
		return nil
	}
	_, l, err := named(r, ifs)
	if err == nil {
		putLink(w, header(r, linux.RTM_NEWLINK, false), l, 0)
	}
	return err
}

// named is the link that a request's index or name tells: EINVAL, ENODEV.
func named(r *request, ifs socket.Interfaces) (linux.Ifinfomsg, *socket.Link, error) {
	q, attrs := head[linux.Ifinfomsg](r)
	name := cstring(attribute(attrs, linux.IFLA_IFNAME))
	if name == "" {
		name = cstring(attribute(attrs, linux.IFLA_ALT_IFNAME))
	}
	if q.Index == 0 && name == "" {
		return q, nil, linux.EINVAL
	}
	for _, l := range ifs.Links() {
		if q.Index == l.Index || q.Index == 0 && name == l.Name {
			return q, &l, nil
		}
	}
	return q, nil, linux.ENODEV
}

func cstring(b []byte) string {
	for i, x := range b {
		if x == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

func putLink(w *reply, h linux.NlMsghdr, l *socket.Link, change uint32) {
	begin(w, h, &linux.Ifinfomsg{Type: l.Type, Index: l.Index, Flags: l.Flags, Change: change})
	w.attrString(linux.IFLA_IFNAME, l.Name)
	w.attr32(linux.IFLA_TXQLEN, 1000)
	state, broadcast := uint8(linux.IF_OPER_UP), [6]byte{255, 255, 255, 255, 255, 255}
	switch {
	case l.Flags&linux.IFF_LOOPBACK != 0:
		state, broadcast = linux.IF_OPER_UNKNOWN, [6]byte{}
	case l.Flags&linux.IFF_UP == 0:
		state = linux.IF_OPER_DOWN
	}
	w.attr8(linux.IFLA_OPERSTATE, state)
	w.attr8(linux.IFLA_LINKMODE, 0)
	w.attr32(linux.IFLA_MTU, l.MTU)
	w.attr32(linux.IFLA_MIN_MTU, 0)
	w.attr32(linux.IFLA_MAX_MTU, 0)
	w.attr32(linux.IFLA_GROUP, 0)
	w.attr32(linux.IFLA_PROMISC, 0)
	w.attr32(linux.IFLA_TXQUEUES, 1)
	w.attr32(linux.IFLA_RXQUEUES, 1)
	w.attr8(linux.IFLA_CARRIER, 1)
	w.attrString(linux.IFLA_QDISC, "noqueue")
	w.attr(linux.IFLA_ADDRESS, l.Hardware[:])
	w.attr(linux.IFLA_BROADCAST, broadcast[:])
	s := linux.RtnlLinkStats64{
		RxPackets: l.Stats.RxPackets, TxPackets: l.Stats.TxPackets, RxBytes: l.Stats.RxBytes, TxBytes: l.Stats.TxBytes,
		RxErrors: l.Stats.RxErrors, TxErrors: l.Stats.TxErrors, RxDropped: l.Stats.RxDropped, TxDropped: l.Stats.TxDropped,
	}
	wide := usermem.AsBytes(&s)
	w.attr(linux.IFLA_STATS64, wide)
	narrow := make([]byte, 0, len(wide)/2)
	for i := 0; i < len(wide); i += 8 {
		narrow = append(narrow, wide[i:i+4]...)
	}
	w.attr(linux.IFLA_STATS, narrow)
	w.end()
}

// familyOf is an address's family.
func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return linux.AF_INET
	}
	return linux.AF_INET6
}

// addresses answers RTM_GETADDR.
func addresses(r *request, w *reply, ifs socket.Interfaces) {
	q, _ := head[linux.Ifaddrmsg](r)
	for _, a := range ifs.Addresses() {
		family := familyOf(a.Prefix.Addr())
		if q.Family != linux.AF_UNSPEC && q.Family != family || q.Index != 0 && q.Index != uint32(a.Link) {
			continue
		}
		putAddress(w, header(r, linux.RTM_NEWADDR, true), &a)
	}
}

func putAddress(w *reply, h linux.NlMsghdr, a *socket.LinkAddr) {
	family := familyOf(a.Prefix.Addr())
	begin(w, h, &linux.Ifaddrmsg{
		Family:    family,
		Prefixlen: uint8(a.Prefix.Bits()),
		Flags:     linux.IFA_F_PERMANENT,
		Scope:     a.Scope,
		Index:     uint32(a.Link),
	})
	w.attr(linux.IFA_ADDRESS, a.Prefix.Addr().AsSlice())
	if family == linux.AF_INET {
		w.attr(linux.IFA_LOCAL, a.Prefix.Addr().AsSlice())
		if a.Broadcast.IsValid() {
			w.attr(linux.IFA_BROADCAST, a.Broadcast.AsSlice())
		}
		w.attrString(linux.IFA_LABEL, a.Label)
	}
	w.attr32(linux.IFA_FLAGS, linux.IFA_F_PERMANENT)
	forever := linux.IfaCacheinfo{Prefered: ^uint32(0), Valid: ^uint32(0)}
	w.attr(linux.IFA_CACHEINFO, usermem.AsBytes(&forever))
	w.end()
}

// routes answers RTM_GETROUTE with all routes of a family and table.
func routes(r *request, w *reply, ifs socket.Interfaces) {
	q, attrs := head[linux.Rtmsg](r)
	table := uint32(q.Table)
	if b := attribute(attrs, linux.RTA_TABLE); len(b) >= 4 {
		table = binary.LittleEndian.Uint32(b)
	}
	for _, t := range ifs.Routes() {
		family := familyOf(t.Dst.Addr())
		if q.Family != linux.AF_UNSPEC && q.Family != family || table != 0 && table != uint32(t.Table) {
			continue
		}
		putRoute(w, header(r, linux.RTM_NEWROUTE, true), &t)
	}
}

func putRoute(w *reply, h linux.NlMsghdr, t *socket.Route) {
	m := linux.Rtmsg{
		Family:   familyOf(t.Dst.Addr()),
		DstLen:   uint8(t.Dst.Bits()),
		Table:    t.Table,
		Protocol: t.Protocol,
		Scope:    t.Scope,
		Type:     t.Type,
	}
	begin(w, h, &m)
	w.attr32(linux.RTA_TABLE, uint32(t.Table))
	if t.Dst.Bits() > 0 {
		w.attr(linux.RTA_DST, t.Dst.Addr().AsSlice())
	}
	if t.Source.IsValid() {
		w.attr(linux.RTA_PREFSRC, t.Source.AsSlice())
	}
	if t.Gateway.IsValid() {
		w.attr(linux.RTA_GATEWAY, t.Gateway.AsSlice())
	}
	if t.Metric != 0 || t.Dst.Addr().Is6() {
		w.attr32(linux.RTA_PRIORITY, t.Metric)
	}
	w.attr32(linux.RTA_OIF, uint32(t.Link))
	if t.Dst.Addr().Is6() {
		w.attr8(linux.RTA_PREF, 0)
	}
	w.end()
}

// lookup answers RTM_GETROUTE for one destination: `ip route get`.
func lookup(c vfs.Ctx, r *request, w *reply, ifs socket.Interfaces) error {
	_, attrs := head[linux.Rtmsg](r)
	dst, ok := netip.AddrFromSlice(attribute(attrs, linux.RTA_DST))
	if !ok {
		return linux.EINVAL
	}
	var best *socket.Route
	all := ifs.Routes()
	for i := range all {
		t := &all[i]
		if t.Dst.Contains(dst) && (best == nil || t.Dst.Bits() > best.Dst.Bits()) {
			best = t
		}
	}
	if best == nil {
		return linux.ENETUNREACH
	}
	// As Linux answers: the route to this one address, of no table.
	source := best.Source
	for _, a := range ifs.Addresses() {
		if !source.IsValid() && a.Link == best.Link && a.Prefix.Addr().Is4() == dst.Is4() {
			source = a.Prefix.Addr()
		}
	}
	m := linux.Rtmsg{Family: familyOf(dst), DstLen: uint8(dst.BitLen()), Table: linux.RT_TABLE_MAIN, Type: best.Type, Flags: linux.RTM_F_CLONED}
	if best.Type == linux.RTN_LOCAL {
		m.Flags |= linux.RTCF_LOCAL
	}
	begin(w, header(r, linux.RTM_NEWROUTE, false), &m)
	w.attr(linux.RTA_DST, dst.AsSlice())
	w.attr32(linux.RTA_OIF, uint32(best.Link))
	w.attr32(linux.RTA_TABLE, linux.RT_TABLE_MAIN)
	if best.Gateway.IsValid() {
		w.attr(linux.RTA_GATEWAY, best.Gateway.AsSlice())
	}
	if source.IsValid() {
		w.attr(linux.RTA_PREFSRC, source.AsSlice())
	}
	w.attr32(linux.RTA_UID, c.Creds().FSUID)
	w.attr(linux.RTA_CACHEINFO, make([]byte, 32))
	w.end()
	return nil
}

// rules answers RTM_GETRULE: which tables are looked at, in which order.
func rules(r *request, w *reply) {
	q, _ := head[linux.Rtmsg](r)
	for _, family := range []uint8{linux.AF_INET, linux.AF_INET6} {
		if q.Family != linux.AF_UNSPEC && q.Family != family {
			continue
		}
		for _, t := range []struct{ priority, table uint32 }{{0, linux.RT_TABLE_LOCAL}, {32766, linux.RT_TABLE_MAIN}, {32767, linux.RT_TABLE_DEFAULT}} {
			if family == linux.AF_INET6 && t.table == linux.RT_TABLE_DEFAULT {
				continue
			}
			begin(w, header(r, linux.RTM_NEWRULE, true), &linux.Rtmsg{Family: family, Table: uint8(t.table), Type: linux.FR_ACT_TO_TBL})
			w.attr32(linux.FRA_TABLE, t.table)
			w.attr32(linux.FRA_SUPPRESS_PREFIXLEN, ^uint32(0))
			w.attr8(linux.FRA_PROTOCOL, linux.RTPROT_KERNEL)
			if t.priority != 0 {
				w.attr32(linux.FRA_PRIORITY, t.priority)
			}
			w.end()
		}
	}
}
