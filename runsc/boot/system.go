package boot

import (
	"garrison/fs/cgroupfs"
	"garrison/fs/dev"
	"garrison/fs/devpts"
	"garrison/fs/memfd"
	"garrison/fs/mqueue"
	"garrison/fs/overlay"
	"garrison/fs/pipe"
	"garrison/fs/proc"
	"garrison/fs/sys"
	"garrison/fs/tmpfs"
	"garrison/fs/tty"
	"garrison/platform"
	"garrison/runsc/control"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/socket/inet"
	"garrison/sentry/socket/netns"
	"garrison/sentry/vfs"
)

// makeKernel makes the kernel and tells its virtual filesystem what there is.
func (s *sandbox) makeKernel(p platform.Platform) error {
	table, err := brokenTable(s.doc.Options.Break)
	if err != nil {
		return err
	}
	o := kernel.Options{
		Platform: p, Table: table, Release: s.doc.Options.Release, Version: control.Version,
		CPUs: s.doc.Options.CPUs, Memory: s.memory(), Log: logf,
	}
	networks := new(netns.Maker)
	o.NewNetwork = func(owner *auth.UserNamespace) any {
		n, err := networks.New(inet.Config{})
		if err != nil {
			logf("network: %v", err)
			return nil
		}
		n.Owner = owner
		return n
	}
	if s.doc.Options.Strace {
		o.Tracer = newStrace()
	}
	params := proc.NewParams()
	s.proc.Params = params
	o.CorePattern = func() (string, bool) {
		return params.Text("kernel/core_pattern"), params.Int("kernel/core_uses_pid") != 0
	}
	s.kernel = kernel.New(o)
	s.system = s.kernel.VFS
	s.poller.BeforeWrite(s.system.Settle)
	s.system.SetLeaseParams(func() vfs.LeaseParams {
		return vfs.LeaseParams{Enable: params.Int("fs/leases-enable") != 0, BreakTime: params.Int("fs/lease-break-time")}
	})
	if s.userNS, err = s.newUserNS(); err != nil {
		return err
	}
	s.pids = s.kernel.NewPIDNamespace(s.kernel.RootPIDNS(), s.userNS)
	s.system.SetCacheSize(int(min(s.memory()/cacheShare, maxNames)))
	s.registerTypes()
	s.system.RegisterFIFOs(pipe.FIFOs{})
	if err := s.registerMemFiles(); err != nil {
		return err
	}
	dev.Register(s.system, s.kernel, s.console)
	s.system.RegisterDevice(linux.S_IFCHR, linux.TTYAUX_MAJOR, ptmxMinor, devpts.Multiplexer{})
	return nil
}

// registerMemFiles says where files without a name are: in a tmpfs that is mounted
// nowhere and has no limit but the container's.
func (s *sandbox) registerMemFiles() error {
	unlimited := &vfs.NewArgs{Options: vfs.ParseOptions("size=0,nr_inodes=0")}
	fs, err := s.system.NewFilesystem(s.system.Internal(), tmpfs.NewType("tmpfs", s.tmpfs), unlimited)
	if err != nil {
		return err
	}
	defer fs.DecRef()
	s.system.RegisterMemFiles(memfd.New(s.system, fs))
	return nil
}

// Names are cached for each cacheShare bytes of the guest's memory, up to maxNames.
const (
	cacheShare = 32 << 10
	maxNames   = 100_000
)

// ptmxMinor is the minor number of /dev/ptmx.
const ptmxMinor = 2

// registerTypes tells which filesystems there are to mount.
func (s *sandbox) registerTypes() {
	s.tmpfs = tmpfs.Config{Memory: func(vfs.Ctx) *memfile.File { return s.pages }, Total: s.memory}
	for _, t := range []*vfs.Type{
		tmpfs.NewType("tmpfs", s.tmpfs),
		tmpfs.NewType("ramfs", s.tmpfs),
		tmpfs.NewType("devtmpfs", s.tmpfs),
		proc.Type(s.kernel, &s.proc),
		sys.Type(s.kernel),
		devpts.Type(s.kernel),
		cgroupfs.Type(s.kernel, s.shownLimits),
		overlay.Type(),
	} {
		s.system.RegisterType(t)
	}
}

// procFilesystem is a proc of the container's processes: what mounts it is the
// kernel, which has none of its own.
func (s *sandbox) procFilesystem(c vfs.Ctx, m *control.Mount) (*vfs.Filesystem, error) {
	t := s.system.Type("proc")
	root, err := proc.Root(c, s.kernel, &s.proc, s.pids, &vfs.NewArgs{System: s.system, Options: vfs.ParseOptions(m.Data)})
	if err != nil {
		return nil, err
	}
	return s.system.NewFilesystemOf(t, root), nil
}

// makeContainer makes the container with its namespaces.
func (s *sandbox) makeContainer(mounts *vfs.MountNamespace) (err error) {
	s.container, err = s.kernel.NewContainer(kernel.ContainerSpec{
		ID: s.doc.ID, Memory: s.pages, Mounts: mounts, UserNS: s.userNS, PIDs: s.pids, Hostname: s.doc.Spec.Hostname,
		OutOfMemory: func() { s.watchers.tell(control.Event{OOM: true}) },
	})
	if err != nil {
		return err
	}
	if err := s.limit(&s.doc.Limits); err != nil {
		return err
	}
	if domain := s.doc.Spec.Domainname; domain != "" {
		s.container.NS.UTS.SetDomain(domain)
	}
	s.system.RegisterType(mqueue.Type(s.kernel, s.container.NS.IPC))
	return nil
}

// console is what /dev/console is for the caller: the terminal that controls
// it, if that came from outside, else the first that did.
func (s *sandbox) console(c vfs.Ctx) *tty.Terminal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := c.(*kernel.Task); ok {
		if term, ok := t.ThreadGroup().Terminal().(*tty.Terminal); ok {
			if _, ours := s.consoles[term]; ours {
				return term
			}
		}
	}
	return s.firstConsole
}
