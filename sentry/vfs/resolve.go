package vfs

import (
	"strings"

	"garrison/sentry/linux"
)

// ResolveFlags change how a name is followed.
type ResolveFlags uint32

const (
	// NoFollow: a symlink as last component is the result, not what it points at.
	NoFollow ResolveFlags = 1 << iota
	// Directory: ENOTDIR if the result is none.
	Directory
	// EmptyOK: the empty name means the start (AT_EMPTY_PATH).
	EmptyOK

	// The RESOLVE_* flags of openat2(2):

	// NoXDev: EXDEV instead of another mount.
	NoXDev
	// NoMagicLinks: ELOOP instead of a magic link.
	NoMagicLinks
	// NoSymlinks: ELOOP instead of any link.
	NoSymlinks
	// Beneath: EXDEV instead of what is not below the start.
	Beneath
	// InRoot: the start is the root.
	InRoot
	// Cached: EAGAIN instead of asking the filesystem.
	Cached
)

// An At is a name as the *at calls have it: relative to Start, or, if that is
// zero, to the caller's working directory.
type At struct {
	Start Path
	Name  string
	Flags ResolveFlags
}

// Resolve walks to a, and returns it held: ENOENT, ENOTDIR, EACCES, ELOOP,
// ENAMETOOLONG; see path_resolution(7).
func Resolve(c Ctx, a At) (Path, error) {
	if a.Name == "" {
		return a.empty(c)
	}
	w := walk{c: c, flags: a.Flags}
	if err := w.begin(a); err != nil {
		w.end()
		return Path{}, err
	}
	err := w.run(a.Name)
	if err == nil && a.Flags&Directory != 0 && w.at.d.dir == nil {
		err = linux.ENOTDIR
	}
	return w.result(err)
}

// empty is what the empty name means: AT_EMPTY_PATH.
func (a *At) empty(c Ctx) (Path, error) {
	if a.Flags&EmptyOK == 0 {
		return Path{}, linux.ENOENT
	}
	if a.Start.IsZero() {
		return c.FS().Cwd(), nil
	}
	if a.Flags&Directory != 0 && !a.Start.IsDir() {
		return Path{}, linux.ENOTDIR
	}
	return a.Start.Hold(), nil
}

// parent is where a name is to be made, removed or moved.
type parent struct {
	dir   Path   // held
	name  string // "", "." or ".." if the name ends so: "" is the root
	slash bool   // slashes follow: only a directory will do
}

// resolveParent walks to the directory that a's last component is in.
func resolveParent(c Ctx, a At) (parent, error) {
	if a.Name == "" {
		return parent{}, linux.ENOENT
	}
	w := walk{c: c, flags: a.Flags, parent: true}
	if err := w.begin(a); err != nil {
		w.end()
		return parent{}, err
	}
	dir, err := w.result(w.run(a.Name))
	return parent{dir, w.last, w.slash}, err
}

// A walk is one path_resolution(7).
type walk struct {
	c      Ctx
	flags  ResolveFlags
	parent bool // stop before the last component
	links  int

	root Path // held
	at   Path // held

	last  string // parent: the last component
	slash bool   // parent: and slashes after it
}

func (w *walk) begin(a At) error {
	fs := w.c.FS()
	scoped := a.Flags&(Beneath|InRoot) != 0
	absolute := a.Name[0] == '/'
	switch {
	case absolute && a.Flags&Beneath != 0:
		return linux.EXDEV
	case scoped && a.Start.IsZero():
		w.root = fs.Cwd()
		w.at = w.root.Hold()
	case scoped:
		w.root, w.at = a.Start.Hold(), a.Start.Hold()
	case absolute:
		w.root = fs.Root()
		w.at = w.root.Hold()
	case a.Start.IsZero():
		w.root, w.at = fs.both()
	default:
		w.root, w.at = fs.Root(), a.Start.Hold()
	}
	return nil
}

func (w *walk) end() {
	w.root.Drop()
	w.at.Drop()
}

// result is where the walk ended, if without err.
func (w *walk) result(err error) (Path, error) {
	w.root.Drop()
	if err != nil {
		w.at.Drop()
		return Path{}, err
	}
	return w.at, nil
}

// move makes p, held, the place where the walk is.
func (w *walk) move(p Path) {
	old := w.at
	w.at = p
	old.Drop()
}

// run follows name from w.at.
func (w *walk) run(name string) error {
	for {
		name = strings.TrimLeft(name, "/")
		if name == "" {
			if w.parent {
				w.last = ""
			}
			return nil
		}
		comp, rest := name, ""
		if i := strings.IndexByte(name, '/'); i >= 0 {
			comp, rest = name[:i], name[i:]
		}
		tail := strings.TrimLeft(rest, "/")
		if w.at.d.dir == nil {
			return linux.ENOTDIR
		}
		if err := permit(w.c, w.at.d.node, MayExec); err != nil {
			return err
		}
		if tail == "" && w.parent {
			w.last, w.slash = comp, rest != ""
			return nil
		}
		var err error
		switch comp {
		case ".":
		case "..":
			err = w.dotdot()
		default:
			name, err = w.step(comp, rest, tail)
			if err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		name = rest
	}
}

// step goes from w.at to comp in it; rest is what follows (tail without its slashes).
// It returns what is still to be walked.
func (w *walk) step(comp, rest, tail string) (string, error) {
	d, err := w.lookup(comp, tail)
	if err != nil {
		return "", err
	}
	if d.node == nil {
		d.unref()
		return "", linux.ENOENT
	}
	if d.typ == linux.S_IFLNK && (rest != "" || w.flags&NoFollow == 0) {
		return w.follow(d, rest)
	}
	if d.mounted.Load() == 0 {
		old := w.at.d
		w.at.d = d
		old.unref()
	} else if err := w.enter(d); err != nil {
		return "", err
	}
	if rest != "" && w.at.d.dir == nil {
		return "", linux.ENOTDIR
	}
	return rest, nil
}

// enter goes to d, held, in the present mount, or to what is mounted on it.
func (w *walk) enter(d *Dentry) error {
	w.at.mnt.ref()
	p := Path{w.at.mnt, d}
	for {
		m := p.mnt.covered(p.d)
		if m == nil {
			break
		}
		if w.flags&NoXDev != 0 {
			m.unref()
			p.Drop()
			return linux.EXDEV
		}
		m.root.ref()
		p.Drop()
		p = Path{m, m.root}
	}
	w.move(p)
	return nil
}

// dotdot goes to the parent directory, out of mounts, but not out of the root.
func (w *walk) dotdot() error {
	for {
		if w.at.Same(w.root) {
			if w.flags&Beneath != 0 {
				return linux.EXDEV
			}
			return nil
		}
		if w.at.d != w.at.mnt.root {
			break
		}
		p, ok := w.at.mnt.up()
		if !ok {
			return nil // the root of a namespace, or of a mount in none
		}
		if w.flags&NoXDev != 0 {
			p.Drop()
			return linux.EXDEV
		}
		w.move(p)
	}
	for {
		up := w.at.d.place.Load().parent
		if up == nil {
			return nil
		}
		if up.tryRef() {
			old := w.at.d
			w.at.d = up
			old.unref()
			break
		}
	}
	if w.at.d.mounted.Load() != 0 {
		d := w.at.d
		d.ref()
		return w.enter(d)
	}
	return nil
}

// follow goes where the link d, held, in w.at points. It returns what is to be walked.
func (w *walk) follow(d *Dentry, rest string) (string, error) {
	defer d.unref()
	if w.links++; w.links > linux.MAXSYMLINKS || w.flags&NoSymlinks != 0 || w.at.mnt.Flags()&linux.MS_NOSYMFOLLOW != 0 {
		return "", linux.ELOOP
	}
	if x, ok := d.node.(Follower); ok {
		if err := w.jump(x); err != nil {
			return "", err
		}
		if rest != "" && w.at.d.dir == nil {
			return "", linux.ENOTDIR
		}
		return rest, nil
	}
	x, ok := d.node.(Symlink)
	if !ok {
		return "", linux.EINVAL
	}
	target, err := x.Readlink(w.c)
	if err != nil {
		return "", err
	}
	if target == "" {
		return "", linux.ENOENT
	}
	Path{w.at.mnt, d}.touch(w.c, 0)
	if target[0] == '/' {
		if w.flags&Beneath != 0 {
			return "", linux.EXDEV
		}
		if w.flags&NoXDev != 0 && w.root.mnt != w.at.mnt {
			return "", linux.EXDEV
		}
		w.move(w.root.Hold())
	}
	return target + rest, nil
}

// jump goes where a magic link leads.
func (w *walk) jump(x Follower) error {
	if w.flags&NoMagicLinks != 0 {
		return linux.ELOOP
	}
	if w.flags&(Beneath|InRoot) != 0 {
		return linux.EXDEV
	}
	p, err := x.Follow(w.c)
	if err != nil {
		return err
	}
	if w.flags&NoXDev != 0 && p.mnt != w.at.mnt {
		p.Drop()
		return linux.EXDEV
	}
	w.move(p)
	return nil
}
