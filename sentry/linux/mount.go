package linux

// MountFlags are mount(2)'s.
type MountFlags uint64

// <linux/mount.h>
const (
	MS_RDONLY      MountFlags = 1
	MS_NOSUID      MountFlags = 2
	MS_NODEV       MountFlags = 4
	MS_NOEXEC      MountFlags = 8
	MS_SYNCHRONOUS MountFlags = 16
	MS_REMOUNT     MountFlags = 32
	MS_MANDLOCK    MountFlags = 64
	MS_DIRSYNC     MountFlags = 128
	MS_NOSYMFOLLOW MountFlags = 256
	MS_NOATIME     MountFlags = 1024
	MS_NODIRATIME  MountFlags = 2048
	MS_BIND        MountFlags = 4096
	MS_MOVE        MountFlags = 8192
	MS_REC         MountFlags = 16384
	MS_SILENT      MountFlags = 32768
	MS_POSIXACL    MountFlags = 1 << 16
	MS_UNBINDABLE  MountFlags = 1 << 17
	MS_PRIVATE     MountFlags = 1 << 18
	MS_SLAVE       MountFlags = 1 << 19
	MS_SHARED      MountFlags = 1 << 20
	MS_RELATIME    MountFlags = 1 << 21
	MS_KERNMOUNT   MountFlags = 1 << 22
	MS_I_VERSION   MountFlags = 1 << 23
	MS_STRICTATIME MountFlags = 1 << 24
	MS_LAZYTIME    MountFlags = 1 << 25

	MS_MGC_VAL MountFlags = 0xc0ed0000 // what old programs put in the high half
	MS_MGC_MSK MountFlags = 0xffff0000
)

// Flags of umount2(2).
const (
	MNT_FORCE       = 1
	MNT_DETACH      = 2
	MNT_EXPIRE      = 4
	UMOUNT_NOFOLLOW = 8
)

// What mount_setattr(2) and fsmount(2) set, MOUNT_ATTR_*.
const (
	MOUNT_ATTR_RDONLY      = 0x1
	MOUNT_ATTR_NOSUID      = 0x2
	MOUNT_ATTR_NODEV       = 0x4
	MOUNT_ATTR_NOEXEC      = 0x8
	MOUNT_ATTR__ATIME      = 0x70 // of which one:
	MOUNT_ATTR_RELATIME    = 0
	MOUNT_ATTR_NOATIME     = 0x10
	MOUNT_ATTR_STRICTATIME = 0x20
	MOUNT_ATTR_NODIRATIME  = 0x80
	MOUNT_ATTR_IDMAP       = 0x100000
	MOUNT_ATTR_NOSYMFOLLOW = 0x200000
)

// Flags of open_tree(2), move_mount(2), fsopen(2), fsmount(2), fspick(2).
const (
	OPEN_TREE_CLONE   = 1
	OPEN_TREE_CLOEXEC = uint32(O_CLOEXEC)

	MOVE_MOUNT_F_SYMLINKS   = 0x1
	MOVE_MOUNT_F_AUTOMOUNTS = 0x2
	MOVE_MOUNT_F_EMPTY_PATH = 0x4
	MOVE_MOUNT_T_SYMLINKS   = 0x10
	MOVE_MOUNT_T_AUTOMOUNTS = 0x20
	MOVE_MOUNT_T_EMPTY_PATH = 0x40
	MOVE_MOUNT_SET_GROUP    = 0x100
	MOVE_MOUNT_BENEATH      = 0x200

	FSOPEN_CLOEXEC  = 1
	FSMOUNT_CLOEXEC = 1

	FSPICK_CLOEXEC          = 1
	FSPICK_SYMLINK_NOFOLLOW = 2
	FSPICK_NO_AUTOMOUNT     = 4
	FSPICK_EMPTY_PATH       = 8
)

// Commands of fsconfig(2).
const (
	FSCONFIG_SET_FLAG        = 0
	FSCONFIG_SET_STRING      = 1
	FSCONFIG_SET_BINARY      = 2
	FSCONFIG_SET_PATH        = 3
	FSCONFIG_SET_PATH_EMPTY  = 4
	FSCONFIG_SET_FD          = 5
	FSCONFIG_CMD_CREATE      = 6
	FSCONFIG_CMD_RECONFIGURE = 7
	FSCONFIG_CMD_CREATE_EXCL = 8
)

// MountAttr is struct mount_attr.
type MountAttr struct {
	Set, Clear, Propagation, UserNS uint64
}

// MountIDReq is struct mnt_id_req, of which the last field came later.
type MountIDReq struct {
	Size, Spare uint32
	ID, Param   uint64
	Namespace   uint64
}

// Numbers of mounts in statmount(2) and listmount(2).
const (
	LSMT_ROOT         = ^uint64(0) // the root of the namespace
	LISTMOUNT_REVERSE = 1
	FirstMountID      = 1 << 31 // all numbers that are never used again are higher
)

// What statmount(2) is asked for.
const (
	STATMOUNT_SB_BASIC       = 0x1
	STATMOUNT_MNT_BASIC      = 0x2
	STATMOUNT_PROPAGATE_FROM = 0x4
	STATMOUNT_MNT_ROOT       = 0x8
	STATMOUNT_MNT_POINT      = 0x10
	STATMOUNT_FS_TYPE        = 0x20
	STATMOUNT_MNT_NS_ID      = 0x40
	STATMOUNT_MNT_OPTS       = 0x80
	STATMOUNT_FS_SUBTYPE     = 0x100
	STATMOUNT_SB_SOURCE      = 0x200
	STATMOUNT_OPT_ARRAY      = 0x400
	STATMOUNT_OPT_SEC_ARRAY  = 0x800
	STATMOUNT_SUPPORTED_MASK = 0x1000
	STATMOUNT_MNT_UIDMAP     = 0x2000
	STATMOUNT_MNT_GIDMAP     = 0x4000
	STATMOUNT_ALL            = 0x7fff
)

// Statmount is struct statmount; strings, which its offsets lead to, follow it.
type Statmount struct {
	Size, MntOpts                                             uint32
	Mask                                                      uint64
	DevMajor, DevMinor                                        uint32
	Magic                                                     uint64
	SBFlags, FSType                                           uint32
	ID, Parent                                                uint64
	OldID, OldParent                                          uint32
	Attr, Propagation, PeerGroup, Master, PropagateFrom       uint64
	Root, Point                                               uint32
	Namespace                                                 uint64
	Subtype, Source, OptNum, OptArray, OptSecNum, OptSecArray uint32
	Supported                                                 uint64
	UIDMapNum, UIDMap, GIDMapNum, GIDMap                      uint32
	_                                                         [43]uint64
}
