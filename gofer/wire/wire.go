// Package wire is what a sandbox and its gofer say to each other: the messages,
// their encoding, and the connection they travel on.
//
// A connection (a Conn or a Link) strictly alternates: one request, one reply. There is
// no reply id, because concurrency is many connections (see Client), and so a reply can
// never be taken for another's.
// Either peer may be hostile: what is received is bounded, checked and refused
// as a whole, and descriptors that nobody asked for are closed.
package wire

import (
	"errors"
	"fmt"
	"syscall"
)

// Limits of one message. Both sides enforce them on what they receive.
const (
	// MaxMessage is the length of the longest message in bytes: the longest
	// extended attribute Linux allows (64 KiB) and room for its name and header.
	MaxMessage = 64<<10 + 4<<10
	// MaxName is NAME_MAX, the length of the longest path component in bytes.
	MaxName = 255
	// MaxTarget is PATH_MAX - 1, the length of the longest symlink in bytes.
	MaxTarget = 4095
	// MaxWalk is the number of components in one Walk.
	MaxWalk = 128
	// MaxXattr is XATTR_SIZE_MAX, the size of the largest extended attribute.
	MaxXattr = 64 << 10
	// MaxFDs is the number of descriptors that can ride on one message.
	MaxFDs = 16
	// MaxForgets is the number of ids that one request can give back.
	MaxForgets = 256
	// MaxPage is the room that one page of a directory listing may take.
	MaxPage = 60 << 10
	// MaxNext is the number of directories that a request can ask for beside its own,
	// and MaxAhead the number of those that a reply can hold.
	MaxNext, MaxAhead = 64, 256
	// MaxAttrs is the number of files whose attributes one request can ask for.
	MaxAttrs = 256
	// MaxEdits is the number of changes that one request can make.
	MaxEdits = 64
	// MaxMake is the number of bytes that a file can begin with.
	MaxMake = 32 << 10
	// MaxReserve is the number of ids that one request can reserve.
	MaxReserve = 256
)

// An ID names a file on the gofer's side. It is the gofer that gives them out; 0
// is none. As with FUSE, each reply that names an id is one reference to it, and
// a Forget gives references back by number.
type ID uint64

// A Message lists its fields once; the same list encodes and decodes.
type Message interface{ Fields(*Coder) }

// A Request is a message that asks for an operation.
type Request interface {
	Message
	Op() Op
}

// A Holder is a reply that carries ids, which somebody must give back.
type Holder interface{ IDs(func(ID)) }

// A Latecomer is a reply for which its caller no longer waited (EINTR), but which is told
// when it is there, or that it will never be.
type Latecomer interface{ Late(error) }

// A Forget gives back N references to ID.
type Forget struct {
	ID ID
	N  uint32
}

func (m *Forget) Fields(c *Coder) {
	c.U64((*uint64)(&m.ID))
	c.U32(&m.N)
}

// ErrMessage says that a peer sent something that is not a message.
var ErrMessage = errors.New("malformed message")

// ErrClosed says that the peer is gone.
var ErrClosed = errors.New("connection closed by peer")

// A LinkError is a failure of the connection itself, as opposed to an operation's
// errno. A file operation that meets one fails with EIO, which is what it unwraps to.
type LinkError struct {
	Op    string // what was attempted
	Cause error
}

func (e *LinkError) Error() string { return fmt.Sprintf("gofer: %s: %v", e.Op, e.Cause) }

func (e *LinkError) Unwrap() []error { return []error{e.Cause, syscall.EIO} }

// Errno reduces an error of Call to what a system call returns.
func Errno(err error) syscall.Errno {
	var e syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(*LinkError)):
		return syscall.EIO
	case errors.As(err, &e):
		return e
	}
	return syscall.EIO
}

// AppendRequest appends the encoding of q, with the references given back, to b.
func AppendRequest(b []byte, q Request, forgets []Forget) []byte {
	c := Coder{}
	return c.request(b, q, forgets)
}

func (c *Coder) request(b []byte, q Request, forgets []Forget) []byte {
	*c = Coder{buf: b, enc: true}
	op, n := uint16(q.Op()), uint16(len(forgets))
	c.U16(&op)
	c.U16(&n)
	for i := range forgets {
		forgets[i].Fields(c)
	}
	q.Fields(c)
	return c.buf
}

// A RequestHeader is what stands before a request's own fields.
type RequestHeader struct {
	Op      Op
	Forgets []Forget
}

// ParseRequest splits a request into its header and body. The forgets are decoded
// into h.Forgets' memory where that suffices.
func ParseRequest(b []byte, h *RequestHeader) (body []byte, err error) {
	c := Coder{buf: b}
	var n uint16
	c.U16((*uint16)(&h.Op))
	c.U16(&n)
	if c.bad || n > MaxForgets {
		return nil, ErrMessage
	}
	h.Forgets = h.Forgets[:0]
	for range n {
		var f Forget
		f.Fields(&c)
		h.Forgets = append(h.Forgets, f)
	}
	if c.bad {
		return nil, ErrMessage
	}
	return c.buf, nil
}

// AppendReply appends a successful reply to b.
func AppendReply(b []byte, m Message) []byte {
	c := Coder{buf: b, enc: true}
	var ok uint32
	c.U32(&ok)
	m.Fields(&c)
	return c.buf
}

// AppendError appends a reply that is an errno to b.
func AppendError(b []byte, e syscall.Errno) []byte {
	c := Coder{buf: b, enc: true}
	n := uint32(e)
	c.U32(&n)
	return c.buf
}

// maxErrno is MAX_ERRNO: the highest errno Linux can return.
const maxErrno = 4095

// reply decodes a reply into m. An errno is returned as such.
func (c *Coder) reply(b []byte, m Message) error {
	*c = Coder{buf: b}
	var e uint32
	c.U32(&e)
	switch {
	case c.bad || e > maxErrno:
		return ErrMessage
	case e != 0 && len(c.buf) != 0:
		return ErrMessage
	case e != 0:
		return syscall.Errno(e)
	}
	m.Fields(c)
	if c.bad || len(c.buf) != 0 {
		return ErrMessage
	}
	return nil
}

// ParseReply decodes a reply into m, and returns the errno it carries, if any, or
// ErrMessage.
func ParseReply(b []byte, m Message) error {
	var c Coder
	return c.reply(b, m)
}

// Marshal is the fields of m.
func Marshal(m Message) []byte {
	c := Coder{enc: true}
	m.Fields(&c)
	return c.buf
}

// Unmarshal decodes the fields of m, which must be all of b.
func Unmarshal(b []byte, m Message) error {
	c := Coder{buf: b}
	m.Fields(&c)
	if c.bad || len(c.buf) != 0 {
		return ErrMessage
	}
	return nil
}
