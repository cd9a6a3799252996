package gofer

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// A handler decodes a request's body and does what it asks.
type handler func(s *server, c *call, body []byte) (wire.Message, error)

// handle adapts a typed method.
func handle[Q any, P interface {
	*Q
	wire.Message
}](do func(*server, *call, P) (wire.Message, error)) handler {
	return func(s *server, c *call, body []byte) (wire.Message, error) {
		q := P(new(Q))
		if err := wire.Unmarshal(body, q); err != nil {
			return nil, err
		}
		return do(s, c, q)
	}
}

// handlers is what the gofer does: one line an operation.
var handlers = [wire.NumOps]handler{
	wire.OpChannel:     handle((*server).doChannel),
	wire.OpForget:      handle((*server).doForget),
	wire.OpAttach:      handle((*server).doAttach),
	wire.OpWalk:        handle((*server).doWalk),
	wire.OpGetattr:     handle((*server).doGetattr),
	wire.OpSetattr:     handle((*server).doSetattr),
	wire.OpOpen:        handle((*server).doOpen),
	wire.OpCreate:      handle((*server).doCreate),
	wire.OpMknod:       handle((*server).doMknod),
	wire.OpLink:        handle((*server).doLink),
	wire.OpRename:      handle((*server).doRename),
	wire.OpUnlink:      handle((*server).doUnlink),
	wire.OpReaddir:     handle((*server).doReaddir),
	wire.OpReadlink:    handle((*server).doReadlink),
	wire.OpGetxattr:    handle((*server).doGetxattr),
	wire.OpSetxattr:    handle((*server).doSetxattr),
	wire.OpListxattr:   handle((*server).doListxattr),
	wire.OpRemovexattr: handle((*server).doRemovexattr),
	wire.OpStatfs:      handle((*server).doStatfs),
	wire.OpFsync:       handle((*server).doFsync),
	wire.OpSyncfs:      handle((*server).doSyncfs),
	wire.OpConnect:     handle((*server).doConnect),
	wire.OpBind:        handle((*server).doBind),
	wire.OpChanges:     handle((*server).doChanges),
	wire.OpAttrs:       handle((*server).doAttrs),
	wire.OpApply:       handle((*server).doApply),
	wire.OpOpens:       handle((*server).doOpens),
	wire.OpReserve:     handle((*server).doReserve),
}

// dispatch finds the handler. An operation that does not exist is a broken peer.
func (s *server) dispatch(op wire.Op, call *call, body []byte) (wire.Message, error) {
	if op < wire.NumOps && s.ops[op] != nil {
		return s.ops[op](s, call, body)
	}
	return nil, wire.ErrMessage
}

// doForget does nothing: the references came with the header.
func (s *server) doForget(*call, *wire.ForgetReq) (wire.Message, error) { return &wire.Empty{}, nil }

// withDir runs do on a descriptor of the directory id. With write, the mount must
// not be read-only.
func (s *server) withDir(id wire.ID, write bool, do func(n *node, fd int) (wire.Message, error)) (wire.Message, error) {
	return s.with(id, write, func(n *node, fd int) (wire.Message, error) {
		if !n.isDir() {
			return nil, unix.ENOTDIR
		}
		return do(n, fd)
	})
}

// with runs do on an O_PATH descriptor of the file id.
func (s *server) with(id wire.ID, write bool, do func(n *node, fd int) (wire.Message, error)) (wire.Message, error) {
	n, err := s.get(id)
	if err != nil {
		return nil, err
	}
	defer s.put(n)
	if write && n.tree.ReadOnly {
		return nil, unix.EROFS
	}
	fd, err := s.fd(n)
	if err != nil {
		return nil, err
	}
	return do(n, fd)
}
