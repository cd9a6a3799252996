package syscalls

import (
	"cmp"

	"garrison/fs/pipe"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// An offset is an off_t of the caller's that a call uses and advances instead
// of the file's own, if the pointer is not NULL.
type offset usermem.Ptr[int64]

// load is what pipe.Move wants: nil for the file's own. EFAULT, EINVAL.
func (o offset) load(t *kernel.Task) (*int64, error) {
	if o == 0 {
		return nil, nil
	}
	v, err := usermem.Ptr[int64](o).Load(t)
	if err == nil && v < 0 {
		err = linux.EINVAL
	}
	return &v, err
}

func (o offset) store(t *kernel.Task, v *int64) error {
	if v == nil {
		return nil
	}
	return usermem.Ptr[int64](o).Store(t, v)
}

// move runs f, one of package pipe's moves, between two descriptors with their
// offsets.
func move(t *kernel.Task, m pipe.Move, inOff, outOff offset, f func(vfs.Ctx, pipe.Move) (int64, error)) (n int64, err error) {
	if m.InOff, err = inOff.load(t); err != nil {
		return 0, err
	}
	if m.OutOff, err = outOff.load(t); err != nil {
		return 0, err
	}
	if n, err = f(t, m); err != nil {
		return 0, err
	}
	if err := inOff.store(t, m.InOff); err != nil {
		return 0, err
	}
	return n, outOff.store(t, m.OutOff)
}

// two returns the open files of two descriptors; release both.
func two(t *kernel.Task, a, b kernel.FD) (x, y *vfs.FileDescription, err error) {
	if x, err = t.File(a); err != nil {
		return nil, nil, err
	}
	if y, err = t.File(b); err != nil {
		x.Release(t)
		return nil, nil, err
	}
	return x, y, nil
}

// sendfile implements sendfile(2).
func sendfile(t *kernel.Task, outfd, infd kernel.FD, off offset, n size) (int64, error) {
	out, in, err := two(t, outfd, infd)
	if err != nil {
		return 0, err
	}
	defer out.Release(t)
	defer in.Release(t)
	switch {
	case !in.Flags().Readable() || !out.Flags().Writable():
		return 0, linux.EBADF
	case in.Stream() && off != 0:
		return 0, linux.ESPIPE
	case in.Stream() || in.Path().Type() == linux.S_IFDIR || out.Flags()&linux.O_APPEND != 0:
		return 0, linux.EINVAL
	}
	return move(t, pipe.Move{In: in, Out: out, N: int64(min(n, linux.MAX_RW_COUNT))}, off, 0, pipe.Copy)
}

// copyFileRange implements copy_file_range(2).
func copyFileRange(t *kernel.Task, infd kernel.FD, inOff offset, outfd kernel.FD, outOff offset, n size, flags uint32) (int64, error) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	in, out, err := two(t, infd, outfd)
	if err != nil {
		return 0, err
	}
	defer in.Release(t)
	defer out.Release(t)
	if err := copyable(in, out); err != nil {
		return 0, err
	}
	if err := cmp.Or(wraps(t, in, inOff, n), wraps(t, out, outOff, n)); err != nil {
		return 0, err
	}
	m := pipe.Move{In: in, Out: out, N: int64(min(n, linux.MAX_RW_COUNT))}
	return move(t, m, inOff, outOff, func(c vfs.Ctx, m pipe.Move) (int64, error) {
		if in.Path().SameFile(out.Path()) {
			if err := within(t, &m); err != nil {
				return 0, err
			}
		}
		n, err := copyInside(c, m)
		if err == linux.EXDEV || err == linux.EOPNOTSUPP {
			return pipe.Copy(c, m)
		}
		return n, err
	})
}

// copyInside has the filesystem that both files of m are of copy. EXDEV, EOPNOTSUPP if it
// can't.
func copyInside(c vfs.Ctx, m pipe.Move) (int64, error) {
	x, ok := m.In.File().(vfs.Copier)
	if !ok || m.N == 0 {
		return 0, linux.EOPNOTSUPP
	}
	offset := func(f *vfs.FileDescription, given *int64) int64 {
		if given != nil {
			return *given
		}
		return f.Offset()
	}
	n, err := x.CopyTo(c, offset(m.In, m.InOff), m.Out.File(), offset(m.Out, m.OutOff), m.N)
	if err != nil {
		return 0, err
	}
	advance := func(f *vfs.FileDescription, given *int64) error {
		if given != nil {
			*given += n
			return nil
		}
		_, err := f.Seek(c, n, linux.SEEK_CUR)
		return err
	}
	return n, cmp.Or(advance(m.In, m.InOff), advance(m.Out, m.OutOff))
}

// wraps checks that n bytes from the offset, or else f's own, end at a number.
// EFAULT, EOVERFLOW.
func wraps(t *kernel.Task, f *vfs.FileDescription, off offset, n size) error {
	at := f.Offset()
	if off != 0 {
		v, err := usermem.Ptr[int64](off).Load(t)
		if err != nil {
			return err
		}
		at = v
	}
	if uint64(at)+uint64(n) < uint64(at) {
		return linux.EOVERFLOW
	}
	return nil
}

// within makes a move from a file to itself end where the file does now, and checks
// that it is to another place. EINVAL.
func within(t *kernel.Task, m *pipe.Move) error {
	a, err := m.In.Attr(t)
	if err != nil {
		return err
	}
	from, to := m.In.Offset(), m.Out.Offset()
	if m.InOff != nil {
		from = *m.InOff
	}
	if m.OutOff != nil {
		to = *m.OutOff
	}
	m.N = min(m.N, max(0, a.Size-from))
	if from < to+m.N && to < from+m.N {
		return linux.EINVAL
	}
	return nil
}

// copyable checks what copy_file_range(2) asks of its files.
func copyable(in, out *vfs.FileDescription) error {
	a, b := in.Path().Type(), out.Path().Type()
	switch {
	case a == linux.S_IFDIR || b == linux.S_IFDIR:
		return linux.EISDIR
	case a != linux.S_IFREG || b != linux.S_IFREG:
		return linux.EINVAL
	case !in.Flags().Readable() || !out.Flags().Writable() || out.Flags()&linux.O_APPEND != 0:
		return linux.EBADF
	}
	return nil
}

// Flags of splice(2), tee(2) and vmsplice(2); MOVE, MORE and GIFT are hints.
const (
	spliceNonblock = 2
	spliceFlags    = 15
)

// splice implements splice(2).
func splice(t *kernel.Task, infd kernel.FD, inOff offset, outfd kernel.FD, outOff offset, n size, flags uint32) (int64, error) {
	if flags&^spliceFlags != 0 {
		return 0, linux.EINVAL
	}
	in, out, err := two(t, infd, outfd)
	if err != nil {
		return 0, err
	}
	defer in.Release(t)
	defer out.Release(t)
	if in.Flags().Readable() && in.Path().Type() == linux.S_IFDIR {
		return 0, linux.EINVAL
	}
	m := pipe.Move{In: in, Out: out, N: int64(min(n, linux.MAX_RW_COUNT)), Now: flags&spliceNonblock != 0}
	return move(t, m, inOff, outOff, pipe.Splice)
}

// tee implements tee(2).
func tee(t *kernel.Task, infd, outfd kernel.FD, n size, flags uint32) (int64, error) {
	if flags&^spliceFlags != 0 {
		return 0, linux.EINVAL
	}
	in, out, err := two(t, infd, outfd)
	if err != nil {
		return 0, err
	}
	defer in.Release(t)
	defer out.Release(t)
	return pipe.Tee(t, pipe.Move{In: in, Out: out, N: int64(min(n, linux.MAX_RW_COUNT)), Now: flags&spliceNonblock != 0})
}

// vmsplice implements vmsplice(2), which copies: Linux promises no more.
func vmsplice(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n int64, flags uint32) (int64, error) {
	if flags&^spliceFlags != 0 {
		return 0, linux.EINVAL
	}
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	if pipe.Of(d) == nil {
		return 0, linux.EBADF
	}
	s, err := vector(t, iov, n)
	if err != nil {
		return 0, err
	}
	how := 0
	if flags&spliceNonblock != 0 {
		how = linux.RWF_NOWAIT
	}
	if d.Flags().Writable() {
		return d.WriteWith(t, s, atOffset, how)
	}
	return d.ReadWith(t, s, atOffset, how)
}
