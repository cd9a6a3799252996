package script

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sizes the interpreter relies on.
const (
	pageSize    = 4096
	headerSize  = 64
	stepSize    = 128
	elfHeader   = 64
	programSize = 56
	maxErrnos   = 4
)

// ELF returns the program: a static executable of one read-only executable
// segment (headers and interpreter) and one writable segment (steps and data).
func (s *Script) ELF() ([]byte, error) {
	base := s.Base
	if base == 0 {
		base = DefaultBase
	}
	if base%pageSize != 0 {
		return nil, fmt.Errorf("script: base %#x is not page aligned", base)
	}
	const programs = 3
	entry := uint64(elfHeader + programs*programSize)
	text := Text(interpreterAddress())
	// mov $header, %rbx: all that the interpreter needs to know.
	dataOff := (entry + 10 + uint64(len(text)) + pageSize - 1) &^ (pageSize - 1)
	prologue := binary.LittleEndian.AppendUint64([]byte{0x48, 0xbb}, base+dataOff)

	data, err := s.data(base + dataOff)
	if err != nil {
		return nil, err
	}

	var out bytes.Buffer
	write := func(v any) { _ = binary.Write(&out, binary.LittleEndian, v) }
	write(elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: base + entry, Phoff: elfHeader, Ehsize: elfHeader, Phentsize: programSize, Phnum: programs,
	})
	textLen := entry + uint64(len(prologue)+len(text))
	write(elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base,
		Filesz: textLen, Memsz: textLen, Align: pageSize,
	})
	write(elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: dataOff, Vaddr: base + dataOff,
		Filesz: uint64(len(data)), Memsz: uint64(len(data)), Align: pageSize,
	})
	// Without this the kernel would make every mapping executable.
	write(elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16})
	out.Write(prologue)
	out.Write(text)
	out.Write(make([]byte, dataOff-uint64(out.Len())))
	out.Write(data)
	return out.Bytes(), nil
}

// data lays out header, steps and blobs for loading at address at.
func (s *Script) data(at uint64) ([]byte, error) {
	// A script that runs off its end exits.
	steps := append(s.steps[:len(s.steps):len(s.steps)], step{what: "exit", nr: unix.SYS_EXIT_GROUP})
	blobs := headerSize + uint64(len(steps))*stepSize
	out := make([]byte, blobs+s.size)
	le := binary.LittleEndian
	le.PutUint64(out, uint64(int64(s.report-1)))
	for i, st := range steps {
		if err := s.encode(out[headerSize+i*stepSize:][:stepSize], i, st, at, at+blobs); err != nil {
			return nil, fmt.Errorf("script: step %d (%s): %w", i, st.what, err)
		}
	}
	for _, b := range s.blobs {
		to := out[blobs+b.off:]
		copy(to, b.data)
		for i, element := range b.vector {
			le.PutUint64(to[8*i:], at+blobs+s.blobs[element].off)
		}
	}
	return out, nil
}

// encode writes step i for the interpreter; the header is at address header,
// the blobs start at blobs.
func (s *Script) encode(out []byte, i int, st step, header, blobs uint64) error {
	if len(st.ignore) > maxErrnos || len(st.retry) > maxErrnos {
		return errors.New("too many errnos")
	}
	le := binary.LittleEndian
	address := func(step int) uint64 { return header + headerSize + uint64(step)*stepSize }
	le.PutUint64(out, uint64(st.nr))
	for n, a := range st.args {
		value, how := a.value, byte(0)
		switch a.kind {
		case argBlob:
			value += blobs + s.blobs[a.blob].off
		case argResult:
			value, how = address(a.step)+8, 1
		case argResultAddress:
			value = address(a.step) + 8
		case argLoad64, argLoad32:
			value, how = value+blobs+s.blobs[a.blob].off, 1
			if a.kind == argLoad32 {
				how = 2
			}
		}
		le.PutUint64(out[16+8*n:], value)
		out[64+n] = how
	}
	out[70] = byte(st.op)
	if st.keep {
		out[71] = 1
	}
	if st.target != 0 {
		to := s.labels[st.target-1]
		if to < 0 {
			return errors.New("its label was never placed")
		}
		le.PutUint64(out[72:], address(to))
	}
	for n, e := range st.ignore {
		le.PutUint32(out[80+4*n:], uint32(e))
	}
	for n, e := range st.retry {
		le.PutUint32(out[96+4*n:], uint32(e))
	}
	le.PutUint32(out[112:], uint32(i))
	return nil
}

// Memfd returns the program in a sealed, close-on-exec memory file named name,
// ready to be executed as /proc/self/fd/N or by execveat(2) with AT_EMPTY_PATH.
func (s *Script) Memfd(name string) (*os.File, error) {
	program, err := s.ELF()
	if err != nil {
		return nil, err
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// MFD_EXEC is needed where vm.memfd_noexec is set, and unknown before 6.3.
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("script: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(program); err != nil {
		f.Close()
		return nil, fmt.Errorf("script: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, fmt.Errorf("script: seal memfd: %w", err)
	}
	return f, nil
}
