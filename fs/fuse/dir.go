package fuse

import (
	"bytes"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

func untilZero(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// An entry is what is remembered of a name in a directory.
type entry struct {
	until time.Duration // until when what vfs knows of it is true
	ahead *inode        // what a listing has told of it, held, until vfs asks
}

// maxNames is how many names are remembered in all directories of a connection; a name
// that is not is looked up again.
const maxNames = 1 << 16

// remember notes until when a name is true, and what it names if vfs does not know.
func (i *inode) remember(name string, e entry) {
	m := i.m
	i.mu.Lock()
	old, had := i.entries[name]
	keep := e.until > m.now() && (had || m.names.Load() < maxNames)
	switch {
	case keep:
		if i.entries == nil {
			i.entries = map[string]entry{}
		}
		i.entries[name] = e
	case had:
		delete(i.entries, name)
	}
	i.mu.Unlock()
	switch {
	case keep && !had:
		m.names.Add(1)
	case !keep && had:
		m.names.Add(-1)
	}
	if !keep && e.ahead != nil {
		e.ahead.Drop()
	}
	if old.ahead != nil {
		old.ahead.Drop()
	}
}

// forgetName makes a name be looked up again.
func (i *inode) forgetName(name string) { i.remember(name, entry{}) }

// forgetNames gives up what is remembered of all names.
func (i *inode) forgetNames() {
	i.mu.Lock()
	all := i.entries
	i.entries = nil
	i.mu.Unlock()
	i.m.names.Add(-int64(len(all)))
	for _, e := range all {
		if e.ahead != nil {
			e.ahead.Drop()
		}
	}
}

// took is what a listing has told of a name, once, held; nil if nothing that is true still.
func (i *inode) took(name string) *inode {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.looked = true
	e, ok := i.entries[name]
	if !ok || e.ahead == nil {
		return nil
	}
	if i.m.now() >= e.until {
		return nil
	}
	n := e.ahead
	e.ahead = nil
	i.entries[name] = e
	return n
}

// Lookup implements vfs.Dir.
func (i *inode) Lookup(c vfs.Ctx, name string) (vfs.Inode, error) {
	if n := i.took(name); n != nil {
		return n, nil
	}
	n, err := i.lookup(c, name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// lookup asks the server. ENOENT.
func (i *inode) lookup(c vfs.Ctx, s string) (*inode, error) {
	o, err := callEntry(i.m, c, ask(linux.FUSE_LOOKUP, i.id, name(s)))
	if err != nil {
		return nil, err
	}
	if o.Node == 0 { // known not to exist, for a while
		i.remember(s, entry{until: i.m.until(o.EntryValid, o.EntryValidNsec)})
		return nil, linux.ENOENT
	}
	return i.named(s, o)
}

// callEntry asks for what a name names. Should nobody wait for the answer any more, the
// server is told that what it has counted is not needed.
func callEntry(m *connection, c vfs.Ctx, r *request) (*linux.FuseEntryOut, error) {
	r.then = func(reply []byte, err error) {
		if e := decode[linux.FuseEntryOut](reply); err == nil && e.Node > linux.FUSE_ROOT_ID {
			m.forget(e.Node, 1)
		}
	}
	o, err := callFor[linux.FuseEntryOut](m, c, r)
	return &o, err
}

// named is the inode that o tells of, held, by a name here.
func (i *inode) named(s string, o *linux.FuseEntryOut) (*inode, error) {
	n, err := i.m.found(o, anyVersion)
	if err != nil {
		return nil, err
	}
	i.remember(s, entry{until: i.m.until(o.EntryValid, o.EntryValidNsec)})
	return n, nil
}

// Revalidate implements vfs.Stale: a name is true as long as the server has said, and
// then if it says so again.
func (i *inode) Revalidate(c vfs.Ctx, s string, was vfs.Inode) bool {
	i.mu.Lock()
	e, ok := i.entries[s]
	i.looked = true
	i.mu.Unlock()
	if ok && e.ahead == nil && i.m.now() < e.until {
		return true
	}
	if was == nil {
		return false
	}
	n, err := i.lookup(c, s)
	if err != nil {
		return false
	}
	defer n.Drop()
	return n == nodeOf(was)
}

// umask is the caller's, of which servers are told beside a mode to which it was applied.
func umask(c vfs.Ctx) uint32 { return uint32(c.FS().Umask()) }

// Make implements vfs.Maker.
func (i *inode) Make(c vfs.Ctx, s string, spec *vfs.MakeSpec) (vfs.Inode, error) {
	var r *request
	switch typ := spec.Mode.Type(); typ {
	case linux.S_IFDIR:
		// That a directory inherits the set-group-id bit is the server's business.
		in := linux.FuseMkdirIn{Mode: uint32(spec.Mode.Perm() &^ linux.S_ISGID), Umask: umask(c)}
		r = ask(linux.FUSE_MKDIR, i.id, raw(in), name(s))
	case linux.S_IFLNK:
		r = ask(linux.FUSE_SYMLINK, i.id, name(s), name(spec.Target))
	default:
		in := linux.FuseMknodIn{Mode: uint32(spec.Mode), Rdev: packNumber(spec.Rdev), Umask: umask(c)}
		r = ask(linux.FUSE_MKNOD, i.id, raw(in), name(s))
	}
	n, err := i.made(c, s, spec.Mode.Type(), r)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// made asks the server to make what r says, which is to be of a type.
func (i *inode) made(c vfs.Ctx, s string, typ linux.FileMode, r *request) (*inode, error) {
	o, err := callEntry(i.m, c, r)
	if err != nil {
		return nil, err
	}
	n, err := i.madeBy(s, typ, o)
	i.expire()
	return n, err
}

// madeBy is what the server says that it has made.
func (i *inode) madeBy(s string, typ linux.FileMode, o *linux.FuseEntryOut) (*inode, error) {
	if o.Node == 0 || linux.FileMode(o.Attr.Mode).Type() != typ {
		if o.Node > linux.FUSE_ROOT_ID {
			i.m.forget(o.Node, 1)
		}
		return nil, linux.EIO
	}
	return i.named(s, o)
}

// Create implements vfs.Creator.
func (i *inode) Create(c vfs.Ctx, s string, spec *vfs.MakeSpec, flags linux.OpenFlags) (vfs.Inode, vfs.File, error) {
	if i.m.has(linux.FUSE_CREATE) {
		n, f, err := i.create(c, s, spec, flags)
		if !i.m.lacks(linux.FUSE_CREATE, err) {
			return n, f, err
		}
	}
	n, err := i.Make(c, s, spec)
	return n, nil, err
}

// createOut answers FUSE_CREATE.
type createOut struct {
	Entry linux.FuseEntryOut
	Open  linux.FuseOpenOut
}

func (i *inode) create(c vfs.Ctx, s string, spec *vfs.MakeSpec, flags linux.OpenFlags) (vfs.Inode, vfs.File, error) {
	m := i.m
	in := linux.FuseCreateIn{Flags: uint32(flags &^ linux.O_NOCTTY), Mode: uint32(spec.Mode), Umask: umask(c)}
	r := ask(linux.FUSE_CREATE, i.id, raw(in), name(s))
	r.then = func(reply []byte, err error) {
		if o := decode[createOut](reply); err == nil && o.Entry.Node > linux.FUSE_ROOT_ID {
			m.release(linux.FUSE_RELEASE, o.Entry.Node, linux.FuseReleaseIn{FH: o.Open.FH, Flags: in.Flags})
			m.forget(o.Entry.Node, 1)
		}
	}
	o, err := callFor[createOut](m, c, r)
	if err != nil {
		return nil, nil, err
	}
	n, err := i.madeBy(s, linux.S_IFREG, &o.Entry)
	i.expire()
	if err != nil {
		m.release(linux.FUSE_RELEASE, o.Entry.Node, linux.FuseReleaseIn{FH: o.Open.FH, Flags: in.Flags})
		return nil, nil, err
	}
	return n, n.opened(flags, &o.Open), nil
}

// Link implements vfs.Linker.
func (i *inode) Link(c vfs.Ctx, s string, to vfs.Inode) error {
	n := nodeOf(to)
	if n == nil || n.m != i.m {
		return linux.EXDEV
	}
	o, err := callEntry(i.m, c, ask(linux.FUSE_LINK, i.id, raw(linux.FuseLinkIn{Node: n.id}), name(s)))
	i.expire()
	n.expire()
	if err != nil {
		return err
	}
	x, err := i.madeBy(s, n.typ, o)
	if err != nil {
		return err
	}
	defer x.Drop()
	if x != n {
		i.forgetName(s) // it is another file by now
	}
	return nil
}

// sticky is the sticky bit's rule, which holds whoever judges the rest.
func (i *inode) sticky(c vfs.Ctx, victim vfs.Inode) error {
	n := nodeOf(victim)
	if n == nil {
		return nil
	}
	dir, _ := i.known()
	a, _ := n.known()
	cr := c.Creds()
	if dir.Mode&linux.S_ISVTX != 0 && cr.FSUID != a.UID && cr.FSUID != dir.UID && !vfs.Capable(cr, &a, auth.CapFowner) {
		return linux.EPERM
	}
	return nil
}

// Remove implements vfs.Remover.
func (i *inode) Remove(c vfs.Ctx, s string, victim vfs.Inode, dir bool) error {
	if err := i.sticky(c, victim); err != nil {
		return err
	}
	op := linux.FUSE_UNLINK
	if dir {
		op = linux.FUSE_RMDIR
	}
	_, err := i.m.call(c, ask(op, i.id, name(s)))
	if mayHaveChanged(err) {
		i.forgetName(s)
	}
	if err != nil {
		return err
	}
	i.expire()
	nodeOf(victim).lostName(dir)
	return nil
}

// mayHaveChanged reports whether names are not what they were after a change that ended so.
func mayHaveChanged(err error) bool {
	return err == nil || err == linux.EINTR || err == linux.ENOENT
}

// lostName notes that n has one name less.
func (i *inode) lostName(dir bool) {
	i.expire()
	i.mu.Lock()
	defer i.mu.Unlock()
	if dir || i.attr.Nlink <= 1 {
		i.attr.Nlink = 0
	} else {
		i.attr.Nlink--
	}
}

// Rename implements vfs.Renamer.
func (i *inode) Rename(c vfs.Ctx, r *vfs.RenameSpec) error {
	to := nodeOf(r.NewDir)
	if to == nil || to.m != i.m {
		return linux.EXDEV
	}
	if err := i.sticky(c, r.Moved); err != nil {
		return err
	}
	if r.Replaced != nil {
		if err := to.sticky(c, r.Replaced); err != nil {
			return err
		}
	}
	names := [][]byte{name(r.Old), name(r.New)}
	var err error
	if r.Flags == 0 {
		_, err = i.m.call(c, ask(linux.FUSE_RENAME, i.id, append([][]byte{raw(linux.FuseRenameIn{NewDir: to.id})}, names...)...))
	} else {
		err = i.rename2(c, to, r.Flags, names)
	}
	if mayHaveChanged(err) {
		i.forgetName(r.Old)
		to.forgetName(r.New)
	}
	if err != nil {
		return err
	}
	i.expire()
	to.expire()
	nodeOf(r.Moved).expire()
	if n := nodeOf(r.Replaced); n != nil && r.Flags&linux.RENAME_EXCHANGE == 0 {
		n.lostName(n.typ == linux.S_IFDIR)
	} else if n != nil {
		n.expire()
	}
	return nil
}

// rename2 is a rename with flags. EINVAL if the server knows none.
func (i *inode) rename2(c vfs.Ctx, to *inode, flags uint32, names [][]byte) error {
	if !i.m.has(linux.FUSE_RENAME2) {
		return linux.EINVAL
	}
	in := raw(linux.FuseRename2In{NewDir: to.id, Flags: flags})
	_, err := i.m.call(c, ask(linux.FUSE_RENAME2, i.id, append([][]byte{in}, names...)...))
	if i.m.lacks(linux.FUSE_RENAME2, err) {
		return linux.EINVAL
	}
	return err
}
