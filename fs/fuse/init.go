package fuse

import (
	"garrison/sentry/linux"
)

// terms are what a server and the kernel have agreed on.
type terms struct {
	minor    uint32
	flags    uint32
	maxWrite int
	maxRead  int // of one request
}

// offered is what the kernel has of FUSE_INIT's flags:
//
//   - ASYNC_READ, PARALLEL_DIROPS: requests are made side by side.
//   - POSIX_LOCKS, FLOCK_LOCKS: a server that wants file locks is asked for them.
//   - FILE_OPS, BIG_WRITES: what every server has known for long.
//   - HAS_IOCTL_DIR, DO_READDIRPLUS, READDIRPLUS_AUTO, NO_OPEN_SUPPORT,
//     NO_OPENDIR_SUPPORT, MAX_PAGES, ABORT_ERROR, CACHE_SYMLINKS: done as they say.
//   - AUTO_INVAL_DATA, EXPLICIT_INVAL_DATA: about the page cache, of which there is so
//     little that both hold.
//
// Not offered: ATOMIC_O_TRUNC and DONT_MASK, as vfs truncates and applies the umask;
// SPLICE_*, as splice(2) does not know /dev/fuse; WRITEBACK_CACHE and ASYNC_DIO, for want
// of a page cache; HANDLE_KILLPRIV and POSIX_ACL, as vfs takes set-id bits away and access
// lists are judged where they are kept; EXPORT_SUPPORT, as no handle leaves the sandbox.
const offered = linux.FUSE_ASYNC_READ | linux.FUSE_PARALLEL_DIROPS | linux.FUSE_POSIX_LOCKS | linux.FUSE_FLOCK_LOCKS |
	linux.FUSE_FILE_OPS | linux.FUSE_BIG_WRITES | linux.FUSE_HAS_IOCTL_DIR | linux.FUSE_DO_READDIRPLUS |
	linux.FUSE_READDIRPLUS_AUTO | linux.FUSE_NO_OPEN_SUPPORT | linux.FUSE_NO_OPENDIR_SUPPORT | linux.FUSE_MAX_PAGES |
	linux.FUSE_ABORT_ERROR | linux.FUSE_CACHE_SYMLINKS | linux.FUSE_AUTO_INVAL_DATA | linux.FUSE_EXPLICIT_INVAL_DATA

// oldestMinor is the first version whose messages are as long as those here, and
// shortInit how long the answer to FUSE_INIT is at least: it grew at 7.23.
const (
	oldestMinor  = 12
	shortInit    = 24
	plainPages   = 32
	minMaxWrite  = 4096
	maxReadahead = 128 << 10
)

// begin asks the server to begin.
func (m *connection) begin() {
	r := ask(linux.FUSE_INIT, 0, raw(linux.FuseInitIn{
		Major: linux.FUSE_KERNEL_VERSION, Minor: linux.FUSE_KERNEL_MINOR_VERSION,
		MaxReadahead: maxReadahead, Flags: offered,
	}))
	r.fixed, r.extra, r.then = shortInit, sizeOf[linux.FuseInitOut]()-shortInit, m.begun
	m.post(nil, r)
}

// begun takes the server's answer.
func (m *connection) begun(reply []byte, err error) {
	t := (*terms)(nil)
	if err == nil {
		t = m.negotiate(decode[linux.FuseInitOut](reply))
	}
	if t != nil {
		m.agreed.Store(t)
	}
	m.mu.Lock()
	if m.phase == opening {
		m.phase = open
		if t == nil {
			m.phase = refused
		}
	}
	m.mu.Unlock()
	m.opened.open()
}

// negotiate is what both sides can do; nil if that is not enough.
func (m *connection) negotiate(o linux.FuseInitOut) *terms {
	if o.Major != linux.FUSE_KERNEL_VERSION || o.Minor < oldestMinor {
		return nil
	}
	t := &terms{minor: min(o.Minor, linux.FUSE_KERNEL_MINOR_VERSION), flags: o.Flags & offered}
	pages := plainPages
	if t.flags&linux.FUSE_MAX_PAGES != 0 {
		pages = min(max(int(o.MaxPages), 1), maxPages)
	}
	t.maxRead = pages * minMaxWrite
	if m.maxRead != 0 {
		t.maxRead = min(t.maxRead, max(int(m.maxRead), minMaxWrite))
	}
	t.maxWrite = min(max(int(min(o.MaxWrite, maxIO)), minMaxWrite), pages*minMaxWrite)
	return t
}
