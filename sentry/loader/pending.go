package loader

import (
	"garrison/platform"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
)

// A Program is a program to run after its #! lines were followed.
type Program struct {
	File File     // the ELF file: its mode bits and capabilities count, and it is /proc/pid/exe
	Path string   // its name, as opened
	Name string   // the name execve was given: AT_EXECFN, and the base for comm
	Argv []string // with what #! lines put before it
}

// Resolve reads f, opened from name, follows #! lines and checks that the
// result can be loaded, opening its interpreter. It takes over f; Close the Program, also after Load.
//
// Errors are execve's: ENOEXEC, EACCES, ENOENT, ELOOP, ELIBBAD, EIO…
func Resolve(o Opener, f File, name string, argv []string) (*Program, error) { return nil, nil }

// Close closes the program's files.
func (p *Program) Close() {}

// Load maps the program in s, which is empty, builds its stack and sets s's
// layout and executable. Errors are execve's, E2BIG among them.
func (p *Program) Load(s *mm.Space, a Args) (Image, error) { return Image{}, nil }

// A VDSO is the vDSO image of one container.
type VDSO struct{}

// NewVDSO builds the vDSO for guests of p, with the offsets in nanoseconds that
// the sandbox's monotonic and boottime clocks have to the host's. It is nil if the host's vDSO can't be called.
func NewVDSO(facts platform.Facts, f *memfile.File, monotonic, boottime int64) (*VDSO, error) {
	return nil, nil
}
