package boot

import (
	"errors"

	"garrison/runsc/control"
	"garrison/sentry/linux"
)

// A stage is how far a sandbox's life has come.
type stage int

const (
	waiting stage = iota // for Start
	running
	ending // init has ended, or never will begin
)

// serve answers requests until the container has ended and everybody who
// waited for it knows.
func (s *sandbox) serve() {
	s.attend(s.init)
	go s.accept()
	<-s.over
	logf("container %s has ended", s.doc.ID)
}

// start lets init run.
func (s *sandbox) start(q *control.Start) error {
	s.mu.Lock()
	if s.stage != waiting {
		s.mu.Unlock()
		return errors.New("cannot start a container that has been started")
	}
	s.stage = running
	s.mu.Unlock()
	if err := s.runHooks(q); err != nil {
		s.init.group.Abandon()
		go s.finish(linux.ExitStatus(1))
		return err
	}
	s.init.group.Start()
	go func() { s.finish(s.init.end()) }()
	return nil
}

// abandon ends an init that was not started, if sig would end it: it does what
// sig does to a program that has not set anything up.
func (s *sandbox) abandon(sig linux.Signal) bool {
	s.mu.Lock()
	if s.stage != waiting {
		s.mu.Unlock()
		return false
	}
	switch sig {
	case 0, linux.SIGCHLD, linux.SIGCONT, linux.SIGURG, linux.SIGWINCH, linux.SIGSTOP, linux.SIGTSTP, linux.SIGTTIN, linux.SIGTTOU:
		s.mu.Unlock()
		return true
	}
	s.stage = ending
	s.mu.Unlock()
	s.init.group.Abandon()
	go s.finish(linux.SignalStatus(sig, false))
	return true
}

// finish is the end: init has ended as status says. What it left running ends
// with it; what was written is brought to the host before anybody is told.
func (s *sandbox) finish(status linux.WaitStatus) {
	s.mu.Lock()
	s.stage = ending
	rest := make([]*process, 0, len(s.processes))
	for p := range s.processes {
		rest = append(rest, p)
	}
	s.mu.Unlock()
	for _, p := range rest {
		<-p.reported
	}
	s.system.Sync(s.system.Internal())
	s.gofer.Flush()
	s.watchers.close(status)
	s.init.report(status)
	close(s.over)
}

// exec starts another process in the container.
func (s *sandbox) exec(q *control.Exec, given *descriptors) (pid int, err error) {
	s.mu.Lock()
	stage := s.stage
	s.mu.Unlock()
	if stage == ending {
		return 0, errors.New("container not running")
	}
	p, err := s.newProcess(q.Process, &q.Stdio, given, false)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.stage == ending {
		s.mu.Unlock()
		p.group.Abandon()
		return 0, errors.New("container not running")
	}
	s.processes[p] = struct{}{}
	s.mu.Unlock()
	pid = int(p.group.PID().In(s.container.PIDs))
	s.attend(p)
	p.group.Start()
	go func() {
		status := p.end()
		s.system.Settle() // who is told looks at the files next
		p.report(status)
		s.mu.Lock()
		delete(s.processes, p)
		if p.console != nil {
			s.removeConsoleLocked(p.console.Terminal)
		}
		s.mu.Unlock()
		close(p.reported)
	}()
	return pid, nil
}

// killAll ends the container at once.
func (s *sandbox) killAll() {
	s.signal(s.init, linux.SIGKILL)
}
