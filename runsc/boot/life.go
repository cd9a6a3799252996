package boot

import (
	"errors"
	"slices"

	"garrison/runsc/control"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// A stage is how far a container's life has come.
type stage int

const (
	waiting stage = iota // for Start
	running
	ending // init has ended, or never will begin
)

// start lets init run. What ends the container waits for answered: the sentry ends with
// it, and whoever asked for the start would not hear of that.
func (ct *container) start(q *control.Start, answered <-chan struct{}) error {
	ct.mu.Lock()
	if ct.stage != waiting {
		ct.mu.Unlock()
		return errors.New("cannot start a container that has been started")
	}
	ct.stage = running
	ct.mu.Unlock()
	if err := ct.runHooks(q); err != nil {
		ct.init.group.Abandon()
		go func() {
			<-answered
			ct.finish(linux.ExitStatus(1))
		}()
		return err
	}
	ct.init.group.Start()
	go func() {
		status := ct.init.end()
		<-answered
		ct.finish(status)
	}()
	return nil
}

// abandon ends an init that was not started, if sig would end it: it does what
// sig does to a program that has not set anything up.
func (ct *container) abandon(sig linux.Signal) bool {
	ct.mu.Lock()
	if ct.stage != waiting {
		ct.mu.Unlock()
		return false
	}
	switch sig {
	case 0, linux.SIGCHLD, linux.SIGCONT, linux.SIGURG, linux.SIGWINCH, linux.SIGSTOP, linux.SIGTSTP, linux.SIGTTIN, linux.SIGTTOU:
		ct.mu.Unlock()
		return true
	}
	ct.stage = ending
	ct.mu.Unlock()
	ct.init.group.Abandon()
	go ct.finish(linux.SignalStatus(sig, false))
	return true
}

// finish is the end: init has ended as status says. What it left running ends
// with it; what was written is the host's before anybody is told. To make it durable is
// nobody's business, as on Linux: who wants that has fsync(2).
func (ct *container) finish(status linux.WaitStatus) {
	ct.mu.Lock()
	ct.stage = ending
	rest := make([]*process, 0, len(ct.processes))
	for p := range ct.processes {
		rest = append(rest, p)
	}
	ct.mu.Unlock()
	ct.endGuests()
	for _, p := range rest {
		<-p.reported
	}
	ct.system.Settle()
	ct.gofer.Flush()
	ct.watchers.close(status)
	ct.leave()
	ct.init.report(status)
	logf("container %s has ended", ct.doc.ID)
	ct.reported()
}

// endGuests ends what still runs in the container: in a pid namespace that is another's,
// init's end is nobody else's. Who is killed may just have forked.
func (ct *container) endGuests() {
	ct.guest.Resume() // what is paused can't end
	for {
		alive := slices.DeleteFunc(ct.guest.Groups(), (*kernel.ThreadGroup).Exited)
		if len(alive) == 0 {
			return
		}
		for _, g := range alive {
			_ = g.SignalFromOutside(outsideSignal(linux.SIGKILL))
		}
		for _, g := range alive {
			<-g.Done()
		}
	}
}

// exec starts another process in the container.
func (ct *container) exec(q *control.Exec, given *descriptors) (pid int, err error) {
	ct.mu.Lock()
	stage := ct.stage
	ct.mu.Unlock()
	if stage == ending {
		return 0, errNotRunning
	}
	p, err := ct.newProcess(q.Process, &q.Stdio, given, false)
	if err != nil {
		return 0, err
	}
	ct.mu.Lock()
	if ct.stage == ending {
		ct.mu.Unlock()
		p.group.Abandon()
		return 0, errNotRunning
	}
	ct.processes[p] = struct{}{}
	ct.mu.Unlock()
	pid = int(p.group.PID().In(ct.guest.PIDs))
	ct.attend(p)
	p.group.Start()
	go func() {
		status := p.end()
		ct.system.Settle() // who is told looks at the files next
		p.report(status)
		ct.mu.Lock()
		delete(ct.processes, p)
		if p.console != nil {
			ct.removeConsoleLocked(p.console.Terminal)
		}
		ct.mu.Unlock()
		close(p.reported)
	}()
	return pid, nil
}

// kill ends the container at once.
func (ct *container) kill() {
	ct.guest.Resume()
	ct.signal(ct.init, linux.SIGKILL)
}
