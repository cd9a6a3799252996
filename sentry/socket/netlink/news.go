package netlink

import (
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/wait"
)

// Changed implements socket.Watcher: the groups of rtnetlink(7) hear of it. What is new comes
// links first, what goes, routes first.
func (f *Family) Changed(before, after *socket.State) {
	for _, r := range gone(before.Routes, after.Routes) {
		f.news(routeGroup(&r), linux.RTM_DELROUTE, func(w *reply, h linux.NlMsghdr) { putRoute(w, h, &r) })
	}
	for _, a := range gone(before.Addresses, after.Addresses) {
		f.news(addressGroup(&a), linux.RTM_DELADDR, func(w *reply, h linux.NlMsghdr) { putAddress(w, h, &a) })
	}
	for i := range before.Links {
		if l := &before.Links[i]; !containsLink(after.Links, l.Index) {
			f.news(linux.RTNLGRP_LINK, linux.RTM_DELLINK, func(w *reply, h linux.NlMsghdr) { putLink(w, h, l, ^uint32(0)) })
		}
	}
	for _, l := range gone(after.Links, before.Links) {
		change := ^uint32(0) // of one that is new
		if i := slices.IndexFunc(before.Links, func(b socket.Link) bool { return b.Index == l.Index }); i >= 0 {
			change = before.Links[i].Flags ^ l.Flags
		}
		f.news(linux.RTNLGRP_LINK, linux.RTM_NEWLINK, func(w *reply, h linux.NlMsghdr) { putLink(w, h, &l, change) })
	}
	for _, a := range gone(after.Addresses, before.Addresses) {
		f.news(addressGroup(&a), linux.RTM_NEWADDR, func(w *reply, h linux.NlMsghdr) { putAddress(w, h, &a) })
	}
	for _, r := range gone(after.Routes, before.Routes) {
		f.news(routeGroup(&r), linux.RTM_NEWROUTE, func(w *reply, h linux.NlMsghdr) { putRoute(w, h, &r) })
	}
}

// NeighborChanged implements socket.Watcher.
func (f *Family) NeighborChanged(n socket.Neighbor, gone bool) {
	typ := uint16(linux.RTM_NEWNEIGH)
	if gone {
		typ = linux.RTM_DELNEIGH
	}
	f.news(linux.RTNLGRP_NEIGH, typ, func(w *reply, h linux.NlMsghdr) { putNeighbor(w, h, &n) })
}

// gone is what is in a and not in b.
func gone[T comparable](a, b []T) (out []T) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

func routeGroup(r *socket.Route) uint32 {
	if r.Dst.Addr().Is4() {
		return linux.RTNLGRP_IPV4_ROUTE
	}
	return linux.RTNLGRP_IPV6_ROUTE
}

func addressGroup(a *socket.LinkAddr) uint32 {
	if a.Prefix.Addr().Is4() {
		return linux.RTNLGRP_IPV4_IFADDR
	}
	return linux.RTNLGRP_IPV6_IFADDR
}

// news sends a message of typ, that put makes, to all in a group.
func (f *Family) news(group uint32, typ uint16, put func(*reply, linux.NlMsghdr)) {
	var w reply
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.all {
		if s.protocol != linux.NETLINK_ROUTE || !s.member(group) {
			continue
		}
		if w.buf == nil {
			put(&w, linux.NlMsghdr{Type: typ})
		}
		s.hear(group, w.buf)
	}
}

func (s *Socket) member(group uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.groups[group]
	return ok
}

// hear queues news. Who has no room for it loses all that comes until it has read what is
// there, and is told so by ENOBUFS, unless it does not want to be.
func (s *Socket) hear(group uint32, b []byte) {
	s.mu.Lock()
	if s.congested || s.bytes+len(b) > s.opts.RcvBuf() {
		if !s.congested && !s.flags[linux.NETLINK_NO_ENOBUFS] {
			s.overrun = true
		}
		s.congested = !s.flags[linux.NETLINK_NO_ENOBUFS]
		s.mu.Unlock()
		s.Notify(wait.Err)
		return
	}
	s.msgs = append(s.msgs, datagram{b, 1 << (group - 1)})
	s.bytes += len(b)
	s.mu.Unlock()
	s.Notify(wait.Readable)
}
