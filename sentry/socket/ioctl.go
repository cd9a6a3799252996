package socket

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Ioctl implements vfs.Control: first the family's own commands, then those that
// every socket has, netdevice(7).
func (s *Socket) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if x, ok := s.proto.(Ioctler); ok {
		if v, err := x.Ioctl(c, m, cmd, arg); err != linux.ENOTTY {
			return v, err
		}
	}
	switch {
	case cmd == linux.SIOCGSTAMP || cmd == linux.SIOCGSTAMPNS:
		return 0, linux.ENOENT
	case cmd == linux.SIOCGIFCONF:
		return 0, s.ifconf(m, arg)
	case cmd == linux.SIOCETHTOOL:
		return 0, s.ethtool(m, arg)
	case cmd >= linux.SIOCGIFNAME && cmd <= linux.SIOCGIFMAP:
		return 0, s.ifreq(c, m, cmd, arg)
	}
	return 0, linux.ENOTTY
}

// ethtool is SIOCETHTOOL of links that have nothing to tell: EOPNOTSUPP, ENODEV.
func (s *Socket) ethtool(m usermem.Memory, arg uint64) error {
	r, err := usermem.Ptr[linux.Ifreq](arg).Load(m)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(string(r.Name[:]), "\x00")
	if !s.net.hasLink(name) {
		return linux.ENODEV
	}
	return linux.EOPNOTSUPP
}

// StoreInt is the answer of an ioctl that stores an int at arg.
func StoreInt(m usermem.Memory, arg uint64, v int) (uint64, error) {
	n := int32(v)
	return 0, usermem.Ptr[int32](arg).Store(m, &n)
}

// ifconf is SIOCGIFCONF: the links that have an IPv4 address.
func (s *Socket) ifconf(m usermem.Memory, arg uint64) error {
	p := usermem.Ptr[linux.Ifconf](arg)
	conf, err := p.Load(m)
	if err != nil {
		return err
	}
	const size = linux.IFNAMSIZ + 24
	var out []byte
	for _, a := range s.net.Interfaces().Addresses() {
		if !a.Prefix.Addr().Is4() {
			continue
		}
		if conf.Ptr != 0 && len(out)+size > int(conf.Len) {
			break
		}
		var r linux.Ifreq
		copy(r.Name[:linux.IFNAMSIZ-1], a.Label)
		putInet(&r, a.Prefix.Addr())
		out = append(append(out, r.Name[:]...), r.Data[:]...)
	}
	if conf.Ptr != 0 {
		if _, err := m.CopyOut(arch.Addr(conf.Ptr), out); err != nil {
			return err
		}
	}
	conf.Len = int32(len(out))
	return p.Store(m, &conf)
}

// ifreq answers the commands that are about one link.
func (s *Socket) ifreq(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) error {
	p := usermem.Ptr[linux.Ifreq](arg)
	r, err := p.Load(m)
	if err != nil {
		return err
	}
	if err := s.answer(c, cmd, &r); err != nil {
		return err
	}
	return p.Store(m, &r)
}

func (s *Socket) answer(c vfs.Ctx, cmd uint32, r *linux.Ifreq) error {
	ifs := s.net.Interfaces()
	name, _, _ := strings.Cut(string(r.Name[:]), "\x00")
	name, _, _ = strings.Cut(name, ":") // an alias of old
	index := int32(binary.LittleEndian.Uint32(r.Data[:]))
	for _, l := range ifs.Links() {
		if cmd == linux.SIOCGIFNAME && l.Index == index {
			r.Name = [linux.IFNAMSIZ]byte{}
			copy(r.Name[:linux.IFNAMSIZ-1], l.Name)
			return nil
		}
		if l.Name != name {
			continue
		}
		switch cmd {
		case linux.SIOCGIFNAME: // goes by the index
		case linux.SIOCSIFFLAGS:
			return l.SetFlags(c, s.net, uint32(binary.LittleEndian.Uint16(r.Data[:])), math.MaxUint16)
		default:
			return describe(cmd, r, &l, ifs)
		}
	}
	return linux.ENODEV
}

// describe fills in what cmd asks of l.
func describe(cmd uint32, r *linux.Ifreq, l *Link, ifs Interfaces) error {
	put := func(v uint32) error {
		r.Data = [24]byte{}
		binary.LittleEndian.PutUint32(r.Data[:], v)
		return nil
	}
	switch cmd {
	case linux.SIOCGIFFLAGS:
		binary.LittleEndian.PutUint16(r.Data[:], uint16(l.Flags))
		return nil
	case linux.SIOCGIFINDEX:
		return put(uint32(l.Index))
	case linux.SIOCGIFMTU:
		return put(l.MTU)
	case linux.SIOCGIFMETRIC:
		return put(0)
	case linux.SIOCGIFTXQLEN:
		return put(1000)
	case linux.SIOCGIFMAP:
		r.Data = [24]byte{}
		return nil
	case linux.SIOCGIFHWADDR:
		r.Data = [24]byte{}
		binary.LittleEndian.PutUint16(r.Data[:], l.Type)
		copy(r.Data[2:], l.Hardware[:])
		return nil
	case linux.SIOCGIFADDR, linux.SIOCGIFNETMASK, linux.SIOCGIFBRDADDR, linux.SIOCGIFDSTADDR:
		return describeAddr(cmd, r, l, ifs)
	case linux.SIOCSIFADDR, linux.SIOCSIFNETMASK, linux.SIOCSIFMTU:
		return linux.EPERM
	}
	return linux.ENOTTY
}

func describeAddr(cmd uint32, r *linux.Ifreq, l *Link, ifs Interfaces) error {
	for _, a := range ifs.Addresses() {
		if a.Link != l.Index || !a.Prefix.Addr().Is4() {
			continue
		}
		switch cmd {
		case linux.SIOCGIFNETMASK:
			mask := ^uint32(0) << (32 - a.Prefix.Bits())
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], mask)
			putInet(r, netip.AddrFrom4(b))
		case linux.SIOCGIFBRDADDR:
			b := a.Broadcast
			if !b.IsValid() {
				b = netip.IPv4Unspecified()
			}
			putInet(r, b)
		default:
			putInet(r, a.Prefix.Addr())
		}
		return nil
	}
	return linux.EADDRNOTAVAIL
}

// putInet puts a struct sockaddr_in with an IPv4 address into r.
func putInet(r *linux.Ifreq, a netip.Addr) {
	r.Data = [24]byte{}
	binary.LittleEndian.PutUint16(r.Data[:], linux.AF_INET)
	b := a.As4()
	copy(r.Data[4:], b[:])
}
