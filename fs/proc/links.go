package proc

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// name is how c sees the place p, as readlink(2) of a magic link has it.
func name(c vfs.Ctx, p vfs.Path) string {
	var root vfs.Path
	if fs := c.FS(); fs != nil {
		root = fs.Root()
		defer root.Drop()
	}
	s, _ := p.Abs(root)
	return s
}

// exe is the file p executes, held: ENOENT for a process without memory.
func (p *process) exe() (vfs.Path, error) {
	m := p.memory()
	if m == nil {
		return vfs.Path{}, linux.ENOENT
	}
	defer m.DecUsers()
	x := m.Executable()
	if x == nil {
		return vfs.Path{}, linux.ENOENT
	}
	defer x.DecRef()
	f, ok := x.(interface{ Path() vfs.Path })
	if !ok {
		return vfs.Path{}, linux.ENOENT
	}
	return f.Path().Hold(), nil
}

func readExe(p *process, c vfs.Ctx) (string, error)      { return readAt(c, p.exe) }
func followExe(p *process, _ vfs.Ctx) (vfs.Path, error)  { return p.exe() }
func readCwd(p *process, c vfs.Ctx) (string, error)      { return readAt(c, p.cwd) }
func followCwd(p *process, _ vfs.Ctx) (vfs.Path, error)  { return p.cwd() }
func readRoot(p *process, c vfs.Ctx) (string, error)     { return readAt(c, p.root) }
func followRoot(p *process, _ vfs.Ctx) (vfs.Path, error) { return p.root() }

func readAt(c vfs.Ctx, find func() (vfs.Path, error)) (string, error) {
	at, err := find()
	if err != nil {
		return "", err
	}
	defer at.Drop()
	return name(c, at), nil
}

// cwd is p's working directory, held.
func (p *process) cwd() (vfs.Path, error) {
	if fs := p.task().FS(); fs != nil {
		return fs.Cwd(), nil
	}
	return vfs.Path{}, linux.ENOENT
}

// root is p's root directory, held.
func (p *process) root() (vfs.Path, error) {
	if fs := p.task().FS(); fs != nil {
		return fs.Root(), nil
	}
	return vfs.Path{}, linux.ENOENT
}
