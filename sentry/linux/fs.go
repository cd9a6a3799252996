package linux

// Modes of access(2).
const (
	F_OK = 0
	X_OK = 1
	W_OK = 2
	R_OK = 4
)

// Flags of renameat2(2).
const (
	RENAME_NOREPLACE = 1
	RENAME_EXCHANGE  = 2
	RENAME_WHITEOUT  = 4
)

// OpenHow is struct open_how, openat2(2).
type OpenHow struct{ Flags, Mode, Resolve uint64 }

// OpenHow.Resolve.
const (
	RESOLVE_NO_XDEV       = 0x01
	RESOLVE_NO_MAGICLINKS = 0x02
	RESOLVE_NO_SYMLINKS   = 0x04
	RESOLVE_BENEATH       = 0x08
	RESOLVE_IN_ROOT       = 0x10
	RESOLVE_CACHED        = 0x20
)

// Types of directory entries, getdents64(2).
const (
	DT_UNKNOWN = 0
	DT_FIFO    = 1
	DT_CHR     = 2
	DT_DIR     = 4
	DT_BLK     = 6
	DT_REG     = 8
	DT_LNK     = 10
	DT_SOCK    = 12
	DT_WHT     = 14
)

// Limits of files.
const (
	MAX_RW_COUNT = 0x7ffff000 // bytes one read(2) or write(2) moves
	IOV_MAX      = 1024
	PIPE_BUF     = 4096
	MAXSYMLINKS  = 40
)

// Special values of tv_nsec in utimensat(2).
const (
	UTIME_NOW  = (1 << 30) - 1
	UTIME_OMIT = (1 << 30) - 2
)

// Statx is struct statx, statx(2).
type Statx struct {
	Mask           uint32
	Blksize        uint32
	Attributes     uint64
	Nlink          uint32
	UID            uint32
	GID            uint32
	Mode           uint16
	_              uint16
	Ino            uint64
	Size           uint64
	Blocks         uint64
	AttributesMask uint64
	Atime          StatxTimestamp
	Btime          StatxTimestamp
	Ctime          StatxTimestamp
	Mtime          StatxTimestamp
	RdevMajor      uint32
	RdevMinor      uint32
	DevMajor       uint32
	DevMinor       uint32
	MntID          uint64
	DioMemAlign    uint32
	DioOffsetAlign uint32
	Subvol         uint64
	AtomicMin      uint32
	AtomicMax      uint32
	AtomicSegments uint32
	_              uint32
	_              [9]uint64
}

// StatxTimestamp is struct statx_timestamp.
type StatxTimestamp struct {
	Sec  int64
	Nsec uint32
	_    int32
}

// Timestamp is t as statx(2) has it.
func (t Timespec) Timestamp() StatxTimestamp {
	return StatxTimestamp{Sec: t.Sec, Nsec: uint32(t.Nsec)}
}

// statx(2)'s mask.
const (
	STATX_TYPE          = 0x0001
	STATX_MODE          = 0x0002
	STATX_NLINK         = 0x0004
	STATX_UID           = 0x0008
	STATX_GID           = 0x0010
	STATX_ATIME         = 0x0020
	STATX_MTIME         = 0x0040
	STATX_CTIME         = 0x0080
	STATX_INO           = 0x0100
	STATX_SIZE          = 0x0200
	STATX_BLOCKS        = 0x0400
	STATX_BASIC_STATS   = 0x07ff
	STATX_BTIME         = 0x0800
	STATX_MNT_ID        = 0x1000
	STATX_DIOALIGN      = 0x2000
	STATX_MNT_ID_UNIQUE = 0x4000
	STATX__RESERVED     = 0x80000000

	STATX_ATTR_COMPRESSED = 0x0004
	STATX_ATTR_IMMUTABLE  = 0x0010
	STATX_ATTR_APPEND     = 0x0020
	STATX_ATTR_NODUMP     = 0x0040
	STATX_ATTR_AUTOMOUNT  = 0x1000
	STATX_ATTR_MOUNT_ROOT = 0x2000

	AT_STATX_SYNC_TYPE    = 0x6000
	AT_STATX_FORCE_SYNC   = 0x2000
	AT_STATX_DONT_SYNC    = 0x4000
	AT_RECURSIVE          = 0x8000
	AT_RENAME_NOREPLACE   = 0x0001
	AT_HANDLE_FID         = 0x0200
	AT_HANDLE_MNT_ID_UNIQ = 0x0001
	AT_HANDLE_CONNECTABLE = 0x0002
)

// ioctl(2) commands that files of many kinds have, <asm-generic/ioctls.h>, <linux/fs.h>.
const (
	FIONREAD = 0x541b
	FIONBIO  = 0x5421
	FIONCLEX = 0x5450
	FIOCLEX  = 0x5451
	FIOASYNC = 0x5452
	FIOQSIZE = 0x5460

	FIFREEZE          = 0xc0045877
	FITHAW            = 0xc0045878
	FICLONE           = 0x40049409
	FICLONERANGE      = 0x4020940d
	FIBMAP            = 0x0001
	FIGETBSZ          = 0x0002
	FS_IOC_FIEMAP     = 0xc020660b
	FS_IOC_GETFLAGS   = 0x80086601
	FS_IOC_SETFLAGS   = 0x40086602
	FS_IOC_GETVERSION = 0x80087601
	FS_IOC_FSGETXATTR = 0x801c581f
	FS_IOC_FSSETXATTR = 0x401c5820
	FS_IMMUTABLE_FL   = 0x10
	FS_APPEND_FL      = 0x20
	FS_NODUMP_FL      = 0x40
	FS_NOATIME_FL     = 0x80
)

// Advice of posix_fadvise(2).
const (
	POSIX_FADV_NORMAL = iota
	POSIX_FADV_RANDOM
	POSIX_FADV_SEQUENTIAL
	POSIX_FADV_WILLNEED
	POSIX_FADV_DONTNEED
	POSIX_FADV_NOREUSE
)

// Flags of close_range(2).
const (
	CLOSE_RANGE_UNSHARE = 2
	CLOSE_RANGE_CLOEXEC = 4
)
