package boot

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"garrison/fs/host"
	"garrison/fs/proc"
	"garrison/fs/tmpfs"
	"garrison/fs/tty"
	"garrison/gofer/wire"
	"garrison/platform"
	"garrison/runsc/control"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/memfile"
	"garrison/sentry/seccomp"
	"garrison/sentry/vfs"
)

// A sandbox is a running sentry: a kernel, the container in it, and the lines to
// the outside.
type sandbox struct {
	doc       *control.Boot
	platform  platform.Platform
	kernel    *kernel.Kernel
	system    *vfs.System
	poller    *host.Poller
	gofer     *wire.Client
	listener  *net.UnixListener
	pageMount *os.File            // held, as what mounts the page file is its size
	userNS    *auth.UserNamespace // the container's: the first one, or one of its own
	container *kernel.Container
	init      *process
	pages     *memfile.File        // the container's page file
	pids      *kernel.PIDNamespace // the container's
	proc      proc.Config
	tmpfs     tmpfs.Config
	profile   *seccomp.Program // judges the processes from outside; nil for none

	limits   atomic.Pointer[control.Limits]
	watchers watchers
	over     chan struct{} // closed when all is done
	warnings []string      // of what boot left out

	mu        sync.Mutex
	stage     stage                 // protected by mu
	processes map[*process]struct{} // protected by mu: those from outside that live
	// consoles are the terminals of processes from outside; firstConsole the
	// first of them. Protected by mu.
	consoles     map[*tty.Terminal]struct{}
	firstConsole *tty.Terminal
}

// boot makes a sandbox that is ready to start. Its last act is to lock the
// process down.
func boot(doc *control.Boot, files []*os.File, made *made, clock *stopwatch) (*sandbox, error) {
	given := &descriptors{files: files}
	defer given.closeRest()
	s := &sandbox{doc: doc, over: make(chan struct{}), processes: map[*process]struct{}{}, consoles: map[*tty.Terminal]struct{}{}}
	s.limits.Store(&doc.Limits)
	if err := s.open(given); err != nil {
		return nil, err
	}
	var err error
	if s.pages, err = s.openMemory(given); err != nil {
		return nil, err
	}
	p, err := made.wait()
	if err != nil {
		return nil, err
	}
	s.proc.CPUInfo = made.cpuinfo
	if made.instead != nil && doc.Options.Debug {
		s.warnings = append(s.warnings, fmt.Sprintf("platform %s: %v", p.Facts().Name, made.instead))
	}
	s.platform = p
	clock.step("platform")
	if err := s.makeKernel(p); err != nil {
		return nil, err
	}
	clock.step("kernel")
	root, err := s.mountRoot()
	if err != nil {
		return nil, err
	}
	if err := s.makeContainer(root); err != nil {
		root.DecRef()
		return nil, err
	}
	clock.step("container")
	if err := s.mountRest(); err != nil {
		return nil, err
	}
	s.container.Mounts.GiveTo(s.userNS)
	clock.step("mounts")
	if err := s.loadProfile(); err != nil {
		return nil, err
	}
	s.init, err = s.newProcess(doc.Spec.Process, &doc.Init, given, doc.Options.Mortal)
	if err != nil {
		return nil, err
	}
	clock.step("init")
	if err := lockDown(p.Facts().Name, doc.Options.Debug); err != nil {
		return nil, err
	}
	clock.step("lockdown")
	return s, nil
}

// open takes the sockets that the boot document names.
func (s *sandbox) open(given *descriptors) error {
	f, err := given.take(s.doc.Control)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	unixListener, ok := l.(*net.UnixListener)
	if !ok {
		return errors.New("control socket: not a unix socket")
	}
	unixListener.SetUnlinkOnClose(false)
	s.listener = unixListener
	fd, err := given.takeFD(s.doc.Gofer)
	if err != nil {
		return fmt.Errorf("gofer socket: %w", err)
	}
	if s.gofer, err = wire.NewClient(fd); err != nil {
		return err
	}
	go func() {
		<-s.gofer.Dead()
		logf("the connection to the gofer has ended")
	}()
	s.poller, err = host.NewPoller()
	return err
}

// openMemory takes the page file.
func (s *sandbox) openMemory(given *descriptors) (*memfile.File, error) {
	var err error
	if s.pageMount, err = given.take(s.doc.PageMount); err != nil {
		return nil, fmt.Errorf("page file's mount: %w", err)
	}
	fd, err := given.takeFD(s.doc.PageFile)
	if err != nil {
		return nil, fmt.Errorf("page file: %w", err)
	}
	ro, err := given.takeFD(s.doc.PageFileRO)
	if err != nil {
		return nil, fmt.Errorf("page file: %w", err)
	}
	return memfile.New(fd, ro)
}

// rootContext is the kernel itself as a caller in the mount namespace ns. What it
// makes there belongs to the container's root. done gives up what it holds.
func (s *sandbox) rootContext(ns *vfs.MountNamespace) (c vfs.Ctx, done func()) {
	place := vfs.NewFSContext(ns)
	place.SetUmask(0)
	who := auth.Root(s.userNS)
	who.UserNS = s.kernel.RootUserNS()
	return &vfs.Internal{Who: who, Place: place}, place.DecRef
}

// descriptors are those that came with a message. What is not taken is closed.
type descriptors struct {
	files []*os.File
}

// take gives descriptor i away.
func (d *descriptors) take(i int) (*os.File, error) {
	if i < 0 || i >= len(d.files) || d.files[i] == nil {
		return nil, fmt.Errorf("no descriptor %d came with the message", i)
	}
	f := d.files[i]
	d.files[i] = nil
	return f, nil
}

// takeFD is take for those who want the bare number.
func (d *descriptors) takeFD(i int) (int, error) {
	f, err := d.take(i)
	if err != nil {
		return -1, err
	}
	return bareFD(f)
}

func (d *descriptors) closeRest() { control.CloseFiles(d.files) }
