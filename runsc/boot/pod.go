package boot

import (
	"errors"
	"slices"

	"garrison/runsc/control"
	"garrison/sentry/memfile"
)

// errNotRunning is what commands say of a container that has ended, or is another's.
var errNotRunning = errors.New("container not running")

// serve answers requests until the first container has ended and everybody who
// waited for it knows.
func (s *sandbox) serve() {
	s.first.attend(s.first.init)
	go s.accept()
	<-s.first.finished
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
	s.mu.Lock()
	late := s.ending
	if !late {
		s.containers[doc.ID] = ct
	}
	s.mu.Unlock()
	if late {
		ct.init.group.Abandon()
		ct.endGuests()
		ct.guest.Remove()
		ct.release()
		return nil, errNotRunning
	}
	return ct, nil
}

// endOthers ends the other containers, as the sandbox goes with the first.
func (s *sandbox) endOthers() {
	s.mu.Lock()
	s.ending = true
	var others []*container
	for _, ct := range s.containers {
		if ct != s.first {
			others = append(others, ct)
		}
	}
	s.mu.Unlock()
	for _, ct := range others {
		ct.kill()
		<-ct.finished
	}
}

// leave takes a container that has ended out of the sandbox, with all that it has. The
// first one goes with the process.
func (ct *container) leave() {
	if ct == ct.first {
		return
	}
	ct.sandbox.mu.Lock()
	delete(ct.containers, ct.doc.ID)
	ct.sandbox.mu.Unlock()
	ct.guest.Remove()
	ct.release()
}

// release gives up what came with the boot document. The page file stays for as long as
// others have memory in it, as they may by way of descriptors that were passed on.
func (ct *container) release() {
	ct.gofer.Close()
	ct.pageMount.Close()
	s := ct.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphans = slices.DeleteFunc(append(s.orphans, ct.pages), (*memfile.File).CloseUnused)
}
