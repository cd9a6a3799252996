package hostinet

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// What of a guest's flags the host is given. The rest is the sentry's to do, as to wait,
// or nothing a guest may have: memory that the host reads after the call (MSG_ZEROCOPY).
const (
	sendFlags = linux.MSG_OOB | linux.MSG_DONTROUTE | linux.MSG_EOR | linux.MSG_CONFIRM | linux.MSG_MORE
	recvFlags = linux.MSG_OOB | linux.MSG_PEEK | linux.MSG_TRUNC | linux.MSG_ERRQUEUE
)

var messages = sync.Pool{New: func() any { return new(message) }}

// errPieces says that only the beginning of the guest's memory can be had at once.
var errPieces = errors.New("in pieces")

// Send implements socket.Proto.
func (e *Endpoint) Send(_ vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_FASTOPEN != 0 && e.stream {
		return 0, linux.EOPNOTSUPP // as on a host that has it turned off
	}
	msg := messages.Get().(*message)
	defer messages.Put(msg)
	named, control := 0, 0
	if m != nil {
		if !e.stream {
			named = copy(msg.name[:], m.Addr.Bytes())
		}
		var err error
		if control, err = e.sendControl(msg.control[:], m.Others); err != nil {
			return 0, err
		}
	}
	e.fam.Poller.Settle()
	send := func(p [][]byte) (int64, error) {
		msg.set(p, named, control)
		defer msg.clear()
		return msg.do(unix.SYS_SENDMSG, e.fd, int(flags&sendFlags)|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	want := src.Len()
	n, err := src.Once(arch.Read, func(p [][]byte) (int64, error) {
		if !e.stream && total(p) < want {
			return 0, errPieces
		}
		return send(p)
	})
	if err == errPieces {
		if want > maxDatagram {
			return 0, linux.EMSGSIZE
		}
		b := make([]byte, want)
		if _, err := src.CopyIn(b); err != nil {
			return 0, err
		}
		n, err = send([][]byte{b})
	}
	return n, errno(err)
}

// maxDatagram is how long a datagram can be, in bytes, with all that the host joins.
const maxDatagram = 65536

// mostThrown is how many bytes of a stream are thrown away at once.
const mostThrown = 256 << 10

// total is the number of bytes in p.
func total(p [][]byte) (n int64) {
	for _, b := range p {
		n += int64(len(b))
	}
	return n
}

// Later implements socket.Later: nobody waits for errors, or for urgent data.
func (e *Endpoint) Later(flags linux.MsgFlags) wait.Object {
	if flags&(linux.MSG_ERRQUEUE|linux.MSG_OOB) != 0 {
		return nil
	}
	return e
}

// Recv implements socket.Proto.
func (e *Endpoint) Recv(_ vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	msg := messages.Get().(*message)
	defer messages.Put(msg)
	named, control := 0, 0
	if m != nil {
		named, control = len(msg.name), len(msg.control)
	}
	receive := func(p [][]byte) (int64, error) {
		msg.set(p, named, control)
		n, err := msg.do(unix.SYS_RECVMSG, e.fd, int(flags&recvFlags)|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == nil && m != nil {
			e.received(msg, m)
		}
		msg.clear()
		return n, err
	}
	want := dst.Len()
	if e.stream && flags&linux.MSG_TRUNC != 0 { // TCP throws away, and needs no memory
		n, err := receive([][]byte{make([]byte, min(want, mostThrown))})
		return max(n, 0), errno(err)
	}
	n, err := dst.Once(arch.Write, func(p [][]byte) (int64, error) {
		if !e.stream && total(p) < min(want, maxDatagram) {
			return 0, errPieces
		}
		return receive(p)
	})
	if err == errPieces {
		b := make([]byte, min(want, maxDatagram))
		if n, err = receive([][]byte{b}); err == nil {
			_, err = dst.CopyOut(b[:min(n, int64(len(b)))])
		}
	}
	if err != nil {
		return 0, errno(err)
	}
	return n, nil
}

// received fills m in with what came beside the data.
func (e *Endpoint) received(msg *message, m *socket.Msg) {
	m.Addr.Set(msg.name[:min(msg.hdr.Namelen, addrRoom)])
	const told = linux.MSG_TRUNC | linux.MSG_EOR | linux.MSG_OOB | linux.MSG_ERRQUEUE
	m.Flags |= linux.MsgFlags(msg.hdr.Flags) & told
	recvControl(m, msg.control[:min(msg.hdr.Controllen, controlRoom)])
}
