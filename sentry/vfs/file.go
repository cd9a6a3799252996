package vfs

import (
	"time"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A File is an open file: what a FileDescription does its work with. It never
// blocks: when it would, it returns EAGAIN (and is a wait.Object), and vfs waits. (Those
// of a guest's FUSE server do, as an inode may; fs/fuse says how.)
// Its methods may be called from many goroutines at once.
type File interface {
	// Read copies to dst from offset off; a Streamer ignores off. 0 is the end
	// of the file.
	Read(c Ctx, dst usermem.Seq, off int64) (int64, error)
	// Write copies src to offset off. A count less than src.Len() means that
	// more would have to wait, or fail: vfs goes on if the caller may wait.
	Write(c Ctx, src usermem.Seq, off int64) (int64, error)
	// Close is called once, when the last reference is gone.
	Close(Ctx)
}

// What follows a file says by having the method, beside wait.Object (without it a
// file is always ready). What it lacks, vfs refuses with the errno in the comment.
type (
	// Streamer: a file without offsets (a pipe, a socket, a terminal): pread
	// and lseek are ESPIPE, and the offset is not locked during a read.
	Streamer interface{ Stream() }

	// Appender writes at the end of the file, atomically, and returns the
	// offset after what it wrote. Otherwise vfs asks for the size first.
	Appender interface {
		Append(c Ctx, src usermem.Seq) (n, end int64, err error)
	}

	// Mapper: mmap(2). ENODEV.
	Mapper interface {
		Mmap(Ctx, MapSpec) (mm.Mappable, error)
	}

	// Lister: a directory that can be read. ENOTDIR.
	Lister interface {
		// List calls f for each entry from offset off on until f returns false,
		// which means that this entry did not fit. The first entry is at offset
		// FirstEntry: vfs itself gives "." and "..".
		List(c Ctx, off int64, f func(Dirent) bool) error
	}

	// Control: ioctl(2). ENOTTY. m is the memory that arg may point into.
	Control interface {
		Ioctl(c Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error)
	}

	// Syncer: fsync(2), and fdatasync(2) if dataOnly. EINVAL for special
	// files; nothing to do for regular files and directories.
	Syncer interface {
		Sync(c Ctx, dataOnly bool) error
	}

	// Truncater: ftruncate(2). Otherwise the inode's SetAttr does it.
	Truncater interface {
		Truncate(c Ctx, a *Attr, mask AttrMask) error
	}

	// Copier: copy_file_range(2) from off to another file of the same filesystem, which
	// may copy less. EXDEV and EOPNOTSUPP: it is read and written instead.
	Copier interface {
		CopyTo(c Ctx, off int64, to File, at, n int64) (int64, error)
	}

	// LockKeeper is a file whose locks, or some of them, somebody else keeps, who takes
	// them away when it is flushed or closed.
	LockKeeper interface {
		// KeepsLocks says whether it is so, for flock(2) or else for fcntl(2).
		KeepsLocks(flock bool) bool
		SetLock(c Ctx, l RecordLock, unlock, block bool) error
		TestLock(c Ctx, l RecordLock) (blocker RecordLock, found bool, err error)
		Flock(c Ctx, how int, block bool) error
	}

	// Flusher is told of each close(2) of a descriptor; its error is close's.
	Flusher interface{ Flush(Ctx) error }

	// Seeker: lseek(2) with rules of its own; cur is the present offset. vfs's
	// own rules do for files with a size.
	Seeker interface {
		Seek(c Ctx, cur, off int64, whence int) (int64, error)
	}

	// Allocater: fallocate(2), with mode's FALLOC_FL_* bits. EOPNOTSUPP. vfs has
	// checked the arguments' ranges, but for RLIMIT_FSIZE: what counts is up to the
	// filesystem (CheckSize, CheckGrowth).
	Allocater interface {
		Allocate(c Ctx, mode uint32, off, n int64) error
	}

	// FlagSetter is told of fcntl(F_SETFL) and may refuse it.
	FlagSetter interface {
		SetFlags(Ctx, linux.OpenFlags) error
	}

	// Timeouter limits how long a blocking read (write) waits, as SO_RCVTIMEO
	// (SO_SNDTIMEO) does: EAGAIN after that. 0 is for ever.
	Timeouter interface {
		Timeout(write bool) time.Duration
	}

	// Asyncer has signal-driven I/O: fcntl(2), O_ASYNC. F_SETFL leaves the flag of
	// others as it is, and FIOASYNC is ENOTTY.
	Asyncer interface{ Async() }

	// Fcntler has commands of fcntl(2) of its own: a pipe's size, a memfd's seals.
	// EINVAL for a command that it does not know.
	Fcntler interface {
		Fcntl(c Ctx, cmd uint32, arg uint64) (int, error)
	}

	// PerCaller: what is ready depends on who waits (signalfd). It is a
	// wait.Object too, for those that wait on nobody's behalf.
	PerCaller interface {
		For(Ctx) wait.Object
	}

	// Piper says whether EPIPE comes with SIGPIPE; without it, it does.
	Piper interface{ SignalsPipe() bool }

	// FDInfoer adds lines to /proc/pid/fdinfo/N.
	FDInfoer interface{ FDInfo(Ctx) string }

	// Statter has attributes other than its inode's.
	Statter interface {
		Stat(Ctx) (Attr, error)
	}
)

// FirstEntry is the directory offset of the first entry after "." and "..".
const FirstEntry = 2

// A Dirent is one entry of a directory.
type Dirent struct {
	Name string
	Ino  uint64
	Type uint8 // DT_*
	Next int64 // the offset of the entry after this one
}

// A MapSpec is what mmap(2) wants of a file. vfs has compared it with the mode of
// opening.
type MapSpec struct {
	Off, Len uint64
	Access   arch.Access // at first
	Max      arch.Access // what mprotect may raise it to
	Shared   bool
	Exec     bool // for execve: the file is being run
}

// A Sealer is an inode that can be sealed: memfd_create(2), fcntl(F_ADD_SEALS). EINVAL.
type Sealer interface {
	Seals() uint32
	// AddSeals adds F_SEAL_*: EPERM if F_SEAL_SEAL is there, EBUSY if a shared
	// writable mapping forbids F_SEAL_WRITE.
	AddSeals(uint32) error
	// SetSeals says what a new file starts with.
	SetSeals(uint32)
}
