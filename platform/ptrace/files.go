package ptrace

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/stub"
)

// maxFiles is how many descriptors a stub keeps; the least recently used goes.
const maxFiles = 16

// files is what is known of a stub's descriptor table. Only the platform's own
// operations change that table, so what is here is what the host has, and the
// number that a passed descriptor will get is known before it is passed.
//
// A File is kept here, and so can't be collected and its address reused, for
// as long as the stub has its descriptor.
type files struct {
	entries [maxFiles]fileEntry // descriptor stubFirstFile + index
	clock   uint64
}

type fileEntry struct {
	file platform.File
	used uint64
}

// find returns the stub's descriptor of f.
func (s *files) find(f platform.File) (fd int, ok bool) {
	s.clock++
	for i := range s.entries {
		if s.entries[i].file == f {
			s.entries[i].used = s.clock
			return stubFirstFile + i, true
		}
	}
	return 0, false
}

// add chooses the descriptor of f, which is about to be passed: the lowest that
// is free, as the host will. With none free, evict is the one to close first.
func (s *files) add(f platform.File) (fd, evict int) {
	oldest := 0
	for i := range s.entries {
		e := &s.entries[i]
		if e.file == nil {
			*e = fileEntry{f, s.clock}
			return stubFirstFile + i, -1
		}
		if e.used < s.entries[oldest].used {
			oldest = i
		}
	}
	s.entries[oldest] = fileEntry{f, s.clock}
	return stubFirstFile + oldest, stubFirstFile + oldest
}

// A passer sends descriptors to stubs, which all have the other end of its
// socket. Its lock is held from a descriptor's sending to the end of the
// operations that receive it, so none goes astray.
type passer struct {
	mu     sync.Mutex
	tx, rx int
}

func newPasser() (*passer, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ptrace: socketpair: %w", err)
	}
	return &passer{tx: fds[0], rx: fds[1]}, nil
}

func (p *passer) sendLocked(fd int) error {
	for {
		err := unix.Sendmsg(p.tx, []byte{0}, unix.UnixRights(fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("ptrace: pass descriptor: %w", err)
		}
		return nil
	}
}

// drainLocked discards what a failed stub left unreceived.
func (p *passer) drainLocked() {
	var b [1]byte
	for {
		// Without room for control data the descriptor is dropped.
		_, _, _, _, err := unix.Recvmsg(p.rx, b[:], nil, unix.MSG_DONTWAIT)
		if err != nil && err != unix.EINTR {
			return
		}
	}
}

func (p *passer) close() {
	unix.Close(p.tx)
	unix.Close(p.rx)
}

// receive is the pair of calls that takes a passed descriptor, which the host
// must make number fd. A guest thread can spoil the scratch page while
// recvmsg uses it, so that the descriptor is not taken; the second call finds
// that out. What it says can't be forged: it is in registers.
func receive(fd int) [2]stub.Call {
	return [2]stub.Call{
		{Nr: unix.SYS_RECVMSG, Args: [6]uint64{stubSocket, scratchHeader, unix.MSG_CMSG_CLOEXEC | unix.MSG_DONTWAIT}},
		{Nr: unix.SYS_FCNTL, Args: [6]uint64{uint64(fd), unix.F_GETFD}},
	}
}
