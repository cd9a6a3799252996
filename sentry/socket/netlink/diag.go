package netlink

import (
	"encoding/binary"
	"net/netip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// diag is NETLINK_SOCK_DIAG, sock_diag(7): the lists that ss(8) shows.
func diag(f *Family, _ vfs.Ctx, r *request, w *reply) error {
	if r.Type != linux.SOCK_DIAG_BY_FAMILY {
		return linux.EINVAL
	}
	if len(r.body) < 2 {
		return linux.EINVAL
	}
	if r.Flags&linux.NLM_F_DUMP != linux.NLM_F_DUMP {
		return linux.EOPNOTSUPP
	}
	switch r.body[0] {
	case linux.AF_INET, linux.AF_INET6:
		inetDiag(f, r, w)
	case linux.AF_UNIX:
		unixDiag(f, r, w)
	default:
		return linux.ENOENT
	}
	return nil
}

func inetDiag(f *Family, r *request, w *reply) {
	q, _ := head[linux.InetDiagReq](r)
	typ := linux.SOCK_STREAM
	switch q.Protocol {
	case linux.IPPROTO_UDP:
		typ = linux.SOCK_DGRAM
	case linux.IPPROTO_RAW:
		typ = linux.SOCK_RAW
	}
	for _, s := range f.net.Sockets(uint16(q.Family), typ) {
		if q.States>>s.State&1 == 0 || typ != linux.SOCK_RAW && s.Protocol != int32(q.Protocol) || s.Local.Port() == 0 {
			continue
		}
		m := linux.InetDiagMsg{Family: q.Family, State: uint8(s.State), Rqueue: s.Recv, Wqueue: max(s.Sent, s.Backlog), UID: s.UID, Inode: uint32(s.Inode)}
		binary.BigEndian.PutUint16(m.ID.Sport[:], s.Local.Port())
		binary.BigEndian.PutUint16(m.ID.Dport[:], s.Remote.Port())
		putAddr(&m.ID.Src, s.Local.Addr())
		putAddr(&m.ID.Dst, s.Remote.Addr())
		m.ID.Cookie[0] = uint32(s.Inode)
		begin(w, header(r, linux.SOCK_DIAG_BY_FAMILY, true), &m)
		w.end()
	}
}

func putAddr(to *[16]byte, a netip.Addr) { copy(to[:], a.AsSlice()) }

func unixDiag(f *Family, r *request, w *reply) {
	q, _ := head[linux.UnixDiagReq](r)
	for _, s := range f.net.Sockets(linux.AF_UNIX, 0) {
		if q.States>>s.State&1 == 0 || q.Ino != 0 && q.Ino != uint32(s.Inode) {
			continue
		}
		m := linux.UnixDiagMsg{Family: linux.AF_UNIX, Type: uint8(s.Type), State: uint8(s.State), Ino: uint32(s.Inode)}
		m.Cookie[0] = uint32(s.Inode)
		begin(w, header(r, linux.SOCK_DIAG_BY_FAMILY, true), &m)
		unixAttrs(w, q.Show, &s)
		w.end()
	}
}

// unixAttrs adds what show asks for.
func unixAttrs(w *reply, show uint32, s *socket.Info) {
	if show&linux.UDIAG_SHOW_NAME != 0 && s.Name != "" {
		name := []byte(s.Name)
		if name[0] == '@' {
			name[0] = 0
		}
		w.attr(linux.UNIX_DIAG_NAME, name)
	}
	if show&linux.UDIAG_SHOW_PEER != 0 && s.Peer != 0 {
		w.attr32(linux.UNIX_DIAG_PEER, uint32(s.Peer))
	}
	if show&linux.UDIAG_SHOW_RQLEN != 0 {
		w.attr(linux.UNIX_DIAG_RQLEN, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, s.Recv), s.Backlog))
	}
	w.attr8(linux.UNIX_DIAG_SHUTDOWN, 0)
}
