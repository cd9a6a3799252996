#include "textflag.h"

// The interpreter. It is never called: its bytes are copied into programs,
// behind an instruction that loads BX with the address of the header (elf.go).
// It has no stack, makes no calls and refers to nothing outside itself.
//
// Header at BX: 0 report descriptor or -1, 8..55 resolved arguments,
// 56..63 report. Steps follow at 64, 128 bytes each: 0 number, 8 result,
// 16..63 arguments, 64..69 how to resolve each (0 constant, 1 load 64 bits,
// 2 load 32), 70 operation, 71 keep, 72 target address or 0, 80 four errnos to
// ignore, 96 four errnos to retry, 112 index.
TEXT ·interpret(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ	64(BX), R12

step:
	XORL	CX, CX

resolve:
	MOVQ	16(R12)(CX*8), AX
	MOVBLZX	64(R12)(CX*1), DX
	CMPL	DX, $1
	JLT	resolved
	JEQ	load64
	MOVL	(AX), AX
	JMP	resolved

load64:
	MOVQ	(AX), AX

resolved:
	MOVQ	AX, 8(BX)(CX*8)
	INCL	CX
	CMPL	CX, $6
	JLT	resolve

	MOVQ	8(BX), DI
	MOVQ	16(BX), SI
	MOVBLZX	70(R12), AX
	CMPL	AX, $1
	JLT	call
	JEQ	ifequal
	CMPL	AX, $3
	JLT	ifnotequal
	JEQ	add
	CMPL	AX, $5
	JLT	and
	JEQ	or
	CMPL	AX, $7
	JLT	xor
	JEQ	shift
	CMPL	AX, $9
	JLT	store32
	MOVQ	SI, (DI)
	JMP	next

store32:
	MOVL	SI, (DI)
	JMP	next

ifequal:
	CMPQ	DI, SI
	JEQ	jump
	JMP	next

ifnotequal:
	CMPQ	DI, SI
	JEQ	next

jump:
	MOVQ	72(R12), R12
	JMP	step

add:
	ADDQ	SI, DI
	JMP	computed

and:
	ANDQ	SI, DI
	JMP	computed

or:
	ORQ	SI, DI
	JMP	computed

xor:
	XORQ	SI, DI
	JMP	computed

shift:
	MOVQ	SI, CX
	SHLQ	CX, DI

computed:
	MOVQ	DI, 8(R12)

next:
	ADDQ	$128, R12
	JMP	step

call:
	MOVQ	24(BX), DX
	MOVQ	32(BX), R10
	MOVQ	40(BX), R8
	MOVQ	48(BX), R9
	MOVQ	0(R12), AX
	SYSCALL
	MOVQ	AX, 8(R12)
	CMPQ	AX, $-4095
	JCS	next
	NEGL	AX

	// Failed with errno AX.
	XORL	CX, CX

policy:
	CMPL	AX, 96(R12)(CX*4)
	JEQ	call
	CMPL	AX, 80(R12)(CX*4)
	JEQ	next
	INCL	CX
	CMPL	CX, $4
	JLT	policy
	CMPQ	72(R12), $0
	JNE	jump
	CMPB	71(R12), $0
	JNE	next

	// Nobody expects this failure: report it and exit.
	MOVL	112(R12), CX
	MOVL	CX, 56(BX)
	MOVL	AX, 60(BX)
	MOVQ	0(BX), DI
	LEAQ	56(BX), SI
	MOVL	$8, DX
	MOVL	$1, AX // write; should it fail there is nobody to tell
	SYSCALL
	MOVL	$127, DI
	MOVL	$231, AX // exit_group
	SYSCALL
	UNDEF

	// The end marker, by which Go finds the length of this text.
	BYTE	$0x67; BYTE	$0x61; BYTE	$0x72; BYTE	$0x72
	BYTE	$0x69; BYTE	$0x73; BYTE	$0x6f; BYTE	$0x6e
	RET

// func interpreterAddress() uintptr
TEXT ·interpreterAddress(SB), NOSPLIT, $0-8
	LEAQ	·interpret(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
