package socket

import (
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Proto is one socket as its family has it. It never waits: it returns EAGAIN,
// and tells its watchers when it is worth another try. Its methods may be called
// from many goroutines at once.
type Proto interface {
	wait.Object
	// Send takes bytes from src and returns how many; fewer than all means
	// that the rest has to wait. m holds address and control data; it is nil
	// if there are none.
	Send(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *Msg) (int64, error)
	// Recv puts bytes in dst. The count is that of the bytes there, or with
	// MSG_TRUNC the datagram's full length. m, unless nil, is filled in. 0 with
	// no error is the end of a stream, or an empty datagram.
	Recv(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *Msg) (int64, error)
	// Close is called once, when no descriptor is left.
	Close(c vfs.Ctx)
}

// What follows a Proto says by having the method; the errno in the comment is for
// one that does not.
type (
	// Binder: bind(2). EOPNOTSUPP.
	Binder interface {
		Bind(c vfs.Ctx, addr []byte) error
	}

	// Connecter: connect(2). EOPNOTSUPP.
	Connecter interface {
		// Connect begins to connect: nil if that is done, EINPROGRESS or
		// EALREADY if wait.Out will tell, EAGAIN if it could not begin.
		Connect(c vfs.Ctx, addr []byte) error
		// Connected is how a connection in progress ended, once wait.Out is
		// ready; it clears the error.
		Connected() error
	}

	// Accepter: listen(2) and accept(2). EOPNOTSUPP.
	Accepter interface {
		Listen(c vfs.Ctx, backlog int) error
		// Accept returns the next connection. EAGAIN. EINVAL if it does not
		// listen.
		Accept(c vfs.Ctx) (*Socket, error)
	}

	// Accepted: what accept(2) gave, where Name of the peer may fail because it
	// has gone again.
	Accepted interface {
		AcceptedFrom(a *Addr)
	}

	// PeerProcess: the ProcessID that SO_PEERPIDFD makes a descriptor of; nil if
	// there is none.
	PeerProcess interface{ PeerProcess() any }

	// Shutter: shutdown(2). EOPNOTSUPP.
	Shutter interface {
		Shutdown(c vfs.Ctx, how int) error
	}

	// Namer: getsockname(2) and getpeername(2). EOPNOTSUPP.
	Namer interface {
		// Name fills in the address of the socket or of its peer: ENOTCONN.
		Name(a *Addr, peer bool) error
	}

	// Optioner: options other than those of Options, or instead of them.
	// ENOPROTOOPT means: try Options, if the level is SOL_SOCKET. Of another
	// level: EOPNOTSUPP.
	Optioner interface {
		SetOption(c vfs.Ctx, level, name int32, val []byte) error
		// Option returns the value, of which the caller will see the first
		// size bytes.
		Option(c vfs.Ctx, level, name int32, size int) ([]byte, error)
	}

	// Failer: SO_ERROR. 0.
	Failer interface {
		// TakeError returns the pending error and clears it.
		TakeError() error
	}

	// Mapper: mmap(2). ENODEV.
	Mapper interface {
		Mmap(vfs.Ctx, vfs.MapSpec) (mm.Mappable, error)
	}

	// Filterer: getsockopt(2) of SO_ATTACH_FILTER, which is SO_GET_FILTER. None.
	Filterer interface {
		// Filter is the program that packets have to pass, nil if there is none.
		Filter() []linux.SockFilter
	}

	// Asked: getsockopt(2) of options whose value is a question before it is the answer.
	Asked interface {
		// Question is the most bytes of an option's value that ask something, 0 if
		// it is no such option.
		Question(level, name int32) int
		// Answer is the value, by what the caller has there of the question.
		Answer(c vfs.Ctx, level, name int32, question []byte) ([]byte, error)
	}

	// Ioctler: ioctl(2) commands of its own. ENOTTY means: not mine.
	Ioctler interface {
		Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error)
	}

	// Elsewhere: a call to an address that got EAGAIN does not wait for the
	// socket itself.
	Elsewhere interface {
		// Elsewhere is what becomes writable when it is worth another try;
		// nil is the socket itself.
		Elsewhere(c vfs.Ctx, addr []byte) wait.Object
	}

	// Later: a receiving call that got EAGAIN does not wait, as others do, for
	// the socket to be readable.
	Later interface {
		// Later is what becomes readable when it is worth another try; nil
		// if the call does not wait.
		Later(flags linux.MsgFlags) wait.Object
	}
)

// A Family makes sockets of one address family in one network namespace.
type Family interface {
	// Socket is socket(2): ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM, EACCES.
	Socket(c vfs.Ctx, typ linux.SockType, protocol int32) (*Socket, error)
}

// A Pairer is a Family that has socketpair(2). EOPNOTSUPP.
type Pairer interface {
	Pair(c vfs.Ctx, typ linux.SockType, protocol int32) (a, b *Socket, err error)
}
