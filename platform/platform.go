// Package platform is the contract between the kernel and whatever runs guest
// code. A platform owns host threads and page tables and hands every guest
// system call, fault and signal to its caller; it knows nothing of Linux.
package platform

import "garrison/platform/arch"

// A Platform makes the two things a guest needs: memory and processors.
// Its methods may be called from any goroutine.
type Platform interface {
	// NewAddressSpace returns an empty address space.
	NewAddressSpace() (AddressSpace, error)

	// NewContext returns a guest thread that belongs to no address space yet;
	// its first Switch enters one.
	NewContext() Context

	Facts() Facts

	// Release ends every host process of the platform. Nothing else may be
	// called after it.
	Release()
}

// A Counter is a Platform that counts what it does.
type Counter interface {
	Counts() []Count
}

// A Count says how often something has happened since the platform began.
type Count struct {
	Name string
	N    uint64
}

// A Sleeper is a Context that is told of its caller's sleep. Context's rule for callers
// holds.
type Sleeper interface {
	// Slept says that the caller has slept until somebody woke it, as a task
	// does in a system call that waits.
	Slept()
	// Waited says that the caller has waited for the host to do something, and so
	// that what this took says nothing of how busy the processors are.
	Waited()
}

// A CPUTimer is a Context that knows how long the host has run what is the
// guest's. Any goroutine may call its methods; each asks the host.
type CPUTimer interface {
	// GuestTime is how long all threads have run, in nanoseconds, of the host
	// process that is the guest's address space, since it is that; process names it.
	// Another address space has another clock, that began at 0, whichever its process
	// is. process is 0 while there is none. Time in which the process watches for the
	// sentry's answer counts.
	GuestTime() (process int, ns int64)

	// ServerTime is how long the thread has run that makes the Context's calls,
	// since the first Switch, in nanoseconds; 0 before that and after Release.
	ServerTime() int64
}

// A Namer is a Context that can have the host show what its guest is called, to ps(1),
// top(1) and their like.
type Namer interface {
	// Name has the host show comm as the thread's name, of which it takes 15 bytes, and
	// args, strings that each end with a 0, as its process's arguments. That happens
	// with the next Switch, or Barrier by the Context, if the host can do it. A thread
	// from Spawn, and the process of a Fork, are at first called what its maker is.
	Name(comm string, args []byte)
}

// Facts never change during the life of a Platform.
type Facts struct {
	Name    string
	User    []arch.Range // addresses a guest may map, in order, page aligned
	MaxMaps int          // host mappings one AddressSpace can hold

	// FPUSize is the length in bytes of Context.FPU's result: the XSAVE area
	// for all features the host has enabled (XCR0).
	FPUSize int

	// VDSO, when not empty, is where in every address space the host's own
	// vDSO (with its data pages before it) can be called by guest code.
	// VDSOText is the start of its ELF image within it.
	VDSO     arch.Range
	VDSOText arch.Addr

	// Gate, when not 0, is where in every address space a jump is a system
	// call, and a cheaper one than by the processor's instruction: with its
	// number in RAX and in RCX where to return to, which is behind a SYSCALL
	// instruction that does the same. RCX and R11 are lost, as with that.
	// It needs GSBase to be 0.
	Gate arch.Addr
}

// An AddressSpace is one guest page table.
//
// Map, Unmap and Protect queue: they happen in the order given, before any
// Switch into the space that begins after the call resumes guest code, so the
// caller may already have told the guest that they are done. The caller stays
// below Facts.MaxMaps and inside Facts.User, so they can't fail; if the host
// refuses all the same, the space is dead and Switch returns an error.
// All methods may be called from any goroutine.
type AddressSpace interface {
	// Map makes guest pages [at, at+n) show f's bytes from off on (as
	// MAP_SHARED|MAP_FIXED does). f's descriptor must stay open until the next
	// Barrier or Release; access is what the guest may do.
	Map(at arch.Addr, f File, off, n uint64, access arch.Access)
	Unmap(arch.Range)
	Protect(arch.Range, arch.Access)

	// Fork returns a copy of the space. The caller has queued Protect for the
	// pages that must be copied on write. by is the Context of the calling
	// task, between two Switches in this space. Other threads of the space may
	// be running; what they do after Fork returns is not seen in the copy's
	// protected pages.
	Fork(by Context) (AddressSpace, error)

	// Barrier returns when all that was queued has happened in the host and no
	// guest thread can reach what was unmapped, by evidence a guest can't
	// forge. Only then may freed memory serve another space. by may be nil.
	Barrier(by Context) error

	// Settled reports whether no guest thread can reach what was queued to be
	// unmapped, or mapped over, if the stub can be believed. It does not wait.
	Settled() bool

	// Release ends the space. The caller guarantees that no Switch into it is
	// in progress or will begin. When it returns, no process maps its pages.
	Release()
}

// A Prefaulter is an AddressSpace that can spare guests the faults by which a
// host finds pages that are there.
type Prefaulter interface {
	// Prefault queues, as Map does, that the guest need not fault on the pages of
	// r. All of them have memory, and the guest may read them. Nothing but
	// time depends on it.
	Prefault(r arch.Range)
}

// A File is host memory that can be mapped into a guest. Its dynamic type is
// comparable (a pointer), and a value stands for one open file for good:
// platforms keep duplicates of descriptors, and know them again by it.
type File interface {
	// FD is a host descriptor open for what the mapping's access asks.
	FD() int
}

// A Context is one guest thread. All methods but Interrupt and Running must be called from
// one goroutine, the one that makes the first call of Switch or Spawn.
// A platform that needs it locks that goroutine to its thread, for good, and binds
// the thread to a processor: who serves one Context after the other, as a rule on
// the same processor, is woken where it is needed.
type Context interface {
	// Switch runs the guest in as with regs until it needs the kernel; regs are
	// then those of the guest at the event. An error means that the space (or
	// the thread in it) has died, not by its own doing as far as the guest can tell.
	Switch(as AddressSpace, regs *arch.Regs) (Event, error)

	// Spawn prepares a new guest thread that will first run in as, and may be
	// handed to another goroutine. The receiver is between two Switches in its own
	// space; as is that space, or one from NewAddressSpace or Fork which no
	// context has entered.
	Spawn(as AddressSpace) (Context, error)

	// Interrupt makes the current Switch, or else the next, return Interrupted
	// promptly. Any goroutine may call it, any number of times; an interrupt may be
	// reported once for several calls, and never more than 1 time after the last call.
	Interrupt()

	// Running returns when the Switch in progress began, as Event.Began, or 0
	// if there is none. Any goroutine may call it.
	Running() int64

	// FPU returns the floating-point and vector state in XSAVE's standard
	// format; it is valid until the next Switch. SetFPU replaces it and fails
	// with an error if the state is malformed. CloneFPU gives the
	// receiver the state of from (fork and clone): from is the calling task's own.
	FPU() []byte
	SetFPU([]byte) error
	CloneFPU(from Context) error

	// ResetFPU gives the state a new program starts with (execve).
	ResetFPU()

	// Step makes the next Switch return Stepped after one instruction.
	Step(bool)

	// Release ends the thread.
	Release()
}

// A Lender is a Context that can let another run in its place, which is cheaper than
// a thread of its own would be.
type Lender interface {
	// Lend is Spawn in the receiver's own space, for a guest whose maker sleeps (vfork(2)).
	// Until what it returns has given back, or was released, the receiver does not
	// Switch; it may be released before.
	Lend() (Context, error)

	// GiveBack says that the receiver, if it has come from Lend, has no more business in
	// its space: its next Switch is into another.
	GiveBack()
}

// An Answerer is a Context that can answer system calls without a Switch's
// return, where they come by Facts.Gate.
type Answerer interface {
	// Answer makes system call nr return v, until it is told something else.
	// Calls by the processor's instruction are reported as ever.
	Answer(nr, v uint64)
	// Forget undoes every Answer.
	Forget()
}

// An Event says why Switch returned. It is a copy: nothing in it points at
// memory that a guest can change.
type Event struct {
	Kind   Kind
	Addr   arch.Addr   // Fault: the address that faulted (siginfo's si_addr); Syscall: by the vsyscall page, where on it
	Access arch.Access // Fault: what was attempted, when the platform knows; else 0
	Signal int32       // Fault, Signal: the signal the host would deliver,
	Code   int32       //   its siginfo code (SEGV_MAPERR, BUS_ADRERR, FPE_INTDIV…),
	Trap   uint64      //   the processor's trap number, where known
	Error  uint64      //   and error code
	Began  int64       // when Switch let the guest run, and when that stopped:
	Ended  int64       //   CLOCK_MONOTONIC in nanoseconds
	Hot    bool        // Syscall: by an instruction that should rather jump to Facts.Gate
	Site   Site        // what is known since the last event, of any kind
}

// A Site is a place from which a system call came by an instruction, and whose
// reply has been given. It is told when it is new, or differs from the last time.
type Site struct {
	IP    arch.Addr // where the call returned to, 0: nothing is known
	NR    uint64    // the call's number
	Plain bool      // the reply was its result and no more: a jump to Facts.Gate would do
}

// A Kind is a reason for Switch to return.
type Kind uint8

const (
	// Syscall: the guest executed a system call. regs.OrigRAX is its number and
	// regs.RIP is after the instruction. RAX is -ENOSYS, as on Linux at entry.
	Syscall Kind = iota
	// Fault: SIGSEGV or SIGBUS that memory management may be able to cure;
	// regs.RIP is at the instruction.
	Fault
	// Signal: any other signal the guest's own instruction raised (SIGILL,
	// SIGFPE, SIGTRAP), or SIGSEGV that no mapping can cure.
	Signal
	// Interrupted: Context.Interrupt was called.
	Interrupted
	// Stepped: one instruction was executed after Step(true).
	Stepped
)
