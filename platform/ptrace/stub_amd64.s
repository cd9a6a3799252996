#include "textflag.h"

// The text of stub processes: one page, mapped readable and executable at
// stubText in every address space, by which the tracer makes a tracee do host
// system calls. It is entered at its first byte only, with everything it needs
// in registers, which only the tracer sets: it has no stack, and reads memory
// only from the operations page, which the guest can't write. R15 chooses:
//
//	0  do R13 operations, 64 bytes each, from R12 on: {nr, a0…a5, unused}, where
//	   nr may be nameOp;
//	   stop with R13 = how many were not done and RAX = the last result
//	1  do the one system call that is in the registers, and stop
//	2  do the clone that is in the registers, and stop; the child, which
//	   nobody traces yet, goes on here: with BX >= 0 it maps its own
//	   operations page at R12 from offset BP of descriptor BX; it sets R14 to
//	   ready, and sleeps until it is seized, or the sentry has died
//
// Stopping is int3, which the tracer sees as SIGTRAP.
TEXT ·stub(SB), NOSPLIT|NOFRAME, $0-0
	CMPL	R15, $1
	JEQ	one
	JGT	clone

next:
	MOVQ	0(R12), AX
	BTQ	$62, AX // nameOp
	JCS	name
	MOVQ	8(R12), DI
	MOVQ	16(R12), SI
	MOVQ	24(R12), DX
	MOVQ	32(R12), R10
	MOVQ	40(R12), R8
	MOVQ	48(R12), R9
	SYSCALL
	CMPQ	AX, $-4095
	JCC	stop

did:
	ADDQ	$64, R12
	DECQ	R13
	JNE	next

stop:
	INT	$3
	UNDEF

one:
	SYSCALL
	JMP	stop

clone:
	SYSCALL
	TESTQ	AX, AX
	JNE	stop
	TESTL	BX, BX
	JLT	park
	MOVQ	R12, DI
	MOVL	$0x7000, SI // slotSize
	MOVL	$1, DX    // PROT_READ
	MOVL	$0x11, R10 // MAP_SHARED|MAP_FIXED
	MOVQ	BX, R8
	MOVQ	BP, R9
	MOVL	$9, AX    // mmap
	SYSCALL
	CMPQ	AX, R12
	JNE	stop      // untraced, so this is the end of the process

park:
	MOVL	$0x72656164, R14

sleep:
	MOVL	$2, DI           // stubLifeline
	MOVQ	$0x7fffff008060, SI // scratchByte
	MOVL	$1, DX
	XORL	AX, AX           // read
	SYSCALL
	TESTQ	AX, AX
	JNE	sleep
	MOVL	$60, AX          // exit: the sentry is gone
	SYSCALL
	JMP	sleep

	// What the host says is of no interest: one that does not have PR_SET_MM_MAP
	// shows no arguments.
name:
	MOVL	$15, DI // PR_SET_NAME
	MOVQ	$0x7fffff002068, SI // in stubNames
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$157, AX // prctl
	SYSCALL
	MOVQ	$0x7fffff009000, DI // stubArgs
	MOVQ	$0x7fffff002080, SI
	MOVQ	-8(SI), CX
	REP; MOVSB
	MOVL	$35, DI // PR_SET_MM
	MOVL	$14, SI // PR_SET_MM_MAP
	MOVQ	$0x7fffff002000, DX
	MOVL	$104, R10
	XORL	R8, R8
	MOVL	$157, AX
	SYSCALL
	XORL	AX, AX
	JMP	did

	// The end marker, see script.Text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func stubAddress() uintptr
TEXT ·stubAddress(SB), NOSPLIT, $0-8
	LEAQ	·stub(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
