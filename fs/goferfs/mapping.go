package goferfs

import (
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
)

// Pages implements mm.Mappable. The size is asked of the host each time: other
// sandboxes, and our own writes, change it.
func (d *data) Pages(off, count uint64, access arch.Access) (mm.Pages, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fd := d.rw
	if fd == nil {
		fd = d.ro
	}
	if fd == nil {
		return mm.Pages{}, linux.EIO
	}
	a, err := fd.attr()
	if err != nil {
		return mm.Pages{}, linux.EIO
	}
	end := (a.Size + arch.PageMask) &^ arch.PageMask
	if off >= end {
		return mm.Pages{}, nil
	}
	can := arch.Read
	if fd.write {
		can |= arch.Write
	}
	if d.noexec <= 0 {
		can |= arch.Exec
	}
	if !can.Has(access) {
		return mm.Pages{}, linux.EACCES
	}
	p := mm.Pages{Host: fd, Off: off, Len: min(count, end-off), Access: can}
	if fd == d.ro {
		p.Version = version(&a, time.Now())
	}
	return p, nil
}

// settling is how long ago a file must have changed for its times to tell the next
// change: they have the host's ticks only, and who writes through a mapping
// changes them once until the host has written the page back, which it does after 30 s.
const settling = time.Minute

// version is what a says of a file's bytes, now; zero if they may change unseen.
func version(a *wire.Attr, now time.Time) mm.Version {
	changed := time.Unix(a.Ctime.Sec, int64(a.Ctime.Nsec))
	if now.Sub(changed) < settling {
		return mm.Version{}
	}
	return mm.Version{Dev: a.Dev, Ino: a.Ino, Size: a.Size, Changed: changed.UnixNano()}
}

// RemoveMapping implements mm.Mappable: what was written through a mapping shows in
// the times only later.
func (d *data) RemoveMapping(m mm.Mapping) {
	d.MappingSet.RemoveMapping(m)
	if m.Writable {
		d.n.wrote()
	}
}

// SyncPages implements mm.Syncer.
func (d *data) SyncPages(_, _ uint64) error {
	fd := d.current(false)
	if fd == nil {
		return nil
	}
	defer fd.DecRef()
	return syncFile(fd, true)
}

// RemovePages implements mm.Remover.
func (d *data) RemovePages(off, n uint64) error {
	fd := d.current(true)
	if fd == nil {
		return linux.EACCES
	}
	defer fd.DecRef()
	d.n.wrote()
	return unix.Fallocate(fd.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n))
}

// executable reports whether the host lets the file be mapped for execution.
func (d *data) executable() bool {
	d.mu.Lock()
	known := d.noexec
	d.mu.Unlock()
	if known == 0 {
		known = -1
		if fd := d.current(false); fd != nil {
			var st unix.Statfs_t
			if unix.Fstatfs(fd.fd, &st) == nil && st.Flags&unix.ST_NOEXEC != 0 {
				known = 1
			}
			fd.DecRef()
		}
		d.mu.Lock()
		d.noexec = known
		d.mu.Unlock()
	}
	return known < 0
}
