package goferfs

import (
	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// An openDir is an open directory. It stays with the listing it began with, until it
// is rewound.
type openDir struct {
	dir *dir

	mu    lock.Mutex[lock.Leaf]
	names *listing
}

// listing is what to read at offset off.
func (o *openDir) listing(c vfs.Ctx, off int64) (*listing, error) {
	o.mu.Lock()
	l := o.names
	o.mu.Unlock()
	if l != nil && off > vfs.FirstEntry {
		return l, nil
	}
	l, err := o.dir.list(c)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.names = l
	o.mu.Unlock()
	return l, nil
}

// Read implements vfs.File.
func (*openDir) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Write implements vfs.File.
func (*openDir) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Close implements vfs.File.
func (*openDir) Close(vfs.Ctx) {}

// Sync implements vfs.Syncer.
func (o *openDir) Sync(c vfs.Ctx, dataOnly bool) error {
	d := o.dir
	if d.fs.readOnly {
		return nil
	}
	if err := d.fs.call(c, &wire.FsyncReq{ID: d.id, Data: dataOnly}, &wire.Empty{}, nil); err != nil {
		return err
	}
	return d.takeFailure()
}

// List implements vfs.Lister.
func (o *openDir) List(c vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	if err := o.dir.settled(c); err != nil {
		return err
	}
	l, err := o.listing(c, off)
	if err != nil {
		return err
	}
	var buf [64]entry
	for seq := off - vfs.FirstEntry; ; {
		o.dir.mu.Lock()
		n := l.from(seq, buf[:])
		o.dir.mu.Unlock()
		for _, e := range buf[:n] {
			seq = e.seq + 1
			if e.ino == 0 && e.node != nil { // it was not made yet when it came here
				e.ino = e.node.base().ino.Load()
			}
			if !f(vfs.Dirent{Name: e.name, Ino: e.ino, Type: e.typ, Next: vfs.FirstEntry + seq}) {
				return nil
			}
		}
		if n < len(buf) {
			return nil
		}
	}
}
