package linux

// CloneFlags are the flags of clone(2), clone3(2) and unshare(2).
type CloneFlags uint64

// <linux/sched.h>
const (
	CSIGNAL              CloneFlags = 0x000000ff
	CLONE_NEWTIME        CloneFlags = 0x00000080
	CLONE_VM             CloneFlags = 0x00000100
	CLONE_FS             CloneFlags = 0x00000200
	CLONE_FILES          CloneFlags = 0x00000400
	CLONE_SIGHAND        CloneFlags = 0x00000800
	CLONE_PIDFD          CloneFlags = 0x00001000
	CLONE_PTRACE         CloneFlags = 0x00002000
	CLONE_VFORK          CloneFlags = 0x00004000
	CLONE_PARENT         CloneFlags = 0x00008000
	CLONE_THREAD         CloneFlags = 0x00010000
	CLONE_NEWNS          CloneFlags = 0x00020000
	CLONE_SYSVSEM        CloneFlags = 0x00040000
	CLONE_SETTLS         CloneFlags = 0x00080000
	CLONE_PARENT_SETTID  CloneFlags = 0x00100000
	CLONE_CHILD_CLEARTID CloneFlags = 0x00200000
	CLONE_DETACHED       CloneFlags = 0x00400000
	CLONE_UNTRACED       CloneFlags = 0x00800000
	CLONE_CHILD_SETTID   CloneFlags = 0x01000000
	CLONE_NEWCGROUP      CloneFlags = 0x02000000
	CLONE_NEWUTS         CloneFlags = 0x04000000
	CLONE_NEWIPC         CloneFlags = 0x08000000
	CLONE_NEWUSER        CloneFlags = 0x10000000
	CLONE_NEWPID         CloneFlags = 0x20000000
	CLONE_NEWNET         CloneFlags = 0x40000000
	CLONE_IO             CloneFlags = 0x80000000
	CLONE_CLEAR_SIGHAND  CloneFlags = 0x100000000
	CLONE_INTO_CGROUP    CloneFlags = 0x200000000
)

// CloneArgs is struct clone_args of clone3(2).
type CloneArgs struct {
	Flags      uint64
	Pidfd      uint64
	ChildTID   uint64
	ParentTID  uint64
	ExitSignal uint64
	Stack      uint64
	StackSize  uint64
	TLS        uint64
	SetTID     uint64
	SetTIDSize uint64
	Cgroup     uint64
}

// Sizes of CloneArgs as it grew.
const (
	CLONE_ARGS_SIZE_VER0 = 64
	CLONE_ARGS_SIZE_VER1 = 80
	CLONE_ARGS_SIZE_VER2 = 88
)

// Scheduling policies.
const (
	SCHED_NORMAL        = 0
	SCHED_FIFO          = 1
	SCHED_RR            = 2
	SCHED_BATCH         = 3
	SCHED_IDLE          = 5
	SCHED_DEADLINE      = 6
	SCHED_EXT           = 7
	SCHED_RESET_ON_FORK = 0x40000000
)

// SchedAttr is struct sched_attr of sched_setattr(2).
type SchedAttr struct {
	Size     uint32
	Policy   uint32
	Flags    uint64
	Nice     int32
	Priority uint32
	Runtime  uint64
	Deadline uint64
	Period   uint64
	UtilMin  uint32
	UtilMax  uint32
}

// Sizes and flags of SchedAttr.
const (
	SCHED_ATTR_SIZE_VER0 = 48
	SCHED_ATTR_SIZE_VER1 = 56

	SCHED_FLAG_RESET_ON_FORK = 0x01
	SCHED_FLAG_RECLAIM       = 0x02
	SCHED_FLAG_DL_OVERRUN    = 0x04
	SCHED_FLAG_KEEP_POLICY   = 0x08
	SCHED_FLAG_KEEP_PARAMS   = 0x10
	SCHED_FLAG_UTIL_CLAMP    = 0x60 // its two halves
	SCHED_FLAG_ALL           = 0x7f
)

// Whichs of getpriority(2).
const (
	PRIO_PROCESS = 0
	PRIO_PGRP    = 1
	PRIO_USER    = 2
)

// TaskCommLen is the length of a thread's name with its NUL.
const TaskCommLen = 16
