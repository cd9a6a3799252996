#include "textflag.h"

// The way back to the guest, with the frame at SP. It does what rt_sigreturn(2)
// would, but for two things that a guest which jumps there could make use of:
// it can't move the alternate stack, and the only set of blocked signals that
// the filter lets it choose is the one that all guest code has. So in a process
// that has only this, a signal's frame is never anywhere but in its region:
// see solo_amd64.s.
//
// Interrupts come from the SYSCALL on: stub_amd64.s sees to those.
TEXT ·back(SB), NOSPLIT|NOFRAME, $0-0
	PUSHQ	$2
	POPFQ // IRETQ would not do with NT set
	MOVQ	232(SP), SI // the floating-point state
	MOVL	$-1, AX
	MOVL	AX, DX
	XRSTOR64	(SI)

	// What IRETQ takes, in place of what nobody needs any more.
	MOVQ	176(SP), AX // PC
	MOVQ	AX, 0(SP)
	MOVWQZX	192(SP), AX // CS
	MOVQ	AX, 8(SP)
	MOVQ	184(SP), AX // flags
	MOVQ	AX, 16(SP)
	MOVQ	168(SP), AX // SP
	MOVQ	AX, 24(SP)
	MOVWQZX	198(SP), AX // SS
	MOVQ	AX, 32(SP)

	MOVL	$2, DI // SIG_SETMASK
	MOVQ	$0x7fffc0000ff8, SI // stubMask
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$14, AX // rt_sigprocmask
	SYSCALL
	CMPQ	BP, $0 // vet wants BP looked at before it is written
	MOVQ	48(SP), R8
	MOVQ	56(SP), R9
	MOVQ	64(SP), R10
	MOVQ	72(SP), R11
	MOVQ	80(SP), R12
	MOVQ	88(SP), R13
	MOVQ	96(SP), R14
	MOVQ	104(SP), R15
	MOVQ	112(SP), DI
	MOVQ	120(SP), SI
	MOVQ	128(SP), BP
	MOVQ	136(SP), BX
	MOVQ	144(SP), DX
	MOVQ	152(SP), AX
	MOVQ	160(SP), CX
	IRETQ

	// The end marker, see script.Text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func backAddress() uintptr
TEXT ·backAddress(SB), NOSPLIT, $0-8
	LEAQ	·back(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// How threads of a process that has, or has had, several return to the guest:
// they have alternate stacks of their own, which only rt_sigreturn(2) gives them.
TEXT ·threads(SB), NOSPLIT|NOFRAME, $0-0
	ADDQ	$8, SP
	MOVL	$15, AX
	SYSCALL
	UNDEF

	// The end marker, see script.Text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func threadsAddress() uintptr
TEXT ·threadsAddress(SB), NOSPLIT, $0-8
	LEAQ	·threads(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
