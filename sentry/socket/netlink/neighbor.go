package netlink

import (
	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// neighbors answers RTM_GETNEIGH: `ip neigh`.
func neighbors(r *request, w *reply, ifs socket.Interfaces) {
	q, _ := head[linux.Ndmsg](r)
	for _, n := range ifs.Neighbors() {
		family := familyOf(n.Addr)
		if q.Family != linux.AF_UNSPEC && q.Family != family || q.Index != 0 && q.Index != n.Link {
			continue
		}
		putNeighbor(w, header(r, linux.RTM_NEWNEIGH, true), &n)
	}
}

func putNeighbor(w *reply, h linux.NlMsghdr, n *socket.Neighbor) {
	begin(w, h, &linux.Ndmsg{Family: familyOf(n.Addr), Index: n.Link, State: n.State, Type: linux.RTN_UNICAST})
	w.attr(linux.NDA_DST, n.Addr.AsSlice())
	if n.Hardware != [6]byte{} {
		w.attr(linux.NDA_LLADDR, n.Hardware[:])
	}
	w.end()
}
