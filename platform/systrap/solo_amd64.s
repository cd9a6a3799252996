#include "textflag.h"

// The solo call: an mmap that the verifier is not asked about, in a process that
// has one thread. The filter lets it through at this one address, with
// whatever arguments lead to a mapping in the guest's part of the address
// space. What follows compares them with the operation that the sentry
// has written to the page of solo operations, which the stub can read and not
// write; the host leaves the registers as they were. A call that is not the
// sentry's is the last thing the process does.
//
// It must not matter how a guest gets here: with what registers, or with the
// trap flag set, or an interrupt on its way. R12 has the operation's place on
// the context page; whatever it has is made a place on the page here. No other
// thread can use the mapping meanwhile. A signal runs the handler, which exits
// when it finds where it came from. Its frame, which the host writes, is in the
// region, where no solo mapping can be, whatever SP is: the alternate stack is
// not the guest's to choose, see back_amd64.s. And no process that shares memory
// with this one shares its region.
TEXT ·solo(SB), NOSPLIT|NOFRAME, $0-0
	SYSCALL
	MOVQ	$0x7fffc0108000, CX // stubRegions + soloOps
	MOVL	R12, R11
	ANDL	$0xfc0, R11
	ADDQ	R11, CX
	CMPQ	DI, 8(CX)
	JNE	end
	CMPQ	SI, 16(CX)
	JNE	end
	CMPQ	DX, 24(CX)
	JNE	end
	CMPQ	R10, 32(CX)
	JNE	end
	CMPQ	R8, 40(CX)
	JNE	end
	CMPQ	R9, 48(CX)
	JNE	end
	RET

end:
	UNDEF
	JMP	end

	// The end marker, see script.Text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func soloAddress() uintptr
TEXT ·soloAddress(SB), NOSPLIT, $0-8
	LEAQ	·solo(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
