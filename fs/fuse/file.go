package fuse

import (
	"hash/maphash"
	"slices"
	"sync/atomic"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A file is an open regular file, or what a listing is made of.
type file struct {
	i        *inode
	fh       uint64
	flags    atomic.Uint32 // as fcntl(2) shows them
	how      uint32        // FOPEN_*
	unopened bool          // the server does not know of open files
	flocked  atomic.Bool   // by flock(2), at the server
	poll     poll
}

// A streamFile is one without offsets: FOPEN_NONSEEKABLE and FOPEN_STREAM.
type streamFile struct {
	*file
	pos atomic.Int64 // where FOPEN_NONSEEKABLE goes on
}

// Open implements vfs.Inode.
func (i *inode) Open(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	if i.typ == linux.S_IFDIR {
		return i.openDir(c, flags)
	}
	o, known, err := i.open(c, flags, linux.FUSE_OPEN, linux.FUSE_NO_OPEN_SUPPORT)
	if err != nil {
		return nil, err
	}
	f := i.opened(flags, o)
	if x, ok := f.(*file); ok {
		x.unopened = !known
	}
	return f, nil
}

// open asks the server to open i, with op. known is false if the server need not know:
// it has said so once, as it may with a flag.
func (i *inode) open(c vfs.Ctx, flags linux.OpenFlags, op linux.FuseOp, mayLack uint32) (o *linux.FuseOpenOut, known bool, err error) {
	m := i.m
	none := &linux.FuseOpenOut{OpenFlags: linux.FOPEN_KEEP_CACHE}
	if !m.has(op) {
		return none, false, nil
	}
	in := linux.FuseOpenIn{Flags: uint32(flags &^ (linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC))}
	r := ask(op, i.id, raw(in))
	r.then = func(reply []byte, err error) {
		if err == nil {
			o := decode[linux.FuseOpenOut](reply)
			m.release(releaseOf(op), i.id, linux.FuseReleaseIn{FH: o.FH, Flags: in.Flags})
		}
	}
	out, err := callFor[linux.FuseOpenOut](m, c, r)
	if err == linux.ENOSYS && m.offers(mayLack) && m.lacks(op, err) {
		return none, false, nil
	}
	return &out, true, err
}

func releaseOf(open linux.FuseOp) linux.FuseOp {
	if open == linux.FUSE_OPENDIR {
		return linux.FUSE_RELEASEDIR
	}
	return linux.FUSE_RELEASE
}

// release tells the server that an open file is closed. Nobody waits for its answer.
func (m *connection) release(op linux.FuseOp, node uint64, in linux.FuseReleaseIn) {
	m.post(nil, ask(op, node, raw(in)))
}

// opened is the file that the server has opened.
func (i *inode) opened(flags linux.OpenFlags, o *linux.FuseOpenOut) vfs.File {
	f := &file{i: i, fh: o.FH, how: o.OpenFlags}
	f.flags.Store(uint32(flags))
	f.poll.f = f
	i.mu.Lock()
	i.files = append(i.files, f)
	i.mu.Unlock()
	if o.OpenFlags&linux.FOPEN_KEEP_CACHE == 0 {
		i.store.age(0, maxSize)
	}
	if o.OpenFlags&(linux.FOPEN_STREAM|linux.FOPEN_NONSEEKABLE) != 0 {
		return &streamFile{file: f}
	}
	return f
}

// Close implements vfs.File.
func (f *file) Close(vfs.Ctx) {
	i := f.i
	i.mu.Lock()
	if at := slices.Index(i.files, f); at >= 0 {
		i.files = slices.Delete(i.files, at, at+1)
	}
	i.mu.Unlock()
	f.poll.close()
	if f.unopened {
		return
	}
	in := linux.FuseReleaseIn{FH: f.fh, Flags: f.flags.Load()}
	if f.flocked.Load() {
		in.ReleaseFlags, in.LockOwner = linux.FUSE_RELEASE_FLOCK_UNLOCK, f.i.m.owner(f)
	}
	i.m.release(linux.FUSE_RELEASE, i.id, in)
}

// SetFlags implements vfs.FlagSetter.
func (f *file) SetFlags(_ vfs.Ctx, flags linux.OpenFlags) error {
	f.flags.Store(uint32(flags))
	return nil
}

// lockSeed makes numbers of owners that tell nothing of where they lie.
var lockSeed = maphash.MakeSeed()

// owner is the number of a lock's owner, a pointer.
func (m *connection) owner(of any) uint64 { return maphash.Comparable(lockSeed, of) }

// Flush implements vfs.Flusher.
func (f *file) Flush(c vfs.Ctx) error {
	m := f.i.m
	t, ok := kernel.Caller(c)
	if !ok || !m.has(linux.FUSE_FLUSH) {
		return nil
	}
	r := ask(linux.FUSE_FLUSH, f.i.id, raw(linux.FuseFlushIn{FH: f.fh, LockOwner: m.owner(t.LockHolder())}))
	r.force = true
	_, err := m.call(c, r)
	if m.lacks(linux.FUSE_FLUSH, err) {
		return nil
	}
	return err
}

// Sync implements vfs.Syncer.
func (f *file) Sync(c vfs.Ctx, dataOnly bool) error {
	return f.i.sync(c, linux.FUSE_FSYNC, f.fh, dataOnly)
}

func (i *inode) sync(c vfs.Ctx, op linux.FuseOp, fh uint64, dataOnly bool) error {
	if !i.m.has(op) {
		return nil
	}
	in := linux.FuseFsyncIn{FH: fh}
	if dataOnly {
		in.Flags = linux.FUSE_FSYNC_FDATASYNC
	}
	_, err := i.m.call(c, ask(op, i.id, raw(in)))
	if i.m.lacks(op, err) {
		return nil
	}
	return err
}

// readAt asks for n bytes, at most what one request may have, at off.
func (f *file) readAt(c vfs.Ctx, off int64, n int) ([]byte, error) {
	in := linux.FuseIOIn{FH: f.fh, Offset: uint64(off), Size: uint32(n), Flags: f.flags.Load()}
	r := ask(linux.FUSE_READ, f.i.id, raw(in))
	r.extra = n
	return f.i.m.call(c, r)
}

// limits are how much one request may read, and write.
func (m *connection) limits() (read, write int) {
	if t := m.agreed.Load(); t != nil {
		return t.maxRead, t.maxWrite
	}
	return minMaxWrite, minMaxWrite
}

// Read implements vfs.File.
func (f *file) Read(c vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	if f.how&linux.FOPEN_DIRECT_IO == 0 {
		size, err := f.i.size(c, off+dst.Len())
		if err != nil {
			return 0, err
		}
		if off >= size {
			return 0, nil
		}
		dst = dst.Take(size - off)
	}
	return f.readAll(c, dst, off)
}

// readAll fills dst, as far as the server has that much.
func (f *file) readAll(c vfs.Ctx, dst usermem.Seq, off int64) (total int64, err error) {
	most, _ := f.i.m.limits()
	for left := dst.Len(); left > 0; left = dst.Len() - total {
		want := int(min(left, int64(most)))
		b, err := f.readAt(c, off+total, want)
		if err != nil {
			return total, unless(total, err)
		}
		n, err := dst.Skip(total).CopyOut(b)
		if total += int64(n); err != nil {
			return total, unless(total, err)
		}
		if len(b) < want {
			break
		}
	}
	return total, nil
}

// unless is err if nothing was moved: progress wins over an error.
func unless(n int64, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

// size is how long i is; the server is asked if that is not known, and somebody wants to
// know what is at end, or it has asked to be.
func (i *inode) size(c vfs.Ctx, end int64) (int64, error) {
	i.mu.Lock()
	size, valid := i.attr.Size, i.m.now() < i.sizeValid
	i.mu.Unlock()
	if valid || end <= size && !i.m.offers(linux.FUSE_AUTO_INVAL_DATA) {
		return size, nil
	}
	a, err := i.refresh(c)
	return a.Size, err
}

// Write implements vfs.File.
func (f *file) Write(c vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	if err := f.i.writing.begin(c); err != nil {
		return 0, err
	}
	defer f.i.writing.end()
	return f.writeAll(c, src, off)
}

// Append implements vfs.Appender.
func (f *file) Append(c vfs.Ctx, src usermem.Seq) (n, end int64, err error) {
	if err := f.i.writing.begin(c); err != nil {
		return 0, 0, err
	}
	defer f.i.writing.end()
	off, err := f.i.size(c, maxSize)
	if err != nil {
		return 0, 0, err
	}
	n, err = f.writeAll(c, src, off)
	return n, off + n, err
}

func (f *file) writeAll(c vfs.Ctx, src usermem.Seq, off int64) (total int64, err error) {
	_, most := f.i.m.limits()
	for left := src.Len(); left > 0; left = src.Len() - total {
		b := make([]byte, min(left, int64(most)))
		n, err := src.Skip(total).CopyIn(b)
		if n == 0 && err != nil {
			return total, unless(total, err)
		}
		b = b[:n]
		done, err := f.writeAt(c, b, off+total)
		total += int64(done)
		if err != nil {
			return total, unless(total, err)
		}
		if done < len(b) || n < int(min(left, int64(most))) {
			break
		}
	}
	return total, nil
}

// writeAt writes b, at most what one request may have.
func (f *file) writeAt(c vfs.Ctx, b []byte, off int64) (int, error) {
	in := linux.FuseIOIn{FH: f.fh, Offset: uint64(off), Size: uint32(len(b)), Flags: f.flags.Load()}
	o, err := callFor[linux.FuseWriteOut](f.i.m, c, ask(linux.FUSE_WRITE, f.i.id, raw(in), b))
	if err == nil && int64(o.Size) > int64(len(b)) {
		err = linux.EIO
	}
	if err != nil {
		return 0, err
	}
	f.i.wrote(off, b[:o.Size])
	return int(o.Size), nil
}

// wrote notes that b is at off now. How long the file is then is known; its times are not.
func (i *inode) wrote(off int64, b []byte) {
	i.mu.Lock()
	i.valid = 0
	i.version++
	was := i.attr.Size
	i.attr.Size = max(was, off+int64(len(b)))
	i.mu.Unlock()
	i.store.update(uint64(off), b, uint64(was))
}

// Stream implements vfs.Streamer.
func (*streamFile) Stream() {}

// Read implements vfs.File.
func (f *streamFile) Read(c vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	n, err := f.file.Read(c, dst, f.pos.Load())
	f.advance(n)
	return n, err
}

// Write implements vfs.File.
func (f *streamFile) Write(c vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	n, err := f.file.Write(c, src, f.pos.Load())
	f.advance(n)
	return n, err
}

func (f *streamFile) advance(n int64) {
	if f.how&linux.FOPEN_STREAM == 0 {
		f.pos.Add(n)
	}
}

// Seek implements vfs.Seeker.
func (*streamFile) Seek(vfs.Ctx, int64, int64, int) (int64, error) { return 0, linux.ESPIPE }
