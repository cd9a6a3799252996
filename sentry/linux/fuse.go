package linux

// The protocol between the kernel and a FUSE server, <linux/fuse.h>, as of version 7.31.

// The version of the protocol, the number of the root, and sizes.
const (
	FUSE_KERNEL_VERSION       = 7
	FUSE_KERNEL_MINOR_VERSION = 31
	FUSE_ROOT_ID              = 1
	FUSE_MIN_READ_BUFFER      = 8192
	FUSE_NAME_MAX             = 1024
)

// FUSE_DEV_IOC_CLONE makes an open /dev/fuse another channel of a connection.
const FUSE_DEV_IOC_CLONE = 0x8004e500

// A FuseOp is what a request asks for.
type FuseOp uint32

// The requests.
const (
	FUSE_LOOKUP          FuseOp = 1
	FUSE_FORGET          FuseOp = 2
	FUSE_GETATTR         FuseOp = 3
	FUSE_SETATTR         FuseOp = 4
	FUSE_READLINK        FuseOp = 5
	FUSE_SYMLINK         FuseOp = 6
	FUSE_MKNOD           FuseOp = 8
	FUSE_MKDIR           FuseOp = 9
	FUSE_UNLINK          FuseOp = 10
	FUSE_RMDIR           FuseOp = 11
	FUSE_RENAME          FuseOp = 12
	FUSE_LINK            FuseOp = 13
	FUSE_OPEN            FuseOp = 14
	FUSE_READ            FuseOp = 15
	FUSE_WRITE           FuseOp = 16
	FUSE_STATFS          FuseOp = 17
	FUSE_RELEASE         FuseOp = 18
	FUSE_FSYNC           FuseOp = 20
	FUSE_SETXATTR        FuseOp = 21
	FUSE_GETXATTR        FuseOp = 22
	FUSE_LISTXATTR       FuseOp = 23
	FUSE_REMOVEXATTR     FuseOp = 24
	FUSE_FLUSH           FuseOp = 25
	FUSE_INIT            FuseOp = 26
	FUSE_OPENDIR         FuseOp = 27
	FUSE_READDIR         FuseOp = 28
	FUSE_RELEASEDIR      FuseOp = 29
	FUSE_FSYNCDIR        FuseOp = 30
	FUSE_GETLK           FuseOp = 31
	FUSE_SETLK           FuseOp = 32
	FUSE_SETLKW          FuseOp = 33
	FUSE_ACCESS          FuseOp = 34
	FUSE_CREATE          FuseOp = 35
	FUSE_INTERRUPT       FuseOp = 36
	FUSE_DESTROY         FuseOp = 38
	FUSE_IOCTL           FuseOp = 39
	FUSE_POLL            FuseOp = 40
	FUSE_NOTIFY_REPLY    FuseOp = 41
	FUSE_BATCH_FORGET    FuseOp = 42
	FUSE_FALLOCATE       FuseOp = 43
	FUSE_READDIRPLUS     FuseOp = 44
	FUSE_RENAME2         FuseOp = 45
	FUSE_LSEEK           FuseOp = 46
	FUSE_COPY_FILE_RANGE FuseOp = 47
)

// What a server tells without being asked: the error of a message that answers nothing.
const (
	FUSE_NOTIFY_POLL        = 1
	FUSE_NOTIFY_INVAL_INODE = 2
	FUSE_NOTIFY_INVAL_ENTRY = 3
	FUSE_NOTIFY_STORE       = 4
	FUSE_NOTIFY_RETRIEVE    = 5
	FUSE_NOTIFY_DELETE      = 6
)

// Flags of FUSE_INIT.
const (
	FUSE_ASYNC_READ          = 1 << 0
	FUSE_POSIX_LOCKS         = 1 << 1
	FUSE_FILE_OPS            = 1 << 2
	FUSE_ATOMIC_O_TRUNC      = 1 << 3
	FUSE_BIG_WRITES          = 1 << 5
	FUSE_FLOCK_LOCKS         = 1 << 10
	FUSE_HAS_IOCTL_DIR       = 1 << 11
	FUSE_AUTO_INVAL_DATA     = 1 << 12
	FUSE_DO_READDIRPLUS      = 1 << 13
	FUSE_READDIRPLUS_AUTO    = 1 << 14
	FUSE_NO_OPEN_SUPPORT     = 1 << 17
	FUSE_PARALLEL_DIROPS     = 1 << 18
	FUSE_ABORT_ERROR         = 1 << 21
	FUSE_MAX_PAGES           = 1 << 22
	FUSE_CACHE_SYMLINKS      = 1 << 23
	FUSE_NO_OPENDIR_SUPPORT  = 1 << 24
	FUSE_EXPLICIT_INVAL_DATA = 1 << 25
)

// Flags of what has been opened.
const (
	FOPEN_DIRECT_IO   = 1 << 0
	FOPEN_KEEP_CACHE  = 1 << 1
	FOPEN_NONSEEKABLE = 1 << 2
	FOPEN_STREAM      = 1 << 4
)

// Flags of single requests.
const (
	FUSE_GETATTR_FH           = 1 << 0
	FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1
	FUSE_LK_FLOCK             = 1 << 0
	FUSE_FSYNC_FDATASYNC      = 1 << 0
	FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0
	FUSE_IOCTL_DIR            = 1 << 4
)

// What FUSE_SETATTR is to set.
const (
	FATTR_MODE  = 1 << 0
	FATTR_UID   = 1 << 1
	FATTR_GID   = 1 << 2
	FATTR_SIZE  = 1 << 3
	FATTR_ATIME = 1 << 4
	FATTR_MTIME = 1 << 5
	FATTR_FH    = 1 << 6
)

// FuseInHeader begins every request.
type FuseInHeader struct {
	Len    uint32
	Op     FuseOp
	Unique uint64
	Node   uint64
	UID    uint32
	GID    uint32
	PID    uint32
	_      uint32
}

// FuseOutHeader begins every answer.
type FuseOutHeader struct {
	Len    uint32
	Error  int32
	Unique uint64
}

// FuseAttr is a file's attributes.
type FuseAttr struct {
	Ino, Size, Blocks               uint64
	Atime, Mtime, Ctime             uint64
	AtimeNsec, MtimeNsec, CtimeNsec uint32
	Mode, Nlink, UID, GID           uint32
	Rdev, Blksize, Flags            uint32
}

// FuseEntryOut says what a name names.
type FuseEntryOut struct {
	Node, Generation              uint64
	EntryValid, AttrValid         uint64
	EntryValidNsec, AttrValidNsec uint32
	Attr                          FuseAttr
}

// FuseAttrOut answers FUSE_GETATTR and FUSE_SETATTR.
type FuseAttrOut struct {
	AttrValid     uint64
	AttrValidNsec uint32
	_             uint32
	Attr          FuseAttr
}

// What follows is what requests (In) and their answers (Out) have behind the header.
type (
	FuseForgetIn struct{ Lookups uint64 }
	FuseForget   struct{ Node, Lookups uint64 }

	FuseBatchForgetIn struct{ Count, _ uint32 }

	FuseGetattrIn struct {
		Flags, _ uint32
		FH       uint64
	}
	FuseSetattrIn struct {
		Valid, _                        uint32
		FH, Size, LockOwner             uint64
		Atime, Mtime, Ctime             uint64
		AtimeNsec, MtimeNsec, CtimeNsec uint32
		Mode, _                         uint32
		UID, GID, _                     uint32
	}
	FuseMknodIn   struct{ Mode, Rdev, Umask, _ uint32 }
	FuseMkdirIn   struct{ Mode, Umask uint32 }
	FuseRenameIn  struct{ NewDir uint64 }
	FuseRename2In struct {
		NewDir   uint64
		Flags, _ uint32
	}
	FuseLinkIn   struct{ Node uint64 }
	FuseOpenIn   struct{ Flags, OpenFlags uint32 }
	FuseCreateIn struct{ Flags, Mode, Umask, OpenFlags uint32 }
	FuseOpenOut  struct {
		FH           uint64
		OpenFlags, _ uint32
	}
	FuseReleaseIn struct {
		FH                  uint64
		Flags, ReleaseFlags uint32
		LockOwner           uint64
	}
	FuseFlushIn struct {
		FH        uint64
		_, _      uint32
		LockOwner uint64
	}
	// FuseIOIn is that of FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS and FUSE_WRITE.
	FuseIOIn struct {
		FH, Offset    uint64
		Size, IOFlags uint32
		LockOwner     uint64
		Flags, _      uint32
	}
	FuseWriteOut  struct{ Size, _ uint32 }
	FuseStatfsOut struct {
		Blocks, Bfree, Bavail, Files, Ffree uint64
		Bsize, Namelen, Frsize, _           uint32
		_                                   [6]uint32
	}
	FuseFsyncIn struct {
		FH       uint64
		Flags, _ uint32
	}
	FuseSetxattrIn struct{ Size, Flags uint32 }
	FuseGetxattrIn struct{ Size, _ uint32 }
	FuseFileLock   struct {
		Start, End uint64
		Type, PID  uint32
	}
	FuseLkIn struct {
		FH, Owner uint64
		Lock      FuseFileLock
		Flags, _  uint32
	}
	FuseLkOut    struct{ Lock FuseFileLock }
	FuseAccessIn struct{ Mask, _ uint32 }
	FuseInitIn   struct{ Major, Minor, MaxReadahead, Flags uint32 }
	FuseInitOut  struct {
		Major, Minor, MaxReadahead, Flags  uint32
		MaxBackground, CongestionThreshold uint16
		MaxWrite, TimeGran                 uint32
		MaxPages, MapAlignment             uint16
		_                                  [8]uint32
	}
	FuseInterruptIn struct{ Unique uint64 }
	FuseIoctlIn     struct {
		FH              uint64
		Flags, Cmd      uint32
		Arg             uint64
		InSize, OutSize uint32
	}
	FuseIoctlOut struct {
		Result               int32
		Flags, InVec, OutVec uint32
	}
	FusePollIn struct {
		FH, KH        uint64
		Flags, Events uint32
	}
	FusePollOut     struct{ Revents, _ uint32 }
	FuseFallocateIn struct {
		FH, Offset, Length uint64
		Mode, _            uint32
	}
	FuseLseekIn struct {
		FH, Offset uint64
		Whence, _  uint32
	}
	FuseLseekOut        struct{ Offset uint64 }
	FuseCopyFileRangeIn struct {
		FHIn, OffIn, NodeOut, FHOut, OffOut, Len, Flags uint64
	}
	// FuseDirent begins an entry of a directory; its name follows.
	FuseDirent struct {
		Ino, Off      uint64
		Namelen, Type uint32
	}

	FuseNotifyPollOut struct{ KH uint64 }
	FuseInvalInodeOut struct {
		Node     uint64
		Off, Len int64
	}
	FuseInvalEntryOut struct {
		Parent         uint64
		Namelen, Flags uint32
	}
	FuseDeleteOut struct {
		Parent, Child uint64
		Namelen, _    uint32
	}
	FuseStoreOut struct {
		Node, Offset uint64
		Size, _      uint32
	}
	FuseRetrieveOut struct {
		Unique, Node, Offset uint64
		Size, _              uint32
	}
	FuseRetrieveIn struct {
		_, Offset uint64
		Size, _   uint32
		_, _      uint64
	}
)
