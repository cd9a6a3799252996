package packet

import (
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// Sockets implements socket.Lister.
func (f *Family) Sockets() []socket.Info {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.mu.Unlock()
	out := make([]socket.Info, 0, len(all))
	for _, s := range all {
		out = append(out, s.info())
	}
	return out
}

func (s *Socket) info() socket.Info {
	s.mu.Lock()
	i := socket.Info{Kind: s.socket.Kind(), Inode: s.socket.Inode(), UID: s.uid, Recv: uint32(s.bytes), Link: s.link, Running: s.protocol != 0, Refs: 2}
	i.Protocol = int32(s.protocol)
	s.mu.Unlock()
	if l := s.linkOf(i.Link); i.Link != 0 && (l == nil || l.Flags&linux.IFF_UP == 0) {
		i.Running = false
	}
	if i.Running {
		i.Refs++ // who has frames seen has one, too
	}
	return i
}
