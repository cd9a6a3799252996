package host

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A regular is an open regular file. The first of a Descriptor shares the offset of
// the host's description, with its other descriptors in and outside of the sandbox
// (`prog > log 2>&1`, `(runsc …; cat) < file`): reads and writes that go on where the
// last one ended are the host's read(2) and write(2). Those at any other offset,
// and all of a file opened anew (/dev/stdout), are at the offset that vfs gives.
type regular struct {
	file
	shares bool
	next   atomic.Int64 // vfs's offset after the last transfer
}

// goesOn reports whether a transfer at off is at the shared offset.
func (r *regular) goesOn(off int64) bool { return r.shares && off == r.next.Load() }

// Read implements vfs.File.
func (r *regular) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	on := r.goesOn(off)
	n, err := r.move(dst, arch.Write, off, func(p [][]byte, at int64) (int, error) {
		if on {
			return unix.Readv(r.d.fd, p)
		}
		return unix.Preadv(r.d.fd, p, at)
	})
	if on {
		r.next.Store(off + n)
	}
	return n, err
}

// Write implements vfs.File.
func (r *regular) Write(_ vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	on := r.goesOn(off)
	n, err := r.move(src, arch.Read, off, func(p [][]byte, at int64) (int, error) {
		if on {
			return unix.Writev(r.d.fd, p)
		}
		return unix.Pwritev(r.d.fd, p, at)
	})
	if on {
		r.next.Store(off + n)
	}
	return n, err
}

// move calls step for one piece of s after the other.
func (r *regular) move(s usermem.Seq, a arch.Access, off int64, step func(p [][]byte, at int64) (int, error)) (int64, error) {
	done := int64(0)
	return s.Each(a, func(p [][]byte) (int64, error) {
		n, err := retry(func() (int, error) { return step(p[:min(len(p), maxPieces)], off+done) })
		if err != nil {
			return 0, fault(err)
		}
		done += int64(n)
		return int64(n), nil
	})
}

// Append implements vfs.Appender: the description was opened with O_APPEND, or
// the guest asks for it.
func (r *regular) Append(_ vfs.Ctx, src usermem.Seq) (n, end int64, err error) {
	n, err = r.move(src, arch.Read, 0, func(p [][]byte, _ int64) (int, error) {
		return unix.Pwritev2(r.d.fd, p, 0, unix.RWF_APPEND)
	})
	if err != nil {
		return 0, 0, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(r.d.fd, &st); err != nil {
		return n, 0, errno(err)
	}
	return n, st.Size, nil
}

// Seek implements vfs.Seeker. With a shared offset SEEK_CUR is relative to where
// that is now, whoever moved it.
func (r *regular) Seek(_ vfs.Ctx, cur, off int64, whence int) (int64, error) {
	if !r.shares {
		return r.seekAlone(cur, off, whence)
	}
	n, err := unix.Seek(r.d.fd, off, whence)
	if err != nil {
		return 0, errno(err)
	}
	r.next.Store(n)
	return n, nil
}

func (r *regular) seekAlone(cur, off int64, whence int) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(r.d.fd, &st); err != nil {
		return 0, errno(err)
	}
	return vfs.SeekBySize(cur, off, whence, st.Size)
}

// Allocate implements vfs.Allocater.
func (r *regular) Allocate(c vfs.Ctx, mode uint32, off, n int64) error {
	if err := vfs.CheckGrowth(c, mode, off+n); err != nil {
		return err
	}
	if err := unix.Fallocate(r.d.fd, mode, off, n); err != nil {
		return errno(err)
	}
	return nil
}

// Offset is where the host's description stands.
func (d *Descriptor) Offset() int64 {
	if !d.seekable {
		return 0
	}
	n, err := unix.Seek(d.fd, 0, unix.SEEK_CUR)
	if err != nil {
		return 0
	}
	return n
}

// fault is errno, but lets the guest's bad pointer through.
func fault(err error) error {
	if err == unix.EFAULT {
		return linux.EFAULT
	}
	return errno(err)
}
