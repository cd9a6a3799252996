package systrap

import (
	"garrison/platform/arch"
	"garrison/platform/stub"
)

// The stub window: what every address space holds besides the guest's
// mappings. Everything below it is the guest's.
const (
	stubWindow  = 0x7fffc0000000
	stubText    = stubWindow            // stub_amd64.s, r-x
	stubGate    = stubText + 0x800      // gate_amd64.s, in the same page,
	stubBack    = stubText + 0xc00      // back_amd64.s, too,
	stubBases   = stubText + 0xff0      // whether the host lets programs load FS and GS,
	stubMask    = stubText + 0xff8      // and the signals that are blocked in guest code
	stubThreads = stubWindow + 0x2000   // how threads return, r-x in processes that have had several
	stubSolo    = stubWindow + 0x4000   // solo_amd64.s, r-x in those that have not
	stubArgs    = stubWindow + 0x8000   // the guest's arguments, as the host shows them
	stubVDSO    = stubWindow + 0x10000  // the host's, if it can be moved
	stubRegions = stubWindow + 0x100000 // one region per thread
	taskSize    = 0x7ffffffff000

	regionSize = 0x10000
	maxThreads = (taskSize - stubRegions) / regionSize

	// The only place that solo operations are made at, as the host tells it:
	// behind the SYSCALL instruction.
	soloSite = stubSolo + 2
)

// What is where in a region: the context page, the alternate stack, and what the
// stub can't write, the page of solo operations and the names (stub.Names).
const (
	contextSize = 2 * arch.PageSize
	stackEnd    = 0x8000
	soloOps     = 0x8000
	namesAt     = 0x9000
)

// Descriptors of every stub.
const (
	stubControl   = 0 // the memory of regions; stub_amd64.s has it, too
	stubLifeline  = 1 // a pipe whose only writing end the sentry has, and never uses
	stubFirstFile = 2 // the lowest of the descriptors to map
)

// A page is a thread's context page, the start of its region. Guest threads can
// write it: what is read from it is a claim, and is read once. What one processor
// writes and another reads moves by lines of 64 bytes, so all that changes with each
// call by the gate is in the first: the call, and the reply.
type page struct {
	state       uint32
	sentryWaits uint32 // the sentry sleeps, or is about to
	stubWaits   uint32 // the stub does
	flags       uint32

	call gateCall

	frame  uint64 // address of the signal frame
	spins  uint32 // how often the stub looks before it sleeps,
	yields uint32 // and gives up the processor, before that
	gate   uint32 // the event is a call by the gate: there is no frame
	ops    uint32 // how many
	result uint64 // of the last operation: 0, or -errno; the child's id
	_      [2]uint64

	fs, gs    uint64
	noted     uint32 // a signal came while the gate waited
	threaded  uint32 // the stub returns as threads do
	waitStart uint64 // where the gate's text waits
	waitLen   uint64
	self      uint64 // where the region is: the gate finds it by GS
	answered  uint64 // calls that the gate has answered
	said      uint64 // what it is about to answer

	op [maxOps]struct {
		call stub.Call
		_    uint64
	}

	answer [answers]uint64 // what a call by the gate returns at once, plus 1; 0: nothing
}

// answers is how many system calls, by number, can be answered in the gate.
const answers = 512

// soloOp in the number of an operation on the context page says that it is made
// at the solo site.
const soloOp = 1 << 63

// touchOp is the number of an operation that is no system call: to load a byte of
// memory every 64 KiB, from the first argument on and as many bytes as the second
// says. The host's fault on such a page maps those around it as well.
const touchOp = 1 << 62

// nameOp is the number of an operation that is no system call, either, but two that
// nobody verifies: to have the host show the names in the region. Whether it does so
// is the host's affair.
const nameOp = touchOp | 1

// soloPage is the page of solo operations: each lies as far from its start as
// its twin on the context page does there.
type soloPage struct {
	_  [256]byte
	op [maxOps]struct {
		call stub.Call
		_    uint64
	}
}

// A gateCall is the guest's registers at a call by the gate; in place of rax comes its
// result.
type gateCall struct {
	rax, rdi, rsi, rdx, r10, rip uint64

	// What as a rule is as it was at the last call.
	r8, r9, rsp, rbx, rbp, r12, r13, r14, r15, flag uint64
}

// maxOps is how many operations fit the page, which is two of the host's.
const maxOps = 60

// What page.state says.
const (
	stateGuest  = iota // the stub has not begun
	stateEvent         // the stub has something to tell, or has done as told
	stateResume        // the sentry has replied
)

// What page.flags asks of the stub. The gate does nothing of it: it enters the
// handler, which publishes, whatever the bits.
const (
	flagOps      = 1 << iota // do page.op first
	flagReport               // and then publish again instead of returning to the guest
	flagClone                // clone yourself as op[0] says
	flagSegments             // load FS and GS
	flagExit                 // end this thread
)

// A regionAddr is where a thread's region is in its address space.
func regionAddr(index int) arch.Addr { return stubRegions + arch.Addr(index)*regionSize }
