package shim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/api/events"
	task "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	runc "github.com/containerd/go-runc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// drainTimeout is how long the end of a process waits for its output to be copied.
const drainTimeout = time.Second

// A process is a container's init, or one that exec has put beside it.
type process struct {
	container *container
	execID    string // "" of an init
	names     streamNames
	spec      specs.Process // of exec
	exited    chan struct{} // closed when exit is set

	// mu is held while a step is made and told to containerd: its end is told after
	// its beginning.
	mu       sync.Mutex
	status   task.Status
	pid      int         // on the host: of the holder that stands for it
	host     *os.Process // the same, by a descriptor that can't mean another
	streams  *streams
	terminal *os.File // its master
	exit     runc.Exit
}

func newProcess(c *container, execID string, names streamNames) *process {
	return &process{container: c, execID: execID, names: names, exited: make(chan struct{}), status: task.Status_CREATED}
}

// id is what events call it.
func (p *process) id() string {
	if p.execID == "" {
		return p.container.id
	}
	return p.execID
}

// launchLocked has runsc make the process: run calls it with the IO, or with the
// console socket if there is a terminal, and has it write the pid to pidFile.
func (p *process) launchLocked(pidFile string, run func(runc.IO, runc.ConsoleSocket) error) error {
	defer p.container.exits.begin()()
	err := p.connectLocked(run)
	if err == nil {
		p.pid, err = runc.ReadPidFile(pidFile)
	}
	if err == nil {
		p.host, err = os.FindProcess(p.pid)
	}
	if err != nil {
		p.releaseLocked()
		return err
	}
	p.container.exits.expect(p.pid, p.ended)
	return nil
}

// connectLocked calls run with what the process reads and writes.
func (p *process) connectLocked(run func(runc.IO, runc.ConsoleSocket) error) (err error) {
	if p.streams, err = openStreams(p.names, p.execID != "" && !p.names.terminal); err != nil {
		return err
	}
	if !p.names.terminal {
		return run(p.streams, nil)
	}
	socket, err := runc.NewTempConsoleSocket()
	if err != nil {
		return fmt.Errorf("console socket: %w", err)
	}
	defer socket.Close()
	if err := run(nil, socket); err != nil {
		return err
	}
	if p.terminal, err = receiveTerminal(socket); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	p.streams.attach(p.terminal)
	return nil
}

// start lets the process run.
func (p *process) start(ctx context.Context) (pid int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != task.Status_CREATED {
		return 0, fmt.Errorf("process %s has been started: %w", p.id(), errdefs.ErrFailedPrecondition)
	}
	if p.execID == "" {
		err = p.startInitLocked(ctx)
	} else {
		err = p.startExecLocked(ctx)
	}
	return p.pid, err
}

func (p *process) startInitLocked(ctx context.Context) error {
	c := p.container
	if err := c.runtime.do(func(r *runc.Runc) error { return r.Start(ctx, c.id) }); err != nil {
		return fmt.Errorf("OCI runtime start failed: %w", err)
	}
	p.status = task.Status_RUNNING
	c.watchMemory()
	c.events.send(&events.TaskStart{ContainerID: c.id, Pid: uint32(p.pid)})
	return nil
}

func (p *process) startExecLocked(ctx context.Context) error {
	c := p.container
	pidFile := filepath.Join(c.bundle, p.execID+".pid")
	defer os.Remove(pidFile)
	err := p.launchLocked(pidFile, func(io runc.IO, console runc.ConsoleSocket) error {
		return c.runtime.do(func(r *runc.Runc) error {
			return r.Exec(ctx, c.id, p.spec, &runc.ExecOpts{IO: io, ConsoleSocket: console, PidFile: pidFile, Detach: true})
		})
	})
	if err != nil {
		p.status = task.Status_STOPPED
		p.exit = runc.Exit{Status: 255, Timestamp: time.Now()}
		close(p.exited)
		return fmt.Errorf("OCI runtime exec failed: %w", err)
	}
	p.status = task.Status_RUNNING
	c.events.send(&events.TaskExecStarted{ContainerID: c.id, ExecID: p.execID, Pid: uint32(p.pid)})
	return nil
}

// ended is called when the process has ended, and tells containerd: of an init
// after all the others, and of any after its output.
func (p *process) ended(e runc.Exit) {
	p.mu.Lock() // it may have ended in the midst of its start
	streams := p.streams
	p.mu.Unlock()
	if p.execID == "" {
		p.container.awaitOthers()
	}
	streams.drain(drainTimeout)
	p.mu.Lock()
	p.status, p.exit = task.Status_STOPPED, e
	close(p.exited)
	p.mu.Unlock()
	p.container.events.send(&events.TaskExit{
		ContainerID: p.container.id, ID: p.id(), Pid: uint32(e.Pid), ExitStatus: uint32(e.Status), ExitedAt: timestamppb.New(e.Timestamp),
	})
}

// signal sends sig to a process of exec.
func (p *process) signal(sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == task.Status_CREATED {
		return fmt.Errorf("process %s has not been started: %w", p.execID, errdefs.ErrFailedPrecondition)
	}
	err := os.ErrProcessDone
	if p.status != task.Status_STOPPED {
		err = p.host.Signal(sig)
	}
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("process %s has ended: %w", p.execID, errdefs.ErrNotFound)
	}
	return err
}

// wait waits for the process to have ended.
func (p *process) wait(ctx context.Context) (runc.Exit, error) {
	select {
	case <-p.exited:
		return p.exit, nil
	case <-ctx.Done():
		return runc.Exit{}, ctx.Err()
	}
}

// resize sets the size of its terminal.
func (p *process) resize(width, height uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return resize(p.terminal, width, height)
}

// closeInput ends its standard input.
func (p *process) closeInput() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		p.streams.closeInput()
	}
}

// release gives up what the shim has of a process that has ended.
func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked()
}

func (p *process) releaseLocked() {
	if p.streams != nil {
		p.streams.close()
	}
}
