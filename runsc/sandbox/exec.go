package sandbox

import (
	"errors"
	"os"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/container"
	"garrison/runsc/control"
)

// An ExecConfig is a process to start in a running container.
type ExecConfig struct {
	Store         container.Store
	ID            string
	Process       *specs.Process
	ConsoleSocket string
	PIDFile       string
	PreserveFDs   int
	IgnorePaused  bool // start it in a paused container too, where it runs when that goes on
}

// An Execed is a process that this one has started in a container.
type Execed struct {
	Config ExecConfig
	// PID is the process as the container numbers them.
	PID    int
	holder *holder
	term   *terminal
}

// InitProcess is the description of a container's init, whose environment and
// rights exec starts from.
func InitProcess(store container.Store, id string) (*specs.Process, error) {
	c, err := running(store, id)
	if err != nil {
		return nil, err
	}
	if c.Process == nil {
		return nil, errors.New("container has no process")
	}
	return c.Process, nil
}

// Exec starts a process in a running container. It is there, and on record at
// PIDFile, when Exec returns.
func Exec(cfg ExecConfig) (*Execed, error) {
	c, err := running(cfg.Store, cfg.ID)
	if err != nil {
		return nil, err
	}
	if c.Phase == container.Paused && !cfg.IgnorePaused {
		return nil, errors.New("cannot exec in a paused container (use --ignore-paused to override)")
	}
	e := &Execed{Config: cfg}
	if err := e.start(c); err != nil {
		if e.holder != nil {
			e.holder.kill()
		}
		e.term.close()
		return nil, err
	}
	e.holder.close()
	if e.term != nil {
		e.term.slave.Close()
		if cfg.ConsoleSocket != "" {
			e.term.master.Close()
			e.term = nil
		}
	}
	return e, nil
}

func (e *Execed) start(c *container.Container) (err error) {
	var slave *os.File
	if e.Config.Process.Terminal {
		if e.term, err = newTerminal(e.Config.Process.ConsoleSize); err != nil {
			return err
		}
		slave = e.term.slave
	}
	if e.holder, err = startHolder(&holderConfig{id: c.ID, netPath: nsPath(c.Init.PID, "net"), terminal: slave}); err != nil {
		return err
	}
	if len(c.Cgroups) > 0 {
		g, err := openCgroup(c)
		if err == nil {
			err = g.Add(e.holder.PID)
		}
		if err != nil {
			return err
		}
	}
	stdio, err := inheritedFiles(e.Config.PreserveFDs)
	if err != nil {
		return err
	}
	defer control.CloseFiles(stdio)
	if e.term != nil && e.Config.ConsoleSocket != "" {
		if err := e.term.send(e.Config.ConsoleSocket); err != nil {
			return err
		}
	}
	var files fileList
	q := &control.Exec{Process: e.Config.Process, Stdio: stdioOf(&files, e.holder, e.term, stdio)}
	a, err := request(c, &control.Request{ID: c.ID, Exec: q}, 0, files...)
	if err != nil {
		return err
	}
	e.PID = a.PID
	if e.Config.PIDFile != "" {
		return writePIDFile(e.Config.PIDFile, e.holder.PID)
	}
	return nil
}

// Wait returns how the process ended: its exit status, or 128 and the number
// of the signal that killed it.
func (e *Execed) Wait() (int, error) { return e.holder.wait() }

// Wait returns how the container's init ended: its exit status, or 128 and the
// number of the signal that killed it.
func (s *Sandbox) Wait() (int, error) { return s.holder.wait() }

// KernelKilled reports whether it was the sandbox's kernel that something outside
// killed, once Wait has returned: the guest's own end is followed by the kernel's.
func (s *Sandbox) KernelKilled() bool {
	if s.sentry == nil {
		return !s.pod.Sentry.Alive() // which outlives the containers of a pod
	}
	ended := make(chan *os.ProcessState, 1)
	go func() {
		state, _ := s.sentry.proc.Wait()
		ended <- state
	}()
	select {
	case state := <-ended:
		if state == nil {
			return false // somebody has waited for it: it is not known
		}
		status, ok := state.Sys().(syscall.WaitStatus)
		return ok && status.Signaled()
	case <-time.After(time.Second):
		return false
	}
}

// HostPID is the host process that stands for the container's init.
func (s *Sandbox) HostPID() int { return s.holder.PID }
