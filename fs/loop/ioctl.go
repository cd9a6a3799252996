package loop

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Ioctl implements vfs.Control: what block devices understand, and then what loop devices
// do, to which all else is EINVAL.
func (f *file) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.FIGETBSZ, linux.FS_IOC_FIEMAP, linux.HDIO_GETGEO:
		return 0, linux.ENOTTY // vfs's own, or nobody's
	case linux.FIFREEZE, linux.FITHAW:
		return 0, linux.EOPNOTSUPP
	}
	if done, err := f.tell(m, cmd, arg); done {
		return 0, err
	}
	if done, err := f.set(c, m, cmd, arg); done {
		return 0, err
	}
	return 0, f.control(c, m, cmd, arg)
}

// tell is the commands that ask; done is false for others.
func (f *file) tell(m usermem.Memory, cmd uint32, arg uint64) (done bool, err error) {
	d := f.d
	d.mu.Lock()
	size, block, soft, ahead, sequence, ro := d.b.size, d.block, d.soft, d.ahead, d.sequence, d.protectedLocked()
	d.mu.Unlock()
	long := func(v uint64) error { return usermem.Ptr[uint64](arg).Store(m, &v) }
	word := func(v uint32) error { return usermem.Ptr[uint32](arg).Store(m, &v) }
	short := func(v uint16) error { return usermem.Ptr[uint16](arg).Store(m, &v) }
	switch cmd {
	case linux.BLKGETSIZE:
		err = long(size >> linux.SectorShift)
	case linux.BLKGETSIZE64:
		err = long(size)
	case linux.BLKGETDISKSEQ:
		err = long(sequence)
	case linux.BLKRAGET, linux.BLKFRAGET:
		if arg == 0 {
			return true, linux.EINVAL
		}
		err = long(ahead)
	case linux.BLKSSZGET, linux.BLKPBSZGET, linux.BLKIOMIN:
		err = word(block)
	case linux.BLKBSZGET:
		err = word(soft)
	case linux.BLKIOOPT, linux.BLKALIGNOFF, linux.BLKDISCARDZEROES, linux.BLKGETZONESZ, linux.BLKGETNRZONES:
		err = word(0)
	case linux.BLKROGET:
		if ro {
			err = word(1)
		} else {
			err = word(0)
		}
	case linux.BLKROTATIONAL:
		err = short(0)
	case linux.BLKSECTGET:
		err = short(maxTransfer)
	default:
		return false, nil
	}
	return true, err
}

// maxTransfer is what Linux would move in one go, in sectors.
const maxTransfer = 2560

// set is the commands of block devices that change something.
func (f *file) set(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (done bool, err error) {
	switch cmd {
	case linux.BLKDISCARD, linux.BLKZEROOUT:
		return true, f.blank(c, m, cmd, arg)
	case linux.BLKSECDISCARD:
		return true, linux.EOPNOTSUPP
	case linux.BLKROSET, linux.BLKFLSBUF, linux.BLKRASET, linux.BLKFRASET, linux.BLKBSZSET, linux.BLKRRPART:
	default:
		return false, nil
	}
	if !c.Creds().Capable(auth.CapSysAdmin) {
		return true, linux.EACCES
	}
	d, v := f.d, int32(0)
	if cmd == linux.BLKROSET || cmd == linux.BLKBSZSET {
		if v, err = usermem.Ptr[int32](arg).Load(m); err != nil {
			return true, err
		}
	}
	if cmd == linux.BLKFLSBUF {
		return true, f.Sync(c, true)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch cmd {
	case linux.BLKROSET:
		d.guarded = v != 0
	case linux.BLKRASET, linux.BLKFRASET:
		const page = 8 // sectors
		d.ahead = arg &^ (page - 1)
	case linux.BLKBSZSET:
		switch {
		case d.foreignLocked(f):
			return true, linux.EBUSY
		case v < int32(d.block) || !validBlock(uint64(v)):
			return true, linux.EINVAL
		}
		d.soft = uint32(v)
	case linux.BLKRRPART:
		return true, linux.EINVAL // there are no partitions
	}
	return true, nil
}

// blank is BLKDISCARD and BLKZEROOUT of a range of bytes. EBADF, EINVAL, EPERM.
func (f *file) blank(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) error {
	if f.mode == linux.O_RDONLY {
		return linux.EBADF
	}
	if f.d.WriteProtected() && cmd == linux.BLKDISCARD {
		return linux.EPERM
	}
	r, err := usermem.Ptr[[2]uint64](arg).Load(m)
	if err != nil {
		return err
	}
	off, n, size := r[0], r[1], f.d.Bytes()
	if (off|n)&(linux.SectorSize-1) != 0 || n == 0 || off > size || n > size-off {
		return linux.EINVAL
	}
	if cmd == linux.BLKDISCARD {
		return f.punch(c, int64(off), int64(n))
	}
	return f.empty(c, int64(off), int64(n))
}

// control is the commands of loop devices. Some need a device that was opened for writing,
// or CAP_SYS_ADMIN: EPERM.
func (f *file) control(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) error {
	switch cmd {
	case linux.LOOP_SET_STATUS, linux.LOOP_SET_STATUS64, linux.LOOP_SET_CAPACITY, linux.LOOP_SET_DIRECT_IO, linux.LOOP_SET_BLOCK_SIZE:
		if f.mode == linux.O_RDONLY && !c.Creds().Capable(auth.CapSysAdmin) {
			return linux.EPERM
		}
	}
	switch cmd {
	case linux.LOOP_SET_FD:
		return f.configure(c, &linux.LoopConfig{FD: uint32(arg)})
	case linux.LOOP_CONFIGURE:
		k, err := usermem.Ptr[linux.LoopConfig](arg).Load(m)
		if err != nil {
			return err
		}
		return f.configure(c, &k)
	case linux.LOOP_CHANGE_FD:
		return f.changeFD(c, uint32(arg))
	case linux.LOOP_CLR_FD:
		return f.clear()
	case linux.LOOP_SET_STATUS:
		return f.setOld(c, m, usermem.Ptr[linux.LoopInfo](arg))
	case linux.LOOP_SET_STATUS64:
		i, err := usermem.Ptr[linux.LoopInfo64](arg).Load(m)
		if err != nil {
			return err
		}
		return f.setStatus(c, &i)
	case linux.LOOP_GET_STATUS, linux.LOOP_GET_STATUS64:
		return f.getStatus(c, m, cmd, arg)
	case linux.LOOP_SET_CAPACITY:
		return f.setCapacity(c)
	case linux.LOOP_SET_DIRECT_IO:
		return f.setDirect(arg != 0)
	case linux.LOOP_SET_BLOCK_SIZE:
		return f.setBlock(arg)
	}
	return linux.EINVAL
}

func (f *file) getStatus(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) error {
	switch {
	case arg == 0:
		return linux.EINVAL
	case cmd == linux.LOOP_GET_STATUS:
		return f.getOld(c, m, usermem.Ptr[linux.LoopInfo](arg))
	}
	i, err := f.status(c)
	if err != nil {
		return err
	}
	return usermem.Ptr[linux.LoopInfo64](arg).Store(m, &i)
}
