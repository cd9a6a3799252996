#include "textflag.h"
#include "wait_amd64.h"

// Save a register that may well be there already: a line of the page that is only read
// stays with both processors.
#define KEEP(reg, at) \
	CMPQ	reg, at(BX); \
	JEQ	2(PC); \
	MOVQ	reg, at(BX)

// The gate: a system call by way of a jump. Guest code whose SYSCALL instruction
// has been patched comes here with the call's number in AX and the address to
// return to in CX, as SYSCALL would leave it; GS is the thread's region. It
// costs no signal: the registers go to the context page, the floating-point
// state stays where it is, and the reply is as a rule one register. All other
// replies need the signal frame: for those, and for interrupts that came
// meanwhile, the gate makes a system call that the filter turns into SIGSYS.
//
// BX is the region. The fields are those of stub_amd64.s. The long NOPs mark
// where a stage begins: gate.go looks for them.
TEXT ·gate(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ	BX, R11
	MOVQ	232(GS), BX // self
	MOVQ	AX, 16(BX)
	BYTE	$0x0f; BYTE $0x1f; BYTE $0x40; BYTE $0x51 // gateSaved

	// SYSCALL keeps the flags. PUSHFQ and POPFQ would need a stack, and time.
	LAHF
	SETOS	AX
	MOVWLZX	AX, AX
	CMPQ	AX, 136(BX)
	JEQ	number
	MOVQ	AX, 136(BX)

number:
	MOVQ	16(BX), AX
	CMPQ	AX, $512
	JCC	enter
	MOVQ	0x1000(BX)(AX*8), AX
	SUBQ	$1, AX
	JCS	enter

	// The sentry has left the answer. It goes where the number is not: who is
	// interrupted here makes the call again.
	INCQ	240(BX)
	MOVQ	AX, 248(BX)
	MOVL	136(BX), AX
	ADDB	$0x7f, AX
	SAHF
	MOVQ	248(BX), AX
	MOVQ	R11, BX
	JMP	CX

enter:
	KEEP(R8, 64)
	KEEP(R9, 72)
	KEEP(SP, 80)
	KEEP(R11, 88)
	KEEP(BP, 96)
	KEEP(R12, 104)
	KEEP(R13, 112)
	KEEP(R14, 120)
	KEEP(R15, 128)
	MOVQ	DI, 24(BX)
	MOVQ	SI, 32(BX)
	MOVQ	DX, 40(BX)
	MOVQ	R10, 48(BX)
	MOVQ	CX, 56(BX)
	CMPL	160(BX), $1
	JEQ	publish
	MOVL	$1, 160(BX)

publish:
	PUBLISH
	BYTE	$0x0f; BYTE $0x1f; BYTE $0x40; BYTE $0x52 // gateWaits
	CMPL	4(BX), $0
	JEQ	wait
	WAKE_SENTRY

wait:
	AWAIT_REPLY(DX)

resume:
	TAKE_REPLY(R11)
	BYTE	$0x0f; BYTE $0x1f; BYTE $0x40; BYTE $0x53 // gateReplied
	ORL	208(BX), R11
	JNE	trap
	MOVL	136(BX), AX
	ADDB	$0x7f, AX
	SAHF
	MOVQ	16(BX), AX
	MOVQ	24(BX), DI
	MOVQ	32(BX), SI
	MOVQ	40(BX), DX
	MOVQ	48(BX), R10
	MOVQ	56(BX), CX
	MOVQ	88(BX), BX
	JMP	CX

trap:
	MOVL	$0, 208(BX)
	MOVL	$0xffff, AX // no call
	SYSCALL
	UNDEF

	// The end marker, see script.Text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func gateAddress() uintptr
TEXT ·gateAddress(SB), NOSPLIT, $0-8
	LEAQ	·gate(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
