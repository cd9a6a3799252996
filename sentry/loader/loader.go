// Package loader turns a program file into an address space ready to run:
// execve(2), elf(5), the initial stack and the vDSO. It knows ELF64 for amd64
// and #! scripts.
//
// The kernel calls Resolve with the opened file, decides credentials from the
// Program's File (the set-user-ID bit of a script does not count), and calls
// Load on a new mm.Space. Nothing of the caller's is changed: any error can
// still be returned to the guest.
package loader

import (
	"io"

	"garrison/platform/arch"
	"garrison/sentry/mm"
)

// An Opener opens programs by name as execve(2) does: relative to the caller's
// root and working directory, with execute permission checked. The error is the
// errno that execve returns.
type Opener interface {
	OpenExecutable(path string) (File, error)
}

// A File is a program opened for execution.
type File interface {
	io.ReaderAt

	// Map returns what mmap(2) of the file is given; the Identity is a new
	// reference.
	Map() (mm.Mappable, mm.Identity, error)

	// Close ends the use of the File; mappings stay.
	Close()
}

// Args is what Load needs to know of the caller.
type Args struct {
	Argv, Envp []string // Program.Argv, and the environment

	UID, EUID, GID, EGID uint32
	Secure               bool // AT_SECURE: the program gained rights

	Personality uint32 // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, ADDR_COMPAT_LAYOUT

	HWCap, HWCap2 uint64 // 0: the host's, as the platform allows
	MinSigStack   uint64 // AT_MINSIGSTKSZ

	// VDSO is the image to map, nil for none.
	VDSO *VDSO
}

// An Image is a loaded program, ready to run.
type Image struct {
	Entry, SP arch.Addr // the first instruction, and the stack pointer
}
