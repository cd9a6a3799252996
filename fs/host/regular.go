package host

import (
	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A regular is an open regular file. Its reads and writes are at the offset that
// vfs gives; so that a shell's redirections work across the sandbox's wall
// (`(runsc …; cat) < file`), the host's offset follows (see Seek).
type regular struct{ file }

// Read implements vfs.File.
func (r *regular) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	done := int64(0)
	return dst.Each(arch.Write, func(p [][]byte) (int64, error) {
		n, err := retry(func() (int, error) { return unix.Preadv(r.d.fd, p[:min(len(p), maxPieces)], off+done) })
		if err != nil {
			return 0, fault(err)
		}
		done += int64(n)
		unix.Seek(r.d.fd, off+done, unix.SEEK_SET)
		return int64(n), nil
	})
}

// Write implements vfs.File.
func (r *regular) Write(_ vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	done := int64(0)
	return src.Each(arch.Read, func(p [][]byte) (int64, error) {
		n, err := retry(func() (int, error) { return unix.Pwritev(r.d.fd, p[:min(len(p), maxPieces)], off+done) })
		if err != nil {
			return 0, fault(err)
		}
		done += int64(n)
		unix.Seek(r.d.fd, off+done, unix.SEEK_SET)
		return int64(n), nil
	})
}

// Append implements vfs.Appender: the description was opened with O_APPEND, or
// the guest asks for it.
func (r *regular) Append(_ vfs.Ctx, src usermem.Seq) (n, end int64, err error) {
	n, err = src.Each(arch.Read, func(p [][]byte) (int64, error) {
		n, err := retry(func() (int, error) { return unix.Pwritev2(r.d.fd, p[:min(len(p), maxPieces)], 0, unix.RWF_APPEND) })
		if err != nil {
			return 0, fault(err)
		}
		return int64(n), nil
	})
	if err != nil {
		return 0, 0, err
	}
	end, serr := unix.Seek(r.d.fd, 0, unix.SEEK_END)
	if serr != nil {
		return n, 0, errno(serr)
	}
	return n, end, nil
}

// Seek implements vfs.Seeker.
func (r *regular) Seek(_ vfs.Ctx, cur, off int64, whence int) (int64, error) {
	if whence == linux.SEEK_CUR {
		if off += cur; off < 0 {
			return 0, linux.EINVAL
		}
		whence = linux.SEEK_SET
	}
	n, err := unix.Seek(r.d.fd, off, whence)
	if err != nil {
		return 0, errno(err)
	}
	return n, nil
}

// Allocate implements vfs.Allocater.
func (r *regular) Allocate(_ vfs.Ctx, mode uint32, off, n int64) error {
	if err := unix.Fallocate(r.d.fd, mode, off, n); err != nil {
		return errno(err)
	}
	return nil
}

// Offset is where the host's description stands: what a new open file of it is
// to start from.
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
