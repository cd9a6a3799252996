package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// cachestatRange is struct cachestat_range, cachestat(2).
type cachestatRange struct{ Off, Len uint64 }

// cachestatBuf is struct cachestat, in pages.
type cachestatBuf struct{ Cache, Dirty, Writeback, Evicted, RecentlyEvicted uint64 }

// cachestat implements cachestat(2). The page cache is the host's, which does not tell
// of it here: what exists is said to be cached and clean, as after a read.
func cachestat(t *kernel.Task, fd kernel.FD, r usermem.Ptr[cachestatRange], out usermem.Ptr[cachestatBuf], flags uint32) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		rng, err := r.Load(t)
		if err != nil {
			return err
		}
		if flags != 0 {
			return linux.EINVAL
		}
		a, err := d.Attr(t)
		if err != nil {
			return err
		}
		end := uint64(a.Size)
		if rng.Len != 0 {
			end = min(end, rng.Off+rng.Len)
		}
		var n uint64
		if rng.Off < end {
			n = (end+4095)/4096 - rng.Off/4096
		}
		return out.Store(t, &cachestatBuf{Cache: n})
	})
}
