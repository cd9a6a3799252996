package fuse

import (
	"bytes"
	"math"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// An openDir is an open directory.
type openDir struct {
	i        *inode
	fh       uint64
	flags    uint32
	unopened bool

	mu   sync.Mutex
	left []vfs.Dirent // read, and not given yet; protected by mu
	next int64        // where left begins; protected by mu
}

func (i *inode) openDir(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	o, known, err := i.open(c, flags, linux.FUSE_OPENDIR, linux.FUSE_NO_OPENDIR_SUPPORT)
	if err != nil {
		return nil, err
	}
	return &openDir{i: i, fh: o.FH, flags: uint32(flags), unopened: !known}, nil
}

// Read implements vfs.File.
func (*openDir) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Write implements vfs.File.
func (*openDir) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (d *openDir) Close(vfs.Ctx) {
	if !d.unopened {
		d.i.m.release(linux.FUSE_RELEASEDIR, d.i.id, linux.FuseReleaseIn{FH: d.fh, Flags: d.flags})
	}
}

// Sync implements vfs.Syncer.
func (d *openDir) Sync(c vfs.Ctx, dataOnly bool) error {
	return d.i.sync(c, linux.FUSE_FSYNCDIR, d.fh, dataOnly)
}

// Ioctl implements vfs.Control.
func (d *openDir) Ioctl(c vfs.Ctx, mem usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if !d.i.m.offers(linux.FUSE_HAS_IOCTL_DIR) {
		return 0, linux.ENOTTY
	}
	return d.i.ioctl(c, mem, linux.FuseIoctlIn{FH: d.fh, Flags: linux.FUSE_IOCTL_DIR, Cmd: cmd, Arg: arg})
}

// cookie is the server's name for the place that vfs calls off, which begins two further
// on; the end of many a filesystem is the last of all numbers.
func cookie(off int64) uint64 {
	if off == math.MaxInt64 {
		return math.MaxInt64
	}
	return uint64(off - vfs.FirstEntry)
}

// place undoes cookie.
func place(cookie uint64) int64 {
	return int64(min(cookie, math.MaxInt64-vfs.FirstEntry-1)) + vfs.FirstEntry
}

// List implements vfs.Lister. What was read and did not fit is kept for who goes on.
func (d *openDir) List(c vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	for {
		d.mu.Lock()
		left := d.left
		if d.next != off {
			left = nil
		}
		d.left = nil
		d.mu.Unlock()
		if len(left) == 0 {
			var err error
			if left, err = d.read(c, off); err != nil || len(left) == 0 {
				return err
			}
		}
		for n, e := range left {
			if e.Name != "." && e.Name != ".." && !f(e) { // those are vfs's
				d.mu.Lock()
				d.left, d.next = left[n:], off
				d.mu.Unlock()
				return nil
			}
			off = e.Next
		}
	}
}

// listSize is how much of a directory is asked for at once.
const listSize = 16 << 10

// read asks for the entries from off on.
func (d *openDir) read(c vfs.Ctx, off int64) ([]vfs.Dirent, error) {
	op := linux.FUSE_READDIR
	if d.wantsPlus(off) {
		op = linux.FUSE_READDIRPLUS
	}
	in := linux.FuseIOIn{FH: d.fh, Offset: cookie(off), Size: listSize, Flags: d.flags}
	r := ask(op, d.i.id, raw(in))
	r.extra = listSize
	if op == linux.FUSE_READDIRPLUS {
		r.then = func(reply []byte, err error) {
			if err == nil {
				_, _ = d.i.parse(reply, true, d.i.m.passOver)
			}
		}
	}
	b, err := d.i.m.call(c, r)
	if op == linux.FUSE_READDIRPLUS && d.i.m.lacks(op, err) {
		return d.read(c, off)
	}
	if err != nil {
		return nil, err
	}
	return d.i.parse(b, op == linux.FUSE_READDIRPLUS, d.i.ahead)
}

// wantsPlus reports whether names are to come with what they name: at the beginning, and
// while that is made use of, if the server leaves it to the kernel.
func (d *openDir) wantsPlus(off int64) bool {
	m := d.i.m
	if !m.offers(linux.FUSE_DO_READDIRPLUS) || !m.has(linux.FUSE_READDIRPLUS) {
		return false
	}
	d.i.mu.Lock()
	defer d.i.mu.Unlock()
	looked := d.i.looked
	d.i.looked = false
	return !m.offers(linux.FUSE_READDIRPLUS_AUTO) || off == vfs.FirstEntry || looked
}

// parse reads a listing; what is cut off at its end is not there. With plus each entry
// comes with what it names, of which told is told, be the listing right or not. EIO for
// names that can't be.
func (i *inode) parse(b []byte, plus bool, told func(string, *linux.FuseEntryOut)) (out []vfs.Dirent, err error) {
	head, more := sizeOf[linux.FuseDirent](), 0
	if plus {
		more = sizeOf[linux.FuseEntryOut]()
	}
	for len(b) >= more+head {
		entry := decode[linux.FuseEntryOut](b[:more])
		e := decode[linux.FuseDirent](b[more : more+head])
		if e.Namelen == 0 || e.Namelen > linux.FUSE_NAME_MAX {
			return out, linux.EIO
		}
		n := more + head + int(e.Namelen)
		if n > len(b) {
			break
		}
		s := string(b[more+head : n])
		bad := bytes.IndexByte([]byte(s), '/') >= 0 || bytes.IndexByte([]byte(s), 0) >= 0
		if plus && entry.Node != 0 {
			if bad {
				i.m.passOver(s, &entry)
			} else {
				told(s, &entry)
			}
		}
		if bad {
			return out, linux.EIO
		}
		b = b[min((n+7)&^7, len(b)):]
		if len(s) <= linux.NAME_MAX {
			out = append(out, vfs.Dirent{Name: s, Ino: e.Ino, Type: uint8(e.Type & 15), Next: place(e.Off)})
		}
	}
	return out, nil
}

// passOver gives back what a listing has told of.
func (m *connection) passOver(s string, e *linux.FuseEntryOut) {
	if e.Node > linux.FUSE_ROOT_ID && s != "." && s != ".." {
		m.forget(e.Node, 1)
	}
}

// ahead remembers what a listing has told of a name, for who looks it up.
func (i *inode) ahead(s string, e *linux.FuseEntryOut) {
	if s == "." || s == ".." {
		return // which the server does not count
	}
	n, err := i.m.found(e, anyVersion)
	if err != nil {
		return
	}
	until := i.m.until(e.EntryValid, e.EntryValidNsec)
	i.mu.Lock()
	old, had := i.entries[s]
	known := had && old.ahead == nil && i.m.now() < old.until
	i.mu.Unlock()
	if known { // vfs knows it: what it has of the name stays true
		n.Drop()
		return
	}
	i.remember(s, entry{until: until, ahead: n})
}
