package proc

import (
	"slices"
	"strconv"

	"garrison/fs/pseudo"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// errHidden is what a caller hears of a process that hidepid keeps from it.
func errHidden(h hiding) error {
	if h == hideContent {
		return linux.EPERM
	}
	return linux.ENOENT
}

// number is the pid that name is, 0 if it is none: no sign, no leading zero.
func number(name string) int32 {
	if name == "" || name[0] < '1' || name[0] > '9' {
		return 0
	}
	n, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// pids is the processes in /proc.
type pids struct{ fs *FS }

// find is the process that name names. A thread has a directory too, by its own
// number, though it is not listed.
func (d pids) find(name string) *process {
	n := number(name)
	if n == 0 {
		return nil
	}
	if g := d.fs.k.FindGroup(d.fs.ns, n); g != nil {
		return &process{fs: d.fs, g: g, n: n}
	}
	if t := d.fs.k.FindTask(d.fs.ns, n); t != nil {
		return &process{fs: d.fs, g: t.ThreadGroup(), t: t, n: n}
	}
	return nil
}

// Lookup implements pseudo.Dynamic.
func (d pids) Lookup(c vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	p := d.find(name)
	if p == nil || !d.fs.sees(c, p.g, hideNames) {
		return nil, linux.ENOENT
	}
	return newProcessDir(p, at), nil
}

// Valid implements pseudo.Dynamic.
func (d pids) Valid(c vfs.Ctx, name string, i vfs.Inode) bool {
	p := d.find(name)
	if p == nil || !d.fs.sees(c, p.g, hideNames) {
		return i == nil
	}
	old := subjectOf(i)
	return old != nil && old.g == p.g && old.t == p.t
}

// subjectOf is the process that inode i is about; nil if it is about none.
func subjectOf(i vfs.Inode) *process {
	if x, ok := i.(interface{ Subject() *process }); ok {
		return x.Subject()
	}
	return nil
}

// Each implements pseudo.Dynamic: the key is the pid.
func (d pids) Each(c vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	for _, g := range d.fs.k.Groups(d.fs.ns) {
		n := int64(g.PID().In(d.fs.ns))
		if n == 0 || n < key || !d.fs.sees(c, g, hideNames) {
			continue
		}
		if !f(n, strconv.FormatInt(n, 10), linux.S_IFDIR) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (d pids) Links() int { return len(d.fs.k.Groups(d.fs.ns)) }

// tasksNode is /proc/PID/task.
func tasksNode(p *process, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, p, pseudo.DirSpec[*process]{Subject: subject, More: tasks{p}})
}

// tasks is the threads of a process.
type tasks struct{ p *process }

func (d tasks) find(name string) *process {
	n := number(name)
	if n == 0 {
		return nil
	}
	t := d.p.fs.k.FindTask(d.p.fs.ns, n)
	if t == nil || t.ThreadGroup() != d.p.g {
		return nil
	}
	return &process{fs: d.p.fs, g: d.p.g, t: t, n: n}
}

// Lookup implements pseudo.Dynamic.
func (d tasks) Lookup(_ vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	p := d.find(name)
	if p == nil {
		return nil, linux.ENOENT
	}
	return newThreadDir(p, at), nil
}

// Valid implements pseudo.Dynamic.
func (d tasks) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool {
	p := d.find(name)
	if p == nil {
		return i == nil
	}
	old := subjectOf(i)
	return old != nil && old.t == p.t
}

// Each implements pseudo.Dynamic: the key is the thread's number.
func (d tasks) Each(_ vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	all := d.p.fs.k.Tasks(d.p.g)
	ns := d.p.fs.ns
	slices.SortFunc(all, func(a, b *kernel.Task) int { return int(a.PID().In(ns) - b.PID().In(ns)) })
	for _, t := range all {
		n := int64(t.PID().In(ns))
		if n != 0 && n >= key && !f(n, strconv.FormatInt(n, 10), linux.S_IFDIR) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (d tasks) Links() int { return d.p.g.Threads() }

// PIDOf is the process whose directory at is, nil if it is none: that serves
// pidfd_send_signal(2) as a pidfd does.
func PIDOf(at vfs.Path) *kernel.PID {
	p := subjectOf(at.Inode())
	if p == nil || p.t != nil || number(at.Name()) != p.n {
		return nil
	}
	return p.g.PID()
}
