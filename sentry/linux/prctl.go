package linux

// Operations of prctl(2), <linux/prctl.h>.
const (
	PR_SET_PDEATHSIG             = 1
	PR_GET_PDEATHSIG             = 2
	PR_GET_DUMPABLE              = 3
	PR_SET_DUMPABLE              = 4
	PR_GET_UNALIGN               = 5
	PR_SET_UNALIGN               = 6
	PR_GET_KEEPCAPS              = 7
	PR_SET_KEEPCAPS              = 8
	PR_GET_FPEMU                 = 9
	PR_SET_FPEMU                 = 10
	PR_GET_FPEXC                 = 11
	PR_SET_FPEXC                 = 12
	PR_GET_TIMING                = 13
	PR_SET_TIMING                = 14
	PR_SET_NAME                  = 15
	PR_GET_NAME                  = 16
	PR_GET_SECCOMP               = 21
	PR_SET_SECCOMP               = 22
	PR_CAPBSET_READ              = 23
	PR_CAPBSET_DROP              = 24
	PR_GET_TSC                   = 25
	PR_SET_TSC                   = 26
	PR_GET_SECUREBITS            = 27
	PR_SET_SECUREBITS            = 28
	PR_SET_TIMERSLACK            = 29
	PR_GET_TIMERSLACK            = 30
	PR_TASK_PERF_EVENTS_DISABLE  = 31
	PR_TASK_PERF_EVENTS_ENABLE   = 32
	PR_MCE_KILL                  = 33
	PR_MCE_KILL_GET              = 34
	PR_SET_MM                    = 35
	PR_SET_CHILD_SUBREAPER       = 36
	PR_GET_CHILD_SUBREAPER       = 37
	PR_SET_NO_NEW_PRIVS          = 38
	PR_GET_NO_NEW_PRIVS          = 39
	PR_GET_TID_ADDRESS           = 40
	PR_SET_THP_DISABLE           = 41
	PR_GET_THP_DISABLE           = 42
	PR_MPX_ENABLE_MANAGEMENT     = 43
	PR_MPX_DISABLE_MANAGEMENT    = 44
	PR_CAP_AMBIENT               = 47
	PR_GET_SPECULATION_CTRL      = 52
	PR_SET_SPECULATION_CTRL      = 53
	PR_SET_IO_FLUSHER            = 57
	PR_GET_IO_FLUSHER            = 58
	PR_SET_SYSCALL_USER_DISPATCH = 59
	PR_SET_MDWE                  = 65
	PR_GET_MDWE                  = 66
	PR_SET_MEMORY_MERGE          = 67
	PR_GET_MEMORY_MERGE          = 68
	PR_TIMER_CREATE_RESTORE_IDS  = 77
	PR_FUTEX_HASH                = 78
	PR_SET_PTRACER               = 0x59616d61
	PR_SET_VMA                   = 0x53564d41
	PR_GET_AUXV                  = 0x41555856

	PR_CAP_AMBIENT_IS_SET    = 1
	PR_CAP_AMBIENT_RAISE     = 2
	PR_CAP_AMBIENT_LOWER     = 3
	PR_CAP_AMBIENT_CLEAR_ALL = 4

	PR_TSC_ENABLE = 1

	PR_MCE_KILL_CLEAR   = 0
	PR_MCE_KILL_SET     = 1
	PR_MCE_KILL_LATE    = 0
	PR_MCE_KILL_EARLY   = 1
	PR_MCE_KILL_DEFAULT = 2

	PR_SPEC_L1D_FLUSH = 2 // the last of what can be asked about
	PR_SPEC_ENABLE    = 1 << 1

	PR_MDWE_REFUSE_EXEC_GAIN = 1
	PR_MDWE_NO_INHERIT       = 2

	PR_SET_MM_START_CODE  = 1
	PR_SET_MM_END_CODE    = 2
	PR_SET_MM_START_DATA  = 3
	PR_SET_MM_END_DATA    = 4
	PR_SET_MM_START_STACK = 5
	PR_SET_MM_START_BRK   = 6
	PR_SET_MM_BRK         = 7
	PR_SET_MM_ARG_START   = 8
	PR_SET_MM_ARG_END     = 9
	PR_SET_MM_ENV_START   = 10
	PR_SET_MM_ENV_END     = 11
	PR_SET_MM_AUXV        = 12
	PR_SET_MM_EXE_FILE    = 13
	PR_SET_MM_MAP         = 14
	PR_SET_MM_MAP_SIZE    = 15

	PR_SET_VMA_ANON_NAME = 0

	PR_TIMER_CREATE_RESTORE_IDS_OFF = 0
	PR_TIMER_CREATE_RESTORE_IDS_ON  = 1
	PR_TIMER_CREATE_RESTORE_IDS_GET = 2

	PR_FUTEX_HASH_SET_SLOTS = 1
	PR_FUTEX_HASH_GET_SLOTS = 2

	PR_SYS_DISPATCH_OFF           = 0
	PR_SYS_DISPATCH_EXCLUSIVE_ON  = 1
	PR_SYS_DISPATCH_INCLUSIVE_ON  = 2
	SYSCALL_DISPATCH_FILTER_ALLOW = 0
	SYSCALL_DISPATCH_FILTER_BLOCK = 1
)

// A PrctlMMMap is struct prctl_mm_map of PR_SET_MM_MAP.
type PrctlMMMap struct {
	StartCode, EndCode, StartData, EndData uint64
	StartBrk, Brk, StartStack              uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd     uint64
	Auxv                                   uint64
	AuxvSize                               uint32
	ExeFD                                  int32
}

// SizeofPrctlMMMap is what PR_SET_MM_MAP_SIZE says.
const SizeofPrctlMMMap = 104

// Securebits, capabilities(7).
const (
	SECBIT_NOROOT                 = 1 << 0
	SECBIT_NOROOT_LOCKED          = 1 << 1
	SECBIT_NO_SETUID_FIXUP        = 1 << 2
	SECBIT_NO_SETUID_FIXUP_LOCKED = 1 << 3
	SECBIT_KEEP_CAPS              = 1 << 4
	SECBIT_KEEP_CAPS_LOCKED       = 1 << 5
	SECBIT_NO_CAP_AMBIENT_RAISE   = 1 << 6
	SECBIT_NO_CAP_AMBIENT_LOCKED  = 1 << 7

	SECURE_ALL_BITS  = 0x55
	SECURE_ALL_LOCKS = SECURE_ALL_BITS << 1
)

// Operations of arch_prctl(2), <asm/prctl.h>.
const (
	ARCH_SET_GS               = 0x1001
	ARCH_SET_FS               = 0x1002
	ARCH_GET_FS               = 0x1003
	ARCH_GET_GS               = 0x1004
	ARCH_GET_CPUID            = 0x1011
	ARCH_SET_CPUID            = 0x1012
	ARCH_GET_XCOMP_SUPP       = 0x1021
	ARCH_GET_XCOMP_PERM       = 0x1022
	ARCH_REQ_XCOMP_PERM       = 0x1023
	ARCH_GET_XCOMP_GUEST_PERM = 0x1024
)

// Personalities, personality(2).
const (
	PER_LINUX          = 0
	PER_LINUX32        = 8
	PER_MASK           = 0xff
	ADDR_NO_RANDOMIZE  = 0x0040000
	PER_QUERY          = 0xffffffff
	READ_IMPLIES_EXEC  = 0x0400000
	PER_CLEAR_ON_SETID = 0x0040000 | 0x0100000 | 0x0200000 | 0x0400000
)

// Versions of capset(2)'s header.
const (
	CAPABILITY_VERSION_1 = 0x19980330
	CAPABILITY_VERSION_2 = 0x20071026
	CAPABILITY_VERSION_3 = 0x20080522
)

// CapHeader is struct __user_cap_header_struct.
type CapHeader struct {
	Version uint32
	Pid     int32
}

// CapData is struct __user_cap_data_struct.
type CapData struct{ Effective, Permitted, Inheritable uint32 }
