package linux

// SigContext is struct sigcontext for amd64: the registers in a signal frame.
type SigContext struct {
	R8, R9, R10, R11, R12, R13, R14, R15        uint64
	RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP uint64
	EFlags                                      uint64
	CS, GS, FS, SS                              uint16
	Err, TrapNo, OldMask, CR2                   uint64
	FPState                                     uint64 // address
	_                                           [8]uint64
}

// UContext is struct ucontext for amd64.
type UContext struct {
	Flags    uint64
	Link     uint64
	Stack    StackT
	MContext SigContext
	SigMask  SigSet
}

// RTSigFrame is struct rt_sigframe for amd64: what lies on the stack of a
// signal handler, from its return address on.
type RTSigFrame struct {
	Restorer uint64
	UC       UContext
	Info     SigInfo
}

// Flags of UContext.
const (
	UC_FP_XSTATE         = 1
	UC_SIGCONTEXT_SS     = 2
	UC_STRICT_RESTORE_SS = 4
)

// FPXSwBytes is struct _fpx_sw_bytes: the last 48 bytes of the FXSAVE area in a
// signal frame, which say how much of XSAVE's state follows.
type FPXSwBytes struct {
	Magic1       uint32
	ExtendedSize uint32 // of the whole state with the closing magic
	XFeatures    uint64
	XStateSize   uint32 // of the XSAVE area
	_            [7]uint32
}

// Magic numbers around the XSAVE area of a signal frame.
const (
	FP_XSTATE_MAGIC1 = 0x46505853
	FP_XSTATE_MAGIC2 = 0x46505845

	// FPXSwOffset is where FPXSwBytes lies in the FXSAVE area.
	FPXSwOffset = 464
	// XFP_SSE is the components that FXSAVE saves.
	XFP_SSE = 3
	// FXSaveSize is the length of the FXSAVE area.
	FXSaveSize = 512
)

// Selectors of user code and data.
const (
	UserCS = 0x33
	UserDS = 0x2b
)

// Flags of the processor that the kernel looks at.
const (
	EFLAGS_TF = 1 << 8
	EFLAGS_DF = 1 << 10
	EFLAGS_RF = 1 << 16
)
