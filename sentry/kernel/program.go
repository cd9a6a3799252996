package kernel

import (
	"io"
	"path"

	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/loader"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// opener opens programs as t may: it is the loader's Opener.
type opener struct{ t *Task }

// OpenExecutable implements loader.Opener.
func (o opener) OpenExecutable(name string) (loader.File, error) {
	f, err := o.t.openProgram(vfs.At{Name: name})
	if err != nil {
		return nil, err // not f: a nil pointer in an interface is not nil
	}
	return f, nil
}

// openProgram opens a program to be run: execute permission counts, read
// permission does not. EACCES if it is no regular file, ELOOP if it is a symlink,
// which a has then said not to follow; ETXTBSY if somebody writes to it, which from
// now on nobody can.
func (t *Task) openProgram(a vfs.At) (*programFile, error) {
	p, err := vfs.Resolve(t, a)
	if err != nil {
		return nil, err
	}
	defer p.Drop()
	switch p.Type() {
	case linux.S_IFREG:
	case linux.S_IFLNK:
		return nil, linux.ELOOP
	default:
		return nil, linux.EACCES
	}
	if err := p.Permit(t, vfs.MayExec); err != nil {
		return nil, err
	}
	// The kernel reads it on its own account.
	d, err := vfs.OpenPath(vfs.As(t, t.k.rootCreds), p, linux.O_RDONLY|linux.O_LARGEFILE|vfs.Executing)
	if err != nil {
		return nil, err
	}
	if err := d.DenyWrite(); err != nil {
		d.Release(t)
		return nil, err
	}
	return &programFile{d: d, t: t}, nil
}

// A programFile is a loader.File.
type programFile struct {
	d    *vfs.FileDescription
	t    *Task
	runs bool // it is what is executed: nobody writes to it until that has ended
}

// ReadAt implements io.ReaderAt.
func (f *programFile) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for done < len(b) {
		n, err := f.d.ReadAt(f.t, usermem.FromBytes(b[done:]), off+int64(done))
		done += int(n)
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
	}
	return done, nil
}

// Map implements loader.File.
func (f *programFile) Map() (mm.Mappable, mm.Identity, error) {
	m, err := f.d.Mmap(vfs.As(f.t, f.t.k.rootCreds), vfs.MapSpec{
		Access: arch.Read, Max: arch.Read | arch.Write | arch.Exec, Exec: true,
	})
	if err != nil {
		return nil, nil, err
	}
	f.d.IncRef()
	return m, f.d, nil
}

// Close implements loader.File.
func (f *programFile) Close() {
	if !f.runs {
		f.d.AllowWrite() // mappings keep it
	}
	f.d.Release(f.t)
}

var _ loader.File = (*programFile)(nil)

// A loaded program is ready to replace a task's own.
type loaded struct {
	space  *mm.Space
	image  loader.Image
	creds  *auth.Creds
	secure bool
	suid   bool // the file's set-id bits or capabilities changed the credentials
	hidden bool // the file may be executed but not read

	memoryNS *auth.UserNamespace // see ThreadGroup.MemoryNS

	name string
}

// load makes a new address space with the program in file and decides on whose
// behalf it is to run. It takes over file and changes nothing of t's.
func (t *Task) load(file loader.File, name, comm string, argv, env []string) (*loaded, error) {
	prog, err := loader.Resolve(opener{t}, file, name, argv)
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	l := &loaded{name: path.Base(comm)}
	if err := t.programCreds(l, prog.File.(*programFile).d); err != nil {
		return nil, err
	}
	if l.space, err = mm.New(t.tg.container.Env, t.tg.limits); err != nil {
		t.k.logf("execve: %v", err)
		return nil, linux.ENOMEM
	}
	l.space.SetUser(uint32(l.creds.EUID))
	if old := t.space.Load(); old != nil {
		l.space.Succeed(old)
	}
	user := l.creds.UserNS
	vdso, err := t.tg.container.vdsoFor(t.Namespaces().TimeForChildren)
	if err != nil {
		l.space.DecUsers()
		return nil, err
	}
	l.image, err = prog.Load(l.space, loader.Args{
		Argv: prog.Argv, Envp: env,
		UID: user.ShowUID(l.creds.RUID), EUID: user.ShowUID(l.creds.EUID), GID: user.ShowGID(l.creds.RGID), EGID: user.ShowGID(l.creds.EGID),
		Secure: l.secure, Personality: t.newPersonality(l), MinSigStack: t.k.minSigStack(), VDSO: vdso,
	})
	if err != nil {
		l.space.DecUsers()
		return nil, err
	}
	prog.File.(*programFile).runs = true
	return l, nil
}

// newPersonality is the personality that the program starts with: one that gains
// rights is not to be made easier to attack.
func (t *Task) newPersonality(l *loaded) uint32 {
	if l.secure {
		return t.personality &^ linux.PER_CLEAR_ON_SETID
	}
	return t.personality
}

// minSigStack is AT_MINSIGSTKSZ: what a signal frame takes of a stack.
func (k *Kernel) minSigStack() uint64 {
	return frameSize + uint64(k.xstate.Size) + magic2Size + fpAlign + 16 + 8
}
