// Package proc is the proc filesystem, proc(5): processes and the kernel as
// files, in the formats that Linux 6.12 gives them. It is tables (package pseudo):
// of a process and of a thread (process.go), of the kernel (system.go), of its
// parameters (sysctl.go) and of a network (net.go). What it tells of a process is
// what a caller of the mount's pid namespace may know; whatever Linux guards by
// ptrace access is guarded so here.
package proc

import (
	"strconv"

	"garrison/fs/pseudo"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A Config is what the mounts of one kernel share, and where it comes from.
type Config struct {
	// CPUInfo is the text of the host's /proc/cpuinfo; "" makes one up from
	// the CPUID instruction.
	CPUInfo string
	// Cmdline is /proc/cmdline, without its newline.
	Cmdline string
	// Memory tells how much memory there is and how much of it is used, in
	// bytes. nil: what the kernel's options and page files say.
	Memory func(c vfs.Ctx) (total, used uint64)
	// Params is the state behind /proc/sys; NewParams makes one.
	Params *Params
}

// Type is the filesystem for mount(2), with the options hidepid, gid and subset.
// It shows the pid namespace of whoever mounts it.
func Type(k *kernel.Kernel, conf *Config) *vfs.Type {
	return &vfs.Type{
		Name:  "proc",
		Magic: linux.PROC_SUPER_MAGIC,
		Flags: vfs.UserMount | vfs.RevealsHost,
		Check: checkOption,
		Owner: func(c vfs.Ctx) *auth.UserNamespace {
			if t := caller(c); t != nil {
				return t.PIDNamespace().UserNS
			}
			return nil
		},
		New: func(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) {
			ns := k.RootPIDNS()
			if t, ok := kernel.Caller(c); ok {
				ns = t.PIDNamespace()
			}
			return Root(c, k, conf, ns, a)
		},
	}
}

// Root makes the root inode of a proc filesystem that shows ns.
func Root(c vfs.Ctx, k *kernel.Kernel, conf *Config, ns *kernel.PIDNamespace, a *vfs.NewArgs) (vfs.Inode, error) {
	o, err := parseOptions(a.Options)
	if err != nil {
		return nil, err
	}
	fs := &FS{k: k, conf: conf, ns: ns, sys: a.System, options: o}
	files := &pseudo.FS{Magic: linux.PROC_SUPER_MAGIC, Blksize: 1024, Options: o.show(), Time: c.Now()}
	fs.boot = k.Clocks.Boottime.Now() - k.Uptime()
	spec := pseudo.DirSpec[*FS]{Table: rootTable(), More: pids{fs}}
	if o.pidOnly {
		spec.Table = selfTable()
	}
	return pseudo.NewRoot(files, fs, spec, fs), nil
}

// A FS is one mounted instance.
type FS struct {
	k    *kernel.Kernel
	conf *Config
	ns   *kernel.PIDNamespace // whose numbers the names are
	sys  *vfs.System
	boot int64 // CLOCK_BOOTTIME when the kernel began, in nanoseconds
	options

	forgets func() // ends what Start has begun
}

// Start implements vfs.Starter. The names of a task that is no more are not kept:
// each would hold the task, until as many others are known as the cache has room for.
func (fs *FS) Start(at *vfs.Filesystem) {
	fs.forgets = fs.k.OnReap(func(r kernel.Reaped) {
		n := r.Task.In(fs.ns)
		if n == 0 {
			return
		}
		name := strconv.Itoa(int(n))
		at.Forget(name) // a thread has one here, too
		if r.Task != r.Process {
			at.Forget(strconv.Itoa(int(r.Process.In(fs.ns))), "task", name)
		}
	})
}

// Shutdown implements vfs.Shutter.
func (fs *FS) Shutdown() { fs.forgets() }

// caller is the task that c is; nil if c is the kernel itself.
func caller(c vfs.Ctx) *kernel.Task {
	t, _ := kernel.Caller(c)
	return t
}
