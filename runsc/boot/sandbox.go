package boot

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"garrison/fs/host"
	"garrison/fs/proc"
	"garrison/platform"
	"garrison/runsc/control"
	"garrison/sentry/kernel"
	"garrison/sentry/memfile"
	"garrison/sentry/socket/netns"
	"garrison/sentry/vfs"
)

// A sandbox is a running sentry: a kernel, the containers in it, and the lines to
// the outside. It ends with its last container.
type sandbox struct {
	options  control.Options
	platform platform.Platform
	kernel   *kernel.Kernel
	system   *vfs.System
	poller   *host.Poller
	networks netns.Maker
	listener *net.UnixListener
	proc     proc.Config
	dials    bool          // connects sockets of the host to Docker's name server, as the first container needs it
	first    *container    // set before anybody can ask; it may have ended
	ended    chan struct{} // closed when all containers have, and everybody knows

	mu         sync.Mutex
	containers map[string]*container // protected by mu: those that have not ended
	unreported int                   // protected by mu: how many there are whose end not everybody knows
	ending     bool                  // protected by mu: the last container has ended
	orphans    []*memfile.File       // protected by mu: page files of containers that are gone, in use elsewhere
}

// boot makes a sandbox whose first container is ready to start. Its last act is to
// lock the process down.
func boot(doc *control.Boot, files []*os.File, made *made, clock *stopwatch) (*sandbox, error) {
	given := &descriptors{files: files}
	defer given.closeRest()
	s := &sandbox{options: doc.Options, containers: map[string]*container{}, ended: make(chan struct{})}
	s.dials = doc.Network != nil && len(doc.Network.Dials) > 0
	if err := s.open(given.take(doc.Control)); err != nil {
		return nil, err
	}
	var err error
	if s.first, err = s.newContainer(doc, given); err != nil {
		return nil, err
	}
	if s.platform, err = made.wait(); err != nil {
		return nil, err
	}
	s.proc.CPUInfo = made.cpuinfo
	if made.instead != nil && doc.Options.Debug {
		s.first.warn("platform %s: %v", s.platform.Facts().Name, made.instead)
	}
	clock.step("platform")
	if err := s.makeKernel(); err != nil {
		return nil, err
	}
	clock.step("kernel")
	if err := s.first.make(given, clock); err != nil {
		return nil, err
	}
	s.enter(s.first)
	if err := s.lockDown(doc.HostNetwork != nil); err != nil {
		return nil, err
	}
	clock.step("lockdown")
	return s, nil
}

// open takes the control socket.
func (s *sandbox) open(f *os.File, err error) error {
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
	s.poller, err = host.NewPoller()
	return err
}

// find is the container of that ID.
func (s *sandbox) find(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ct := s.containers[id]; ct != nil {
		return ct, nil
	}
	return nil, errNotRunning
}

// of is the container of who calls; one that has not ended if that is the kernel itself.
func (s *sandbox) of(c vfs.Ctx) *container {
	if t, ok := kernel.Caller(c); ok {
		if ct, err := s.find(t.Container().ID); err == nil {
			return ct
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers[s.first.doc.ID] == s.first {
		return s.first
	}
	for _, ct := range s.containers {
		return ct
	}
	return s.first
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
