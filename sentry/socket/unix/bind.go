package unix

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// A name is what a socket is bound to; it never changes.
type name struct {
	addr []byte // struct sockaddr_un, as getsockname(2) tells it
	path vfs.Path
}

// String is n as /proc/net/unix shows it.
func (n *name) String() string {
	b := n.addr[2:]
	if n.isAbstract() {
		return string(bytes.ReplaceAll(b, []byte{0}, []byte{'@'}))
	}
	return string(bytes.TrimRight(b, "\x00"))
}

func (n *name) isAbstract() bool { return len(n.addr) > 2 && n.addr[2] == 0 }

// parse checks a struct sockaddr_un: EINVAL. path is empty for an abstract name,
// which is then addr[2:], its leading NUL included.
func parse(addr []byte) (path string, err error) {
	if len(addr) <= 2 || len(addr) > linux.SockaddrUnixLen || socket.FamilyOf(addr) != linux.AF_UNIX {
		return "", linux.EINVAL
	}
	b := addr[2:]
	if b[0] == 0 {
		return "", nil
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b), nil
}

// Bind implements socket.Binder.
func (e *Endpoint) Bind(c vfs.Ctx, addr []byte) error {
	if len(addr) == 2 && socket.FamilyOf(addr) == linux.AF_UNIX {
		return e.autobind()
	}
	path, err := parse(addr)
	if err != nil {
		return err
	}
	if e.name.Load() != nil {
		return linux.EINVAL
	}
	if path == "" {
		return e.bindAbstract(addr)
	}
	p, err := vfs.Mknod(c, vfs.At{Name: path}, linux.S_IFSOCK|0o777, 0)
	if err == linux.EEXIST {
		return linux.EADDRINUSE
	}
	if err != nil {
		return err
	}
	full := make([]byte, 0, len(path)+3)
	full = append(append(append(full, addr[:2]...), path...), 0)
	if !e.name.CompareAndSwap(nil, &name{addr: full, path: p}) {
		p.Drop() // another thread was faster; the name in the directory stays, as on Linux
		return linux.EINVAL
	}
	p.BindSocket(e)
	return nil
}

func (e *Endpoint) bindAbstract(addr []byte) error {
	f := e.fam
	k := abstractName{e.typ, string(addr[2:])}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.abstract[k] != nil {
		return linux.EADDRINUSE
	}
	if !e.name.CompareAndSwap(nil, &name{addr: bytes.Clone(addr)}) {
		return linux.EINVAL
	}
	f.abstract[k] = e
	return nil
}

// autobind gives e an abstract name of five hexadecimal digits, unless it has one.
func (e *Endpoint) autobind() error {
	f := e.fam
	f.mu.Lock()
	defer f.mu.Unlock()
	for range 1 << 20 {
		f.auto = (f.auto + 1) & 0xfffff
		text := fmt.Sprintf("\x00%05x", f.auto)
		k := abstractName{e.typ, text}
		if f.abstract[k] != nil {
			continue
		}
		addr := append(binary.LittleEndian.AppendUint16(nil, linux.AF_UNIX), text...)
		if e.name.CompareAndSwap(nil, &name{addr: addr}) {
			f.abstract[k] = e
		}
		return nil
	}
	return linux.ENOSPC
}

// unbind takes e's name from it. What a file is left stays: connect(2) to it is
// refused.
func (e *Endpoint) unbind() {
	n := e.name.Load()
	switch {
	case n == nil:
	case n.isAbstract():
		f := e.fam
		f.mu.Lock()
		if k := (abstractName{e.typ, string(n.addr[2:])}); f.abstract[k] == e {
			delete(f.abstract, k)
		}
		f.mu.Unlock()
	case !n.path.IsZero():
		if n.path.BoundSocket() == any(e) {
			n.path.BindSocket(nil)
		}
		n.path.Drop()
	}
}

// find is the socket that addr names, for e to connect or send to: ECONNREFUSED,
// EPROTOTYPE, and what following a path gives.
func (e *Endpoint) find(c vfs.Ctx, addr []byte) (*Endpoint, error) {
	path, err := parse(addr)
	if err != nil {
		return nil, err
	}
	if path == "" {
		f := e.fam
		f.mu.Lock()
		defer f.mu.Unlock()
		if o := f.abstract[abstractName{e.typ, string(addr[2:])}]; o != nil {
			return o, nil
		}
		return nil, linux.ECONNREFUSED
	}
	p, err := vfs.Resolve(c, vfs.At{Name: path})
	if err != nil {
		return nil, err
	}
	defer p.Drop()
	if err := p.Permit(c, vfs.MayWrite); err != nil {
		return nil, err
	}
	o, ok := p.BoundSocket().(*Endpoint)
	if !ok || p.Type() != linux.S_IFSOCK || o.dead.Load() {
		return nil, linux.ECONNREFUSED
	}
	if o.typ != e.typ {
		return nil, linux.EPROTOTYPE
	}
	return o, nil
}

// Name implements socket.Namer.
func (e *Endpoint) Name(a *socket.Addr, peer bool) error {
	if peer {
		if e = e.other(); e == nil {
			return linux.ENOTCONN
		}
	}
	if n := e.name.Load(); n != nil {
		a.Set(n.addr)
		return nil
	}
	a.Make(linux.AF_UNIX, 2)
	return nil
}

// other is the peer; nil if there is none.
func (e *Endpoint) other() *Endpoint {
	if conn := e.conn.Load(); conn != nil {
		return conn.peer
	}
	return e.peer.Load()
}
