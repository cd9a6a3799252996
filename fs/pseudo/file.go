package pseudo

import (
	"bytes"
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A file is a regular file of an Entry.
type file[S any] struct {
	node[S]
	e *Entry[S]
}

// NewFile makes the file of an entry on its own, for a Dynamic to return.
func NewFile[S any](at Place, s S, of *Subject[S], e *Entry[S]) vfs.Inode {
	n := node[S]{s: s, of: of}
	return n.make(nil, e, at)
}

// Attr implements vfs.Inode.
func (f *file[S]) Attr(vfs.Ctx) (vfs.Attr, error) { return f.attrs(1), nil }

// Open implements vfs.Inode.
func (f *file[S]) Open(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	if !f.alive() {
		return nil, linux.ENOENT
	}
	if f.e.Guard != nil {
		if err := f.e.Guard(f.s, c); err != nil {
			return nil, err
		}
	}
	if f.e.Open != nil {
		return f.e.Open(f.s, c, flags)
	}
	return &open[S]{f: f}, nil
}

// A guardedFile has rules of its own for who may open it.
type guardedFile[S any] struct{ file[S] }

// Permit implements vfs.Permitter.
func (g *guardedFile[S]) Permit(c vfs.Ctx, want vfs.Access) error {
	return g.e.Allow(g.s, c, g.attrs(1), want)
}

// An open is an open file with the text it shows.
type open[S any] struct {
	f *file[S]

	mu   lock.Mutex[lock.Leaf]
	text []byte // what Show wrote last; nil before the first read, and if it is not kept
}

// kept is how many bytes the texts of all open files take, but for short ones. What
// would be over maxKept is shown anew for each read(2), in whatever state it is then:
// descriptors are cheap, and what some files show is as long as a guest makes it.
var kept atomic.Int64

const (
	shortText = 4 << 10
	maxKept   = 64 << 20
)

// keep replaces o's text. o.mu is held.
func (o *open[S]) keep(text []byte) {
	if n := cap(o.text); n > shortText {
		kept.Add(-int64(n))
	}
	o.text = nil
	if n := int64(cap(text)); n > shortText && kept.Add(n) > maxKept {
		kept.Add(-n)
		return
	}
	o.text = text
}

// Read implements vfs.File. A read at the start shows anew: top(1) keeps a file
// open and goes back to its beginning.
func (o *open[S]) Read(c vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	if o.f.e.Show == nil {
		return 0, linux.EINVAL
	}
	text, err := o.snapshot(c, off)
	if err != nil || off >= int64(len(text)) {
		return 0, err
	}
	n, err := dst.CopyOut(text[off:])
	if n > 0 {
		err = nil
	}
	return int64(n), err
}

func (o *open[S]) snapshot(c vfs.Ctx, off int64) ([]byte, error) {
	if off != 0 {
		o.mu.Lock()
		text := o.text
		o.mu.Unlock()
		if text != nil {
			return text, nil
		}
	}
	if !o.f.alive() {
		return nil, linux.ESRCH
	}
	var w bytes.Buffer
	if err := o.f.e.Show(o.f.s, c, &w); err != nil {
		return nil, err
	}
	text := w.Bytes()
	if text == nil {
		text = []byte{}
	}
	o.mu.Lock()
	o.keep(text)
	o.mu.Unlock()
	return text, nil
}

// Write implements vfs.File. Every write is one message to Store, whatever the
// offset.
func (o *open[S]) Write(c vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	if o.f.e.Store == nil {
		return 0, linux.EINVAL
	}
	if !o.f.alive() {
		return 0, linux.ESRCH
	}
	if src.Len() > MaxStore {
		return 0, linux.EINVAL
	}
	data := make([]byte, src.Len())
	if _, err := src.CopyIn(data); err != nil {
		return 0, err
	}
	if err := o.f.e.Store(o.f.s, c, data); err != nil {
		return 0, err
	}
	return int64(len(data)), nil
}

// Close implements vfs.File.
func (o *open[S]) Close(vfs.Ctx) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep(nil)
}

// maxSeek is how far lseek(2) goes in a file of no stated size.
const maxSeek = 1<<63 - 1

// Seek implements vfs.Seeker: these files have no end to seek from.
func (*open[S]) Seek(_ vfs.Ctx, cur, off int64, whence int) (int64, error) {
	switch whence {
	case linux.SEEK_SET:
	case linux.SEEK_CUR:
		if off > maxSeek-cur {
			return 0, linux.EOVERFLOW
		}
		off += cur
	default:
		return 0, linux.EINVAL
	}
	if off < 0 {
		return 0, linux.EINVAL
	}
	return off, nil
}
