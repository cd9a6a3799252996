package boot

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"garrison/runsc/control"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// patience is how long a connection may stay open without asking for anything.
const patience = 10 * time.Second

// accept answers whoever connects to the control socket.
func (s *sandbox) accept() {
	for {
		sock, err := s.listener.AcceptUnix()
		if err != nil {
			logf("control socket: %v", err)
			return
		}
		go s.answer(control.Accepted(sock))
	}
}

// answer answers one request.
func (s *sandbox) answer(conn *control.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var q control.Request
	files, err := conn.Receive(&q)
	if err != nil {
		logf("control request: %v", err)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	given := &descriptors{files: files}
	defer given.closeRest()
	if q.Join != nil {
		s.join(conn, q.Join, given)
		return
	}
	ct, err := s.find(q.ID)
	if err == nil && q.Watch != nil {
		ct.watchers.serve(conn)
		return
	}
	a, answered := new(control.Reply), make(chan struct{})
	defer close(answered)
	if err == nil {
		err = ct.do(&q, given, a, answered)
	}
	if err != nil {
		a = &control.Reply{Problem: problem(err)}
	}
	var along []*os.File
	if err == nil && q.PageMount != nil {
		along = append(along, ct.pageMount)
	}
	if err := conn.Send(a, along...); err != nil {
		logf("control reply: %v", err)
	}
}

// do does what q asks for. answered is closed when the caller has been told.
func (ct *container) do(q *control.Request, given *descriptors, a *control.Reply, answered <-chan struct{}) (err error) {
	switch {
	case q.Start != nil:
		return ct.start(q.Start, answered)
	case q.Exec != nil:
		a.PID, err = ct.exec(q.Exec, given)
		return err
	case q.Signal != nil:
		return ct.deliver(q.Signal)
	case q.PS != nil:
		if q.PS.Host {
			ct.guest.ShowNames(namesTimeout)
		}
		a.Processes = ct.list()
		return nil
	case q.Pause != nil:
		ct.guest.Pause()
		ct.system.Settle()
		return nil
	case q.Resume != nil:
		ct.guest.Resume()
		return nil
	case q.Update != nil:
		a.Use, err = ct.update(&q.Update.Limits)
		return err
	case q.PageMount != nil:
		ct.pages.Reclaim()
		return nil
	case q.Stats != nil:
		a.Use = ct.use()
		return nil
	case q.Debug != nil && q.Debug.What == control.DebugStacks:
		a.Text = stacks()
		return nil
	case q.Debug != nil && q.Debug.What == control.DebugPlatform:
		a.Text = platformStats(ct.platform)
		return nil
	case q.Debug != nil && q.Debug.What == control.DebugGofer:
		a.Text = goferStats(ct.gofer)
		return nil
	}
	return errors.New("the sandbox does not know this request: it is of another version than runsc")
}

// deliver sends the signal that q describes.
func (ct *container) deliver(q *control.Signal) error {
	sig := linux.Signal(q.Signal)
	if q.Signal < 0 || sig > linux.SIGMAX {
		return fmt.Errorf("there is no signal %d", q.Signal)
	}
	if sig == linux.SIGKILL {
		ct.guest.Resume() // what is paused can't end
	}
	switch {
	case q.All && !ct.abandon(sig):
		ct.guest.SignalAll(outsideSignal(sig))
		return nil
	case q.All:
		return nil
	case q.PID == 0:
		if ct.init.group.Exited() {
			return errors.New("container not running")
		}
		ct.signal(ct.init, sig)
		return nil
	}
	g := ct.group(q.PID)
	if g == nil {
		return errors.New("no such process")
	}
	if g == ct.init.group {
		ct.signal(ct.init, sig)
		return nil
	}
	return g.SignalFromOutside(outsideSignal(sig))
}

// group is the process that the container numbers pid.
func (ct *container) group(pid int) *kernel.ThreadGroup {
	for _, g := range ct.guest.Groups() {
		if int(g.PID().In(ct.guest.PIDs)) == pid && !g.Exited() {
			return g
		}
	}
	return nil
}

// stacks are the stacks of all goroutines. Those that serve what has become
// garbage begin to end, and the host gets the memory that garbage had: another
// look finds what is in use.
func stacks() string {
	defer debug.FreeOSMemory()
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return string(buf[:n])
		}
		buf = make([]byte, 2*len(buf))
	}
}
