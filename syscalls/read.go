package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// buffer is the n bytes at a as one call moves them: MAX_RW_COUNT at the most,
// as on Linux. A count that is negative as a ssize_t is EINVAL.
func buffer(t *kernel.Task, a address, n size) (usermem.Seq, error) {
	if int64(n) < 0 {
		return usermem.Seq{}, linux.EINVAL
	}
	return usermem.One(t, a.Addr(), uint64(min(n, linux.MAX_RW_COUNT))), nil
}

// An iovec is struct iovec.
type iovec struct{ Base, Len uint64 }

// vector is the memory that an array of iovecs describes: EINVAL if there are
// too many or one is longer than a ssize_t; the total is cut to MAX_RW_COUNT.
func vector(t *kernel.Task, p usermem.Ptr[iovec], n int64) (usermem.Seq, error) {
	if n < 0 || n > linux.IOV_MAX {
		return usermem.Seq{}, linux.EINVAL
	}
	vec, err := p.LoadSlice(t, int(n))
	if err != nil {
		return usermem.Seq{}, err
	}
	s := usermem.Seq{Mem: t, Vec: make([]arch.Range, 0, n)}
	left := uint64(linux.MAX_RW_COUNT)
	for _, v := range vec {
		if int64(v.Len) < 0 {
			return usermem.Seq{}, linux.EINVAL
		}
		end := arch.Addr(v.Base + min(v.Len, left))
		if end < arch.Addr(v.Base) {
			return usermem.Seq{}, linux.EFAULT
		}
		s.Vec = append(s.Vec, arch.Range{Start: arch.Addr(v.Base), End: end})
		left -= min(v.Len, left)
	}
	return s, nil
}

// input and output are the direction of a transfer: what reads into guest
// memory, and what writes from it.
func input(t *kernel.Task, fd kernel.FD, s usermem.Seq, err error, off int64, flags int) (int64, error) {
	if err != nil {
		return 0, err
	}
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	n, err := d.ReadWith(t, s, off, flags)
	t.IO().Read(n)
	return n, err
}

func output(t *kernel.Task, fd kernel.FD, s usermem.Seq, err error, off int64, flags int) (int64, error) {
	if err != nil {
		return 0, err
	}
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	n, err := d.WriteWith(t, s, off, flags)
	t.IO().Wrote(n)
	return n, err
}

// atOffset is the file offset as ReadWith and WriteWith name it.
const atOffset = -1

// read implements read(2).
func read(t *kernel.Task, fd kernel.FD, buf address, n size) (int64, error) {
	s, err := buffer(t, buf, n)
	return input(t, fd, s, err, atOffset, 0)
}

// write implements write(2).
func write(t *kernel.Task, fd kernel.FD, buf address, n size) (int64, error) {
	s, err := buffer(t, buf, n)
	return output(t, fd, s, err, atOffset, 0)
}

// positional refuses the offsets that have a meaning of their own below.
func positional(s usermem.Seq, err error, off int64) (usermem.Seq, error) {
	if err == nil && off < 0 {
		err = linux.EINVAL
	}
	return s, err
}

// pread64 implements pread(2).
func pread64(t *kernel.Task, fd kernel.FD, buf address, n size, off int64) (int64, error) {
	s, err := buffer(t, buf, n)
	s, err = positional(s, err, off)
	return input(t, fd, s, err, off, 0)
}

// pwrite64 implements pwrite(2).
func pwrite64(t *kernel.Task, fd kernel.FD, buf address, n size, off int64) (int64, error) {
	s, err := buffer(t, buf, n)
	s, err = positional(s, err, off)
	return output(t, fd, s, err, off, 0)
}

// readv implements readv(2).
func readv(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n int64) (int64, error) {
	s, err := vector(t, iov, n)
	return input(t, fd, s, err, atOffset, 0)
}

// writev implements writev(2).
func writev(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n int64) (int64, error) {
	s, err := vector(t, iov, n)
	return output(t, fd, s, err, atOffset, 0)
}

// preadv implements preadv(2). On amd64 the offset is in one register.
func preadv(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n, off int64) (int64, error) {
	s, err := vector(t, iov, n)
	s, err = positional(s, err, off)
	return input(t, fd, s, err, off, 0)
}

// pwritev implements pwritev(2).
func pwritev(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n, off int64) (int64, error) {
	s, err := vector(t, iov, n)
	s, err = positional(s, err, off)
	return output(t, fd, s, err, off, 0)
}

// rwf refuses the flags of preadv2(2) and pwritev2(2) that are not known.
func rwf(s usermem.Seq, err error, flags int32) (usermem.Seq, error) {
	const known = linux.RWF_HIPRI | linux.RWF_DSYNC | linux.RWF_SYNC | linux.RWF_NOWAIT | linux.RWF_APPEND | linux.RWF_NOAPPEND
	if err == nil && flags&^known != 0 {
		err = linux.EOPNOTSUPP
	}
	return s, err
}

// preadv2 implements preadv2(2): offset -1 is the file's own.
func preadv2(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n, off int64, _ uint64, flags int32) (int64, error) {
	s, err := vector(t, iov, n)
	if off != atOffset {
		s, err = positional(s, err, off)
	}
	s, err = rwf(s, err, flags)
	return input(t, fd, s, err, off, int(flags))
}

// pwritev2 implements pwritev2(2).
func pwritev2(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n, off int64, _ uint64, flags int32) (int64, error) {
	s, err := vector(t, iov, n)
	if off != atOffset {
		s, err = positional(s, err, off)
	}
	s, err = rwf(s, err, flags)
	return output(t, fd, s, err, off, int(flags))
}

// lseek implements lseek(2).
func lseek(t *kernel.Task, fd kernel.FD, off int64, whence uint32) (pos int64, err error) {
	_, err = withFile(t, fd, func(d *vfs.FileDescription) error {
		pos, err = d.Seek(t, off, int(whence))
		return err
	})
	return pos, err
}
