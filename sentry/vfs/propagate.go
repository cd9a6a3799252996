package vfs

import (
	"slices"

	"garrison/sentry/auth"
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

// receivers is all to which an event on m propagates: its peers, those that obey them,
// the peers of these, and so on; m not included.
func receivers(m *Mount) (out []*Mount) {
	seen := map[*Mount]bool{m: true}
	var visit func(g *peerGroup)
	visit = func(g *peerGroup) {
		for _, x := range slices.Concat(g.peers, g.slaves) {
			if seen[x] {
				continue
			}
			seen[x] = true
			out = append(out, x)
			if x.group != nil && x.group != g {
				visit(x.group)
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
	if parent.group == nil {
		t.attachLocked(m, parent, point)
		return
	}
	for x := range m.tree() {
		t.shareLocked(x)
	}
	p := propagation{t: t, user: parent.ns.user, point: point, seen: map[*Mount]bool{parent: true}, groups: map[*peerGroup]bool{}}
	p.spread(parent.group, m, false)
	t.attachLocked(m, parent, point)
	for i, x := range p.copies {
		t.attachLocked(x, p.to[i], point)
	}
}

// A propagation is one tree on its way to all that are to have a copy of it.
type propagation struct {
	t      *mountTable
	user   *auth.UserNamespace // of where it comes from
	point  *Dentry
	seen   map[*Mount]bool
	groups map[*peerGroup]bool
	copies []*Mount // each to be attached at point in to
	to     []*Mount
}

// spread copies src for the peers of g and for those that obey g. The copies are peers of
// src, or, if slave, obey its group: the first for a peer of g does, and those after it
// are peers of that.
func (p *propagation) spread(g *peerGroup, src *Mount, slave bool) {
	if p.groups[g] {
		return
	}
	p.groups[g] = true
	for _, x := range g.peers {
		if n := p.give(x, src, slave); n != nil && slave {
			src, slave = n, false
		}
	}
	for _, x := range g.slaves {
		if x.group != nil {
			p.spread(x.group, src, true)
		} else {
			p.give(x, src, true)
		}
	}
}

// give makes the copy of src for m; nil if m is to have none.
func (p *propagation) give(m, src *Mount, slave bool) *Mount {
	if p.seen[m] || m.ns == nil || !m.shows(p.point) {
		return nil
	}
	p.seen[m] = true
	n := p.t.copyTreeLocked(src, src.root, copyAll)
	for x := range n.tree() {
		if !slave {
			continue
		}
		// It has peers of its own only if it is mounted on a shared mount.
		g := x.group
		x.leaveLocked()
		x.obeyLocked(g)
		if m.group != nil {
			p.t.shareLocked(x)
		}
	}
	if !m.ns.user.Same(p.user) {
		lockTreeLocked(n)
	}
	p.copies, p.to = append(p.copies, n), append(p.to, m)
	return n
}

// echoesLocked is the mounts that unmounting those of gone takes along: at the same
// places in what their parents propagate to, but for those that something else is mounted
// below, and those that must stay where they are while that is. What is mounted right on
// top of one stays in its place.
func (t *mountTable) echoesLocked(gone []*Mount) []*Mount {
	going := map[*Mount]bool{}
	for _, m := range gone {
		going[m] = true
	}
	var maybe []*Mount
	for _, m := range gone {
		if m.parent == nil {
			continue
		}
		for _, r := range receivers(m.parent) {
			if x := t.at[mountKey{r, m.point}]; x != nil && !going[x] {
				going[x] = true
				maybe = append(maybe, x)
			}
		}
	}
	for again := true; again; {
		again = false
		for _, x := range maybe {
			stays := func(c *Mount) bool { return c.point != x.root && !c.allLocked(going) }
			if going[x] && (x.locked && !going[x.parent] || slices.ContainsFunc(x.children, stays)) {
				going[x], again = false, true
			}
		}
	}
	return slices.DeleteFunc(maybe, func(x *Mount) bool { return !going[x] })
}

// allLocked reports whether m and all below it are in set.
func (m *Mount) allLocked(set map[*Mount]bool) bool {
	for x := range m.tree() {
		if !set[x] {
			return false
		}
	}
	return true
}

// unlockEchoesLocked lets what unmounting m propagates to go: who put a mount there may
// take it away again.
func (t *mountTable) unlockEchoesLocked(m *Mount) {
	for _, r := range receivers(m.parent) {
		if x := t.at[mountKey{r, m.point}]; x != nil {
			x.locked = false
		}
	}
}

// busyLocked reports whether m, or what would go with it, is in use. The caller has the
// uses of m that it says.
func (t *mountTable) busyLocked(m *Mount, uses int64) bool {
	if len(m.children) != 0 || m.refs.Load() > uses {
		return true
	}
	for _, r := range receivers(m.parent) {
		x := t.at[mountKey{r, m.point}]
		if x != nil && len(x.children) == 0 && x.refs.Load() > 1 {
			return true
		}
	}
	return false
}

// dominatingLocked is the nearest group that m receives from which has a member that can
// be seen from root; 0 without.
func (m *Mount) dominatingLocked(root Path) int {
	for g := m.master; g != nil; {
		for _, p := range g.peers {
			if p.ns != nil && p.ns == root.mnt.ns && (Path{p, p.root}).belowLocked(root) {
				return g.id
			}
		}
		if len(g.peers) == 0 {
			return 0
		}
		g = g.peers[0].master
	}
	return 0
}

// showPropagation is mountinfo's optional fields, for who sees root.
func (m *Mount) showPropagation(root Path) string {
	s := ""
	if m.group != nil {
		s = "shared:" + itoa(m.group.id)
	}
	if m.master != nil {
		s = join(s, "master:"+itoa(m.master.id))
		if from := m.dominatingLocked(root); from != 0 && from != m.master.id {
			s = join(s, "propagate_from:"+itoa(from))
		}
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
		y := t.copyTreeLocked(x, x.root, mode)
		y.locked = x.locked
		t.attachLocked(y, n, x.point)
	}
	return n
}

func (t *mountTable) copyLocked(m *Mount, root *Dentry) *Mount {
	n := m.sys.newMount(m.fs, root, m.source, m.Flags())
	n.unbindable, n.keep, n.keepAtime = m.unbindable, m.keep, m.keepAtime
	n.joinLocked(m.group)
	n.obeyLocked(m.master)
	return n
}
