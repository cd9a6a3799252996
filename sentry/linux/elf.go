package linux

// ElfHeader is Elf64_Ehdr.
type ElfHeader struct {
	Ident                      [16]byte
	Type, Machine              uint16
	Version                    uint32
	Entry, Phoff, Shoff        uint64
	Flags                      uint32
	Ehsize, Phentsize, Phnum   uint16
	Shentsize, Shnum, Shstrndx uint16
}

// ElfProgram is Elf64_Phdr.
type ElfProgram struct {
	Type, Flags                                uint32
	Offset, Vaddr, Paddr, Filesz, Memsz, Align uint64
}

// ElfSymbol is Elf64_Sym.
type ElfSymbol struct {
	Name        uint32
	Info, Other uint8
	Shndx       uint16
	Value, Size uint64
}

// ElfDynamic is Elf64_Dyn.
type ElfDynamic struct{ Tag, Value uint64 }

// elf(5), <linux/elf.h>
const (
	ELFMAG      = "\x7fELF"
	ELFCLASS64  = 2
	ELFDATA2LSB = 1
	EM_X86_64   = 62

	ET_EXEC = 2
	ET_DYN  = 3

	PT_LOAD      = 1
	PT_DYNAMIC   = 2
	PT_INTERP    = 3
	PT_NOTE      = 4
	PT_PHDR      = 6
	PT_GNU_STACK = 0x6474e551

	PF_X = 1
	PF_W = 2
	PF_R = 4

	DT_NULL      = 0
	DT_HASH      = 4
	DT_STRTAB    = 5
	DT_SYMTAB    = 6
	DT_STRSZ     = 10
	DT_SYMENT    = 11
	DT_SONAME    = 14
	DT_GNU_HASH  = 0x6ffffef5
	DT_VERSYM    = 0x6ffffff0
	DT_VERDEF    = 0x6ffffffc
	DT_VERDEFNUM = 0x6ffffffd
)
