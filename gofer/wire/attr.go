package wire

// A Time is a point in time: seconds and nanoseconds since the epoch.
type Time struct {
	Sec  int64
	Nsec uint32
}

func (m *Time) Fields(c *Coder) {
	c.I64(&m.Sec)
	c.U32(&m.Nsec)
}

// Attr is what stat(2) says of a file, in the host's numbers. Mode holds the type
// and the permissions; Size is in bytes and Blocks in units of 512 bytes.
type Attr struct {
	Dev, Ino                   uint64
	Rdev                       uint64
	Size, Blocks               uint64
	Mode, Nlink, UID, GID      uint32
	Blksize                    uint32
	Flags                      AttrFlags
	Atime, Mtime, Ctime, Btime Time
}

// AttrFlags are what only the gofer tells: reasons why a name can't go, whoever asks, and
// what spares questions.
type AttrFlags uint32

// Fixed: the file is immutable or append-only: it stays, and if it is a directory, so do
// the names in it. Mounted: something is mounted on the name it was found by. Bare: the file
// has no extended attributes, and so no access control lists; without it, it may have some. It is
// told to who asks for it, as it takes the host as long as the attributes.
const (
	AttrFixed AttrFlags = 1 << iota
	AttrMounted
	AttrBare
)

// attrSize is the length of an encoded Attr in bytes.
const attrSize = 5*8 + 6*4 + 4*12

func (m *Attr) Fields(c *Coder) {
	for _, p := range []*uint64{&m.Dev, &m.Ino, &m.Rdev, &m.Size, &m.Blocks} {
		c.U64(p)
	}
	for _, p := range []*uint32{&m.Mode, &m.Nlink, &m.UID, &m.GID, &m.Blksize, (*uint32)(&m.Flags)} {
		c.U32(p)
	}
	m.Atime.Fields(c)
	m.Mtime.Fields(c)
	m.Ctime.Fields(c)
	m.Btime.Fields(c)
}

// Type bits of Attr.Mode, as in inode(7).
const (
	TypeMask   = 0o170000
	TypeSocket = 0o140000
	TypeLink   = 0o120000
	TypeFile   = 0o100000
	TypeBlock  = 0o060000
	TypeDir    = 0o040000
	TypeChar   = 0o020000
	TypeFIFO   = 0o010000
)

// A Node is a file that a reply names: one reference to ID, what the file is, and
// for a symlink where it points.
type Node struct {
	ID     ID
	Attr   Attr
	Target string
}

// nodeSize is the length of the shortest encoded Node in bytes.
const nodeSize = 8 + attrSize + 4

func (m *Node) Fields(c *Coder) {
	c.ID(&m.ID)
	m.Attr.Fields(c)
	c.Str(&m.Target, MaxTarget)
}

// A SetMask says which attributes a Setattr sets.
type SetMask uint32

// The attributes. The Now bits set the time to the gofer's clock.
const (
	SetMode SetMask = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetAtimeNow
	SetMtimeNow
	setAll = 1<<iota - 1
)

// Valid reports whether m has no unknown bits and no contradiction.
func (m SetMask) Valid() bool {
	return m&^setAll == 0 && m&(SetAtime|SetAtimeNow) != SetAtime|SetAtimeNow &&
		m&(SetMtime|SetMtimeNow) != SetMtime|SetMtimeNow
}
