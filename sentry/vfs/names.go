package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// make makes what spec's mode says at a, for mkdir, mknod, symlink. It returns the
// new place, held.
func makeAt(c Ctx, a At, mode linux.FileMode, fill func(*MakeSpec)) (Path, error) {
	p, err := resolveParent(c, a)
	if err != nil {
		return Path{}, err
	}
	defer p.dir.Drop()
	if p.name == "" || p.name == "." || p.name == ".." {
		return Path{}, linux.EEXIST
	}
	x, err := p.make(c, mode, fill)
	if err != nil {
		return Path{}, err
	}
	at := Path{p.dir.mnt, x}
	at.mnt.ref()
	at.notifyEntry(c, linux.FAN_CREATE)
	return at, nil
}

func (p *parent) make(c Ctx, mode linux.FileMode, fill func(*MakeSpec)) (*Dentry, error) {
	dir := p.dir.d
	dir.dir.op.Lock()
	defer dir.dir.op.Unlock()
	x, err := dir.lookupLocked(c, p.name)
	if err != nil {
		return nil, err
	}
	exists := x.node != nil
	x.unref()
	if exists {
		return nil, linux.EEXIST
	}
	if p.slash && !mode.IsDir() {
		return nil, linux.ENOENT
	}
	spec, err := mayMake(c, p.dir, mode)
	if err != nil {
		return nil, err
	}
	if fill(spec); spec.isDevice() && !c.Creds().Capable(auth.CapMknod) {
		return nil, linux.EPERM
	}
	mk, ok := dir.node.(Maker)
	if !ok {
		return nil, linux.EPERM
	}
	node, err := mk.Make(c, p.name, spec)
	if err != nil {
		return nil, err
	}
	if x, err = newDentry(c, dir.fs, dir, p.name, node); err != nil {
		return nil, err
	}
	dir.hash(x)
	return x, nil
}

// Mkdir is mkdirat(2).
func Mkdir(c Ctx, a At, mode linux.FileMode) error {
	p, err := makeAt(c, a, linux.S_IFDIR|mode&(linux.PermMask&^(linux.S_ISUID|linux.S_ISGID)), func(*MakeSpec) {})
	p.Drop()
	return err
}

// Mknod is mknodat(2); mode has the type. A socket's name for bind(2) is made with
// S_IFSOCK. It returns the new file, held. EPERM, EINVAL.
func Mknod(c Ctx, a At, mode linux.FileMode, rdev uint64) (Path, error) {
	switch mode.Type() {
	case 0:
		mode |= linux.S_IFREG
	case linux.S_IFREG, linux.S_IFIFO, linux.S_IFSOCK, linux.S_IFCHR, linux.S_IFBLK:
	case linux.S_IFDIR:
		return Path{}, linux.EPERM
	default:
		return Path{}, linux.EINVAL
	}
	return makeAt(c, a, mode, func(s *MakeSpec) { s.Rdev = rdev })
}

// isDevice reports whether s is what only the privileged make: a whiteout, which is device
// 0:0, is harmless.
func (s *MakeSpec) isDevice() bool {
	switch s.Mode.Type() {
	case linux.S_IFCHR:
		return s.Rdev != 0
	case linux.S_IFBLK:
		return true
	}
	return false
}

// MakeSymlink is symlinkat(2).
func MakeSymlink(c Ctx, target string, a At) error {
	if target == "" {
		return linux.ENOENT
	}
	p, err := makeAt(c, a, linux.S_IFLNK|0o777, func(s *MakeSpec) { s.Target = target })
	p.Drop()
	return err
}

// Link is linkat(2) to what from is.
func Link(c Ctx, from Path, to At) error {
	p, err := resolveParent(c, to)
	if err != nil {
		return err
	}
	defer p.dir.Drop()
	if p.name == "" || p.name == "." || p.name == ".." {
		return linux.EEXIST
	}
	x, err := p.link(c, from)
	if err != nil {
		return err
	}
	at := Path{p.dir.mnt, x}
	// Of its count of links only the file's own watches are told.
	from.d.fs.inodeEvent(c, from.d, linux.FAN_ATTRIB)
	at.notifyEntry(c, linux.FAN_CREATE)
	x.unref()
	return nil
}

func (p *parent) link(c Ctx, from Path) (*Dentry, error) {
	dir := p.dir.d
	dir.dir.op.Lock()
	defer dir.dir.op.Unlock()
	old, err := dir.lookupLocked(c, p.name)
	if err != nil {
		return nil, err
	}
	exists := old.node != nil
	old.unref()
	switch {
	case exists:
		return nil, linux.EEXIST
	case p.slash:
		return nil, linux.ENOENT
	}
	l, err := p.linker(c, from)
	if err != nil {
		return nil, err
	}
	if err := l.Link(c, p.name, from.d.node); err != nil {
		return nil, err
	}
	from.d.linkable.Store(false)
	holdInode(from.d.node)
	x, err := newDentry(c, dir.fs, dir, p.name, from.d.node)
	if err != nil {
		return nil, err
	}
	dir.hash(x)
	return x, nil
}

// linker is what makes p another name of from, if it may be one.
func (p *parent) linker(c Ctx, from Path) (Linker, error) {
	if err := p.dir.changeable(); err != nil {
		return nil, err
	}
	if from.mnt != p.dir.mnt {
		return nil, linux.EXDEV
	}
	a, err := BasicAttr(c, from.d.node)
	if err != nil {
		return nil, err
	}
	if !mayLink(c, from.d.node, &a) {
		return nil, linux.EPERM
	}
	if err := mayAdd(c, p.dir); err != nil {
		return nil, err
	}
	l, ok := p.dir.d.node.(Linker)
	switch {
	case from.IsDir() || !ok:
		return nil, linux.EPERM
	case a.Nlink == 0 && !from.d.linkable.Load():
		return nil, linux.ENOENT
	}
	return l, nil
}

// mayLink is fs.protected_hardlinks, which distributions turn on: one links one's own
// files, or safe ones that one could read and write.
func mayLink(c Ctx, node Inode, a *Attr) bool {
	if owner(c, a) {
		return true
	}
	safe := a.Mode.IsRegular() && a.Mode&linux.S_ISUID == 0 && a.Mode&(linux.S_ISGID|0o010) != linux.S_ISGID|0o010
	return safe && judge(c, node, a, MayRead|MayWrite) == nil
}

// Unlink is unlink(2).
func Unlink(c Ctx, a At) error {
	p, err := resolveParent(c, a)
	if err != nil {
		return err
	}
	defer p.dir.Drop()
	if p.name == "" || p.name == "." || p.name == ".." {
		return linux.EISDIR
	}
	return p.remove(c, false)
}

// Rmdir is rmdir(2).
func Rmdir(c Ctx, a At) error {
	p, err := resolveParent(c, a)
	if err != nil {
		return err
	}
	defer p.dir.Drop()
	switch p.name {
	case "":
		return linux.EBUSY
	case ".":
		return linux.EINVAL
	case "..":
		return linux.ENOTEMPTY
	}
	return p.remove(c, true)
}

func (p *parent) remove(c Ctx, rmdir bool) error {
	dir := p.dir.d
	if p.dir.mnt.ReadOnly() { // whether there is such a name or not
		return linux.EROFS
	}
	dir.dir.op.Lock()
	x, err := dir.lookupLocked(c, p.name)
	if err != nil {
		dir.dir.op.Unlock()
		return err
	}
	if err = p.removable(c, x, rmdir); err == nil {
		err = dir.node.(Remover).Remove(c, p.name, x.node, rmdir)
	}
	if err == nil {
		x.deleted.Store(true)
		dir.unhash(x)
		dir.hashNegative(p.name)
	}
	dir.dir.op.Unlock()
	if err == nil && rmdir {
		x.shrink() // names known not to exist there
	}
	if err == nil {
		if !rmdir {
			dir.fs.inodeEvent(c, x, linux.FAN_ATTRIB)
		}
		dir.fs.entry(dir, x, &Event{Mask: linux.FAN_DELETE, By: c, Name: p.name})
	}
	x.unrefBy(c)
	return err
}

// removable checks that x, named in p, may be removed.
func (p *parent) removable(c Ctx, x *Dentry, rmdir bool) error {
	if x.node == nil {
		return linux.ENOENT
	}
	if p.slash && !rmdir {
		if x.dir != nil {
			return linux.EISDIR
		}
		return linux.ENOTDIR
	}
	if err := p.mayTake(c, x); err != nil {
		return err
	}
	if rmdir && x.dir == nil {
		return linux.ENOTDIR
	}
	if !rmdir && x.dir != nil {
		return linux.EISDIR
	}
	if _, ok := p.dir.d.node.(Remover); !ok {
		return linux.EPERM
	}
	return p.unmounted(x)
}

// mayTake checks that c may take x away from p.
func (p *parent) mayTake(c Ctx, x *Dentry) error {
	da, err := BasicAttr(c, p.dir.d.node)
	if err != nil {
		return err
	}
	xa, err := BasicAttr(c, x.node)
	if err != nil {
		return err
	}
	if _, ok := p.dir.d.node.(Permitter); ok {
		return permit(c, p.dir.d.node, MayWrite|MayExec)
	}
	return mayRemove(c, p.dir.d.node, &da, &xa)
}

// unmounted is EBUSY if something is mounted on x in this namespace. Mounts on it in
// others go.
func (p *parent) unmounted(x *Dentry) error {
	if x.mounted.Load() == 0 {
		return nil
	}
	t := &p.dir.mnt.sys.mounts
	t.mu.Lock()
	var gone []*Mount
	for k, m := range t.at {
		if k.point != x {
			continue
		}
		if m.ns != nil && m.ns == p.dir.mnt.ns {
			t.mu.Unlock()
			return linux.EBUSY
		}
		gone = append(gone, m)
	}
	var rs []released
	for _, m := range gone {
		switch {
		case m.ns != nil:
			rs = append(rs, t.dissolveLocked(m, entire)...)
		case m.parent != nil: // it went with its parent before
			r := t.detachLocked(m)
			r.parent = nil
			rs = append(rs, r)
		}
	}
	t.unlock()
	for _, r := range rs {
		r.release(true)
	}
	return nil
}

// hashNegative notes that name does not exist in d. d's op is held.
func (d *Dentry) hashNegative(name string) {
	if n, err := newDentry(nil, d.fs, d, name, nil); err == nil {
		d.hash(n)
		n.unref()
	}
}

// Readlink is readlinkat(2) of p; magic links give their text. EINVAL.
func Readlink(c Ctx, p Path) (string, error) {
	x, ok := p.d.node.(Symlink)
	if !ok || p.d.typ != linux.S_IFLNK {
		return "", linux.EINVAL
	}
	s, err := x.Readlink(c)
	if err == nil {
		p.touch(c, 0)
	}
	return s, err
}
