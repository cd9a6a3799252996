package syscalls

import (
	"slices"
	"strings"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// mountRequest copies struct mnt_id_req in, which says its own size.
func mountRequest(t *kernel.Task, p usermem.Ptr[linux.MountIDReq]) (linux.MountIDReq, error) {
	const first = 24 // MNT_ID_REQ_SIZE_VER0
	n, err := usermem.Ptr[uint32](p).Load(t)
	if err != nil {
		return linux.MountIDReq{}, err
	}
	r, err := p.LoadSized(t, uint64(n), first)
	if err == nil && (r.Spare != 0 || r.ID <= linux.FirstMountID) {
		err = linux.EINVAL
	}
	return r, err
}

// statmount implements statmount(2).
func statmount(t *kernel.Task, req usermem.Ptr[linux.MountIDReq], out address, n size, flags uint32) (int, error) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	r, err := mountRequest(t, req)
	if err != nil {
		return 0, err
	}
	ns, err := vfs.NamespaceByID(t, r.Namespace)
	if err != nil {
		return 0, err
	}
	defer ns.DecRef()
	d, err := ns.Stat(t, r.ID)
	if err != nil {
		return 0, err
	}
	s := statmounter{mask: r.Param}
	s.fill(&d)
	return s.copyOut(t, out, uint64(n))
}

// A statmounter puts together what statmount(2) tells.
type statmounter struct {
	mask uint64
	out  linux.Statmount
	str  []byte
}

func (s *statmounter) wants(bit uint64) bool {
	if s.mask&bit != 0 {
		s.out.Mask |= bit
	}
	return s.mask&bit != 0
}

// text adds strings and says where the first is. The empty string comes before all.
func (s *statmounter) text(v ...string) uint32 {
	if len(s.str) == 0 {
		s.str = []byte{0}
	}
	at := uint32(len(s.str))
	for _, x := range v {
		s.str = append(append(s.str, x...), 0)
	}
	return at
}

func (s *statmounter) fill(d *vfs.MountDetails) {
	o := &s.out
	if s.wants(linux.STATMOUNT_SB_BASIC) {
		const shown = linux.MS_RDONLY | linux.MS_SYNCHRONOUS | linux.MS_DIRSYNC | linux.MS_LAZYTIME
		o.DevMajor, o.DevMinor = linux.Major(d.Dev), linux.Minor(d.Dev)
		o.Magic, o.SBFlags = uint64(d.Magic), uint32(d.SuperFlags&shown)
	}
	if s.wants(linux.STATMOUNT_MNT_BASIC) {
		o.ID, o.Parent, o.OldID, o.OldParent = d.UniqueID, d.UniqueParent, uint32(d.ID), uint32(d.Parent)
		o.Attr, o.Propagation = mountAttrsOf(d.Flags), uint64(d.Kind)
		o.PeerGroup, o.Master = uint64(d.Group), uint64(d.Master)
	}
	if s.wants(linux.STATMOUNT_PROPAGATE_FROM) {
		o.PropagateFrom = uint64(d.From)
	}
	if s.wants(linux.STATMOUNT_MNT_NS_ID) {
		o.Namespace = d.Namespace
	}
	if s.wants(linux.STATMOUNT_SUPPORTED_MASK) {
		o.Supported = linux.STATMOUNT_ALL
	}
	s.wants(linux.STATMOUNT_MNT_UIDMAP) // none is mapped
	s.wants(linux.STATMOUNT_MNT_GIDMAP)
	s.strings(d)
}

func (s *statmounter) strings(d *vfs.MountDetails) {
	o := &s.out
	for _, x := range []struct {
		bit uint64
		to  *uint32
		v   string
	}{
		{linux.STATMOUNT_FS_TYPE, &o.FSType, d.Type},
		{linux.STATMOUNT_MNT_ROOT, &o.Root, d.Root},
		{linux.STATMOUNT_MNT_POINT, &o.Point, d.Point},
		{linux.STATMOUNT_MNT_OPTS, &o.MntOpts, d.FSOptions},
		{linux.STATMOUNT_SB_SOURCE, &o.Source, d.Source},
	} {
		if x.v != "" && s.wants(x.bit) {
			*x.to = s.text(x.v)
		}
	}
	if d.FSOptions != "" && s.wants(linux.STATMOUNT_OPT_ARRAY) {
		all := strings.Split(d.FSOptions, ",")
		o.OptNum, o.OptArray = uint32(len(all)), s.text(all...)
	}
}

// copyOut copies as much as there is room for: EOVERFLOW if a string would be cut.
func (s *statmounter) copyOut(t *kernel.Task, out address, room uint64) (int, error) {
	const strings = linux.STATMOUNT_FS_TYPE | linux.STATMOUNT_MNT_ROOT | linux.STATMOUNT_MNT_POINT | linux.STATMOUNT_MNT_OPTS |
		linux.STATMOUNT_FS_SUBTYPE | linux.STATMOUNT_SB_SOURCE | linux.STATMOUNT_OPT_ARRAY | linux.STATMOUNT_OPT_SEC_ARRAY |
		linux.STATMOUNT_MNT_UIDMAP | linux.STATMOUNT_MNT_GIDMAP
	head := usermem.AsBytes(&s.out)
	fixed := uint64(len(head))
	if s.mask&strings != 0 && room == fixed || len(s.str) != 0 && fixed+uint64(len(s.str)) >= room {
		return 0, linux.EOVERFLOW
	}
	s.out.Size = uint32(min(room, fixed) + uint64(len(s.str)))
	b := slices.Concat(head, s.str)
	_, err := t.CopyOut(out.Addr(), b[:min(uint64(len(b)), room)])
	return 0, err
}

// listmount implements listmount(2).
func listmount(t *kernel.Task, req usermem.Ptr[linux.MountIDReq], out address, n size, flags uint32) (int, error) {
	const most = 1_000_000
	if flags&^linux.LISTMOUNT_REVERSE != 0 {
		return 0, linux.EINVAL
	}
	if n > most {
		return 0, linux.EOVERFLOW
	}
	r, err := mountRequest(t, req)
	if err != nil {
		return 0, err
	}
	if r.Param != 0 && r.Param <= linux.FirstMountID {
		return 0, linux.EINVAL
	}
	ns, err := vfs.NamespaceByID(t, r.Namespace)
	if err != nil {
		return 0, err
	}
	defer ns.DecRef()
	ids, err := ns.List(t, r.ID, r.Param, int(n), flags&linux.LISTMOUNT_REVERSE != 0)
	if err != nil {
		return 0, err
	}
	b := make([]byte, 0, len(ids)*8)
	for _, id := range ids {
		b = append64(b, id)
	}
	if _, err := t.CopyOut(out.Addr(), b); err != nil {
		return 0, err
	}
	return len(ids), nil
}
