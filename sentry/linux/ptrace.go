package linux

// Requests of ptrace(2), <linux/ptrace.h> and <asm/ptrace-abi.h>.
const (
	PTRACE_TRACEME              = 0
	PTRACE_PEEKTEXT             = 1
	PTRACE_PEEKDATA             = 2
	PTRACE_PEEKUSR              = 3
	PTRACE_POKETEXT             = 4
	PTRACE_POKEDATA             = 5
	PTRACE_POKEUSR              = 6
	PTRACE_CONT                 = 7
	PTRACE_KILL                 = 8
	PTRACE_SINGLESTEP           = 9
	PTRACE_GETREGS              = 12
	PTRACE_SETREGS              = 13
	PTRACE_GETFPREGS            = 14
	PTRACE_SETFPREGS            = 15
	PTRACE_ATTACH               = 16
	PTRACE_DETACH               = 17
	PTRACE_OLDSETOPTIONS        = 21
	PTRACE_SYSCALL              = 24
	PTRACE_ARCH_PRCTL           = 30
	PTRACE_SYSEMU               = 31
	PTRACE_SYSEMU_SINGLESTEP    = 32
	PTRACE_SINGLEBLOCK          = 33
	PTRACE_SETOPTIONS           = 0x4200
	PTRACE_GETEVENTMSG          = 0x4201
	PTRACE_GETSIGINFO           = 0x4202
	PTRACE_SETSIGINFO           = 0x4203
	PTRACE_GETREGSET            = 0x4204
	PTRACE_SETREGSET            = 0x4205
	PTRACE_SEIZE                = 0x4206
	PTRACE_INTERRUPT            = 0x4207
	PTRACE_LISTEN               = 0x4208
	PTRACE_PEEKSIGINFO          = 0x4209
	PTRACE_GETSIGMASK           = 0x420a
	PTRACE_SETSIGMASK           = 0x420b
	PTRACE_SECCOMP_GET_FILTER   = 0x420c
	PTRACE_SECCOMP_GET_METADATA = 0x420d
	PTRACE_GET_SYSCALL_INFO     = 0x420e
	PTRACE_GET_RSEQ_CONFIG      = 0x420f

	PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210
	PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211
	PTRACE_SET_SYSCALL_INFO                 = 0x4212

	PTRACE_PEEKSIGINFO_SHARED = 1
)

// Events that a tracee stops for if it is asked to.
const (
	PTRACE_EVENT_FORK       = 1
	PTRACE_EVENT_VFORK      = 2
	PTRACE_EVENT_CLONE      = 3
	PTRACE_EVENT_EXEC       = 4
	PTRACE_EVENT_VFORK_DONE = 5
	PTRACE_EVENT_EXIT       = 6
	PTRACE_EVENT_SECCOMP    = 7
	PTRACE_EVENT_STOP       = 128
)

// Options of PTRACE_SETOPTIONS; that of event n is 1<<n.
const (
	PTRACE_O_TRACESYSGOOD    = 1
	PTRACE_O_EXITKILL        = 1 << 20
	PTRACE_O_SUSPEND_SECCOMP = 1 << 21
	PTRACE_O_MASK            = 0xff | PTRACE_O_EXITKILL | PTRACE_O_SUSPEND_SECCOMP
)

// Messages of stops at system calls, for PTRACE_GETEVENTMSG.
const (
	PTRACE_EVENTMSG_SYSCALL_ENTRY = 1
	PTRACE_EVENTMSG_SYSCALL_EXIT  = 2
)

// Kinds of PtraceSyscallInfo.
const (
	PTRACE_SYSCALL_INFO_NONE    = 0
	PTRACE_SYSCALL_INFO_ENTRY   = 1
	PTRACE_SYSCALL_INFO_EXIT    = 2
	PTRACE_SYSCALL_INFO_SECCOMP = 3
)

// PtraceSyscallInfo is struct ptrace_syscall_info; what Data holds depends on Op:
// number and arguments, and the filter's data, or the result and whether it is an error.
type PtraceSyscallInfo struct {
	Op       uint8
	Reserved uint8
	Flags    uint16
	Arch     uint32
	IP       uint64
	SP       uint64
	Data     [8]uint64
}

// Bytes of PtraceSyscallInfo that have a meaning, by Op.
const (
	SizeofSyscallInfoNone    = 24
	SizeofSyscallInfoEntry   = 80
	SizeofSyscallInfoExit    = 33
	SizeofSyscallInfoSeccomp = 84
)

// PtracePeekSigInfoArgs is struct ptrace_peeksiginfo_args.
type PtracePeekSigInfoArgs struct {
	Off   uint64
	Flags uint32
	Count int32
}

// PtraceUserDispatch is struct ptrace_sud_config.
type PtraceUserDispatch struct{ Mode, Selector, Offset, Len uint64 }

// PtraceRseqConfig is struct ptrace_rseq_configuration.
type PtraceRseqConfig struct {
	Pointer   uint64
	Size      uint32
	Signature uint32
	Flags     uint32
	_         uint32
}

// Notes that PTRACE_GETREGSET knows, <linux/elf.h>.
const (
	NT_PRSTATUS   = 1
	NT_PRFPREG    = 2
	NT_X86_XSTATE = 0x202
)

// UserRegs is struct user_regs_struct.
type UserRegs struct {
	R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8 uint64
	RAX, RCX, RDX, RSI, RDI, OrigRAX, RIP, CS      uint64
	EFlags, RSP, SS, FSBase, GSBase, DS, ES, FS    uint64
	GS                                             uint64
}

// Places in struct user, <asm/user_64.h>.
const (
	SizeofUserRegs     = 216
	UserDebugRegs      = 848 // u_debugreg[0]
	SizeofUserDebugReg = 8 * 8
	SizeofUser         = 928
)
