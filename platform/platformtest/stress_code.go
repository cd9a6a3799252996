package platformtest

import (
	"math/bits"

	"garrison/platform/arch"
)

// stressCode is what stress guests run. Memory is reached by way of FS and GS,
// whose bases are random.
var stressCode = []byte{
	0x64, 0x48, 0x8b, 0x07, // mov %fs:(%rdi),%rax
	0x0f, 0x05, // syscall
	0x65, 0x48, 0x89, 0x07, // mov %rax,%gs:(%rdi)
	0x0f, 0x05, // syscall
	0x64, 0xc5, 0xfe, 0x6f, 0x07, // vmovdqu %fs:(%rdi),%ymm0
	0x0f, 0x05, // syscall
	0x65, 0xc5, 0xfe, 0x7f, 0x07, // vmovdqu %ymm0,%gs:(%rdi)
	0x0f, 0x05, // syscall
	0x64, 0xf3, 0x0f, 0x6f, 0x07, // movdqu %fs:(%rdi),%xmm0
	0x0f, 0x05, // syscall
	0x65, 0xf3, 0x0f, 0x7f, 0x07, // movdqu %xmm0,%gs:(%rdi)
	0x0f, 0x05, // syscall

	0x48, 0x01, 0xd8, // add %rbx,%rax
	0x48, 0xc1, 0xc0, 0x07, // rol $7,%rax
	0x48, 0x31, 0xd0, // xor %rdx,%rax
	0x49, 0xff, 0xc8, // dec %r8
	0x75, 0xf1, // jne to the add
	0x0f, 0x05, // syscall

	0x0f, 0x0b, // ud2
	0x0f, 0x05, // syscall

	// The poker: for every page from RDI to R8, then from R9 on again.
	0x48, 0x8b, 0x97, 0x80, 0, 0, 0, // mov 128(%rdi),%rdx
	0x48, 0x39, 0xf2, // cmp %rsi,%rdx
	0x75, 0x18, // jne to the syscall
	0x48, 0x89, 0x47, 0x40, // mov %rax,64(%rdi)
	0x48, 0xff, 0xc0, // inc %rax
	0x48, 0x81, 0xc7, 0, 0x10, 0, 0, // add $4096,%rdi
	0x4c, 0x39, 0xc7, // cmp %r8,%rdi
	0x72, 0xe1, // jb to the start
	0x4c, 0x89, 0xcf, // mov %r9,%rdi
	0xeb, 0xdc, // jmp to the start
	0x0f, 0x05, // syscall
}

// Where in it what begins.
const (
	workAt      = codeAt + 0x28
	workEnd     = codeAt + 0x39
	undefinedAt = codeAt + 0x39
	pokerAt     = codeAt + 0x3d
	pokerNext   = codeAt + 0x4d
	pokerBad    = codeAt + 0x61
)

// A visit is one instruction that reaches memory, and the system call after it.
type visit struct {
	name   string
	at     uint64
	length uint64
	write  bool
	vector bool
}

var (
	visitRead   = &visit{"read", codeAt, 4, false, false}
	visitWrite  = &visit{"write", codeAt + 0x06, 4, true, false}
	visitLoad   = &visit{"load vector", codeAt + 0x0c, 5, false, true}
	visitStore  = &visit{"store vector", codeAt + 0x13, 5, true, true}
	vectorWords = 4
)

// On a machine without AVX vectors are shorter.
func init() {
	if !haveAVX() {
		visitLoad.at, visitStore.at, vectorWords = codeAt+0x1a, codeAt+0x21, 2
	}
}

// work is what the loop at workAt leaves in RAX.
func work(r arch.Regs) uint64 {
	for ; r.R8 > 0; r.R8-- {
		r.RAX = bits.RotateLeft64(r.RAX+r.RBX, 7) ^ r.RDX
	}
	return r.RAX
}
