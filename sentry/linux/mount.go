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
