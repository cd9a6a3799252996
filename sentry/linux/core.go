package linux

// Notes of core files, <linux/elf.h>.
const (
	NT_PRPSINFO = 3
	NT_AUXV     = 6
	NT_SIGINFO  = 0x53494749
	NT_FILE     = 0x46494c45

	ET_CORE = 4
)

// PrStatus is struct elf_prstatus: a thread of a core file.
type PrStatus struct {
	Signo, Code, Errno           int32
	CurSig                       int16
	_                            int16
	SigPend, SigHold             uint64
	PID, PPID, PGRP, SID         int32
	Utime, Stime, Cutime, Cstime Timeval
	Reg                          UserRegs
	FPValid                      int32
	_                            int32
}

// PrPSInfo is struct elf_prpsinfo: the process of a core file.
type PrPSInfo struct {
	State, Sname, Zomb uint8
	Nice               int8
	_                  uint32
	Flag               uint64
	UID, GID           uint32
	PID, PPID          int32
	PGRP, SID          int32
	Fname              [16]byte
	Args               [80]byte
}

// CoreFilter is what of a process's memory goes into its core file,
// /proc/pid/coredump_filter in core(5).
type CoreFilter uint32

// Kinds of memory.
const (
	CoreAnonPrivate CoreFilter = 1 << iota
	CoreAnonShared
	CoreFilePrivate
	CoreFileShared
	CoreELFHeaders

	// CoreDefault is Linux's: huge pages, of which there are none here, are bit 5.
	CoreDefault = CoreAnonPrivate | CoreAnonShared | CoreELFHeaders | 1<<5
	CoreAll     = 1<<9 - 1
)
