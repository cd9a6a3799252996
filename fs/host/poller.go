package host

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/sentry/wait"
)

// A Poller tells files of their descriptors' readiness. It has one goroutine and
// one epoll descriptor, which the Go runtime's own poller watches: no thread
// waits.
type Poller struct {
	ep *os.File `save:"-"`

	mu    sync.Mutex
	next  int32
	files map[int32]*wait.Queue // protected by mu; by the number given to epoll

	before atomic.Pointer[func()]
}

// BeforeWrite has f called before anything is written to a pipe, socket or terminal: who
// reads it may look next at what the guest did before.
func (p *Poller) BeforeWrite(f func()) { p.before.Store(&f) }

// Settle calls what BeforeWrite was given.
func (p *Poller) Settle() {
	if f := p.before.Load(); f != nil {
		(*f)()
	}
}

// NewPoller starts one. Close ends it.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("host: epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("host: epoll: %w", err)
	}
	p := &Poller{ep: os.NewFile(uintptr(fd), "epoll"), files: map[int32]*wait.Queue{}}
	go p.run()
	return p, nil
}

// Close ends the poller; its files are never told of anything again.
func (p *Poller) Close() error { return p.ep.Close() }

// epollAll is everything that may happen to a descriptor, told once each time.
const epollAll = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET

// Add has q told of fd's events; ok is false if fd is always ready, as regular
// files are. Remove undoes it, with id.
func (p *Poller) Add(fd int, q *wait.Queue) (id int32, ok bool, err error) {
	p.mu.Lock()
	p.next++
	id = p.next
	p.files[id] = q
	p.mu.Unlock()
	err = p.control(unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: uint32(epollAll & (1<<32 - 1)), Fd: id})
	if err == nil {
		return id, true, nil
	}
	p.forget(id)
	if err == unix.EPERM {
		return 0, false, nil
	}
	return 0, false, fmt.Errorf("host: epoll_ctl: %w", err)
}

// Remove undoes Add, before fd is closed.
func (p *Poller) Remove(fd int, id int32) {
	p.control(unix.EPOLL_CTL_DEL, fd, &unix.EpollEvent{})
	p.forget(id)
}

func (p *Poller) forget(id int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.files, id)
}

func (p *Poller) control(op, fd int, e *unix.EpollEvent) error {
	conn, err := p.ep.SyscallConn()
	if err != nil {
		return err
	}
	var ctl error
	if err := conn.Control(func(ep uintptr) { ctl = unix.EpollCtl(int(ep), op, fd, e) }); err != nil {
		return err
	}
	return ctl
}

func (p *Poller) run() {
	conn, err := p.ep.SyscallConn()
	if err != nil {
		return
	}
	var events [32]unix.EpollEvent
	for {
		n := 0
		err := conn.Read(func(ep uintptr) bool {
			n, _ = unix.EpollWait(int(ep), events[:], 0)
			return n > 0
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:n] {
			p.mu.Lock()
			q := p.files[e.Fd]
			p.mu.Unlock()
			if q != nil {
				q.Notify(fromPoll(e.Events))
			}
		}
	}
}

// fromPoll is poll(2)'s bits as Events: readable data is normal data.
func fromPoll(bits uint32) wait.Events {
	e := wait.Events(bits) & (wait.In | wait.Pri | wait.Out | wait.Err | wait.Hup | wait.RdHup | wait.RdNorm | wait.WrNorm)
	if e&wait.In != 0 {
		e |= wait.RdNorm
	}
	if e&wait.Out != 0 {
		e |= wait.WrNorm
	}
	return e
}

// ready asks the host which of mask hold for fd now.
func ready(fd int, mask wait.Events) wait.Events {
	p := []unix.PollFd{{Fd: int32(fd), Events: int16(mask & (wait.In | wait.Out | wait.Pri | wait.RdHup))}}
	if mask&wait.RdNorm != 0 {
		p[0].Events |= unix.POLLIN
	}
	if mask&wait.WrNorm != 0 {
		p[0].Events |= unix.POLLOUT
	}
	if _, err := unix.Poll(p, 0); err != nil {
		return 0
	}
	return fromPoll(uint32(uint16(p[0].Revents)))
}
