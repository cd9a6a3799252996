package linux

// RseqUnregister is the flag of rseq(2) that undoes a registration.
const RseqUnregister = 1

// RseqUninitialized is Rseq.CPU of an area that is not registered.
const RseqUninitialized = ^uint32(0)

// Rseq is struct rseq, as far as this kernel serves it.
type Rseq struct {
	CPUStart uint32 // a processor in any case
	CPU      uint32 // the same, or why there is none
	CS       uint64 // address of the RseqCS that the thread is, or was, in
	Flags    uint32
	Node     uint32
	MMCID    uint32 // concurrency id: no other running thread of the address space has it
}

const (
	// RseqOriginalSize is the size, and the alignment, that areas had at first.
	RseqOriginalSize = 32
	// RseqFeatureSize and RseqAlign are AT_RSEQ_FEATURE_SIZE and AT_RSEQ_ALIGN.
	RseqFeatureSize = 28
	RseqAlign       = 32
)

// RseqCS is struct rseq_cs: a critical section.
type RseqCS struct {
	Version    uint32
	Flags      uint32
	Start      uint64 // address of its first instruction
	PostCommit uint64 // its length in bytes
	Abort      uint64 // where to go on instead; the registration's signature stands before it
}
