package ptrace

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/script"
	"garrison/platform/stub"
)

// The stub window: what every address space holds besides the guest's
// mappings. Everything below it is the guest's.
const (
	stubWindow  = 0x7fffff000000
	stubText    = stubWindow          // stub_amd64.s, r-x
	stubOps     = stubWindow + 0x1000 // the space's page of operations, r--,
	stubNames   = stubWindow + 0x2000 // and the names behind it (stub.Names)
	stubScratch = stubWindow + 0x8000 // private page that the host kernel writes, rw-,
	stubArgs    = stubWindow + 0x9000 // and the guest's arguments, as the host shows them
	stubVDSO    = stubWindow + 0x10000
	taskSize    = 0x7ffffffff000
)

// What R15 asks of the stub, and what R14 says.
const (
	stubRun   = 0
	stubOne   = 1
	stubClone = 2
	stubReady = 0x72656164
)

// Descriptors of every stub.
const (
	stubSocket    = 0 // where descriptors to map arrive
	stubControl   = 1 // the memory of operations pages
	stubLifeline  = 2 // a pipe whose only writing end the sentry has, and never uses
	stubFirstFile = 3 // the lowest of the descriptors to map
)

// Descriptors the mother has besides, until it is ready.
const (
	motherText   = 3
	motherReport = 4
	motherELF    = 5
)

// In the scratch page: a message header for recvmsg that takes one byte and one
// descriptor. Guest threads can write it, but only to make their own space's
// recvmsg fail, which flush notices.
const (
	scratchHeader  = stubScratch
	scratchVector  = stubScratch + 64
	scratchByte    = stubScratch + 96
	scratchControl = stubScratch + 128
	scratchFilter  = stubScratch + 512 // the mother's filter, once
)

// stubAddress returns where the stub's text is in this program.
func stubAddress() uintptr

// motherScript is what the mother stub does from its exec until it sleeps and
// waits to be seized: give up every privilege, and map the stub window.
func motherScript() *script.Script {
	var s script.Script
	i := script.Int
	s.ReportTo(motherReport)
	// What a terminal or a supervisor sends to a whole group is not for stubs. Their
	// session is the sentry's: hosts that give each session its share of the
	// processors (autogroups, sched(7)) would else let one wait for seconds on end
	// while the other runs, though neither can go on alone.
	mask := s.Bytes(binary.LittleEndian.AppendUint64(nil, ^uint64(openSignals)))
	s.Call("block signals", unix.SYS_RT_SIGPROCMASK, i(unix.SIG_SETMASK), mask, i(0), i(8))
	s.Call("setpgid", unix.SYS_SETPGID, i(0), i(0))
	s.Call("prctl PR_SET_NAME", unix.SYS_PRCTL, i(unix.PR_SET_NAME), s.String("stub"))
	s.Call("prctl PR_SET_NO_NEW_PRIVS", unix.SYS_PRCTL, i(unix.PR_SET_NO_NEW_PRIVS), i(1), i(0), i(0), i(0))
	s.Call("clear ambient capabilities", unix.SYS_PRCTL, i(unix.PR_CAP_AMBIENT), i(unix.PR_CAP_AMBIENT_CLEAR_ALL), i(0), i(0), i(0)).Keep()
	header := s.Buffer(8)
	s.Store32(header.At(0), i(unix.LINUX_CAPABILITY_VERSION_3))
	s.Call("drop capabilities", unix.SYS_CAPSET, header.At(0), s.Buffer(24).At(0))
	s.Call("set RLIMIT_CORE", unix.SYS_SETRLIMIT, i(unix.RLIMIT_CORE), s.Buffer(16).At(0))

	s.Call("map stub text", unix.SYS_MMAP, i(stubText), i(arch.PageSize), i(unix.PROT_READ|unix.PROT_EXEC),
		i(unix.MAP_PRIVATE|unix.MAP_FIXED), i(motherText), i(0))
	s.Call("map operations", unix.SYS_MMAP, i(stubOps), i(slotSize), i(unix.PROT_READ),
		i(unix.MAP_SHARED|unix.MAP_FIXED), i(stubControl), i(0))
	s.Call("map scratch", unix.SYS_MMAP, i(stubScratch), i(arch.PageSize+stub.NamesSize), i(unix.PROT_READ|unix.PROT_WRITE),
		i(unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED), script.Signed(-1), i(0))
	s.Store64(i(scratchHeader+16), i(scratchVector))
	s.Store64(i(scratchHeader+24), i(1))
	s.Store64(i(scratchHeader+32), i(scratchControl))
	s.Store64(i(scratchHeader+40), i(uintptr(unix.CmsgSpace(4))))
	s.Store64(i(scratchVector), i(scratchByte))
	s.Store64(i(scratchVector+8), i(1))

	// Descriptors that this process was itself born with survive an exec.
	s.Call("close descriptors", unix.SYS_CLOSE_RANGE, i(motherELF), i(math.MaxUint32), i(0))
	s.Call("close text", unix.SYS_CLOSE, i(motherText))
	// The end of the report says that all went well.
	s.Call("close report", unix.SYS_CLOSE, i(motherReport))
	s.Call("wait", unix.SYS_READ, i(stubLifeline), i(scratchByte), i(1)).Retry(unix.EINTR)
	return &s
}

// openSignals is the set of signals that stubs don't block: the interrupt, and
// those that instructions raise.
const openSignals = 1<<(interruptSignal-1) | 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGFPE-1) |
	1<<(unix.SIGILL-1) | 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGSYS-1)
