package linux

// Flags of fanotify_init(2).
const (
	FAN_CLOEXEC           = 0x1
	FAN_NONBLOCK          = 0x2
	FAN_CLASS_NOTIF       = 0x0
	FAN_CLASS_CONTENT     = 0x4
	FAN_CLASS_PRE_CONTENT = 0x8
	FAN_UNLIMITED_QUEUE   = 0x10
	FAN_UNLIMITED_MARKS   = 0x20
	FAN_REPORT_PIDFD      = 0x80
	FAN_REPORT_TID        = 0x100
	FAN_REPORT_FID        = 0x200
	FAN_REPORT_DIR_FID    = 0x400
	FAN_REPORT_NAME       = 0x800
	FAN_REPORT_TARGET_FID = 0x1000
)

// Flags of fanotify_mark(2).
const (
	FAN_MARK_ADD                 = 0x1
	FAN_MARK_REMOVE              = 0x2
	FAN_MARK_DONT_FOLLOW         = 0x4
	FAN_MARK_ONLYDIR             = 0x8
	FAN_MARK_INODE               = 0x0
	FAN_MARK_MOUNT               = 0x10
	FAN_MARK_IGNORED_MASK        = 0x20
	FAN_MARK_IGNORED_SURV_MODIFY = 0x40
	FAN_MARK_FLUSH               = 0x80
	FAN_MARK_FILESYSTEM          = 0x100
	FAN_MARK_EVICTABLE           = 0x200
	FAN_MARK_IGNORE              = 0x400
)

// Events of fanotify(7). Up to FAN_MOVE_SELF, and FAN_ONDIR, they are inotify(7)'s.
const (
	FAN_ACCESS         = IN_ACCESS
	FAN_MODIFY         = IN_MODIFY
	FAN_ATTRIB         = IN_ATTRIB
	FAN_CLOSE_WRITE    = IN_CLOSE_WRITE
	FAN_CLOSE_NOWRITE  = IN_CLOSE_NOWRITE
	FAN_OPEN           = IN_OPEN
	FAN_MOVED_FROM     = IN_MOVED_FROM
	FAN_MOVED_TO       = IN_MOVED_TO
	FAN_CREATE         = IN_CREATE
	FAN_DELETE         = IN_DELETE
	FAN_DELETE_SELF    = IN_DELETE_SELF
	FAN_MOVE_SELF      = IN_MOVE_SELF
	FAN_OPEN_EXEC      = 0x00001000
	FAN_Q_OVERFLOW     = IN_Q_OVERFLOW
	FAN_FS_ERROR       = 0x00008000
	FAN_OPEN_PERM      = 0x00010000
	FAN_ACCESS_PERM    = 0x00020000
	FAN_OPEN_EXEC_PERM = 0x00040000
	FAN_EVENT_ON_CHILD = 0x08000000
	FAN_RENAME         = 0x10000000
	FAN_ONDIR          = IN_ISDIR
)

// Answers to events that ask.
const (
	FAN_ALLOW = 0x1
	FAN_DENY  = 0x2
	FAN_AUDIT = 0x10
	FAN_INFO  = 0x20

	FAN_RESPONSE_INFO_AUDIT_RULE = 1
)

// What stands for no descriptor, and for one that could not be made.
const (
	FAN_NOFD    = -1
	FAN_NOPIDFD = FAN_NOFD
	FAN_EPIDFD  = -2
)

// FanotifyVersion is FANOTIFY_METADATA_VERSION.
const FanotifyVersion = 3

// FanotifyEvent is struct fanotify_event_metadata.
type FanotifyEvent struct {
	Len         uint32
	Vers        uint8
	_           uint8
	MetadataLen uint16
	Mask        uint64
	FD          int32
	PID         int32
}

// Kinds of records that follow a FanotifyEvent.
const (
	FAN_EVENT_INFO_TYPE_FID           = 1
	FAN_EVENT_INFO_TYPE_DFID_NAME     = 2
	FAN_EVENT_INFO_TYPE_DFID          = 3
	FAN_EVENT_INFO_TYPE_PIDFD         = 4
	FAN_EVENT_INFO_TYPE_OLD_DFID_NAME = 10
	FAN_EVENT_INFO_TYPE_NEW_DFID_NAME = 12
)

// FanotifyInfo is struct fanotify_event_info_header, with which each record begins.
type FanotifyInfo struct {
	Type uint8
	Pad  uint8
	Len  uint16
}

// FanotifyFID is struct fanotify_event_info_fid with its handle; a name follows some.
type FanotifyFID struct {
	FanotifyInfo
	FSID [2]int32
	FID
}

// FanotifyPidfd is struct fanotify_event_info_pidfd.
type FanotifyPidfd struct {
	FanotifyInfo
	FD int32
}

// FanotifyResponse is struct fanotify_response.
type FanotifyResponse struct {
	FD       int32
	Response uint32
}

// FanotifyAuditRule is struct fanotify_response_info_audit_rule.
type FanotifyAuditRule struct {
	FanotifyInfo
	Rule, Subject, Object uint32
}

// FileHandle is the head of struct file_handle.
type FileHandle struct {
	Bytes uint32
	Type  int32
}

// FID is a file handle that only identifies a file: FILEID_INO64_GEN, the inode's number and
// generation.
type FID struct {
	FileHandle
	Ino [2]uint32
	Gen uint32
}

// FileidIno64Gen is FILEID_INO64_GEN, and FIDSize how many bytes such a handle has.
const (
	FileidIno64Gen = 0x81
	FIDSize        = 12
)

// NewFID is the FID of an inode's number.
func NewFID(ino uint64) FID {
	return FID{FileHandle{FIDSize, FileidIno64Gen}, [2]uint32{uint32(ino), uint32(ino >> 32)}, 0}
}
