package fuse

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// told takes what the server tells unasked. ENOENT if it is of something that is not
// known here, EINVAL for what can't be.
func (m *connection) told(code int32, src usermem.Seq) error {
	switch code {
	case linux.FUSE_NOTIFY_POLL:
		return m.toldPoll(src)
	case linux.FUSE_NOTIFY_INVAL_INODE:
		return m.toldInode(src)
	case linux.FUSE_NOTIFY_INVAL_ENTRY:
		return m.toldEntry(src)
	case linux.FUSE_NOTIFY_DELETE:
		return m.toldDelete(src)
	case linux.FUSE_NOTIFY_STORE:
		return m.toldStore(src)
	case linux.FUSE_NOTIFY_RETRIEVE:
		return m.toldRetrieve(src)
	}
	return linux.EINVAL
}

// load is a T from the beginning of src. With exact that must be all. EINVAL.
func load[T any](src usermem.Seq, exact bool) (v T, err error) {
	n := int64(sizeOf[T]())
	if src.Len() < n || exact && src.Len() != n {
		return v, linux.EINVAL
	}
	b := make([]byte, n)
	if _, err := src.CopyIn(b); err != nil {
		return v, err
	}
	return decode[T](b), nil
}

// held is the inode with a number, held; nil if there is none.
func (m *connection) held(node uint64) *inode {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.inodes[node]
	if i != nil {
		i.refs++
	}
	return i
}

func (m *connection) toldPoll(src usermem.Seq) error {
	o, err := load[linux.FuseNotifyPollOut](src, true)
	if err != nil {
		return err
	}
	m.mu.Lock()
	p := m.polls[o.KH]
	m.mu.Unlock()
	if p != nil {
		p.changed()
	}
	return nil
}

func (m *connection) toldInode(src usermem.Seq) error {
	o, err := load[linux.FuseInvalInodeOut](src, true)
	if err != nil {
		return err
	}
	i := m.held(o.Node)
	if i == nil {
		return linux.ENOENT
	}
	defer i.Drop()
	i.expire()
	i.mu.Lock()
	i.linked = false
	i.mu.Unlock()
	if o.Off >= 0 {
		end := uint64(maxSize)
		if o.Len > 0 {
			end = min(end, uint64(o.Off)+uint64(o.Len))
		}
		i.store.age(uint64(o.Off), end)
	}
	return nil
}

// loadName is the name, n bytes and a zero, that is all of src.
func loadName(src usermem.Seq, n uint32) (string, error) {
	switch {
	case n > linux.FUSE_NAME_MAX:
		return "", linux.ENAMETOOLONG
	case src.Len() != int64(n)+1:
		return "", linux.EINVAL
	}
	b := make([]byte, n)
	if _, err := src.CopyIn(b); err != nil {
		return "", err
	}
	return string(b), nil
}

func (m *connection) toldEntry(src usermem.Seq) error {
	o, err := load[linux.FuseInvalEntryOut](src, false)
	if err != nil {
		return err
	}
	s, err := loadName(src.Skip(int64(sizeOf[linux.FuseInvalEntryOut]())), o.Namelen)
	if err != nil {
		return err
	}
	return m.forgetIn(o.Parent, s)
}

// toldDelete: the name is looked up again, as after any other; who has the file open, or
// works in it, goes on.
func (m *connection) toldDelete(src usermem.Seq) error {
	o, err := load[linux.FuseDeleteOut](src, false)
	if err != nil {
		return err
	}
	s, err := loadName(src.Skip(int64(sizeOf[linux.FuseDeleteOut]())), o.Namelen)
	if err != nil {
		return err
	}
	return m.forgetIn(o.Parent, s)
}

func (m *connection) forgetIn(parent uint64, s string) error {
	i := m.held(parent)
	if i == nil {
		return linux.ENOENT
	}
	defer i.Drop()
	if i.typ != linux.S_IFDIR {
		return linux.ENOTDIR
	}
	i.forgetName(s)
	i.expire()
	return nil
}

// toldStore takes data of a file, of which only what is mapped is kept.
func (m *connection) toldStore(src usermem.Seq) error {
	o, err := load[linux.FuseStoreOut](src, false)
	if err != nil {
		return err
	}
	src = src.Skip(int64(sizeOf[linux.FuseStoreOut]()))
	if src.Len() != int64(o.Size) || o.Offset > maxSize-uint64(o.Size) {
		return linux.EINVAL
	}
	i := m.held(o.Node)
	if i == nil {
		return linux.ENOENT
	}
	defer i.Drop()
	if i.typ != linux.S_IFREG {
		return linux.EINVAL
	}
	for off := int64(o.Offset); src.Len() > 0; {
		b := make([]byte, min(src.Len(), maxIO))
		n, err := src.CopyIn(b)
		i.wrote(off, b[:n])
		if err != nil {
			return err
		}
		off, src = off+int64(n), src.Skip(int64(n))
	}
	return nil
}

// maxReplies bounds how many answers to FUSE_NOTIFY_RETRIEVE wait to be read.
const maxReplies = 64

// toldRetrieve answers what is cached of a file: nothing.
func (m *connection) toldRetrieve(src usermem.Seq) error {
	o, err := load[linux.FuseRetrieveOut](src, true)
	if err != nil {
		return err
	}
	i := m.held(o.Node)
	if i == nil {
		return linux.ENOENT
	}
	i.Drop()
	m.mu.Lock()
	waiting := 0
	for _, r := range m.pending {
		if r.header.Op == linux.FUSE_NOTIFY_REPLY {
			waiting++
		}
	}
	m.mu.Unlock()
	if waiting >= maxReplies {
		return linux.ENOMEM
	}
	r := ask(linux.FUSE_NOTIFY_REPLY, o.Node, raw(linux.FuseRetrieveIn{Offset: o.Offset}))
	r.header.Unique = o.Unique
	return m.enqueue(r)
}
