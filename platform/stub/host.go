package stub

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// VDSOPieces finds the mappings of the host's vDSO and its data in a maps file
// of proc(5), the text last. There are none if the layout is not the one we know.
func VDSOPieces(maps string) ([]arch.Range, error) {
	file, err := os.Open(maps)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var pieces []arch.Range
	text := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		name := fields[len(fields)-1]
		if !strings.HasPrefix(name, "[vvar") && name != "[vdso]" {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%s: %w", maps, err)
		}
		pieces = append(pieces, arch.Range{Start: arch.Addr(start), End: arch.Addr(end)})
		text = name == "[vdso]"
	}
	if len(pieces) > 0 && !text {
		return nil, nil // not the layout we know: do without
	}
	return pieces, lines.Err()
}

// MinAddr is the lowest address a guest may map; proc is where proc(5) is.
func MinAddr(proc string) arch.Addr {
	const usual = 65536
	return arch.Addr(max(usual, Sysctl(proc, "vm/mmap_min_addr", usual)))
}

// Sysctl reads a number below proc's sys.
func Sysctl(proc, name string, otherwise int) int {
	b, err := os.ReadFile(proc + "/sys/" + name)
	if err != nil {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return otherwise
	}
	return n
}

// TextMemfd returns a memory file of whole pages that holds a stub's text.
func TextMemfd(code []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("stub", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate("stub", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "stub")
	text := make([]byte, (len(code)+arch.PageSize-1)/arch.PageSize*arch.PageSize)
	for n := copy(text, code); n < len(text); n++ {
		text[n] = 0xcc // int3
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
