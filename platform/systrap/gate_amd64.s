#include "textflag.h"
#include "wait_amd64.h"

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
	MOVQ	AX, 64(BX)
	BYTE	$0x0f; BYTE $0x1f; BYTE $0x40; BYTE $0x51 // gateSaved

	// SYSCALL keeps the flags. PUSHFQ and POPFQ would need a stack, and time.
	LAHF
	SETOS	AX
	MOVL	AX, 184(BX)
	MOVQ	64(BX), AX
	CMPQ	AX, $512
	JCC	enter
	MOVQ	0x1000(BX)(AX*8), AX
	SUBQ	$1, AX
	JCS	enter

	// The sentry has left the answer.
	INCQ	56(BX)
	MOVQ	AX, 24(BX)
	MOVL	184(BX), AX
	ADDB	$0x7f, AX
	SAHF
	MOVQ	24(BX), AX
	MOVQ	R11, BX
	JMP	CX

enter:
	MOVQ	DI, 72(BX)
	MOVQ	SI, 80(BX)
	MOVQ	DX, 88(BX)
	MOVQ	R10, 96(BX)
	MOVQ	R8, 104(BX)
	MOVQ	R9, 112(BX)
	MOVQ	CX, 120(BX)
	MOVQ	SP, 128(BX)
	MOVQ	R11, 136(BX)
	MOVQ	BP, 144(BX)
	MOVQ	R12, 152(BX)
	MOVQ	R13, 160(BX)
	MOVQ	R14, 168(BX)
	MOVQ	R15, 176(BX)
	MOVL	$1, 36(BX)
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
	MOVL	184(BX), AX
	ADDB	$0x7f, AX
	SAHF
	MOVQ	24(BX), AX
	MOVQ	72(BX), DI
	MOVQ	80(BX), SI
	MOVQ	88(BX), DX
	MOVQ	96(BX), R10
	MOVQ	120(BX), CX
	MOVQ	136(BX), BX
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
