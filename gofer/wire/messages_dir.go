package wire

// ReaddirReq asks for the next page of a directory from Cookie on, 0 being its start.
// Bare says which entries may come without what is known of their files. With the last
// page, Ahead bytes may hold whole listings of directories that the asker is likely to
// want next: those in that page and what is below them, then those of Next.
type ReaddirReq struct {
	Dir    ID
	Cookie uint64
	Bare   Bare
	Ahead  uint32
	Next   []ID
	Lists  bool // tell of AttrBare, of directories
}

func (m *ReaddirReq) Fields(c *Coder) {
	c.ID(&m.Dir)
	c.U64(&m.Cookie)
	c.U32((*uint32)(&m.Bare))
	c.U32(&m.Ahead)
	c.IDs(&m.Next, MaxNext)
	c.Bool(&m.Lists)
}

// Bare is a kind of entries: none, those that are no directories, or all. What is bare
// costs a directory's reader a few hundred nanoseconds, and with a node some microseconds.
type Bare uint32

const (
	BareNone Bare = iota
	BareFiles
	BareAll
)

// An Entry is one name of a directory and the file it names. If that is bare, Node has
// no ID, and of the attributes only Ino, and Mode's type: as the directory has them.
type Entry struct {
	Name string
	Node Node
}

func (m *Entry) Fields(c *Coder) {
	c.Name(&m.Name)
	bare := m.Node.ID == 0
	c.Bool(&bare)
	if bare {
		c.U64(&m.Node.Attr.Ino)
		c.U32(&m.Node.Attr.Mode)
		return
	}
	m.Node.Fields(c)
}

// EntrySize is the number of bytes that an entry with a node takes of a message, and
// BareSize that a bare one does.
func EntrySize(name, target int) int { return 5 + name + nodeSize + target }
func BareSize(name int) int          { return 5 + name + 8 + 4 }

// Size is the number of bytes that e takes of a message.
func (m *Entry) Size() int {
	if m.Node.ID == 0 {
		return BareSize(len(m.Name))
	}
	return EntrySize(len(m.Name), len(m.Node.Target))
}

// entries is the field of a page's entries.
func entries(c *Coder, p *[]Entry) {
	least := BareSize(1)
	List(c, p, MaxMessage/least, least, func(c *Coder, e *Entry) { e.Fields(c) })
}

// A Listing is all of a directory.
type Listing struct {
	Dir     ID // no reference
	Entries []Entry
}

// ListingSize is the number of bytes that a listing takes of a message, without its
// entries.
const ListingSize = 8 + 4

func (m *Listing) Fields(c *Coder) {
	c.ID(&m.Dir)
	entries(c, &m.Entries)
}

// ReaddirResp is a page, without "." and "..". Next is the cookie of the page that
// follows, or 0 if there is none. Ahead is other directories, each after the one in
// which the asker finds its id.
type ReaddirResp struct {
	Entries []Entry
	Next    uint64
	Ahead   []Listing
}

func (m *ReaddirResp) Fields(c *Coder) {
	entries(c, &m.Entries)
	c.U64(&m.Next)
	List(c, &m.Ahead, MaxAhead, ListingSize, func(c *Coder, l *Listing) { l.Fields(c) })
}

// IDs implements Holder.
func (m *ReaddirResp) IDs(f func(ID)) {
	EntryIDs(m.Entries, f)
	for _, l := range m.Ahead {
		EntryIDs(l.Entries, f)
	}
}

// EntryIDs calls f for each reference that entries have.
func EntryIDs(entries []Entry, f func(ID)) {
	for i := range entries {
		if id := entries[i].Node.ID; id != 0 {
			f(id)
		}
	}
}
