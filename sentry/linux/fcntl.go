package linux

// Commands of fcntl(2).
const (
	F_DUPFD         = 0
	F_GETFD         = 1
	F_SETFD         = 2
	F_GETFL         = 3
	F_SETFL         = 4
	F_GETLK         = 5
	F_SETLK         = 6
	F_SETLKW        = 7
	F_SETOWN        = 8
	F_GETOWN        = 9
	F_SETSIG        = 10
	F_GETSIG        = 11
	F_SETOWN_EX     = 15
	F_GETOWN_EX     = 16
	F_GETOWNER_UIDS = 17
	F_OFD_GETLK     = 36
	F_OFD_SETLK     = 37
	F_OFD_SETLKW    = 38
	F_SETLEASE      = 1024
	F_GETLEASE      = 1025
	F_NOTIFY        = 1026
	F_DUPFD_QUERY   = 1027
	F_CREATED_QUERY = 1028
	F_DUPFD_CLOEXEC = 1030
	F_SETPIPE_SZ    = 1031
	F_GETPIPE_SZ    = 1032
	F_ADD_SEALS     = 1033
	F_GET_SEALS     = 1034
	F_GET_RW_HINT   = 1035
	F_SET_RW_HINT   = 1036

	FD_CLOEXEC = 1
)

// Events of fcntl(F_NOTIFY).
const (
	DN_ACCESS    = 0x01
	DN_MODIFY    = 0x02
	DN_CREATE    = 0x04
	DN_DELETE    = 0x08
	DN_RENAME    = 0x10
	DN_ATTRIB    = 0x20
	DN_MULTISHOT = 0x80000000
)

// Types of locks and owners, fcntl(2).
const (
	F_RDLCK = 0
	F_WRLCK = 1
	F_UNLCK = 2

	F_OWNER_TID  = 0
	F_OWNER_PID  = 1
	F_OWNER_PGRP = 2
)

// Seals, fcntl(2).
const (
	F_SEAL_SEAL         = 0x01
	F_SEAL_SHRINK       = 0x02
	F_SEAL_GROW         = 0x04
	F_SEAL_WRITE        = 0x08
	F_SEAL_FUTURE_WRITE = 0x10
	F_SEAL_EXEC         = 0x20
)

// Flags of memfd_create(2).
const (
	MFD_CLOEXEC       = 1
	MFD_ALLOW_SEALING = 2
	MFD_HUGETLB       = 4
	MFD_NOEXEC_SEAL   = 8
	MFD_EXEC          = 16
)

// Operations of flock(2).
const (
	LOCK_SH = 1
	LOCK_EX = 2
	LOCK_NB = 4
	LOCK_UN = 8

	LOCK_MAND = 32 // once; nothing today
)

// Flock is struct flock, fcntl(2).
type Flock struct {
	Type   int16
	Whence int16
	_      int32
	Start  int64
	Len    int64
	PID    int32
	_      int32
}

// FOwnerEx is struct f_owner_ex, fcntl(2).
type FOwnerEx struct{ Type, PID int32 }

// Flags of fallocate(2).
const (
	FALLOC_FL_KEEP_SIZE      = 0x01
	FALLOC_FL_PUNCH_HOLE     = 0x02
	FALLOC_FL_COLLAPSE_RANGE = 0x08
	FALLOC_FL_ZERO_RANGE     = 0x10
	FALLOC_FL_INSERT_RANGE   = 0x20
	FALLOC_FL_UNSHARE_RANGE  = 0x40
)

// Whences of lseek(2).
const (
	SEEK_SET  = 0
	SEEK_CUR  = 1
	SEEK_END  = 2
	SEEK_DATA = 3
	SEEK_HOLE = 4
)

// Flags of splice(2), tee(2) and vmsplice(2).
const (
	SPLICE_F_MOVE     = 1
	SPLICE_F_NONBLOCK = 2
	SPLICE_F_MORE     = 4
	SPLICE_F_GIFT     = 8
)

// Flags of preadv2(2) and pwritev2(2).
const (
	RWF_HIPRI    = 0x01
	RWF_DSYNC    = 0x02
	RWF_SYNC     = 0x04
	RWF_NOWAIT   = 0x08
	RWF_APPEND   = 0x10
	RWF_NOAPPEND = 0x20
	RWF_ATOMIC   = 0x40
)
