package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"garrison/runsc/cgroup"
	"garrison/runsc/container"
	"garrison/runsc/control"
)

// requestTimeout is how long a sentry may take to answer what it can do at
// once. It may be busy, stopped by a debugger, or taken over by its guest.
const requestTimeout = 10 * time.Second

// killTimeout is how long a sentry may take to kill its guest before it is
// killed itself.
const killTimeout = time.Second

// endTimeout is how long killed processes may take to be gone.
const endTimeout = 10 * time.Second

// ErrNoAnswer says that the sentry is there but does not answer.
var ErrNoAnswer = errors.New("the sandbox does not answer (delete --force ends it)")

// request sends q to the sentry of c and returns the answer. No deadline is
// set if timeout is 0.
func request(c *container.Container, q *control.Request, timeout time.Duration, files ...*os.File) (*control.Reply, error) {
	a, received, err := exchange(c, q, timeout, files)
	control.CloseFiles(received) // none was asked for
	return a, err
}

// exchange is request for an answer with descriptors.
func exchange(c *container.Container, q *control.Request, timeout time.Duration, files []*os.File) (*control.Reply, []*os.File, error) {
	conn, err := dial(c)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if timeout > 0 {
		if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
			return nil, nil, err
		}
	}
	var a control.Reply
	var received []*os.File
	if err = conn.Send(q, files...); err == nil {
		received, err = conn.Receive(&a)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, nil, ErrNoAnswer
	case broken(err):
		return nil, nil, container.ErrNotRunning
	case err != nil:
		return nil, nil, err
	case a.Problem != nil:
		return nil, received, a.Problem
	}
	return &a, received, nil
}

// dial connects to the sentry of c.
func dial(c *container.Container) (*control.Conn, error) {
	conn, err := control.Dial(c.Dir(), container.ControlName)
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return nil, container.ErrNotRunning
	}
	return conn, err
}

// broken says whether err is that of a connection whose other end has gone.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}

// Start lets the init of a created container run.
func Start(store container.Store, id string) error {
	c, err := store.Open(id)
	if err != nil {
		return err
	}
	defer c.Close()
	return start(c)
}

// Start lets the container's init run.
func (s *Sandbox) Start() error { return Start(s.Store, s.ID) }

func start(c *container.Container) error {
	switch c.Status() {
	case string(container.Created):
	case container.Stopped:
		return errors.New("cannot start a container that has stopped")
	default:
		return errors.New("cannot start an already running container")
	}
	q := new(control.Start)
	if c.Hooks != nil && len(c.Hooks.StartContainer) > 0 {
		q.Hooks, q.State = c.Hooks.StartContainer, c.OCI()
	}
	if _, err := request(c, &control.Request{ID: c.ID, Start: q}, 0); err != nil {
		return err
	}
	c.Phase = container.Running
	if err := c.Save(); err != nil {
		return err
	}
	if c.Hooks != nil {
		// The container runs: a hook that fails does not change that, but is told.
		return container.RunHooks("poststart", c.Hooks.Poststart, c.OCI(), nil)
	}
	return nil
}

// Signal sends sig to the init of container id, or with all to each of its
// processes. SIGKILL ends even a container whose sentry does not answer.
func Signal(store container.Store, id string, sig unix.Signal, all bool) error {
	c, err := store.Peek(id)
	if err != nil {
		return err
	}
	switch c.Status() {
	case container.Stopped:
		if all {
			return nil
		}
		return container.ErrNotRunning
	case string(container.Creating):
		return container.ErrNotRunning
	}
	q := &control.Request{ID: id, Signal: &control.Signal{Signal: int(sig), All: all}}
	timeout := requestTimeout
	if sig == unix.SIGKILL {
		timeout = killTimeout
	}
	_, err = request(c, q, timeout)
	if sig == unix.SIGKILL {
		if err == nil && c.Init.Wait(killTimeout) {
			return nil
		}
		return end(store, c)
	}
	return err
}

// SignalProcess sends sig to the process that the container numbers pid.
func SignalProcess(store container.Store, id string, pid int, sig unix.Signal) error {
	c, err := store.Peek(id)
	if err != nil {
		return err
	}
	_, err = request(c, &control.Request{ID: id, Signal: &control.Signal{Signal: int(sig), PID: pid}}, requestTimeout)
	return err
}

// endSandbox kills the processes of a container from outside, in the order of
// who would report another's death as an error.
func endSandbox(c *container.Container) error {
	var failed error
	for _, p := range []container.Process{c.Sentry, c.Gofer, c.Init} {
		if err := p.Kill(endTimeout); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// endContainer ends the processes of a container in whose sandbox are others, and what the
// sentry has of it. A sentry that does not answer ends.
func endContainer(c *container.Container) error {
	if c.Init.Alive() {
		q := &control.Request{ID: c.ID, Signal: &control.Signal{Signal: int(unix.SIGKILL)}}
		_, err := request(c, q, killTimeout)
		var unknown *control.Problem
		switch {
		case errors.As(err, &unknown): // it has ended, or was not there yet when runsc was killed
			c.Init.Wait(killTimeout)
			if err := c.Init.Kill(endTimeout); err != nil {
				return err
			}
		case err != nil || !c.Init.Wait(endTimeout):
			return endSandbox(c)
		}
	}
	c.Gofer.Wait(killTimeout) // it ends by itself
	return c.Gofer.Kill(endTimeout)
}

// Debug returns what a container's sentry says of its own works; what is one of
// control's.
func Debug(store container.Store, id, what string) (string, error) {
	c, err := running(store, id)
	if err != nil {
		return "", err
	}
	a, err := request(c, &control.Request{ID: id, Debug: &control.Debug{What: what}}, requestTimeout)
	if err != nil {
		return "", err
	}
	return a.Text, nil
}

// running returns the record of a container in which something may run.
func running(store container.Store, id string) (*container.Container, error) {
	c, err := store.Peek(id)
	if err != nil {
		return nil, err
	}
	return c, mustLive(c)
}

// mustLive is container.ErrNotRunning for a container in which nothing may run.
func mustLive(c *container.Container) error {
	if status := c.Status(); status == container.Stopped || status == string(container.Creating) {
		return container.ErrNotRunning
	}
	return nil
}

// openCgroup is the cgroups that c has.
func openCgroup(c *container.Container) (*cgroup.Group, error) {
	return cgroup.Open(cgroup.Config{ID: c.ID, Path: c.CgroupsPath, Systemd: c.SystemdCgroup}, c.Cgroups)
}

// Pause stops every process of a container until Resume.
func Pause(store container.Store, id string) error {
	return setPaused(store, id, container.Running, container.Paused, &control.Request{ID: id, Pause: &control.Pause{}})
}

// Resume lets a paused container go on.
func Resume(store container.Store, id string) error {
	return setPaused(store, id, container.Paused, container.Running, &control.Request{ID: id, Resume: &control.Resume{}})
}

func setPaused(store container.Store, id string, from, to container.Phase, q *control.Request) error {
	c, err := store.Open(id)
	if err != nil {
		return err
	}
	defer c.Close()
	if status := c.Status(); status != string(from) {
		return fmt.Errorf("container is %s, not %s", status, from)
	}
	if _, err := request(c, q, requestTimeout); err != nil {
		return err
	}
	c.Phase = to
	return c.Save()
}

// end sees to it that none of the container's processes is left: the sentry stays for as
// long as there are other containers in the sandbox.
func end(store container.Store, c *container.Container) error {
	others, err := sharing(store, c)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return endContainer(c)
	}
	if c.Status() == container.Stopped {
		// It ends by itself; that is a matter of a moment.
		c.Sentry.Wait(killTimeout)
		c.Gofer.Wait(killTimeout)
	}
	return endSandbox(c)
}

// Delete removes a container that has stopped, or was never started. With
// force it is ended first, and one that does not exist is no error.
func Delete(store container.Store, id string, force bool) error {
	if err := store.Sweep(id); err != nil {
		return err
	}
	c, err := store.Open(id)
	if err != nil {
		if force && errors.Is(err, container.ErrNotExist) {
			return nil
		}
		return err
	}
	defer c.Close()
	status := c.Status()
	if !force && status != container.Stopped && status != string(container.Created) {
		return fmt.Errorf("cannot delete container %s that is not stopped: %s", id, status)
	}
	if err := end(store, c); err != nil {
		return err
	}
	if err := removeCgroup(store, c); err != nil {
		return err
	}
	state, hooks := c.OCI(), c.Hooks
	if err := c.Remove(); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	if hooks != nil {
		return container.RunHooks("poststop", hooks.Poststop, state, nil)
	}
	return nil
}
