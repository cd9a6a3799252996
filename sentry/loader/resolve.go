package loader

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"garrison/sentry/linux"
)

// A Program is a program to run, after its #! lines were followed.
type Program struct {
	File File     // the ELF file: its mode bits and capabilities count, and it is /proc/pid/exe
	Path string   // its name, as opened
	Name string   // the name execve was given: AT_EXECFN
	Argv []string // with what #! lines put before it

	elf    *image // of File
	interp *image // of the dynamic linker, nil if there is none
	linker File
}

const (
	headSize   = 256 // what Linux reads of a file to know its kind
	maxScripts = 5   // #! lines that lead to another
)

// Resolve reads f, opened from name, follows #! lines and checks that the
// result can be loaded, opening its interpreter. It takes over f. Close the
// Program in any case, after Load too.
//
// Errors are execve's: ENOEXEC, EACCES, ENOENT, ELOOP, ELIBBAD, EIO…
func Resolve(o Opener, f File, name string, argv []string) (*Program, error) {
	p := &Program{File: f, Path: name, Name: name, Argv: slices.Clone(argv)}
	if len(p.Argv) == 0 {
		p.Argv = []string{""} // since Linux 5.18 no program finds argc 0
	}
	if err := p.resolve(o); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Program) resolve(o Opener) error {
	for scripts := 0; ; scripts++ {
		var head [headSize]byte
		if _, err := readFull(p.File, head[:], 0); err != nil {
			return err
		}
		if !bytes.HasPrefix(head[:], []byte("#!")) {
			break
		}
		if scripts == maxScripts {
			return linux.ELOOP
		}
		if err := p.follow(o, head[:]); err != nil {
			return err
		}
	}
	var err error
	if p.elf, err = readImage(p.File, linux.ENOEXEC); err != nil {
		return err
	}
	if p.elf.interp == "" {
		return p.elf.check()
	}
	if p.linker, err = o.OpenExecutable(p.elf.interp); err != nil {
		return err
	}
	if p.interp, err = readImage(p.linker, linux.ELIBBAD); err != nil {
		return err
	}
	if err := p.interp.check(); err != nil {
		return err
	}
	return p.elf.check()
}

// follow makes p the interpreter that head, the start of a script, names.
func (p *Program) follow(o Opener, head []byte) error {
	interp, arg, ok := parseScript(head)
	if !ok {
		return linux.ENOEXEC
	}
	argv := []string{interp}
	if arg != "" {
		argv = append(argv, arg)
	}
	p.Argv = append(append(argv, p.Path), p.Argv[1:]...)
	f, err := o.OpenExecutable(interp)
	if err != nil {
		return err
	}
	p.File.Close()
	p.File, p.Path = f, interp
	return nil
}

// parseScript takes a #! line apart: the interpreter and the one argument that
// the rest of the line is, if any. head is what was read of the file, zero
// padded. A line that is longer is cut, but not within the interpreter's name.
func parseScript(head []byte) (interp, arg string, ok bool) {
	const blanks = " \t"
	line := head[2 : len(head)-1]
	if i := bytes.IndexByte(head[2:], '\n'); i >= 0 {
		line = head[2 : 2+i]
	} else {
		name := bytes.TrimLeft(line, blanks)
		if len(name) == 0 || !bytes.ContainsAny(name, blanks+"\x00") {
			return "", "", false
		}
	}
	line = bytes.Trim(line, blanks)
	end := bytes.IndexAny(line, blanks+"\x00")
	if end < 0 {
		end = len(line)
	}
	if end == 0 {
		return "", "", false
	}
	interp = string(line[:end])
	if end < len(line) && line[end] != 0 {
		rest, _, _ := bytes.Cut(bytes.TrimLeft(line[end:], blanks), []byte{0})
		arg = string(rest)
	}
	return interp, arg, true
}

// Close closes the program's files.
func (p *Program) Close() {
	if p.File != nil {
		p.File.Close()
	}
	if p.linker != nil {
		p.linker.Close()
	}
	p.File, p.linker = nil, nil
}

// readFull reads up to len(b) bytes at off; fewer only at the end of the file.
func readFull(f io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := f.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		var e linux.Errno
		if !errors.As(err, &e) {
			e = linux.EIO
		}
		return n, e
	}
	return n, nil
}
