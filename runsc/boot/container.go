package boot

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"garrison/fs/memfd"
	"garrison/fs/mqueue"
	"garrison/fs/tmpfs"
	"garrison/fs/tty"
	"garrison/gofer/wire"
	"garrison/runsc/control"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/memfile"
	"garrison/sentry/seccomp"
	"garrison/sentry/vfs"
)

// A container is one container of a sandbox, with its files, its memory and its
// processes.
type container struct {
	*sandbox
	doc       *control.Boot
	gofer     *wire.Client
	pages     *memfile.File
	pageMount *os.File            // held, as what mounts the page file is its size
	userNS    *auth.UserNamespace // the first one, or one of its own
	pids      *kernel.PIDNamespace
	guest     *kernel.Container
	network   *network // which others may have, too; nil if there is only a loopback
	tmpfs     tmpfs.Config
	types     map[string]*vfs.Type // filesystems that are the container's own in some way
	memFiles  *memfd.Files
	profile   *seccomp.Program // judges the processes from outside; nil for none
	init      *process

	limits   atomic.Pointer[control.Limits]
	watchers watchers
	warnings []string // of what was left out

	mu        sync.Mutex
	stage     stage                 // protected by mu
	processes map[*process]struct{} // protected by mu: those from outside that live
	// consoles are the terminals of processes from outside; firstConsole the
	// first of them. Protected by mu.
	consoles     map[*tty.Terminal]struct{}
	firstConsole *tty.Terminal
}

// newContainer is a container that has what doc brings along, and nothing more.
func (s *sandbox) newContainer(doc *control.Boot, given *descriptors) (*container, error) {
	ct := &container{
		sandbox: s, doc: doc, processes: map[*process]struct{}{}, consoles: map[*tty.Terminal]struct{}{},
	}
	ct.limits.Store(&doc.Limits)
	fd, err := given.takeFD(doc.Gofer)
	if err != nil {
		return nil, fmt.Errorf("gofer socket: %w", err)
	}
	if ct.gofer, err = wire.NewClient(fd); err != nil {
		return nil, err
	}
	go func() {
		<-ct.gofer.Dead()
		logf("container %s: the connection to the gofer has ended", doc.ID)
	}()
	if err := ct.openMemory(given); err != nil {
		ct.gofer.Close()
		return nil, err
	}
	return ct, nil
}

// openMemory takes the page file.
func (ct *container) openMemory(given *descriptors) error {
	var err error
	if ct.pageMount, err = given.take(ct.doc.PageMount); err != nil {
		return fmt.Errorf("page file's mount: %w", err)
	}
	fd, err := given.takeFD(ct.doc.PageFile)
	if err != nil {
		return fmt.Errorf("page file: %w", err)
	}
	ro, err := given.takeFD(ct.doc.PageFileRO)
	if err != nil {
		return fmt.Errorf("page file: %w", err)
	}
	ct.pages, err = memfile.New(fd, ro)
	return err
}

// make makes the container in the kernel, ready to start.
func (ct *container) make(given *descriptors, clock *stopwatch) error {
	var err error
	if ct.userNS, err = ct.newUserNS(); err != nil {
		return err
	}
	spec := kernel.ContainerSpec{
		ID: ct.doc.ID, Memory: ct.pages, UserNS: ct.userNS, Hostname: ct.doc.Spec.Hostname,
		OutOfMemory: func() { ct.watchers.tell(control.Event{OOM: true}) },
	}
	if err := ct.share(&spec); err != nil {
		return err
	}
	if ct.doc.HostNetwork != nil {
		if spec.Net, err = ct.openHostNetwork(ct.doc.HostNetwork, given); err != nil {
			return fmt.Errorf("host network: %w", err)
		}
	}
	ct.pids = spec.PIDs
	ct.tmpfs = tmpfs.Config{Memory: func(vfs.Ctx) *memfile.File { return ct.pages }, Total: ct.memory}
	ct.types = typesByName(memoryTypes(ct.tmpfs))
	if spec.Mounts, err = ct.mountRoot(given); err != nil {
		return err
	}
	if ct.guest, err = ct.kernel.NewContainer(spec); err != nil {
		spec.Mounts.DecRef()
		return fmt.Errorf("container %s: %w", ct.doc.ID, err)
	}
	if err := ct.complete(given, clock); err != nil {
		ct.guest.Remove()
		return err
	}
	return nil
}

// complete gives a container that is there its limits, its files and its init.
func (ct *container) complete(given *descriptors, clock *stopwatch) error {
	if err := ct.limit(&ct.doc.Limits); err != nil {
		return err
	}
	if domain := ct.doc.Spec.Domainname; domain != "" && ct.doc.Share.UTS == "" {
		ct.guest.NS.UTS.SetDomain(domain)
	}
	if err := ct.openNetwork(ct.doc.Network, given); err != nil {
		return err
	}
	clock.step("network")
	ct.types["mqueue"] = mqueue.Type(ct.kernel, ct.guest.NS.IPC)
	if ct == ct.first {
		ct.system.RegisterType(ct.types["mqueue"])
	}
	if err := ct.makeMemFiles(); err != nil {
		return err
	}
	clock.step("container")
	if err := ct.mountRest(); err != nil {
		return err
	}
	ct.guest.Mounts.GiveTo(ct.userNS)
	clock.step("mounts")
	if err := ct.loadProfile(); err != nil {
		return err
	}
	var err error
	ct.init, err = ct.newProcess(ct.doc.Spec.Process, &ct.doc.Init, given, ct.doc.Options.Mortal)
	clock.step("init")
	return err
}

// share makes the namespaces of spec those of other containers, where it is said so.
func (ct *container) share(spec *kernel.ContainerSpec) error {
	for _, n := range []struct {
		kind, id string
		take     func(with *container)
	}{
		{"pid", ct.doc.Share.PID, func(with *container) { spec.PIDs = with.pids }},
		{"ipc", ct.doc.Share.IPC, func(with *container) { spec.IPC = with.guest.NS.IPC }},
		{"uts", ct.doc.Share.UTS, func(with *container) { spec.UTS = with.guest.NS.UTS }},
		{"network", ct.doc.Share.Net, func(with *container) { spec.Net = with.guest.NS.Net; ct.shareNetwork(with.network) }},
	} {
		if n.id == "" {
			continue
		}
		if err := ct.with(n.id, n.take); err != nil {
			return fmt.Errorf("%s namespace of container %s: %w", n.kind, n.id, err)
		}
	}
	if spec.PIDs == nil {
		spec.PIDs = ct.kernel.NewPIDNamespace(ct.kernel.RootPIDNS(), ct.userNS)
	}
	return nil
}

// with calls take with the container of that ID, which does not leave meanwhile.
func (s *sandbox) with(id string, take func(*container)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ct := s.containers[id]
	if ct == nil {
		return errNotRunning
	}
	take(ct)
	return nil
}

// shareNetwork has n not end before ct has; the caller has the sandbox's mu.
func (ct *container) shareNetwork(n *network) {
	if n != nil {
		n.users++
		ct.network = n
	}
}

// makeMemFiles says where the container's files without a name are: in a tmpfs that is
// mounted nowhere and has no limit but the container's.
func (ct *container) makeMemFiles() error {
	unlimited := &vfs.NewArgs{Options: vfs.ParseOptions("size=0,nr_inodes=0")}
	fs, err := ct.system.NewFilesystem(ct.system.Internal(), ct.types["tmpfs"], unlimited)
	if err != nil {
		return err
	}
	defer fs.DecRef()
	ct.memFiles = memfd.New(ct.system, fs)
	return nil
}

// fsType is the filesystem type of that name as the container's mounts have it; nil if
// there is none.
func (ct *container) fsType(name string) *vfs.Type {
	if t := ct.types[name]; t != nil {
		return t
	}
	return ct.system.Type(name)
}

// rootContext is the kernel itself as a caller in the mount namespace ns. What it
// makes there belongs to the container's root. done gives up what it holds.
func (ct *container) rootContext(ns *vfs.MountNamespace) (c vfs.Ctx, done func()) {
	place := vfs.NewFSContext(ns)
	place.SetUmask(0)
	who := auth.Root(ct.userNS)
	who.UserNS = ct.kernel.RootUserNS()
	return &vfs.Internal{Who: who, Place: place}, place.DecRef
}

// warn notes what is left out of what the configuration asks for.
func (ct *container) warn(format string, args ...any) {
	ct.warnings = append(ct.warnings, fmt.Sprintf(format, args...))
}
