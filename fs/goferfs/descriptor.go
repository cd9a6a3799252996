package goferfs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// A descriptor is one that the gofer donated. It is an mm.HostFile: guests map it.
type descriptor struct {
	fs    *filesystem
	fd    int
	write bool // open for reading and writing
	refs  atomic.Int32
}

func (fs *filesystem) newDescriptor(fd int, write bool) *descriptor {
	d := &descriptor{fs: fs, fd: fd, write: write}
	d.refs.Store(1)
	fs.fds.Add(1)
	return d
}

// FD implements platform.File.
func (d *descriptor) FD() int { return d.fd }

// IncRef implements mm.HostFile.
func (d *descriptor) IncRef() { d.refs.Add(1) }

// DecRef implements mm.HostFile.
func (d *descriptor) DecRef() {
	if d.refs.Add(-1) == 0 {
		unix.Close(d.fd)
		d.fs.fds.Add(-1)
	}
}

// attr is fstat(2).
func (d *descriptor) attr() (wire.Attr, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstat(d.fd, &st)
		if err == nil {
			return attrOfStat(&st), nil
		}
		if err != unix.EINTR {
			return wire.Attr{}, err
		}
	}
}
