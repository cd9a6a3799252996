package boot

import (
	"errors"
	"slices"

	"garrison/runsc/control"
	"garrison/sentry/memfile"
)

// errNotRunning is what commands say of a container that has ended, or is another's.
var errNotRunning = errors.New("container not running")

// serve answers requests until the last container has ended and everybody who
// waited for it knows.
func (s *sandbox) serve() {
	s.first.attend(s.first.init)
	go s.accept()
	<-s.ended
}

// join makes one more container, and holds it to whoever is at the other end of conn
// until that says that it is on record.
func (s *sandbox) join(conn *control.Conn, doc *control.Boot, given *descriptors) {
	clock := newStopwatch()
	ct, err := s.add(doc, given, clock)
	if err != nil {
		_ = conn.Send(&control.Booted{Problem: problem(err)})
		return
	}
	ct.attend(ct.init)
	var commit control.Commit
	err = conn.Send(&control.Booted{Steps: clock.steps, Warnings: ct.warnings})
	if err == nil {
		_, err = conn.Receive(&commit)
	}
	if err != nil {
		logf("container %s: runsc has gone away before it was on record: %v", doc.ID, err)
		ct.kill()
		return
	}
	if commit.Leash {
		_, _ = conn.Receive(&commit)
		ct.kill()
	}
}

// add makes the container that doc describes, ready to start.
func (s *sandbox) add(doc *control.Boot, given *descriptors, clock *stopwatch) (*container, error) {
	ct, err := s.newContainer(doc, given)
	if err != nil {
		return nil, err
	}
	if err := ct.make(given, clock); err != nil {
		ct.release()
		return nil, err
	}
	if !s.enter(ct) {
		ct.init.group.Abandon()
		ct.endGuests()
		ct.guest.Remove()
		ct.release()
		return nil, errNotRunning
	}
	return ct, nil
}

// enter puts a container that is ready to start among those of the sandbox, unless
// that is ending.
func (s *sandbox) enter(ct *container) bool {
	s.mu.Lock()
	if s.ending {
		s.mu.Unlock()
		return false
	}
	s.containers[ct.doc.ID] = ct
	s.unreported++
	s.mu.Unlock()
	s.setMemory()
	return true
}

// leave takes a container that has ended out of the sandbox, with all that it has. What
// the last one has goes with the process.
func (ct *container) leave() {
	ct.sandbox.mu.Lock()
	delete(ct.containers, ct.doc.ID)
	last := len(ct.containers) == 0
	ct.ending = last
	ct.sandbox.mu.Unlock()
	if last {
		return
	}
	ct.setMemory()
	ct.guest.Remove()
	ct.release()
}

// reported notes that everybody knows of a container's end: with the last, the process
// may end.
func (s *sandbox) reported() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreported--; s.unreported == 0 {
		close(s.ended)
	}
}

// release gives up what came with the boot document. The page file stays for as long as
// others have memory in it, as they may by way of descriptors that were passed on.
func (ct *container) release() {
	ct.gofer.Close()
	ct.pageMount.Close()
	s := ct.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := ct.network; n != nil {
		if n.users--; n.users == 0 {
			n.close()
		}
	}
	s.orphans = slices.DeleteFunc(append(s.orphans, ct.pages), (*memfile.File).CloseUnused)
}
