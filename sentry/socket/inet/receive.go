package inet

import (
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/platform/park"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// batch is how many packets are received at once, at most, and fewer how many are before that
// many have come at once: memory for long ones has to be there for each.
const (
	batch = 16
	fewer = 8
)

// An inbox is where packets are received to.
type inbox struct {
	to      stack.NetworkDispatcher
	frames  [batch]frame
	headers [batch]rawfile.MMsgHdr
	packets [batch]*stack.PacketBuffer
	poll    [2]unix.PollFd
	store   store
	many    bool // as many as a batch have come at once, or as fewer
	more    bool // there was no room for more than came last
	left    bool // some of what came last was left at the desk
}

// receive receives whenever it is the goroutine's turn, until that has ended, and reports
// whether it has: or else something is wrong with the link.
func (l *packetLink) receive() (ended bool) {
	defer func() {
		l.acknowledge()
		for i := range l.in.frames {
			l.in.frames[i].release()
		}
		l.in.store.release()
	}()
	for {
		l.turn.await(l.acknowledge)
		l.acknowledge()
		if !l.in.more && !l.turn.ended.Load() { // nothing is left, most likely
			if _, errno := l.poll(-1); errno != 0 && errno != unix.EINTR {
				return false
			}
		}
		if l.turn.ended.Load() {
			return true
		}
		offer := l.turn.offer()
		n, errno := l.fetch(false)
		if errno != 0 {
			return false
		}
		if n > 0 && !l.in.more && (offer || l.in.left && l.turn.waiting.Load() == 0) {
			l.turn.free()
		}
	}
}

// Sleep implements wait.Source.
func (l *packetLink) Sleep(s *park.Spot, timeout time.Duration) (woke bool) {
	return l.sleep(s, timeout, maxVain)
}

// sleep is Sleep of who fetches what is for others so many times, at most.
func (l *packetLink) sleep(s *park.Spot, timeout time.Duration, vain int) (woke bool) {
	if !l.turn.take() {
		return l.turn.sleep(s, timeout)
	}
	woke, left := l.serve(s, timeout, vain)
	if woke || left == 0 {
		l.turn.leave()
		return woke
	}
	l.turn.pass()
	return s.Sleep(left)
}

// maxVain is how often who sleeps fetches what is for others.
const maxVain = 4

// serve receives, having the turn, until s is woken or the time is up, or somebody else
// should. left is what is left of the time.
func (l *packetLink) serve(s *park.Spot, timeout time.Duration, vain int) (woke bool, left time.Duration) {
	var deadline time.Time
	if left = timeout; timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	for vain > 0 && !l.turn.ended.Load() {
		l.acknowledge()
		if timeout > 0 {
			if left = max(time.Until(deadline), 0); left == 0 {
				return s.Sleep(0), 0
			}
		}
		if !l.in.more {
			if !s.Listen(l.turn.bell) {
				return s.Heard(), left
			}
			ready, errno := l.poll(left)
			switch woke := s.Heard(); {
			case woke:
				return true, left
			case errno == unix.EINTR || errno == 0 && !ready:
				if timeout == 0 {
					return false, 0
				}
				continue
			case errno != 0:
				return false, left // which the link's goroutine finds, too
			}
		}
		n, errno := l.fetch(true)
		if errno != 0 {
			return false, left
		}
		if n > 0 {
			vain--
		}
		if s.Sleep(0) {
			return true, left
		}
	}
	return false, left
}

// poll waits until there are packets, or the bell is rung, or the time is up. timeout is
// negative if it never is.
func (l *packetLink) poll(timeout time.Duration) (ready bool, _ unix.Errno) {
	p := &l.in.poll
	p[0] = unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN}
	p[1] = unix.PollFd{Fd: int32(l.turn.bell.FD()), Events: unix.POLLIN}
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	if _, err := unix.Ppoll(p[:], ts, nil); err != nil {
		return false, err.(unix.Errno)
	}
	if p[1].Revents != 0 {
		l.turn.bell.Still()
	}
	if p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
		return false, unix.ECONNRESET
	}
	return p[0].Revents != 0, 0
}

// fetch receives what there is, a batch at most, and gives it to the stack. n is how many
// packets came; guest says that who calls may be about to answer.
func (l *packetLink) fetch(guest bool) (n int, errno unix.Errno) {
	in := &l.in
	width := fewer
	if in.many {
		width = batch
	}
	for i := range width {
		in.frames[i].fill(&in.headers[i], &in.store)
	}
	n, errno = receiveNow(l.fd, in.headers[:width])
	in.left = false
	in.more = errno == 0 && n == width
	in.many = in.many || in.more
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, 0
	default:
		return 0, errno
	}
	packets := in.packets[:0]
	for i := range n {
		if p := l.packet(&in.frames[i], int(in.headers[i].Len)); p != nil {
			packets = append(packets, p)
		}
	}
	if guest && n == 1 && in.headers[0].Len <= request {
		l.acks.begin()
		defer l.acks.end()
	}
	l.deliver(packets)
	return n, 0
}

// fetches has who calls fetch what comes for its sockets while it sleeps. With several
// links that would have to be from all of them.
func (e *Endpoint) fetches(c vfs.Ctx) {
	if l := e.fam.only.Load(); l != nil {
		if f, ok := c.(wait.Fetcher); ok {
			f.Fetches(l)
		}
	}
}
