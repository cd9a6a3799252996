package pseudo

import (
	"bytes"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// An Entry is one name in a directory about an S. Which of its functions are set
// says what kind of file it is; exactly one of Show, Store, Open, Link, Table and
// Node, or Show and Store together.
type Entry[S any] struct {
	Name string
	// Mode is the permission bits. Zero is 0444 for a file, 0644 if it can be
	// stored to, 0555 for a directory, 0777 for a link.
	Mode linux.FileMode

	// Show writes the file's content. It is called when a reader begins at the
	// start; what follows is served from that snapshot.
	Show func(s S, c vfs.Ctx, w *bytes.Buffer) error
	// Store takes what one write(2) wrote, at most MaxStore bytes of it, and
	// returns an error or has taken everything.
	Store func(s S, c vfs.Ctx, data []byte) error
	// Open makes the open file itself.
	Open func(s S, c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error)
	// Link is where a symbolic link points. With Follow it is a magic link,
	// and Link only what readlink(2) says.
	Link   func(s S, c vfs.Ctx) (string, error)
	Follow func(s S, c vfs.Ctx) (vfs.Path, error)
	// Table is a directory about the same subject.
	Table []Entry[S]
	// Node makes an inode of any kind, at a place.
	Node func(s S, c vfs.Ctx, at Place) vfs.Inode

	// Guard, if set, is asked at open, readlink and follow: what permission
	// bits can't say.
	Guard func(s S, c vfs.Ctx) error
	// Allow, if set, decides on access in the place of the permission bits.
	Allow func(s S, c vfs.Ctx, a vfs.Attr, want vfs.Access) error
	// Absent, if set, reports that s has no such entry.
	Absent func(s S) bool
}

// MaxStore is the most that one write to a file may be.
const MaxStore = 1 << 16

// kind is the type of file that e makes, and the bits it has if Mode is zero.
func (e *Entry[S]) kind() (typ, bits linux.FileMode) {
	switch {
	case e.Table != nil || e.Node != nil:
		return linux.S_IFDIR, 0o555
	case e.Link != nil:
		return linux.S_IFLNK, 0o777
	case e.Store != nil && e.Show == nil:
		return linux.S_IFREG, 0o200
	case e.Store != nil:
		return linux.S_IFREG, 0o644
	}
	return linux.S_IFREG, 0o444
}

// mode is the whole of the file's mode.
func (e *Entry[S]) mode() linux.FileMode {
	typ, bits := e.kind()
	if e.Mode.Type() != 0 {
		typ = e.Mode.Type()
	}
	if e.Mode.Perm() != 0 {
		bits = e.Mode.Perm()
	}
	return typ | bits
}

// A Subject says what an S has to do with the files about it. The zero Subject
// does: they belong to root and are always there.
type Subject[S any] struct {
	// Owner is whose a file of that mode is.
	Owner func(s S, mode linux.FileMode) (uid, gid uint32)
	// Alive reports whether s is still there. When it is not, open files read
	// as ESRCH and names are ENOENT.
	Alive func(s S) bool
}

// A Dynamic is the part of a directory that is no table: its names come and go.
type Dynamic interface {
	// Lookup makes what name names: ENOENT.
	Lookup(c vfs.Ctx, name string, at Place) (vfs.Inode, error)
	// Each calls f for the names in order of key, from key on, until f
	// returns false. A name's key never changes.
	Each(c vfs.Ctx, key int64, f func(key int64, name string, mode linux.FileMode) bool) error
	// Valid reports whether name still names i; with i nil, whether it still
	// names nothing.
	Valid(c vfs.Ctx, name string, i vfs.Inode) bool
	// Links is how many of the names are directories.
	Links() int
}

// A Numbered Dynamic has inodes with numbers of their own.
type Numbered interface {
	// Number is the inode number of name, whose usual place is at.
	Number(name string, at Place) uint64
}
