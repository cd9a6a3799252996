package wire

import "syscall"

// An EditKind says which change an Edit is.
type EditKind uint8

// A name that is removed, attributes that are set, a file that is made, or another name
// for one.
const (
	EditUnlink EditKind = iota
	EditSet
	EditMake
	EditLink
	numEdits
)

// An Edit is one of those that an Apply makes: that of its kind.
type Edit struct {
	Kind   EditKind
	Unlink UnlinkReq
	Set    SetattrReq
	Make   MakeReq
	Link   LinkReq
}

// editSize is the length of the shortest encoded Edit in bytes.
const editSize = 1 + 8 + 4 + 1 + 1 + 8 + 1

func (m *Edit) Fields(c *Coder) {
	c.U8((*uint8)(&m.Kind))
	switch m.Kind {
	case EditUnlink:
		m.Unlink.Fields(c)
	case EditSet:
		m.Set.Fields(c)
	case EditMake:
		m.Make.Fields(c)
	case EditLink:
		m.Link.Fields(c)
	}
	c.bad = c.bad || m.Kind >= numEdits
}

// Files are what the change leaves with other attributes, or 0: the file whose are set,
// the file that is made or gets a name, and its directory, or the directory that loses a
// name, and the file that does, if it stays in use.
func (m *Edit) Files() [2]ID {
	switch {
	case m.Kind == EditSet:
		return [2]ID{m.Set.ID}
	case m.Kind == EditMake:
		return [2]ID{m.Make.ID, m.Make.Dir}
	case m.Kind == EditLink:
		return [2]ID{m.Link.ID, m.Link.Dir}
	case m.Unlink.Keep:
		return [2]ID{m.Unlink.Dir, m.Unlink.Victim}
	}
	return [2]ID{m.Unlink.Dir}
}

// A MakeReq makes Name in Dir, of the type that Mode tells, a regular file, a directory or a
// symlink: with its owners, its permissions, what it begins with or where it points, and
// those times that Times, of SetAtime and SetMtime, names. ID, which Reserve has given, is
// the file from then on. Data that was decoded is good as long as the message is.
type MakeReq struct {
	ID, Dir      ID
	Name         string
	Target       string
	Mode         uint32
	UID, GID     uint32
	Times        SetMask
	Atime, Mtime Time
	Data         []byte
}

// MakeSize is the most that a MakeReq takes of a message, but for its data and its target.
const MakeSize = 1 + 2*8 + 4 + MaxName + 4 + 4*4 + 2*12 + 4

func (m *MakeReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.ID(&m.Dir)
	c.Name(&m.Name)
	c.Str(&m.Target, MaxTarget)
	c.U32(&m.Mode)
	c.U32(&m.UID)
	c.U32(&m.GID)
	c.U32((*uint32)(&m.Times))
	m.Atime.Fields(c)
	m.Mtime.Fields(c)
	c.View(&m.Data, MaxMake)
}

// ReserveReq asks for N ids, of files that are yet to be made in the mount whose root is
// Root. Each is one reference. Of a gofer that has no more to give come fewer.
type ReserveReq struct {
	Root ID
	N    uint32
}

func (m *ReserveReq) Fields(c *Coder) {
	c.ID(&m.Root)
	c.U32(&m.N)
}

// ReserveResp is the ids, and what room there is: bytes, and inodes, of which there is no
// number on some filesystems: then it is the highest.
type ReserveResp struct {
	Reserved      []ID
	Bytes, Inodes uint64
}

func (m *ReserveResp) Fields(c *Coder) {
	c.IDs(&m.Reserved, MaxReserve)
	c.U64(&m.Bytes)
	c.U64(&m.Inodes)
}

// IDs implements Holder.
func (m *ReserveResp) IDs(f func(ID)) {
	for _, id := range m.Reserved {
		f(id)
	}
}

// ApplyReq makes changes one after the other, whatever becomes of those before, and then
// does what Then, an operation that may follow, and Body, its fields, ask for. Then may be
// 0, for nothing.
type ApplyReq struct {
	Edits []Edit
	Then  Op
	Body  []byte
}

func (m *ApplyReq) Fields(c *Coder) {
	List(c, &m.Edits, MaxEdits, editSize, func(c *Coder, x *Edit) { x.Fields(c) })
	c.U16((*uint16)(&m.Then))
	c.Bytes(&m.Body, MaxMessage)
}

// ApplyResp is what became of each change, 0 or why not, and the attributes of their
// files thereafter, in the order in which these were first named; those that can't be
// had are zero. Errno and Body are the answer to Then, if there was any: an error, or the
// fields of its reply.
type ApplyResp struct {
	Errnos []uint32
	Attrs  []Attr
	Errno  uint32
	Body   []byte
}

func (m *ApplyResp) Fields(c *Coder) {
	List(c, &m.Errnos, MaxEdits, 4, (*Coder).U32)
	List(c, &m.Attrs, 2*MaxEdits, attrSize, func(c *Coder, a *Attr) { a.Fields(c) })
	c.U32(&m.Errno)
	c.Bytes(&m.Body, MaxMessage)
	c.bad = c.bad || m.Errno > maxErrno
}

// Answer decodes the answer to Then into r. The error is what Call would return.
func (m *ApplyResp) Answer(r Message) error {
	if m.Errno != 0 {
		return syscall.Errno(m.Errno)
	}
	return Unmarshal(m.Body, r)
}
