package linux

// Modes of seccomp(2), as prctl(PR_GET_SECCOMP) tells them.
const (
	SECCOMP_MODE_DISABLED = 0
	SECCOMP_MODE_STRICT   = 1
	SECCOMP_MODE_FILTER   = 2
)

// Operations of seccomp(2).
const (
	SECCOMP_SET_MODE_STRICT  = 0
	SECCOMP_SET_MODE_FILTER  = 1
	SECCOMP_GET_ACTION_AVAIL = 2
	SECCOMP_GET_NOTIF_SIZES  = 3
)

// SeccompFlags is the flags of SECCOMP_SET_MODE_FILTER.
type SeccompFlags uint32

// Flags of SECCOMP_SET_MODE_FILTER.
const (
	SECCOMP_FILTER_FLAG_TSYNC              SeccompFlags = 0x1
	SECCOMP_FILTER_FLAG_LOG                SeccompFlags = 0x2
	SECCOMP_FILTER_FLAG_SPEC_ALLOW         SeccompFlags = 0x4
	SECCOMP_FILTER_FLAG_NEW_LISTENER       SeccompFlags = 0x8
	SECCOMP_FILTER_FLAG_TSYNC_ESRCH        SeccompFlags = 0x10
	SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV SeccompFlags = 0x20

	SECCOMP_FILTER_FLAG_MASK = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
)

// What a filter returns: an action, and 16 bits of data for it. As a signed
// number, the lesser action has precedence.
const (
	SECCOMP_RET_KILL_PROCESS uint32 = 0x80000000
	SECCOMP_RET_KILL_THREAD  uint32 = 0x00000000
	SECCOMP_RET_TRAP         uint32 = 0x00030000
	SECCOMP_RET_ERRNO        uint32 = 0x00050000
	SECCOMP_RET_USER_NOTIF   uint32 = 0x7fc00000
	SECCOMP_RET_TRACE        uint32 = 0x7ff00000
	SECCOMP_RET_LOG          uint32 = 0x7ffc0000
	SECCOMP_RET_ALLOW        uint32 = 0x7fff0000

	SECCOMP_RET_ACTION_FULL uint32 = 0xffff0000
	SECCOMP_RET_DATA        uint32 = 0x0000ffff
)

// AUDIT_ARCH_X86_64 is the architecture of a 64-bit call, <linux/audit.h>.
const AUDIT_ARCH_X86_64 = 0xc000003e

// SockFprog is struct sock_fprog: a program for the classic BPF machine.
type SockFprog struct {
	Len    uint16
	_      [3]uint16
	Filter uint64
}

// SockFilter is struct sock_filter: one instruction.
type SockFilter struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// BPF_MAXINSNS is the length of the longest program.
const BPF_MAXINSNS = 4096

// SeccompData is struct seccomp_data: what a filter sees of a call.
type SeccompData struct {
	Nr                 int32
	Arch               uint32
	InstructionPointer uint64
	Args               [6]uint64
}

// SeccompNotif is struct seccomp_notif: a call that waits for the listener's word.
type SeccompNotif struct {
	ID    uint64
	Pid   int32
	Flags uint32
	Data  SeccompData
}

// SeccompNotifResp is struct seccomp_notif_resp: the listener's word.
type SeccompNotifResp struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// SECCOMP_USER_NOTIF_FLAG_CONTINUE in a response lets the call go on.
const SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1

// SeccompNotifAddfd is struct seccomp_notif_addfd: a file for who made the call.
type SeccompNotifAddfd struct {
	ID         uint64
	Flags      uint32
	SrcFD      int32
	NewFD      int32
	NewFDFlags uint32
}

// Flags of SeccompNotifAddfd.
const (
	SECCOMP_ADDFD_FLAG_SETFD = 1
	SECCOMP_ADDFD_FLAG_SEND  = 2
)

// SeccompNotifSizes is struct seccomp_notif_sizes.
type SeccompNotifSizes struct{ Notif, NotifResp, Data uint16 }

// ioctl(2) commands of a listener. ADDFD's size may be another than that here.
const (
	SECCOMP_IOCTL_NOTIF_RECV               = 0xc0502100
	SECCOMP_IOCTL_NOTIF_SEND               = 0xc0182101
	SECCOMP_IOCTL_NOTIF_ID_VALID           = 0x40082102
	SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR = 0x80082102
	SECCOMP_IOCTL_NOTIF_ADDFD              = 0x40182103
	SECCOMP_IOCTL_NOTIF_SET_FLAGS          = 0x40082104

	SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP = 1
)

// SetSyscall fills in what the SIGSYS of a filter carries: where the call came
// from, its number and architecture.
func (s *SigInfo) SetSyscall(from uint64, nr int32, arch uint32) {
	s.setU64(0, from)
	s.Fields[2], s.Fields[3] = uint32(nr), arch
}
