package fanotify

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A finding is what a group is to tell of an event.
type finding struct {
	mask uint32   // what of it is asked for
	as   [5]bool  // by marks in these places, vfs.OnInode…
	fsid [2]int32 // the filesystem's, as statfs(2) has it
}

// match is what g's marks make of e; no mask if nothing.
func (g *Group) match(e *vfs.Event, hits []vfs.Hit) (f finding) {
	fid := g.fid()
	switch {
	case fid == 0 && (e.At.IsZero() || e.At.Type() != linux.S_IFREG && e.At.Type() != linux.S_IFDIR):
		return f // nothing that could be opened
	case fid != 0 && fid&linux.FAN_REPORT_FID == 0 && e.Dir == nil && e.Mask&linux.FAN_ONDIR == 0:
		return f // no directory to name
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var mask, ignore uint32
	for _, h := range hits {
		m := h.Mark.(*mark)
		if e.Mask&linux.FAN_MODIFY != 0 && m.flags&linux.FAN_MARK_IGNORED_SURV_MODIFY == 0 && m.notices(h.As) {
			m.ignore = 0
		}
		ignore |= m.ignores(e, h.As)
		if !applies(m.mask, e, h.As) {
			continue
		}
		mask |= m.mask
		f.as[h.As], f.fsid = true, m.fsid
	}
	f.mask = e.Mask & mask &^ ignore
	if f.mask&allEvents == 0 {
		return finding{}
	}
	if fid == 0 {
		f.mask &^= qualifiers
	}
	return f
}

// notices reports whether m is asked at all about what happens in its place.
func (m *mark) notices(as vfs.MarkPlace) bool {
	return as != vfs.OnParent || (m.mask|m.ignore)&linux.FAN_EVENT_ON_CHILD != 0
}

// applies reports whether a mask in that place is meant for e, by its qualifiers.
func applies(mask uint32, e *vfs.Event, as vfs.MarkPlace) bool {
	return !(e.Mask&linux.FAN_ONDIR != 0 && mask&linux.FAN_ONDIR == 0 ||
		as == vfs.OnParent && mask&linux.FAN_EVENT_ON_CHILD == 0)
}

// ignores is which events m has e's group not told of. Qualifiers of what is ignored
// count with FAN_MARK_IGNORE; without, all of directories is ignored, and of children if
// those are asked for.
func (m *mark) ignores(e *vfs.Event, as vfs.MarkPlace) uint32 {
	events, with := m.ignore&^qualifiers, m.ignore
	if m.flags&linux.FAN_MARK_IGNORE == 0 {
		with = events | linux.FAN_ONDIR | m.mask&linux.FAN_EVENT_ON_CHILD
	}
	if !applies(with, e, as) {
		return 0
	}
	return events
}
