package wire

// ReadlinkReq asks where a symlink points.
type ReadlinkReq struct{ ID ID }

func (m *ReadlinkReq) Fields(c *Coder) { c.ID(&m.ID) }

// ReadlinkResp is the symlink's target.
type ReadlinkResp struct{ Target string }

func (m *ReadlinkResp) Fields(c *Coder) { c.Str(&m.Target, MaxTarget) }

// GetxattrReq asks for an extended attribute.
type GetxattrReq struct {
	ID   ID
	Name string
}

func (m *GetxattrReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.Str(&m.Name, MaxName)
}

// XattrResp is an extended attribute's value.
type XattrResp struct{ Value []byte }

func (m *XattrResp) Fields(c *Coder) { c.Bytes(&m.Value, MaxXattr) }

// SetxattrReq sets an extended attribute; Flags are setxattr(2)'s.
type SetxattrReq struct {
	ID    ID
	Name  string
	Value []byte
	Flags uint32
}

func (m *SetxattrReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.Str(&m.Name, MaxName)
	c.Bytes(&m.Value, MaxXattr)
	c.U32(&m.Flags)
}

// ListxattrReq asks for the names of a file's extended attributes.
type ListxattrReq struct{ ID ID }

func (m *ListxattrReq) Fields(c *Coder) { c.ID(&m.ID) }

// ListxattrResp is those names.
type ListxattrResp struct{ Names []string }

func (m *ListxattrResp) Fields(c *Coder) {
	List(c, &m.Names, MaxXattr/2, 4, func(c *Coder, s *string) { c.Str(s, MaxName) })
}

// RemovexattrReq removes an extended attribute.
type RemovexattrReq struct {
	ID   ID
	Name string
}

func (m *RemovexattrReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.Str(&m.Name, MaxName)
}

// StatfsReq asks for the state of the filesystem that a file is on.
type StatfsReq struct{ ID ID }

func (m *StatfsReq) Fields(c *Coder) { c.ID(&m.ID) }

// StatfsResp is what statfs(2) says. Blocks are of Bsize bytes.
type StatfsResp struct {
	Type, Bsize, Frsize         uint64
	Blocks, Bfree, Bavail       uint64
	Files, Ffree, Namelen, Flag uint64
}

func (m *StatfsResp) Fields(c *Coder) {
	for _, p := range []*uint64{&m.Type, &m.Bsize, &m.Frsize, &m.Blocks, &m.Bfree, &m.Bavail,
		&m.Files, &m.Ffree, &m.Namelen, &m.Flag} {
		c.U64(p)
	}
}

// FsyncReq makes a file or directory durable; fdatasync(2) if Data.
type FsyncReq struct {
	ID   ID
	Data bool
}

func (m *FsyncReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.Bool(&m.Data)
}

// SyncfsReq makes the filesystem that a file is on durable.
type SyncfsReq struct{ ID ID }

func (m *SyncfsReq) Fields(c *Coder) { c.ID(&m.ID) }

// ConnectReq asks for a socket connected to the host's socket ID. Type is
// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
type ConnectReq struct {
	ID   ID
	Type uint32
}

func (m *ConnectReq) Fields(c *Coder) {
	c.ID(&m.ID)
	c.U32(&m.Type)
}

// BindReq asks for a socket bound to a new name. Type as in ConnectReq.
type BindReq struct {
	Dir      ID
	Name     string
	Type     uint32
	Mode     uint32
	UID, GID uint32
}

func (m *BindReq) Fields(c *Coder) {
	c.ID(&m.Dir)
	c.Name(&m.Name)
	c.U32(&m.Type)
	c.U32(&m.Mode)
	c.U32(&m.UID)
	c.U32(&m.GID)
}

// ChangesReq waits until somebody else has changed what the asker knows of a mount
// that is not shared, and asks what. The first one makes the watching begin and is
// answered as soon as all directories that the asker knows are watched.
type ChangesReq struct{}

func (*ChangesReq) Fields(*Coder) {}

// A Change is one: of the attributes of ID, or, if there is a name, of what that
// names in the directory ID; "." stands for all names.
type Change struct {
	ID   ID
	Name string
}

// changeSize is the length of the shortest encoded Change in bytes.
const changeSize = 8 + 4

// ChangeSize is the number of bytes that a change takes of a message.
func ChangeSize(name int) int { return changeSize + name }

func (m *Change) Fields(c *Coder) {
	c.ID(&m.ID)
	c.Str(&m.Name, MaxName)
}

// ChangesResp is what has changed. All says that it may be anything; Began, that the
// watching has begun, and that the asker should see for itself what changed before.
type ChangesResp struct {
	Changes    []Change
	All, Began bool
}

func (m *ChangesResp) Fields(c *Coder) {
	List(c, &m.Changes, MaxMessage/changeSize, changeSize, func(c *Coder, x *Change) { x.Fields(c) })
	c.Bool(&m.All)
	c.Bool(&m.Began)
}
