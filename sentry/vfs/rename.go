package vfs

import (
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A renaming is one renameat2(2) under way.
type renaming struct {
	c        Ctx
	from, to parent
	flags    uint32
	old, new *Dentry // held; new has no node if nothing is there
}

// Rename is renameat2(2).
func Rename(c Ctx, from, to At, flags uint32) error {
	const known = linux.RENAME_NOREPLACE | linux.RENAME_EXCHANGE | linux.RENAME_WHITEOUT
	if flags&^known != 0 || flags&linux.RENAME_EXCHANGE != 0 && flags != linux.RENAME_EXCHANGE {
		return linux.EINVAL
	}
	r := renaming{c: c, flags: flags}
	var err error
	if r.from, err = resolveParent(c, from); err != nil {
		return err
	}
	defer r.from.dir.Drop()
	if r.to, err = resolveParent(c, to); err != nil {
		return err
	}
	defer r.to.dir.Drop()
	if r.from.dir.mnt != r.to.dir.mnt {
		return linux.EXDEV
	}
	for _, n := range []string{r.from.name, r.to.name} {
		if n == "" || n == "." || n == ".." {
			if flags&linux.RENAME_NOREPLACE != 0 && n == r.to.name {
				return linux.EEXIST
			}
			return linux.EBUSY
		}
	}
	if r.from.dir.mnt.ReadOnly() { // whether there are such names or not
		return linux.EROFS
	}
	return r.run()
}

// run locks both directories, looks both names up, checks, renames, and tells.
func (r *renaming) run() error {
	a, b := r.from.dir.d, r.to.dir.d
	if a != b {
		// No directory gets another parent meanwhile: who is below whom stays.
		a.fs.rename.Lock()
	}
	unlock := lock.Two(&a.dir.op, &b.dir.op)
	err := r.lookup()
	same := err == nil && r.new.node == r.old.node // two names of one file: nothing is done
	if err == nil && !same {
		err = r.locked()
	}
	var oldName, newName string
	if err == nil && !same {
		oldName, newName = r.from.name, r.to.name
		r.rehang()
	}
	unlock()
	if a != b {
		a.fs.rename.Unlock()
	}
	if err == nil && !same {
		if r.new.deleted.Load() {
			r.new.shrink()
		}
		r.tell(oldName, newName)
	}
	if r.old != nil {
		r.old.unref()
	}
	if r.new != nil {
		r.new.unrefBy(r.c)
	}
	return err
}

func (r *renaming) lookup() (err error) {
	if r.old, err = r.from.dir.d.lookupLocked(r.c, r.from.name); err != nil {
		return err
	}
	if r.new, err = r.to.dir.d.lookupLocked(r.c, r.to.name); err != nil {
		return err
	}
	switch {
	case r.old.node == nil || r.to.dir.d.deleted.Load():
		return linux.ENOENT // a removed directory has no names, wherever it was
	case r.flags&linux.RENAME_NOREPLACE != 0 && r.new.node != nil:
		return linux.EEXIST
	case r.flags&linux.RENAME_EXCHANGE != 0 && r.new.node == nil:
		return linux.ENOENT
	case r.flags&linux.RENAME_EXCHANGE != 0 && r.to.slash && r.new.dir == nil:
		return linux.ENOTDIR
	case r.old.dir == nil && (r.from.slash || r.to.slash && r.flags&linux.RENAME_EXCHANGE == 0):
		return linux.ENOTDIR
	case r.to.dir.d.within(r.old):
		return linux.EINVAL
	case r.from.dir.d.within(r.new) && r.new.node != nil:
		if r.flags&linux.RENAME_EXCHANGE != 0 {
			return linux.EINVAL
		}
		return linux.ENOTEMPTY
	}
	return nil
}

// locked checks the caller's rights and renames in the filesystem.
func (r *renaming) locked() error {
	c, exchange := r.c, r.flags&linux.RENAME_EXCHANGE != 0
	if err := r.from.mayTake(c, r.old); err != nil {
		return err
	}
	if r.new.node == nil {
		if err := mayAdd(c, r.to.dir); err != nil {
			return err
		}
	} else {
		if err := r.to.mayTake(c, r.new); err != nil {
			return err
		}
		if !exchange && r.old.dir != nil && r.new.dir == nil {
			return linux.ENOTDIR
		}
		if !exchange && r.old.dir == nil && r.new.dir != nil {
			return linux.EISDIR
		}
	}
	if r.from.dir.d != r.to.dir.d {
		// ".." of a directory that gets another parent is written.
		for _, x := range []*Dentry{r.old, r.new} {
			if x.dir != nil && (x == r.old || exchange) {
				if err := permit(c, x.node, MayWrite); err != nil {
					return err
				}
			}
		}
	}
	x, ok := r.from.dir.d.node.(Renamer)
	if !ok {
		return linux.EPERM
	}
	if err := r.from.unmounted(r.old); err != nil {
		return err
	}
	if err := r.to.unmounted(r.new); err != nil {
		return err
	}
	return x.Rename(c, &RenameSpec{
		Old: r.from.name, NewDir: r.to.dir.d.node, New: r.to.name,
		Moved: r.old.node, Replaced: r.new.node, Flags: r.flags,
	})
}

// rehang makes the cache follow.
func (r *renaming) rehang() {
	a, b := r.from.dir.d, r.to.dir.d
	a.fs.renames.Add(1)
	if r.flags&linux.RENAME_EXCHANGE != 0 {
		a.unhash(r.old)
		b.unhash(r.new)
		r.old.hangAs(b, r.to.name)
		r.new.hangAs(a, r.from.name)
	} else {
		a.unhash(r.old)
		b.unhash(r.new)
		r.new.deleted.Store(r.new.node != nil)
		r.old.hangAs(b, r.to.name)
		if r.flags&linux.RENAME_WHITEOUT == 0 {
			a.hashNegative(r.from.name)
		}
	}
	a.fs.renames.Add(1)
}

// hangAs makes x, unhashed, be found as name in to. The caller has references to all.
func (x *Dentry) hangAs(to *Dentry, name string) {
	to.ref()
	old := x.place.Swap(&place{to, name})
	to.hash(x)
	old.parent.unref()
}

// tell tells the watches.
func (r *renaming) tell(oldName, newName string) {
	a, b := r.from.dir.d, r.to.dir.d
	if a.fs.watches.Load() == 0 {
		return
	}
	exchange := r.flags&linux.RENAME_EXCHANGE != 0
	r.moved(a, b, r.old, [2]string{oldName, newName})
	if r.new.node != nil && !exchange {
		a.fs.inodeEvent(r.c, r.new, linux.FAN_ATTRIB)
	}
	a.fs.inodeEvent(r.c, r.old, linux.FAN_MOVE_SELF)
	if exchange {
		r.moved(b, a, r.new, [2]string{newName, oldName})
		a.fs.inodeEvent(r.c, r.new, linux.FAN_MOVE_SELF)
	}
}

// moved tells of the entries of x: it was names[0] in from, and is names[1] in to.
func (r *renaming) moved(from, to, x *Dentry, names [2]string) {
	fs := from.fs
	cookie := fs.sys.cookie.Add(1)
	fs.entry(from, x, &Event{Mask: linux.FAN_RENAME, By: r.c, Name: names[0], To: to.node, ToName: names[1]})
	fs.entry(from, x, &Event{Mask: linux.FAN_MOVED_FROM, By: r.c, Name: names[0], cookie: cookie})
	fs.entry(to, x, &Event{Mask: linux.FAN_MOVED_TO, By: r.c, Name: names[1], cookie: cookie})
}
