package vfs

import (
	"slices"

	"garrison/sentry/linux"
)

// A peerGroup is mounts that share what is mounted below them, and those that only
// receive it (mount_namespaces(7), "Shared subtrees"). All is protected by the mount
// table's mu.
type peerGroup struct {
	id     int
	peers  []*Mount
	slaves []*Mount // whose master is this group
}

// shareLocked makes m shared, in a group of its own unless it has one.
func (t *mountTable) shareLocked(m *Mount) {
	if m.group == nil {
		t.peers++
		m.group = &peerGroup{id: t.peers, peers: []*Mount{m}}
	}
	m.unbindable = false
}

func (m *Mount) joinLocked(g *peerGroup) {
	if g != nil {
		m.group, g.peers = g, append(g.peers, m)
	}
}

func (m *Mount) obeyLocked(g *peerGroup) {
	if g != nil {
		m.master, g.slaves = g, append(g.slaves, m)
	}
}

// leaveLocked takes m out of its peer group and from its master. What obeyed a group
// that is empty now obeys its former master.
func (m *Mount) leaveLocked() {
	g, master := m.group, m.master
	m.group, m.master = nil, nil
	if master != nil {
		master.slaves = slices.DeleteFunc(master.slaves, func(x *Mount) bool { return x == m })
	}
	if g == nil {
		return
	}
	g.peers = slices.DeleteFunc(g.peers, func(x *Mount) bool { return x == m })
	if len(g.peers) != 0 {
		return
	}
	for _, s := range g.slaves {
		s.master = nil
		s.obeyLocked(master)
	}
	g.slaves = nil
}

// setPropagationLocked makes m what how says (MS_SHARED…).
func (t *mountTable) setPropagationLocked(m *Mount, how linux.MountFlags) {
	switch how {
	case linux.MS_SHARED:
		t.shareLocked(m)
	case linux.MS_SLAVE:
		if g := m.group; g != nil && len(g.peers) > 1 {
			m.leaveLocked()
			m.obeyLocked(g)
		} else if g != nil {
			// The only peer has nobody to obey but the master it had.
			master := m.master
			m.leaveLocked()
			m.obeyLocked(master)
		}
		m.unbindable = false
	default:
		m.leaveLocked()
		m.unbindable = how == linux.MS_UNBINDABLE
	}
}

// A receiver is a mount that what is mounted on one of its peers or masters is
// mounted on too.
type receiver struct {
	m    *Mount
	from *peerGroup // the group through which it receives
	peer bool       // of that group; else its slave
}

// receivers is all to which an event on m propagates, m not included.
func receivers(m *Mount) (out []receiver) {
	seen := map[*Mount]bool{m: true}
	var visit func(g *peerGroup)
	visit = func(g *peerGroup) {
		for _, p := range g.peers {
			if !seen[p] {
				seen[p] = true
				out = append(out, receiver{p, g, true})
			}
		}
		for _, s := range g.slaves {
			if seen[s] {
				continue
			}
			seen[s] = true
			out = append(out, receiver{s, g, false})
			if s.group != nil {
				visit(s.group)
			}
		}
	}
	if m.group != nil {
		visit(m.group)
	}
	return out
}

// shows reports whether d can be reached below m's root.
func (m *Mount) shows(d *Dentry) bool { return m.fs == d.fs && d.within(m.root) }

// graftLocked attaches the tree m at point in parent, and copies of it wherever
// that propagates to.
func (t *mountTable) graftLocked(m, parent *Mount, point *Dentry) {
	rs := receivers(parent)
	if parent.group != nil {
		for x := range m.tree() {
			t.shareLocked(x)
		}
	}
	t.attachLocked(m, parent, point)
	copies := map[*peerGroup]*Mount{parent.group: m}
	for _, r := range rs {
		if r.m.ns == nil || !r.m.shows(point) {
			continue
		}
		src := copies[r.from]
		if src == nil {
			src = m
		}
		n := t.copyTreeLocked(src, src.root, copyAll)
		for x := range n.tree() {
			if !r.peer {
				// A slave's copy obeys the original's group, and has peers of its
				// own only if it is mounted on a shared mount.
				g := x.group
				x.leaveLocked()
				x.obeyLocked(g)
				if r.m.group != nil {
					t.shareLocked(x)
				}
			}
		}
		if r.m.group != nil && copies[r.m.group] == nil {
			copies[r.m.group] = n
		}
		t.attachLocked(n, r.m, point)
	}
}

// echoesLocked is the mounts that unmounting m takes along: at the same place in the
// receivers of its parent.
func (t *mountTable) echoesLocked(m *Mount) (out []*Mount) {
	if m.parent == nil {
		return nil
	}
	for _, r := range receivers(m.parent) {
		if x := t.at[mountKey{r.m, m.point}]; x != nil && x.fs == m.fs && x.root == m.root && len(x.children) == 0 {
			out = append(out, x)
		}
	}
	return out
}

// propagation is mountinfo's optional fields.
func (m *Mount) propagation() string {
	s := ""
	if m.group != nil {
		s = "shared:" + itoa(m.group.id)
	}
	if m.master != nil {
		s = join(s, "master:"+itoa(m.master.id))
	}
	if m.unbindable {
		s = join(s, "unbindable")
	}
	return s
}

// copyMode says what a copy of a tree is for.
type copyMode int

const (
	copyAll  copyMode = iota // for a new namespace, or by propagation
	copyBind                 // unbindable mounts are left out
)

// copyTreeLocked copies m, and what is mounted below root (a dentry that m shows), in
// no namespace. A copy is a peer of its original, and obeys the same master.
func (t *mountTable) copyTreeLocked(m *Mount, root *Dentry, mode copyMode) *Mount {
	n := t.copyLocked(m, root)
	for _, x := range m.children {
		if !x.point.within(root) || mode == copyBind && x.unbindable {
			continue
		}
		t.attachLocked(t.copyTreeLocked(x, x.root, mode), n, x.point)
	}
	return n
}

func (t *mountTable) copyLocked(m *Mount, root *Dentry) *Mount {
	n := m.sys.newMount(m.fs, root, m.source, m.Flags())
	n.unbindable = m.unbindable
	n.joinLocked(m.group)
	n.obeyLocked(m.master)
	return n
}
