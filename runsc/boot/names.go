package boot

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A nameserver passes questions on that programs of the container send to an address of the
// loopback, to a name server outside the sandbox: the one that Docker has in a container's
// network namespace, or the host's own. All go by one socket that is connected to it: each has an id, RFC
// 1035, and gets one of its own on the way.
type nameserver struct {
	stack  diverter
	socket *os.File

	mu   sync.Mutex
	last uint16     // protected by mu: the id of the last question
	open []question // protected by mu: at id modulo openQuestions; nil before the first
}

// A diverter is what a network's stack does to have a server outside.
type diverter interface {
	Divert(to netip.AddrPort, take func(from netip.AddrPort, datagram []byte)) error
	Answer(to netip.AddrPort, datagram []byte)
}

// A question is one without an answer yet.
type question struct {
	from         netip.AddrPort
	id, original uint16
}

// openQuestions is how many questions may be open at a time: of more, the oldest is forgotten.
const openQuestions = 1024

// idSize is the length of an id, with which questions and answers begin.
const idSize = 2

// startNameserver has stack's questions at an address go by socket, until that is closed.
func startNameserver(stack diverter, at netip.AddrPort, socket *os.File) error {
	s := &nameserver{stack: stack, socket: socket}
	if err := stack.Divert(at, s.ask); err != nil {
		return err
	}
	go s.answer()
	return nil
}

// ask passes a question on. One that can't be is lost, as datagrams may be.
func (s *nameserver) ask(from netip.AddrPort, q []byte) {
	if len(q) < idSize {
		return
	}
	s.mu.Lock()
	if s.open == nil {
		s.open = make([]question, openQuestions)
	}
	s.last++
	id := s.last
	s.open[id%openQuestions] = question{from, id, binary.BigEndian.Uint16(q)}
	s.mu.Unlock()
	binary.BigEndian.PutUint16(q, id)
	_, _ = s.socket.Write(q)
}

// answer brings answers back.
func (s *nameserver) answer() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.socket.Read(buf)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			continue // of a question, that nobody was there
		case err != nil:
			return
		case n < idSize:
			continue
		}
		id := binary.BigEndian.Uint16(buf)
		s.mu.Lock()
		var q question
		if s.open != nil {
			q = s.open[id%openQuestions]
			s.open[id%openQuestions] = question{}
		}
		s.mu.Unlock()
		if q.id == id && q.from.IsValid() {
			binary.BigEndian.PutUint16(buf, q.original)
			s.stack.Answer(q.from, buf[:n])
		}
	}
}
