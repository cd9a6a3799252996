#include "textflag.h"

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
	RDGSBASEQ	BX
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
	MOVL	$1, AX
	XCHGL	AX, 0(BX)
	BYTE	$0x0f; BYTE $0x1f; BYTE $0x40; BYTE $0x52 // gateWaits
	CMPL	4(BX), $0
	JNE	wake

wait:
	MOVL	32(BX), CX
	MOVL	44(BX), DX

spin:
	CMPL	0(BX), $2
	JEQ	resume
	SUBL	$1, CX
	JCS	yield
	PAUSE
	JMP	spin

yield:
	SUBL	$1, DX
	JCS	block
	MOVL	$24, AX // sched_yield
	SYSCALL
	CMPL	0(BX), $2
	JNE	yield
	JMP	resume

wake:
	MOVQ	BX, DI
	MOVL	$1, SI  // FUTEX_WAKE
	MOVL	$1, DX
	MOVL	$202, AX // futex
	SYSCALL
	JMP	wait

block:
	MOVL	$1, AX
	XCHGL	AX, 8(BX)
	MOVL	0(BX), DX
	CMPL	DX, $2
	JEQ	resume
	MOVQ	BX, DI
	XORL	SI, SI  // FUTEX_WAIT
	XORL	R10, R10
	MOVL	$202, AX // futex
	SYSCALL
	JMP	block

resume:
	MOVL	$0, 8(BX)
	MOVL	12(BX), R11
	MOVL	$0, 0(BX)
	BYTE	$0x0f; BYTE $0x1f; BYTE $0x40; BYTE $0x53 // gateReplied
	ORL	224(BX), R11
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
	MOVL	$0, 224(BX)
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
