// The stub's wait for the sentry's word, by the handler (stub_amd64.s) and by the
// gate (gate_amd64.s). BX is the region, whose fields stub_amd64.s lists; AX, CX,
// DX, DI, SI, R10, R11 and left are lost. See pace.go for who waits how.

// Say that there is an event. Exchanges
// order "say what happened" before "does anybody sleep?" here, and the other way
// round on the other side: no wake-up is lost.
#define PUBLISH \
	MOVL	$1, AX; \
	XCHGL	AX, 0(BX)

#define WAKE_SENTRY \
	MOVQ	BX, DI; \
	MOVL	$1, SI; /* FUTEX_WAKE */ \
	MOVL	$1, DX; \
	MOVL	$202, AX; /* futex */ \
	SYSCALL

// Watch, give up the processor, sleep, and go to "resume" when there is a reply.
#define AWAIT_REPLY(left) \
	MOVL	152(BX), CX; \
	MOVL	156(BX), left; \
spin: \
	CMPL	0(BX), $2; \
	JEQ	resume; \
	SUBL	$1, CX; \
	JCS	yield; \
	PAUSE; \
	JMP	spin; \
yield: \
	SUBL	$1, left; \
	JCS	block; \
	MOVL	$24, AX; /* sched_yield */ \
	SYSCALL; \
	CMPL	0(BX), $2; \
	JNE	yield; \
	JMP	resume; \
block: \
	MOVL	$1, AX; \
	XCHGL	AX, 8(BX); \
	MOVL	0(BX), DX; \
	CMPL	DX, $2; \
	JEQ	resume; \
	MOVQ	BX, DI; \
	XORL	SI, SI; /* FUTEX_WAIT */ \
	XORL	R10, R10; \
	MOVL	$202, AX; /* futex */ \
	SYSCALL; \
	JMP	block

// Take the reply: its flags go to flags. What is not written need not move to this
// processor, and the other one looks at it all the time: the state stays as it is, which
// nobody takes for an event.
#define TAKE_REPLY(flags) \
	CMPL	8(BX), $0; \
	JEQ	awake; \
	MOVL	$0, 8(BX); \
awake: \
	MOVL	12(BX), flags
