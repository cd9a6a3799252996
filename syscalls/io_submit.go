package syscalls

import (
	"garrison/sentry/aio"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// ioSubmit implements io_submit(2): a refusal counts only if it is of the first.
func ioSubmit(t *kernel.Task, a aioContext, n int64, list usermem.Ptr[uint64]) (int, error) {
	if n < 0 {
		return 0, linux.EINVAL
	}
	c, err := a.find(t)
	if err != nil {
		return 0, err
	}
	n = min(n, int64(c.Room()))
	for i := range int(n) {
		at, err := list.At(i).Load(t)
		if err == nil {
			err = submitOne(t, c, usermem.Ptr[linux.IOCB](at))
		}
		if err != nil {
			return i, errUnless(i > 0, err)
		}
	}
	return int(n), nil
}

// A submission is a request under way.
type submission struct {
	linux.IOCB
	t      *kernel.Task
	c      *aio.Context
	file   *vfs.FileDescription // held
	signal *vfs.FileDescription // an eventfd, held; or nil
	event  linux.IOEvent
}

func submitOne(t *kernel.Task, c *aio.Context, at usermem.Ptr[linux.IOCB]) error {
	cb, err := at.Load(t)
	if err != nil {
		return err
	}
	if cb.Reserved2 != 0 || int64(cb.NBytes) < 0 {
		return linux.EINVAL
	}
	if err := c.Begin(); err != nil {
		return err
	}
	s := submission{IOCB: cb, t: t, c: c, event: linux.IOEvent{Data: cb.Data, Obj: uint64(at)}}
	if err = s.open(at); err == nil {
		err = s.run()
	}
	if err != nil {
		s.close()
		c.Abandon()
	}
	return err
}

// open takes the files: EBADF, EINVAL for what should be an eventfd and is not.
func (s *submission) open(at usermem.Ptr[linux.IOCB]) (err error) {
	if s.file, err = s.t.File(kernel.FD(s.FD)); err != nil {
		return err
	}
	if s.file.IsPath() {
		return linux.EBADF
	}
	if s.Flags&linux.IOCB_FLAG_RESFD != 0 {
		if s.signal, err = s.t.File(kernel.FD(s.ResFD)); err != nil {
			return err
		}
		if _, ok := s.signal.File().(aio.Counter); !ok {
			return linux.EINVAL
		}
	}
	key := uint32(0)
	return (usermem.Ptr[uint32](at) + 8).Store(s.t, &key)
}

func (s *submission) close() {
	if s.file != nil {
		s.file.Release(s.t)
	}
	if s.signal != nil {
		s.signal.Release(s.t)
	}
}

// run does what is asked for. An error refuses the request; else it completes.
func (s *submission) run() error {
	switch s.Opcode {
	case linux.IOCB_CMD_PREAD, linux.IOCB_CMD_PREADV:
		return s.transfer(s.file.Flags().Readable(), s.file.ReadWith, s.t.IO().Read)
	case linux.IOCB_CMD_PWRITE, linux.IOCB_CMD_PWRITEV:
		return s.transfer(s.file.Flags().Writable(), s.file.WriteWith, s.t.IO().Wrote)
	case linux.IOCB_CMD_FSYNC, linux.IOCB_CMD_FDSYNC:
		return s.sync()
	case linux.IOCB_CMD_POLL:
		if uint64(uint16(s.Buf)) != s.Buf || s.Offset != 0 || s.NBytes != 0 || s.RWFlags != 0 {
			return linux.EINVAL
		}
		return s.c.Poll(s.file, s.file.ObjectFor(s.t), wait.Events(s.Buf), s.event, s.signal)
	}
	return linux.EINVAL
}

// memory is the memory of a transfer.
func (s *submission) memory() (usermem.Seq, error) {
	switch s.Opcode {
	case linux.IOCB_CMD_PREADV, linux.IOCB_CMD_PWRITEV:
		return vector(s.t, usermem.Ptr[iovec](s.Buf), int64(s.NBytes))
	}
	return buffer(s.t, address(s.Buf), size(s.NBytes))
}

// transfer reads or writes. What is wrong with the request refuses it; what goes
// wrong later is its result.
func (s *submission) transfer(permitted bool, move func(vfs.Ctx, usermem.Seq, int64, int) (int64, error), account func(int64)) error {
	if s.Flags&linux.IOCB_FLAG_IOPRIO != 0 {
		if err := checkIOPrio(s.t, int32(uint16(s.ReqPrio))); err != nil {
			return err
		}
	}
	if _, err := rwf(usermem.Seq{}, nil, int32(s.RWFlags)); err != nil {
		return err
	}
	if !permitted {
		return linux.EBADF
	}
	if s.isDir() {
		return linux.EINVAL
	}
	mem, err := s.memory()
	if mem, err = positional(mem, err, s.Offset); err != nil {
		return err
	}
	off := s.Offset
	if s.file.Stream() {
		off = atOffset
	}
	n, err := move(s.t, mem, off, int(s.RWFlags))
	account(n)
	s.complete(n, err)
	return nil
}

// isDir reports whether the file is a directory, which has no way to be read so.
func (s *submission) isDir() bool {
	a, err := s.file.Attr(s.t)
	return err == nil && a.Mode&linux.S_IFMT == linux.S_IFDIR
}

func (s *submission) sync() error {
	if s.Buf != 0 || s.Offset != 0 || s.NBytes != 0 || s.RWFlags != 0 {
		return linux.EINVAL
	}
	err := s.file.Sync(s.t, s.Opcode == linux.IOCB_CMD_FDSYNC)
	if err == linux.EINVAL {
		return err
	}
	s.complete(0, err)
	return nil
}

// complete posts the event and lets go of the files. What would begin a call anew
// has no meaning for a request.
func (s *submission) complete(n int64, err error) {
	s.event.Res = n
	if err != nil {
		e, ok := err.(linux.Errno)
		switch {
		case !ok:
			e = linux.EIO
		case e >= linux.ERESTARTSYS:
			e = linux.EINTR
		}
		s.event.Res = -int64(e)
	}
	s.c.Complete(s.event, s.signal)
	s.file.Release(s.t)
}
