package vfs

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// ErrNoParam is what Type.Check says of an option that the type does not have.
var ErrNoParam = errors.New("no such option")

// KnownOptions makes a Type.Check that knows options by name only.
func KnownOptions(names ...string) func(Option) error {
	return func(o Option) error {
		if slices.Contains(names, o.Key) {
			return nil
		}
		return ErrNoParam
	}
}

// A Configuration is a filesystem that is being made or changed (struct fs_context): what
// mount(2) does in one step and fsopen(2), fspick(2) and fsconfig(2) do in several. It is
// the File of their descriptors; what is read from it is its log.
type Configuration struct {
	sys  *System
	typ  *Type
	user *auth.UserNamespace // that a new filesystem is to belong to: of who has begun

	mu      sync.Mutex
	phase   configPhase      // protected by mu
	fs      *Filesystem      // protected by mu; held; nil until it is made
	source  *string          // protected by mu; nil: not given
	options Options          // protected by mu
	flags   linux.MountFlags // protected by mu: the filesystem's, of those in mask
	mask    linux.MountFlags // protected by mu
	log     []string         // protected by mu
}

// A configPhase says what may be done next.
type configPhase int

const (
	creating       configPhase = iota // parameters, and then the filesystem
	awaitingMount                     // it has been made
	awaitingChange                    // it has been mounted, or changed
	changing                          // parameters, and then the change
	failed
)

// Flags that are the filesystem's: all, and those that can change.
const (
	superFlags   = changeFlags | linux.MS_DIRSYNC
	changeFlags  = linux.MS_RDONLY | linux.MS_SYNCHRONOUS | linux.MS_MANDLOCK | linux.MS_I_VERSION | linux.MS_LAZYTIME
	logLines     = 8
	badValue     = "%s: Bad value for '%s'"
	unknownParam = "%s: Unknown parameter '%s'"
)

// flagWords are parameters that every filesystem has.
var flagWords = map[string]struct {
	flag linux.MountFlags
	on   bool
}{
	"ro": {linux.MS_RDONLY, true}, "rw": {linux.MS_RDONLY, false},
	"sync": {linux.MS_SYNCHRONOUS, true}, "async": {linux.MS_SYNCHRONOUS, false},
	"dirsync": {linux.MS_DIRSYNC, true},
	"mand":    {linux.MS_MANDLOCK, true}, "nomand": {linux.MS_MANDLOCK, false},
	"lazytime": {linux.MS_LAZYTIME, true}, "nolazytime": {linux.MS_LAZYTIME, false},
}

// NewConfiguration is for a new filesystem of type t, which is to belong to c's user
// namespace, whoever goes on with it, or to that of what it shows.
func (s *System) NewConfiguration(c Ctx, t *Type) *Configuration {
	return &Configuration{sys: s, typ: t, user: t.ownerFor(c)}
}

// Pick is for changing the filesystem that p is the root of a mount of: fspick(2). EINVAL.
func (s *System) Pick(p Path) (*Configuration, error) {
	if p.d != p.mnt.root {
		return nil, linux.EINVAL
	}
	p.mnt.fs.IncRef()
	return &Configuration{sys: s, typ: p.mnt.fs.typ, fs: p.mnt.fs, phase: changing}, nil
}

// MakeFilesystem is what mount(2) makes of its arguments; source may be nil. The
// filesystem has one reference, the caller's. EINVAL.
func (s *System) MakeFilesystem(c Ctx, t *Type, source *string, flags linux.MountFlags, o Options) (*Filesystem, error) {
	x := s.NewConfiguration(c, t)
	x.source, x.flags, x.mask = source, flags&superFlags, flags&superFlags
	if err := x.setAll(o); err != nil {
		return nil, err
	}
	return x.fs, x.create(c)
}

// reconfiguration is a remount: flags are all that hold from then on.
func reconfiguration(fs *Filesystem, flags linux.MountFlags, o Options) (*Configuration, error) {
	x := &Configuration{sys: fs.sys, typ: fs.typ, fs: fs, phase: changing, flags: flags & changeFlags, mask: changeFlags}
	return x, x.setAll(o)
}

func (x *Configuration) setAll(o Options) error {
	for _, y := range o {
		if err := x.set(y, true); err != nil {
			return err
		}
	}
	return nil
}

// Set gives a parameter: FSCONFIG_SET_FLAG or SET_STRING, or, if opaque, one of those
// whose values no type here takes. EBUSY at the wrong time, EINVAL with a line in the log.
func (x *Configuration) Set(o Option, opaque bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.phase == awaitingChange {
		x.phase = changing
	}
	if x.phase != creating && x.phase != changing {
		return linux.EBUSY
	}
	return x.set(o, !opaque)
}

// set is Set of a value that is text, or none, or of one that is neither.
func (x *Configuration) set(o Option, text bool) error {
	if w, ok := flagWords[o.Key]; ok {
		x.mask |= w.flag
		if x.flags &^= w.flag; w.on {
			x.flags |= w.flag
		}
		return nil
	}
	err := error(nil)
	if x.typ.Check != nil {
		err = x.typ.Check(o)
	} else if o.Key == "source" {
		err = ErrNoParam
	}
	switch {
	case err == ErrNoParam && o.Key == "source":
		switch {
		case !text || !o.HasValue:
			return x.invalid("Non-string source")
		case x.source != nil:
			return x.invalid("Multiple sources")
		}
		x.source = &o.Value
		return nil
	case err == ErrNoParam:
		return x.invalid(unknownParam, x.typ.Name, o.Key)
	case err != nil || !text:
		return x.invalid(badValue, x.typ.Name, o.Key)
	}
	x.options = append(x.options, o)
	return nil
}

// invalid is EINVAL, and why in the log.
func (x *Configuration) invalid(format string, args ...any) error {
	if len(x.log) == logLines {
		x.log = x.log[1:]
	}
	x.log = append(x.log, "e "+fmt.Sprintf(format, args...)+"\n")
	return linux.EINVAL
}

// Create makes the filesystem: FSCONFIG_CMD_CREATE. EBUSY at the wrong time, EPERM for who
// may not, else what the type says; it can't be tried again then.
func (x *Configuration) Create(c Ctx) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.phase != creating {
		if x.phase == awaitingChange {
			x.phase = changing
		}
		return linux.EBUSY
	}
	if err := x.typ.mayMake(c, x.user); err != nil {
		return err
	}
	return x.create(c)
}

func (x *Configuration) create(c Ctx) (err error) {
	a := &NewArgs{Options: x.options, Flags: x.flags, user: x.user, chosen: true}
	if x.source != nil {
		a.Source = *x.source
	}
	if x.fs, err = x.sys.NewFilesystem(c, x.typ, a); err != nil {
		x.phase = failed
		return err
	}
	x.fs.flags.Store(uint64(x.flags &^ linux.MS_RDONLY))
	x.phase = awaitingMount
	return nil
}

// Reconfigure changes the filesystem: FSCONFIG_CMD_RECONFIGURE. EBUSY at the wrong time,
// or if somebody writes to what is to be read-only; EINVAL; EPERM, for good, if the
// filesystem is of a user namespace that c is not privileged in.
func (x *Configuration) Reconfigure(c Ctx) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.phase == awaitingChange {
		x.phase = changing
	}
	if x.phase != changing {
		return linux.EBUSY
	}
	if !c.Creds().HasCapIn(x.fs.user, auth.CapSysAdmin) {
		x.phase = failed
		return linux.EPERM
	}
	err := x.apply(c)
	x.clean()
	return err
}

// clean makes x ready for another change. As on Linux the mask of flags stays.
func (x *Configuration) clean() {
	x.phase, x.source, x.options, x.flags = awaitingChange, nil, nil, 0
}

func (x *Configuration) apply(c Ctx) error {
	fs := x.fs
	if x.mask&^changeFlags != 0 {
		return linux.EINVAL
	}
	ro := x.mask&x.flags&linux.MS_RDONLY != 0
	if ro && !fs.readOnly.Load() && fs.writers.Load() != 0 {
		return linux.EBUSY
	}
	if r, ok := fs.inode.(Remounter); ok {
		if err := r.Remount(c, x.options); err != nil {
			return err
		}
	}
	if x.mask&linux.MS_RDONLY != 0 {
		fs.setReadOnly(ro)
	}
	fs.flags.Store(fs.flags.Load()&^uint64(x.mask) | uint64(x.flags&x.mask&^linux.MS_RDONLY))
	return nil
}

// Mount is fsmount(2): a file of a mount that is in no namespace yet, with flags. EPERM,
// also if it would show what c's namespace covers; EINVAL before Create, EBUSY if it has
// been done.
func (x *Configuration) Mount(c Ctx, flags linux.MountFlags) (*FileDescription, error) {
	ns, err := mayMount(c)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fs == nil {
		return nil, linux.EINVAL
	}
	keep, atime, err := ns.mayReveal(x.fs, flags)
	switch {
	case err != nil:
		return nil, err
	case x.phase != awaitingMount:
		return nil, linux.EBUSY
	}
	source := "none"
	if x.source != nil {
		source = *x.source
	}
	m := x.sys.newMount(x.fs, x.fs.root, source, flags)
	m.keep, m.keepAtime = keep, atime
	d := ns.openDetached(m)
	x.clean()
	return d, nil
}

// Read implements File: a line of the log. ENODATA if there is none, EMSGSIZE if it is
// longer than dst.
func (x *Configuration) Read(_ Ctx, dst usermem.Seq, _ int64) (int64, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.log) == 0 {
		return 0, linux.ENODATA
	}
	line := x.log[0]
	if int64(len(line)) > dst.Len() {
		return 0, linux.EMSGSIZE
	}
	x.log = x.log[1:]
	n, err := dst.CopyOut([]byte(line))
	return int64(n), err
}

// Write implements File.
func (*Configuration) Write(Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Stream implements Streamer.
func (*Configuration) Stream() {}

// Close implements File.
func (x *Configuration) Close(Ctx) {
	if x.fs != nil {
		x.fs.DecRef()
	}
}
