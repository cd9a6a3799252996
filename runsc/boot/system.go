package boot

import (
	"garrison/fs/cgroupfs"
	"garrison/fs/dev"
	"garrison/fs/devpts"
	"garrison/fs/erofs"
	"garrison/fs/fuse"
	"garrison/fs/loop"
	"garrison/fs/overlay"
	"garrison/fs/pipe"
	"garrison/fs/proc"
	"garrison/fs/sys"
	"garrison/fs/tmpfs"
	"garrison/fs/tty"
	"garrison/runsc/control"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/vfs"
)

// makeKernel makes the kernel and tells its virtual filesystem what there is.
func (s *sandbox) makeKernel() error {
	table, err := brokenTable(s.options.Break)
	if err != nil {
		return err
	}
	o := kernel.Options{
		Platform: s.platform, Table: table, Release: s.options.Release, Version: control.Version,
		CPUs: s.options.CPUs, Memory: s.first.memory(), Log: logf,
	}
	s.networks.Memory = func(c vfs.Ctx) *memfile.File { return s.of(c).pages }
	params := proc.NewParams()
	o.NewNetwork = func(owner *auth.UserNamespace) any {
		n := s.networks.New()
		n.Owner = owner
		return n
	}
	if s.options.Strace {
		o.Tracer = newStrace()
	}
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
	s.system.SetMaxQueued(func() int64 { return params.Int("fs/fanotify/max_queued_events") })
	s.system.SetCacheSize(int(min(s.first.memory()/cacheShare, maxNames)))
	s.registerTypes()
	s.system.RegisterFIFOs(pipe.FIFOs{})
	s.system.RegisterMemFiles(memFiles{s})
	dev.Register(s.system, s.kernel, s.console)
	s.system.RegisterDevice(linux.S_IFCHR, linux.TTYAUX_MAJOR, ptmxMinor, devpts.Multiplexer{})
	s.system.RegisterDevice(linux.S_IFCHR, fuse.DeviceMajor, fuse.DeviceMinor, fuse.Device{})
	loop.Register(s.system, loop.Config{Allowed: s.mayOpenDevice})
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
	own := tmpfs.Config{
		Memory: func(c vfs.Ctx) *memfile.File { return s.of(c).pages },
		Total:  func() uint64 { return s.first.memory() },
	}
	types := append(memoryTypes(own), fuse.Types(fuse.Config{Memory: own.Memory})...)
	for _, t := range append(types,
		proc.Type(s.kernel, &s.proc),
		sys.Type(s.kernel),
		devpts.Type(s.kernel),
		cgroupfs.Type(s.kernel, s.shownLimits),
		overlay.Type(),
		erofs.NewType(erofs.Config{Memory: own.Memory}),
	) {
		s.system.RegisterType(t)
	}
}

// memoryTypes are the filesystems whose files are in memory.
func memoryTypes(c tmpfs.Config) (types []*vfs.Type) {
	for _, name := range []string{"tmpfs", "ramfs", "devtmpfs"} {
		types = append(types, tmpfs.NewType(name, c))
	}
	return types
}

func typesByName(types []*vfs.Type) map[string]*vfs.Type {
	m := make(map[string]*vfs.Type, len(types)+1)
	for _, t := range types {
		m[t.Name] = t
	}
	return m
}

// memFiles makes files without a name where the container of who wants one has its memory.
type memFiles struct{ s *sandbox }

// Create implements vfs.MemFiles.
func (m memFiles) Create(c vfs.Ctx, name string, flags uint32) (*vfs.FileDescription, error) {
	return m.s.of(c).memFiles.Create(c, name, flags)
}

// Shared implements vfs.MemFiles.
func (m memFiles) Shared(c vfs.Ctx, name string, n int64) (*vfs.FileDescription, error) {
	return m.s.of(c).memFiles.Shared(c, name, n)
}

// shownLimits is what cgroup files show of a container's limits.
func (s *sandbox) shownLimits(x *kernel.Container) cgroupfs.Limits {
	ct, err := s.find(x.ID)
	if err != nil {
		return cgroupfs.Limits{}
	}
	return cgroupfs.Limits(*ct.limits.Load())
}

// console is what /dev/console is for the caller: the terminal that controls
// it, if that came from outside, else the first that did.
func (s *sandbox) console(c vfs.Ctx) *tty.Terminal {
	ct := s.of(c)
	ct.mu.Lock()
	defer ct.mu.Unlock()
	if t, ok := c.(*kernel.Task); ok {
		if term, ok := t.ThreadGroup().Terminal().(*tty.Terminal); ok {
			if _, ours := ct.consoles[term]; ours {
				return term
			}
		}
	}
	return ct.firstConsole
}
