package wire

// Empty is a reply that says nothing but that all went well.
type Empty struct{}

func (*Empty) Fields(*Coder) {}

// ChannelReq asks for one more connection, served by a thread that may run on CPUs, or
// anywhere if that is empty. With the reply come the descriptors of one end of a Link:
// socket, pipe to read, pipe to write; or, if Plain, of a socket pair for a Conn.
type ChannelReq struct {
	CPUs  []uint32
	Plain bool
}

func (m *ChannelReq) Fields(c *Coder) {
	List(c, &m.CPUs, 4096, 4, (*Coder).U32)
	c.Bool(&m.Plain)
}

// ForgetReq does nothing: a vehicle for the forgets of its header.
type ForgetReq struct{}

func (*ForgetReq) Fields(*Coder) {}

// AttachReq asks for the root of a mount by its place in the gofer's list.
type AttachReq struct{ Mount uint32 }

func (m *AttachReq) Fields(c *Coder) { c.U32(&m.Mount) }

// AttachResp is that root, and how the mount is to be used.
type AttachResp struct {
	Node     Node
	ReadOnly bool
	Shared   bool // others change it too: revalidate
}

func (m *AttachResp) Fields(c *Coder) {
	m.Node.Fields(c)
	c.Bool(&m.ReadOnly)
	c.Bool(&m.Shared)
}

// IDs implements Holder.
func (m *AttachResp) IDs(f func(ID)) { f(m.Node.ID) }

// WalkReq walks from Dir by Names, never upwards, through no symlink. With Open,
// the last file comes with a descriptor for reading if it is a regular file.
type WalkReq struct {
	Dir   ID
	Names []string
	Open  bool
	Lists bool // tell of AttrBare
}

func (m *WalkReq) Fields(c *Coder) {
	c.ID(&m.Dir)
	List(c, &m.Names, MaxWalk, 5, (*Coder).Name)
	c.Bool(&m.Open)
	c.Bool(&m.Lists)
}

// WalkResp is how far a walk came. Fewer nodes than names mean that the last node
// is a symlink, which it is for the asker to follow, or that the next name failed
// with Errno: ENOENT for one that does not exist, ENOTDIR below what is no directory.
type WalkResp struct {
	Nodes []Node
	Errno uint32
}

func (m *WalkResp) Fields(c *Coder) {
	List(c, &m.Nodes, MaxWalk, nodeSize, func(c *Coder, n *Node) { n.Fields(c) })
	c.U32(&m.Errno)
}

// IDs implements Holder.
func (m *WalkResp) IDs(f func(ID)) {
	for i := range m.Nodes {
		f(m.Nodes[i].ID)
	}
}

// GetattrReq asks for a file's attributes, with Lists also for AttrBare.
type GetattrReq struct {
	ID    ID
	Lists bool
}

func (m *GetattrReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.Bool(&m.Lists)
}

// AttrsReq asks for the attributes of several files, with Lists also for AttrBare.
type AttrsReq struct {
	IDs   []ID
	Lists bool
}

func (m *AttrsReq) Fields(c *Coder) {
	c.IDs(&m.IDs, MaxAttrs)
	c.Bool(&m.Lists)
}

// AttrsResp is theirs, in order; those that can't be had are zero.
type AttrsResp struct{ Attrs []Attr }

func (m *AttrsResp) Fields(c *Coder) {
	List(c, &m.Attrs, MaxAttrs, attrSize, func(c *Coder, a *Attr) { a.Fields(c) })
}

// SetattrReq sets those attributes of a file that Mask names.
type SetattrReq struct {
	ID           ID
	Mask         SetMask
	Mode         uint32
	UID, GID     uint32
	Size         uint64
	Atime, Mtime Time
}

func (m *SetattrReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.U32((*uint32)(&m.Mask))
	c.U32(&m.Mode)
	c.U32(&m.UID)
	c.U32(&m.GID)
	c.U64(&m.Size)
	m.Atime.Fields(c)
	m.Mtime.Fields(c)
}

// An OpenMode says what a donated descriptor can do.
type OpenMode uint32

// Write asks for a descriptor for reading and writing; Truncate empties the file.
const (
	OpenRead  OpenMode = 0
	OpenWrite OpenMode = 1 << iota
	OpenTruncate
	openAll = OpenWrite | OpenTruncate
)

// Valid reports whether o has no unknown bits, and no truncation without writing.
func (o OpenMode) Valid() bool {
	return o&^openAll == 0 && (o&OpenTruncate == 0 || o&OpenWrite != 0)
}

// OpenReq asks for a descriptor of a regular file. EINVAL for any other type.
type OpenReq struct {
	ID   ID
	Mode OpenMode
}

func (m *OpenReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.U32((*uint32)(&m.Mode))
}

// OpensReq asks for descriptors for reading of several regular files. What fails with
// the first fails; of the others those come that can be had.
type OpensReq struct{ IDs []ID }

func (m *OpensReq) Fields(c *Coder) { c.IDs(&m.IDs, MaxFDs) }

// OpensResp is the attributes of the first file, and of which files descriptors come, in
// the same order. IDs are no references.
type OpensResp struct {
	Attr   Attr
	Opened []ID
}

func (m *OpensResp) Fields(c *Coder) {
	m.Attr.Fields(c)
	c.IDs(&m.Opened, MaxFDs)
}

// AttrResp is a file's attributes after an operation.
type AttrResp struct{ Attr Attr }

func (m *AttrResp) Fields(c *Coder) { m.Attr.Fields(c) }

// CreateReq makes a regular file that did not exist, with exactly this mode and
// owner, and opens it for reading and writing. Without a name the file is in no
// directory (O_TMPFILE).
type CreateReq struct {
	Dir      ID
	Name     string
	Mode     uint32
	UID, GID uint32
}

func (m *CreateReq) Fields(c *Coder) {
	c.ID(&m.Dir)
	c.Str(&m.Name, MaxName)
	c.U32(&m.Mode)
	c.U32(&m.UID)
	c.U32(&m.GID)
	c.bad = c.bad || !c.enc && m.Name != "" && !ValidName(m.Name)
}

// NodeResp is a file that was made, and its directory thereafter.
type NodeResp struct {
	Node Node
	Dir  Attr
}

func (m *NodeResp) Fields(c *Coder) {
	m.Node.Fields(c)
	m.Dir.Fields(c)
}

// IDs implements Holder.
func (m *NodeResp) IDs(f func(ID)) { f(m.Node.ID) }

// MknodReq makes anything but a regular file, by the type bits of Mode: a
// directory, a symlink to Target, a FIFO, a socket's name, a device Rdev.
type MknodReq struct {
	Dir      ID
	Name     string
	Mode     uint32
	UID, GID uint32
	Rdev     uint64
	Target   string
}

func (m *MknodReq) Fields(c *Coder) {
	c.ID(&m.Dir)
	c.Name(&m.Name)
	c.U32(&m.Mode)
	c.U32(&m.UID)
	c.U32(&m.GID)
	c.U64(&m.Rdev)
	c.Str(&m.Target, MaxTarget)
}

// LinkReq gives the file ID another name.
type LinkReq struct {
	ID, Dir ID
	Name    string
}

func (m *LinkReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.ID(&m.Dir)
	c.Name(&m.Name)
}

// LinkResp is the file and the directory of a new link thereafter.
type LinkResp struct{ Attr, Dir Attr }

func (m *LinkResp) Fields(c *Coder) {
	m.Attr.Fields(c)
	m.Dir.Fields(c)
}

// RenameReq is renameat2(2) with its flags. Moved is the file that moves and Victim
// the one at the new name, each 0 if the asker has no id for it. Keep says that
// Victim stays in use though it loses this name: it is open, or has other names.
type RenameReq struct {
	OldDir, NewDir   ID
	OldName, NewName string
	Flags            uint32
	Moved, Victim    ID
	Keep             bool
}

func (m *RenameReq) Fields(c *Coder) {
	c.ID(&m.OldDir)
	c.ID(&m.NewDir)
	c.Name(&m.OldName)
	c.Name(&m.NewName)
	c.U32(&m.Flags)
	c.ID(&m.Moved)
	c.ID(&m.Victim)
	c.Bool(&m.Keep)
}

// RenameResp is the two directories thereafter (New is zero if they are one) and the
// file at the new name.
type RenameResp struct{ Old, New, Moved Attr }

func (m *RenameResp) Fields(c *Coder) {
	m.Old.Fields(c)
	m.New.Fields(c)
	m.Moved.Fields(c)
}

// UnlinkReq removes a name, of a directory if RmDir says so. Victim and Keep are
// as in RenameReq.
type UnlinkReq struct {
	Dir    ID
	Name   string
	RmDir  bool
	Victim ID
	Keep   bool
}

func (m *UnlinkReq) Fields(c *Coder) {
	c.ID(&m.Dir)
	c.Name(&m.Name)
	c.Bool(&m.RmDir)
	c.ID(&m.Victim)
	c.Bool(&m.Keep)
}

// UnlinkResp is the directory thereafter.
type UnlinkResp struct{ Dir Attr }

func (m *UnlinkResp) Fields(c *Coder) { m.Dir.Fields(c) }
