package boot

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/runsc/control"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/socket/hostinet"
)

// openHostNetwork makes the network of a container whose sockets are the host's, of those
// that the sentry's process may make in its own network namespace. What comes with it stays
// open as long as the process.
func (ct *container) openHostNetwork(doc *control.HostNetwork, given *descriptors) (*kernel.NetNamespace, error) {
	query, err := given.take(doc.Query)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	tables := map[string]*os.File{}
	for name, i := range doc.Tables {
		if tables[name], err = given.take(i); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	c := hostinet.Config{
		Poller:     ct.poller,
		Interfaces: &hostLinks{query: query},
		Table:      func(name string) string { return textOf(tables[name]) },
	}
	if doc.Binder >= 0 {
		fd, err := given.takeFD(doc.Binder)
		if err != nil {
			return nil, fmt.Errorf("binder: %w", err)
		}
		c.BindLow = (&binder{fd: fd}).bind
	}
	n := ct.networks.Host(c)
	n.Owner = ct.userNS
	return ct.kernel.NewNet(n, ct.userNS), nil
}

// textOf is the present text of a file that is made as it is read; "" for nil.
func textOf(f *os.File) string {
	if f == nil {
		return ""
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	if err != nil {
		logf("host network: %v", err)
	}
	return string(text)
}

// A binder is the sentry's end of the socket to the process that binds low ports for it
// (runsc/sandbox/binder.go).
type binder struct {
	mu sync.Mutex // of one question and its answer
	fd int
}

// bind has the host's socket fd bound to addr.
func (b *binder) bind(fd int, addr []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	question := binary.LittleEndian.AppendUint64(nil, uint64(len(addr)))
	if err := unix.Sendmsg(b.fd, append(question, addr...), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL); err != nil {
		return linux.EACCES // nobody is there
	}
	answer := make([]byte, 8)
	if n, err := unix.Read(b.fd, answer); n != len(answer) || err != nil {
		return linux.EACCES
	}
	if e := -int64(binary.LittleEndian.Uint64(answer)); e != 0 {
		return linux.Errno(e)
	}
	return nil
}
