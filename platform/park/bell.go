package park

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A Bell is a descriptor that can be waited for together with others: an eventfd(2). Who
// has it may be rung a little after he has stopped to listen, so it is never closed, but
// given back: whoever has it next wakes up once for nothing.
type Bell struct{ fd int }

// spare is bells in no use.
var spare struct {
	sync.Mutex
	bells []*Bell
}

// NewBell takes a Bell, which its user gives back.
func NewBell() (*Bell, error) {
	spare.Lock()
	defer spare.Unlock()
	if n := len(spare.bells); n > 0 {
		b := spare.bells[n-1]
		spare.bells = spare.bells[:n-1]
		return b, nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &Bell{fd}, nil
}

// GiveBack says that nobody listens to b any more.
func (b *Bell) GiveBack() {
	spare.Lock()
	spare.bells = append(spare.bells, b)
	spare.Unlock()
}

// FD is what can be read from once b has been rung.
func (b *Bell) FD() int { return b.fd }

// Ring makes FD readable until Still.
func (b *Bell) Ring() {
	one := [8]byte{1} // in whatever order, it is not zero
	_, _ = unix.Write(b.fd, one[:])
}

// Still ends the ringing.
func (b *Bell) Still() {
	var n [8]byte
	_, _ = unix.Read(b.fd, n[:])
}
