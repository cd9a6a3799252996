#include "textflag.h"
#include "wait_amd64.h"

// The text of stub processes, mapped readable and executable at stubText in
// every address space, with the gate's (gate_amd64.s) and the way back to the
// guest (back_amd64.s) in the same page. It is the handler of every signal a guest's
// own instructions raise, of the interrupt, and of SIGSYS, by which the seccomp
// filter turns each system call of the guest into a signal. It runs on the
// thread's alternate stack with all signals blocked, pushes nothing, and keeps
// what it needs in registers: other guest threads can write the context page.
//
// BX is the thread's region, SP the signal frame in it. The context page's
// fields, by offset (see page in layout.go): 0 state, 4 sentryWaits,
// 8 stubWaits, 12 flags, 16 registers, 144 frame, 152 spins, 156 yields, 160 gate,
// 164 ops, 168 result, 192 FS base, 200 GS base, 208 noted, 212 threaded, 216 start
// and 224 length of gate.s's wait, 232 self, 240 answered, 248 said, 256 operations,
// 4096 answers; 0x9000 names. The frame's: 168 SP, 176 PC, 200 error, 208 trap,
// 224 CR2, 312 signal, 320 code, 328 address.
//
// verify.go knows the order of the SYSCALL instructions, see sites.
TEXT ·stub(SB), NOSPLIT|NOFRAME, $0-0
	// Nothing may interrupt the text below, which runs with signals blocked. A
	// guest that has jumped there with them open can have that happen between a
	// system call and what must follow it. Then CX, in no memory that others
	// could write, still is where that call returns to: within this text.
	MOVQ	$0x7fffc0000000, AX // stubText
	XORQ	CX, AX
	SHRQ	$11, AX // it ends at stubGate
	JEQ	exit
	MOVQ	SP, BX
	ANDQ	$~0xffff, BX

look:
	MOVQ	176(SP), AX
	MOVQ	$0x7fffc0000000, DX // stubText
	NEGQ	DX
	ADDQ	AX, DX
	CMPQ	DX, $0x5000
	JCS	inside

guest:
	// A signal, other than by a system call, that came while the gate waits for
	// a reply is for after that: see gate_amd64.s.
	SUBQ	216(BX), AX
	CMPQ	AX, 224(BX)
	JCS	note
	MOVQ	SP, 144(BX)
	MOVQ	$0x7fffc0000ff0, AX // stubBases
	CMPL	0(AX), $0
	JEQ	selectors
	RDFSBASEQ	AX
	MOVQ	AX, 192(BX)
	RDGSBASEQ	AX
	MOVQ	AX, 200(BX)

known:
	XORL	AX, AX
	MOVQ	AX, 168(BX)
	MOVL	AX, 160(BX)

publish:
	PUBLISH
	CMPL	4(BX), $0
	JEQ	wait
	WAKE_SENTRY

wait:
	AWAIT_REPLY(R15)

resume:
	TAKE_REPLY(R13)
	TESTL	$1, R13
	JEQ	done
	MOVL	164(BX), R14
	LEAQ	256(BX), R12

op:
	MOVQ	0(R12), AX // and soloOp or touchOp
	MOVQ	8(R12), DI
	MOVQ	16(R12), SI
	MOVQ	24(R12), DX
	MOVQ	32(R12), R10
	MOVQ	40(R12), R8
	MOVQ	48(R12), R9
	BTQ	$63, AX
	JCS	solo
	BTQ	$62, AX // touchOp
	JCS	touch
	SYSCALL

did:
	// A call that failed is followed by no other: that the verifier sees the
	// next one proves that this one has succeeded.
	CMPQ	AX, $-4095
	JCC	failed
	ADDQ	$64, R12
	DECL	R14
	JNE	op

done:
	TESTL	$14, R13
	JEQ	return
	TESTL	$2, R13
	JNE	report
	TESTL	$4, R13
	JNE	clone
	MOVQ	$0x7fffc0000ff0, AX // stubBases
	CMPL	0(AX), $0
	JEQ	ask
	// A base that the kernel sets leaves no selector, as with arch_prctl(2).
	XORL	DX, DX
	MOVQ	192(BX), AX
	RDFSBASEQ	CX
	CMPQ	AX, CX
	JEQ	setGS
	BYTE	$0x8e; BYTE $0xe2 // MOVW DX, FS
	WRFSBASEQ	AX

setGS:
	MOVQ	200(BX), AX
	RDGSBASEQ	CX
	CMPQ	AX, CX
	JEQ	return
	BYTE	$0x8e; BYTE $0xea // MOVW DX, GS
	WRGSBASEQ	AX

return:
	TESTL	$16, R13
	JNE	exit
	MOVQ	$0x7fffc0000c00, AX // stubBack
	CMPL	212(BX), $0
	JEQ	back
	MOVQ	$0x7fffc0002000, AX // stubThreads

back:
	JMP	AX

touch:
	TESTL	AX, AX // nameOp
	JNE	name
	ADDQ	DI, SI

around:
	MOVB	(DI), AX
	ADDQ	$0x10000, DI
	CMPQ	DI, SI
	JCS	around
	XORL	AX, AX
	JMP	did

solo:
	MOVL	$9, AX // mmap
	MOVQ	$0x7fffc0004000, R15 // stubSolo
	CALL	R15
	JMP	did

	// The signal came in the stub's own text. All but the way back to the guest
	// and the gate runs with signals blocked, so it is a guest that has jumped
	// there. It may have made a solo call that nobody has compared yet, or
	// cloned a process that has no region of its own yet.
inside:
	CMPQ	DX, $0x4000 // stubSolo
	JCC	hostile
	CMPQ	DX, $0xc00 // stubBack
	JCS	handler
	CMPQ	DX, $0xe00
	JCC	guest

	// An interrupt on the way back, or a return that the processor refuses: it
	// is the guest's, which would have run next. Its frame is still there.
	// The words in front are as the host would have them again.
	MOVQ	168(SP), CX
	MOVQ	8(SP), AX
	MOVQ	AX, 8(CX)
	MOVQ	16(SP), AX
	MOVQ	AX, 16(CX)
	MOVQ	24(SP), AX
	MOVQ	AX, 24(CX)
	MOVQ	32(SP), AX
	MOVQ	AX, 32(CX)
	MOVQ	40(SP), AX
	MOVQ	AX, 40(CX)
	MOVQ	200(SP), AX
	MOVQ	AX, 200(CX)
	MOVQ	208(SP), AX
	MOVQ	AX, 208(CX)
	MOVQ	224(SP), AX
	MOVQ	AX, 224(CX)
	MOVQ	312(SP), AX
	MOVQ	AX, 312(CX)
	MOVQ	320(SP), AX
	MOVQ	AX, 320(CX)
	MOVQ	328(SP), AX
	MOVQ	AX, 328(CX)
	MOVQ	CX, SP
	JMP	look

note:
	MOVL	$1, 208(BX)
	XORL	R13, R13
	JMP	return

report:
	XORL	AX, AX

failed:
	MOVQ	AX, 168(BX)
	JMP	publish

clone:
	MOVQ	256(BX), AX
	MOVQ	264(BX), DI
	MOVQ	272(BX), SI
	MOVQ	280(BX), DX
	MOVQ	288(BX), R10
	MOVQ	296(BX), R8
	MOVQ	304(BX), R9
	SYSCALL
	TESTQ	AX, AX
	JNE	failed // or not: the result is the parent's to look at

	// The new thread maps its own region before it touches anything, and can
	// write no more of it than it is to. Where, DX, and of what, R8 and R9, are
	// arguments of the clone that the host had no use for and the verifier has
	// seen: they can't be others.
	MOVQ	DX, DI
	MOVL	$0x10000, SI
	MOVL	$1, DX    // PROT_READ
	MOVL	$0x11, R10 // MAP_SHARED|MAP_FIXED
	MOVL	$9, AX    // mmap
	SYSCALL
	CMPQ	AX, DI
	JNE	exit
	MOVL	$0x8000, SI
	MOVL	$3, DX    // PROT_READ|PROT_WRITE
	MOVL	$10, AX   // mprotect
	SYSCALL
	TESTQ	AX, AX
	JNE	exit
	MOVQ	DI, BX
	MOVQ	144(BX), SP
	JMP	wait

	// Where only the host can load FS and GS, what the sentry has written last is
	// what there is, unless the guest has loaded a selector: they all have base 0.
selectors:
	BYTE	$0x8c; BYTE $0xe0 // MOVL FS, AX
	TESTL	AX, AX
	JEQ	selectorGS
	MOVQ	$0, 192(BX)

selectorGS:
	BYTE	$0x8c; BYTE $0xe8 // MOVL GS, AX
	TESTL	AX, AX
	JEQ	known
	MOVQ	$0, 200(BX)
	JMP	known

ask:
	MOVL	$0x1002, DI // ARCH_SET_FS
	MOVQ	192(BX), SI
	MOVL	$158, AX // arch_prctl
	SYSCALL
	MOVL	$0x1001, DI // ARCH_SET_GS
	MOVQ	200(BX), SI
	MOVL	$158, AX
	SYSCALL
	JMP	return

	// What the host says is of no interest: one that does not have PR_SET_MM_MAP
	// shows no arguments.
name:
	MOVL	$15, DI // PR_SET_NAME
	LEAQ	0x9068(BX), SI
	MOVL	$157, AX // prctl
	SYSCALL
	MOVQ	$0x7fffc0008000, DI // stubArgs
	LEAQ	0x9080(BX), SI
	MOVQ	0x9078(BX), CX
	REP; MOVSB
	MOVL	$35, DI // PR_SET_MM
	MOVL	$14, SI // PR_SET_MM_MAP
	LEAQ	0x9000(BX), DX
	MOVL	$104, R10
	XORL	R8, R8
	MOVL	$157, AX
	SYSCALL
	XORL	AX, AX
	JMP	did

handler:
	CMPQ	DX, $0x800 // stubGate
	JCC	guest
	MOVQ	$0x7fffc0100000, CX // stubRegions, which only threads don't have
	CMPQ	BX, CX
	JNE	guest

hostile:
	MOVQ	$0, 144(BX) // no frame: the sentry need not wait to find out
	MOVL	$0, 160(BX)
	PUBLISH
	WAKE_SENTRY

exit:
	XORL	DI, DI
	MOVL	$60, AX // exit
	SYSCALL
	UNDEF

	// The end marker, see script.Text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func stubAddress() uintptr
TEXT ·stubAddress(SB), NOSPLIT, $0-8
	LEAQ	·stub(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func spin(state *uint32, n uint32) bool
TEXT ·spin(SB), NOSPLIT, $0-17
	MOVQ	state+0(FP), BX
	MOVL	n+8(FP), CX

again:
	CMPL	0(BX), $1
	JEQ	seen
	SUBL	$1, CX
	JCS	missed
	PAUSE
	JMP	again

seen:
	MOVB	$1, ret+16(FP)
	RET

missed:
	MOVB	$0, ret+16(FP)
	RET
