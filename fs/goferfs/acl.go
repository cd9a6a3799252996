package goferfs

import (
	"slices"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// Access control lists are the host's, which keeps and applies them. What the gofer was asked
// for is kept as long as the attributes are, so that who walks directories that are known asks
// nothing, as with mode bits; and of a file that the guest has made where nothing is inherited
// it is known that it has none. A guest whose processes are all privileged, or own what they
// use, never asks. Once one has, the gofer says with attributes which files have no extended
// attributes, as most have none.

// acls is what is known of a file's lists.
type acls struct {
	known [vfs.ACLKinds]bool
	lists [vfs.ACLKinds]vfs.ACL
	seen  int64 // when the first of them came; now()
}

// knownACL is a list, if that is known.
func (n *node) knownACL(kind vfs.ACLKind) (acl vfs.ACL, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bare && (!n.fs.shared || now()-n.seen <= freshness) {
		return nil, true
	}
	if n.acls == nil || n.fs.shared && now()-n.acls.seen > freshness {
		return nil, false
	}
	return n.acls.lists[kind], n.acls.known[kind]
}

// askTogether asks for the attributes of n and of files that are listed behind it, twice as
// many each time, as who opens one after the other is in need of what comes with them.
func (n *node) askTogether(c vfs.Ctx) {
	const most = 6 // doublings
	d := n.above.Load()
	if n.fs.shared || n.typ != linux.S_IFREG || d == nil {
		return
	}
	times := d.asked.Add(1)
	if times == 1 {
		return
	}
	files := d.from(n, 1<<min(times, most))
	q := wire.AttrsReq{Lists: true}
	vers := make([]uint32, len(files))
	for i, f := range files {
		q.IDs, vers[i] = append(q.IDs, f.base().id), f.base().version()
	}
	var r wire.AttrsResp
	err := n.fs.call(c, &q, &r, nil)
	for i, f := range files {
		if x := f.base(); err == nil && len(r.Attrs) == len(files) && x.version() == vers[i] && !x.ask.Load() {
			x.storeAsked(&r.Attrs[i], vers[i])
		}
		f.Drop()
	}
}

// from is the regular files that are listed in d from n on and of which it is not known whether they
// have lists, held: count at most.
func (d *dir) from(n *node, count int) (out []inode) {
	var all []inode
	d.mu.Lock()
	if d.names != nil {
		for _, e := range d.names.entries {
			if e.node != nil && e.typ == linux.DT_REG && (len(all) > 0 || e.node.base() == n) && len(all) < 4*count {
				e.node.Hold()
				all = append(all, e.node)
			}
		}
	}
	d.mu.Unlock()
	for _, f := range all {
		if _, known := f.base().knownACL(vfs.AccessACL); known || len(out) == count || f.base().making.Load() != nil {
			f.Drop()
			continue
		}
		out = append(out, f)
	}
	return out
}

// learnACL notes a list that was asked for when the version was ver.
func (n *node) learnACL(kind vfs.ACLKind, acl vfs.ACL, ver uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ver != ver {
		return // it may have been set meanwhile
	}
	if t := now(); n.acls == nil || n.fs.shared && t-n.acls.seen > freshness {
		n.acls = &acls{seen: t}
	}
	n.acls.known[kind], n.acls.lists[kind] = true, acl
}

// ACL implements vfs.ACLer.
func (n *node) ACL(c vfs.Ctx, kind vfs.ACLKind) (vfs.ACL, error) {
	if kind == vfs.DefaultACL && n.typ != linux.S_IFDIR {
		return nil, nil
	}
	if n.ask.Load() {
		if err := n.refresh(c); err != nil {
			return nil, err
		}
	}
	if acl, known := n.knownACL(kind); known {
		return acl, nil
	}
	if kind == vfs.AccessACL {
		n.fs.lists.Store(true)
	}
	if n.askTogether(c); n.noXattrs(c) {
		return nil, nil
	}
	ver := n.version()
	names, err := n.ListXattr(c)
	switch {
	case (err == linux.ESTALE || err == linux.EBADF) && n.gone():
		return nil, nil // a file without a name that nobody can open by one
	case err != nil:
		return nil, err
	}
	for k := range vfs.ACLKinds {
		if !slices.Contains(names, k.Name()) {
			n.learnACL(k, nil, ver)
		}
	}
	if acl, known := n.knownACL(kind); known || !slices.Contains(names, kind.Name()) {
		return acl, nil
	}
	var r wire.XattrResp
	err = n.fs.call(c, &wire.GetxattrReq{ID: n.id, Name: kind.Name()}, &r, nil)
	if err != nil && err != linux.ENODATA { // it has gone meanwhile
		return nil, err
	}
	acl, err := vfs.DecodeACL(r.Value)
	if err != nil {
		return nil, linux.EIO // never from Linux
	}
	n.learnACL(kind, acl, ver)
	return acl, nil
}

// SetACL implements vfs.ACLer. With an access list the host sets the mode, in one step; but
// the set-group-id bit is as vfs says.
func (n *node) SetACL(c vfs.Ctx, kind vfs.ACLKind, acl vfs.ACL, mode linux.FileMode) error {
	if acl == nil && kind == vfs.AccessACL && n.lastAttr().Mode&0o777 != mode&0o777 {
		acl = vfs.ModeACL(mode)
	}
	n.marked.Store(true)
	var q wire.Request = &wire.RemovexattrReq{ID: n.id, Name: kind.Name()}
	if acl != nil {
		q = &wire.SetxattrReq{ID: n.id, Name: kind.Name(), Value: acl.Encode()}
	}
	err := n.changeXattr(c, kind.Name(), q)
	if err == linux.ENODATA && acl == nil { // Linux before 6.2
		err = nil
	}
	if err != nil || kind != vfs.AccessACL || n.lastAttr().Mode.Perm() == mode.Perm() {
		return err
	}
	return n.SetAttr(c, &vfs.Attr{Mode: mode}, vfs.SetMode)
}

// chmodACLLocked has what is known of the access list follow a change of the mode, as the
// list on the host does. n.mu is held.
func (n *node) chmodACLLocked(mode linux.FileMode) {
	if n.acls != nil && n.acls.lists[vfs.AccessACL] != nil {
		n.acls.lists[vfs.AccessACL] = n.acls.lists[vfs.AccessACL].Chmod(mode)
	}
}

// inherited sees to what n, which was made in d as s has it, got from d's default list: to
// nothing, if s says so.
func (n *node) inherited(c vfs.Ctx, d *dir, s *vfs.MakeSpec) {
	list, err := d.ACL(c, vfs.DefaultACL)
	if err != nil || n.typ == linux.S_IFLNK {
		return
	}
	if list == nil {
		n.mu.Lock()
		n.bare = !n.fs.shared
		n.mu.Unlock()
		return
	}
	if acl, _ := list.Inherit(s.Mode); acl != nil && s.ACLs[vfs.AccessACL] == nil {
		_ = n.SetACL(c, vfs.AccessACL, nil, s.Mode) // the mode stays, and says the same
	}
	if s.Mode.IsDir() && s.ACLs[vfs.DefaultACL] == nil {
		_ = n.SetACL(c, vfs.DefaultACL, nil, s.Mode)
	}
}

// inheritable reports whether what is made in d gets a list, or may.
func (d *dir) inheritable(c vfs.Ctx) bool {
	list, err := d.ACL(c, vfs.DefaultACL)
	return err != nil || list != nil
}
