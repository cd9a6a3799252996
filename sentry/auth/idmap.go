package auth

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// NoID is no id at all: (uid_t) -1.
const NoID = ^uint32(0)

// OverflowID is shown in place of an id that has none in the viewer's namespace
// (/proc/sys/kernel/overflowuid and overflowgid, as they are from the beginning).
const OverflowID = 65534

// An Extent maps Count ids from First inside a namespace to those from Lower: of the
// parent as it is written, of the first namespace as it is kept.
type Extent struct{ First, Lower, Count uint32 }

// An IDMap is uid_map, gid_map or projid_map. It never changes.
type IDMap struct {
	shown []Extent // in the order that the file shows
	down  []Extent // by First, with kernel ids
	up    []Extent // by Lower, with kernel ids
}

// MaxExtents is the most lines that a map may have (UID_GID_MAP_MAX_EXTENTS).
const MaxExtents = 340

// ParseExtents reads what is written to a map file; false for EINVAL.
func ParseExtents(s string) (out []Extent, ok bool) {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	for s != "" {
		var line string
		line, s, _ = strings.Cut(s, "\n")
		f := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\v\f\r", r) })
		if len(f) != 3 || len(out) == MaxExtents {
			return nil, false
		}
		var v [3]uint32
		for i := range v {
			n, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return nil, false
			}
			v[i] = uint32(n)
		}
		e := Extent{v[0], v[1], v[2]}
		if e.First == NoID || e.Lower == NoID || e.First+e.Count <= e.First || e.Lower+e.Count <= e.Lower {
			return nil, false
		}
		for _, o := range out {
			if overlap(o.First, o.Count, e.First, e.Count) || overlap(o.Lower, o.Count, e.Lower, e.Count) {
				return nil, false
			}
		}
		out = append(out, e)
	}
	return out, len(out) > 0
}

func overlap(a, na, b, nb uint32) bool { return max(a, b) <= min(a+na-1, b+nb-1) }

// newMap makes a map of what was written, through the parent's; nil if the parent
// does not map all of it.
func newMap(es []Extent, parent func(from, n uint32) (uint32, bool)) *IDMap {
	m := &IDMap{}
	for _, e := range es {
		k, ok := parent(e.Lower, e.Count)
		if !ok {
			return nil
		}
		m.down = append(m.down, Extent{e.First, k, e.Count})
	}
	m.up, m.shown = slices.Clone(m.down), slices.Clone(m.down)
	slices.SortFunc(m.down, func(a, b Extent) int { return cmp.Compare(a.First, b.First) })
	if len(es) > 5 {
		m.shown = m.down // Linux sorts what does not fit in a cache line
	}
	slices.SortFunc(m.up, func(a, b Extent) int { return cmp.Compare(a.Lower, b.Lower) })
	return m
}

// toKernel maps n ids from v of the namespace, which must lie in one extent.
func (m *IDMap) toKernel(v, n uint32) (uint32, bool) {
	if m == nil {
		return NoID, false
	}
	i, _ := slices.BinarySearchFunc(m.down, v, func(e Extent, v uint32) int { return cmp.Compare(e.First+e.Count-1, v) })
	if i == len(m.down) {
		return NoID, false
	}
	e := m.down[i]
	if v < e.First || v-e.First > e.Count-n || n > e.Count {
		return NoID, false
	}
	return e.Lower + (v - e.First), true
}

func (m *IDMap) fromKernel(k uint32) (uint32, bool) {
	if m == nil {
		return NoID, false
	}
	i, _ := slices.BinarySearchFunc(m.up, k, func(e Extent, k uint32) int { return cmp.Compare(e.Lower+e.Count-1, k) })
	if i == len(m.up) || k < m.up[i].Lower {
		return NoID, false
	}
	return m.up[i].First + (k - m.up[i].Lower), true
}

// A MapKind is one of a namespace's maps.
type MapKind int

// The three maps.
const (
	UIDMap MapKind = iota
	GIDMap
	ProjectMap
)

// load is ns's map of a kind, nil before it is written; ns is not the first one.
func (ns *UserNamespace) load(k MapKind) *IDMap {
	switch k {
	case UIDMap:
		return ns.uids.Load()
	case GIDMap:
		return ns.gids.Load()
	}
	return ns.projids.Load()
}

// Mapped reports whether ns's map of a kind has been written.
func (ns *UserNamespace) Mapped(k MapKind) bool { return ns.First() || ns.load(k) != nil }

// toKernel maps n ids from v of ns, in one extent.
func (ns *UserNamespace) toKernel(k MapKind, v, n uint32) (uint32, bool) {
	if ns.First() {
		return v, v != NoID
	}
	return ns.load(k).toKernel(v, n)
}

func (ns *UserNamespace) fromKernel(k MapKind, v uint32) (uint32, bool) {
	if ns.First() {
		return v, v != NoID
	}
	return ns.load(k).fromKernel(v)
}

// SetMap makes es the map of a kind. False (EPERM) if there is one already, or if the
// parent lacks an id.
func (ns *UserNamespace) SetMap(k MapKind, es []Extent) bool {
	m := newMap(es, func(v, n uint32) (uint32, bool) { return ns.Parent.toKernel(k, v, n) })
	if m == nil {
		return false
	}
	ns.mu.Lock() // denying setgroups(2) is only for before
	defer ns.mu.Unlock()
	at := &ns.uids
	switch k {
	case GIDMap:
		at = &ns.gids
	case ProjectMap:
		at = &ns.projids
	}
	return at.CompareAndSwap(nil, m)
}

// MayMap reports whether opener, who opened the file, and current, who writes it, may
// make es the map: user_namespaces(7), "Defining user and group ID mappings".
func (ns *UserNamespace) MayMap(k MapKind, es []Extent, opener, current *Creds) bool {
	if k == UIDMap && !ns.mayMapRoot(es, opener) {
		return false
	}
	if len(es) == 1 && es[0].Count == 1 && ns.Owner == opener.EUID {
		id, known := ns.Parent.toKernel(k, es[0].Lower, 1)
		switch {
		case k == UIDMap && known && id == opener.EUID,
			k == GIDMap && known && id == opener.EGID && !ns.groupsAllowed():
			return true
		}
	}
	x := CapSetuid
	switch k {
	case GIDMap:
		x = CapSetgid
	case ProjectMap:
		return true
	}
	return current.HasCapIn(ns.Parent, x) && opener.HasCapIn(ns.Parent, x)
}

// mayMapRoot applies the rule for the parent's root, which could give files
// capabilities there.
func (ns *UserNamespace) mayMapRoot(es []Extent, opener *Creds) bool {
	if !slices.ContainsFunc(es, func(e Extent) bool { return e.Lower == 0 }) {
		return true
	}
	if ns == opener.UserNS {
		return ns.couldCaps
	}
	return opener.HasCapIn(ns.Parent, CapSetfcap)
}

// ShowMap writes the map as the file shows it to a reader in the namespace viewer:
// with the ids of ns's parent to ns itself, else with viewer's.
func (ns *UserNamespace) ShowMap(w io.Writer, k MapKind, viewer *UserNamespace) {
	if ns.First() {
		lower, _ := viewer.fromKernel(k, 0)
		fmt.Fprintf(w, "%10d %10d %10d\n", 0, lower, NoID)
		return
	}
	if viewer.Same(ns) {
		viewer = ns.Parent
	}
	m := ns.load(k)
	if m == nil {
		return
	}
	for _, e := range m.shown {
		lower, _ := viewer.fromKernel(k, e.Lower)
		fmt.Fprintf(w, "%10d %10d %10d\n", e.First, lower, e.Count)
	}
}

// MakeUID is the kernel's id of uid in ns, NoID and false if it means nothing there;
// MakeGID is that of a group.
func (ns *UserNamespace) MakeUID(uid uint32) (uint32, bool) { return ns.toKernel(UIDMap, uid, 1) }

// MakeGID is MakeUID for a group.
func (ns *UserNamespace) MakeGID(gid uint32) (uint32, bool) { return ns.toKernel(GIDMap, gid, 1) }

// KnowsUID reports whether the kernel's id has one in ns.
func (ns *UserNamespace) KnowsUID(k uint32) bool {
	_, ok := ns.fromKernel(UIDMap, k)
	return ok
}

// KnowsGID is KnowsUID for a group.
func (ns *UserNamespace) KnowsGID(k uint32) bool {
	_, ok := ns.fromKernel(GIDMap, k)
	return ok
}

// FromUID is ns's id of the kernel's, NoID if there is none.
func (ns *UserNamespace) FromUID(k uint32) uint32 {
	v, _ := ns.fromKernel(UIDMap, k)
	return v
}

// FromGID is FromUID for a group.
func (ns *UserNamespace) FromGID(k uint32) uint32 {
	v, _ := ns.fromKernel(GIDMap, k)
	return v
}

// ShowUID is the kernel's id as ns is shown it: OverflowID if it has none there.
func (ns *UserNamespace) ShowUID(k uint32) uint32 {
	return ns.show(UIDMap, k)
}

func (ns *UserNamespace) show(kind MapKind, k uint32) uint32 {
	if v, ok := ns.fromKernel(kind, k); ok {
		return v
	}
	return OverflowID
}

// ShowGID is ShowUID for a group.
func (ns *UserNamespace) ShowGID(k uint32) uint32 {
	return ns.show(GIDMap, k)
}

// ShowGIDs is ShowGID for many.
func (ns *UserNamespace) ShowGIDs(ks []uint32) []uint32 {
	if ns.First() {
		return ks
	}
	out := make([]uint32, len(ks))
	for i, k := range ks {
		out[i] = ns.ShowGID(k)
	}
	return out
}
