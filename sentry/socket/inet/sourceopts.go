package inet

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// Sizes and places in the structures of RFC 3678.
const (
	mreqSourceSize   = 12  // struct ip_mreq_source
	msfilterSize     = 16  // struct ip_msfilter without sources
	groupSourceSize  = 264 // struct group_source_req
	groupFilterSize  = 144 // struct group_filter without sources
	groupAt          = 8   // the group in both of these
	storageSize      = 128 // struct sockaddr_storage
	maxGroupSources  = 0x1ffffff
	maxGroupSources4 = 0x3ffffffc
)

// setSourceOption sets an option about sources of groups; ENOPROTOOPT if name is none.
func (e *Endpoint) setSourceOption(family uint16, name int32, val []byte) error {
	switch name {
	case linux.MCAST_JOIN_SOURCE_GROUP, linux.MCAST_LEAVE_SOURCE_GROUP, linux.MCAST_BLOCK_SOURCE, linux.MCAST_UNBLOCK_SOURCE:
		return e.groupSource(family, name, val)
	case linux.MCAST_MSFILTER:
		return e.setGroupFilter(family, val)
	}
	if family != linux.AF_INET {
		return linux.ENOPROTOOPT
	}
	switch name {
	case linux.IP_UNBLOCK_SOURCE, linux.IP_BLOCK_SOURCE, linux.IP_ADD_SOURCE_MEMBERSHIP, linux.IP_DROP_SOURCE_MEMBERSHIP:
		if len(val) != mreqSourceSize {
			return linux.EINVAL
		}
		return e.changeSource(sourceRequest{
			MembershipOption: tcpip.MembershipOption{MulticastAddr: tcpip.AddrFrom4([4]byte(val)), InterfaceAddr: tcpip.AddrFrom4([4]byte(val[4:]))},
			source:           tcpip.AddrFrom4([4]byte(val[8:])),
			include:          name == linux.IP_ADD_SOURCE_MEMBERSHIP || name == linux.IP_DROP_SOURCE_MEMBERSHIP,
			add:              name == linux.IP_ADD_SOURCE_MEMBERSHIP || name == linux.IP_BLOCK_SOURCE,
		})
	case linux.IP_MSFILTER:
		return e.setMsfilter(val)
	}
	return linux.ENOPROTOOPT
}

// storageAddress is the address in a struct sockaddr_storage: EADDRNOTAVAIL for another family.
func storageAddress(family uint16, b []byte) (tcpip.Address, error) {
	switch {
	case socket.FamilyOf(b) != family:
		return tcpip.Address{}, linux.EADDRNOTAVAIL
	case family == linux.AF_INET:
		return tcpip.AddrFrom4([4]byte(b[4:])), nil
	}
	return tcpip.AddrFrom16([16]byte(b[8:])), nil
}

// groupSource is MCAST_JOIN_SOURCE_GROUP and the like.
func (e *Endpoint) groupSource(family uint16, name int32, val []byte) (err error) {
	if len(val) < groupSourceSize {
		return linux.EINVAL
	}
	r := sourceRequest{
		include: name == linux.MCAST_JOIN_SOURCE_GROUP || name == linux.MCAST_LEAVE_SOURCE_GROUP,
		add:     name == linux.MCAST_JOIN_SOURCE_GROUP || name == linux.MCAST_BLOCK_SOURCE,
	}
	r.NIC = tcpip.NICID(binary.LittleEndian.Uint32(val))
	if r.MulticastAddr, err = storageAddress(family, val[groupAt:]); err != nil {
		return err
	}
	if r.source, err = storageAddress(family, val[groupAt+storageSize:]); err != nil {
		return err
	}
	return e.changeSource(r)
}

// setMsfilter is IP_MSFILTER.
func (e *Endpoint) setMsfilter(val []byte) error {
	if len(val) < msfilterSize {
		return linux.EINVAL
	}
	n := binary.LittleEndian.Uint32(val[12:])
	switch {
	case n >= maxGroupSources4 || n > maxSources4:
		return linux.ENOBUFS
	case len(val) < msfilterSize+4*int(n):
		return linux.EINVAL
	}
	sources := make([]tcpip.Address, n)
	for i := range sources {
		sources[i] = tcpip.AddrFrom4([4]byte(val[msfilterSize+4*i:]))
	}
	return e.setSources(msfilterGroup(val), binary.LittleEndian.Uint32(val[8:]), sources)
}

// msfilterGroup is the group of a struct ip_msfilter.
func msfilterGroup(val []byte) tcpip.MembershipOption {
	return tcpip.MembershipOption{MulticastAddr: tcpip.AddrFrom4([4]byte(val)), InterfaceAddr: tcpip.AddrFrom4([4]byte(val[4:]))}
}

// setGroupFilter is MCAST_MSFILTER.
func (e *Endpoint) setGroupFilter(family uint16, val []byte) (err error) {
	if len(val) < groupFilterSize {
		return linux.EINVAL
	}
	most := uint32(maxSources4)
	if family == linux.AF_INET6 {
		most = maxSources6
	}
	mode, n := binary.LittleEndian.Uint32(val[groupAt+storageSize:]), binary.LittleEndian.Uint32(val[groupAt+storageSize+4:])
	switch {
	case n >= maxGroupSources || n > most:
		return linux.ENOBUFS
	case len(val) < groupFilterSize+storageSize*int(n):
		return linux.EINVAL
	}
	o := tcpip.MembershipOption{NIC: tcpip.NICID(binary.LittleEndian.Uint32(val))}
	if o.MulticastAddr, err = storageAddress(family, val[groupAt:]); err != nil {
		return err
	}
	sources := make([]tcpip.Address, n)
	for i := range sources {
		if sources[i], err = storageAddress(family, val[groupFilterSize+storageSize*i:]); err != nil {
			return err
		}
	}
	return e.setSources(o, mode, sources)
}

// Question implements socket.Asked: what a filter of sources is of.
func (e *Endpoint) Question(level, name int32) int {
	switch {
	case e.has(level) != nil:
	case level == linux.SOL_IP && name == linux.IP_MSFILTER:
		return msfilterSize
	case (level == linux.SOL_IP || level == linux.SOL_IPV6) && name == linux.MCAST_MSFILTER:
		return groupFilterSize
	}
	return 0
}

// Answer implements socket.Asked: EINVAL, ENODEV, EADDRNOTAVAIL.
func (e *Endpoint) Answer(_ vfs.Ctx, level, name int32, question []byte) ([]byte, error) {
	if len(question) < e.Question(level, name) {
		return nil, linux.EINVAL
	}
	if name == linux.IP_MSFILTER {
		return e.msfilter(question)
	}
	family := uint16(linux.AF_INET)
	if level == linux.SOL_IPV6 {
		family = linux.AF_INET6
	}
	group, err := storageAddress(family, question[groupAt:])
	if err != nil || !isMulticast(group) {
		return nil, linux.EINVAL
	}
	m := e.gate.exactly(group, tcpip.NICID(binary.LittleEndian.Uint32(question)))
	if m == nil {
		return nil, linux.EADDRNOTAVAIL
	}
	const count = groupFilterSize - 4
	n := min(len(m.sources), int(binary.LittleEndian.Uint32(question[count:])))
	b := m.answer(question, count)
	for _, s := range m.sources[:n] {
		var a socket.Addr
		encode(family, tcpip.FullAddress{Addr: s}, &a)
		b = append(b, append(append([]byte(nil), a.Bytes()...), make([]byte, storageSize-a.Len())...)...)
	}
	return b, nil
}

// msfilter is what getsockopt(2) of IP_MSFILTER gives.
func (e *Endpoint) msfilter(question []byte) ([]byte, error) {
	o := msfilterGroup(question)
	if !isMulticast(o.MulticastAddr) {
		return nil, linux.EINVAL
	}
	link, err := e.linkOf(o)
	if err != nil {
		return nil, err
	}
	m := e.gate.exactly(o.MulticastAddr, link)
	if m == nil {
		return nil, linux.EADDRNOTAVAIL
	}
	const count = msfilterSize - 4
	n := min(len(m.sources), int(binary.LittleEndian.Uint32(question[count:])))
	b := m.answer(question, count)
	for _, s := range m.sources[:n] {
		b = appendV4(b, s)
	}
	return b, nil
}

// answer is question with m's mode and how many sources it has, which is at count.
func (m *membership) answer(question []byte, count int) []byte {
	b := append([]byte(nil), question...)
	mode := uint32(linux.MCAST_EXCLUDE)
	if m.include {
		mode = linux.MCAST_INCLUDE
	}
	binary.LittleEndian.PutUint32(b[count-4:], mode)
	binary.LittleEndian.PutUint32(b[count:], uint32(len(m.sources)))
	return b
}

// exactly is the membership of a group on that very link, or nil.
func (g *gate) exactly(group tcpip.Address, link tcpip.NICID) *membership {
	if link == 0 {
		return nil
	}
	return g.find(group, link)
}
