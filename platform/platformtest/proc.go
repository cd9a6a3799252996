package platformtest

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"garrison/platform/arch"
)

// Indices in what statFields returns.
const (
	statState   = 0
	statParent  = 1
	statGroup   = 2
	statSession = 3
)

// statFields are those of the file stat, of a process or thread, behind the
// command's name, which may hold anything; none if there is no such file.
func statFields(path string) []string {
	stat, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// childOf returns the process that the directory name in /proc is of, if its
// parent is the process parent.
func childOf(name string, parent int) (int, bool) {
	pid, err := strconv.Atoi(name)
	if err != nil {
		return 0, false
	}
	fields := statFields("/proc/" + name + "/stat")
	return pid, len(fields) > statParent && fields[statParent] == strconv.Itoa(parent)
}

// guestProcesses returns the children of this process that have a guest's code
// mapped, which tells them from the platform's own.
func guestProcesses(t testing.TB) (pids []int) {
	t.Helper()
	line := fmt.Appendf(nil, "%08x-", codeAt)
	for pid := range Children(t) {
		maps, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
		if bytes.HasPrefix(maps, line) || bytes.Contains(maps, append([]byte("\n"), line...)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// presentPages says which of the n pages at at the page table of the guest's process
// that has a mapping there has.
func presentPages(t testing.TB, at arch.Addr, n int) []bool {
	t.Helper()
	line := fmt.Appendf(nil, "\n%x-", at)
	for _, pid := range guestProcesses(t) {
		dir := "/proc/" + strconv.Itoa(pid)
		if maps, _ := os.ReadFile(dir + "/maps"); !bytes.Contains(maps, line) {
			continue
		}
		f, err := os.Open(dir + "/pagemap")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		entries := make([]byte, 8*n)
		if _, err := f.ReadAt(entries, int64(at/arch.PageSize*8)); err != nil {
			t.Fatal(err)
		}
		present := make([]bool, n)
		for i := range present {
			present[i] = entries[8*i+7]&0x80 != 0
		}
		return present
	}
	t.Fatal("no guest's process has the mapping")
	return nil
}

// vdsoSymbol returns where in the host's vDSO image the function name is.
func vdsoSymbol(t testing.TB, name string) uint64 {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		mem, err := os.Open("/proc/self/mem")
		if err != nil {
			t.Skip(err)
		}
		defer mem.Close()
		image := make([]byte, to-from)
		if _, err := mem.ReadAt(image, int64(from)); err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		symbols, err := f.DynamicSymbols()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range symbols {
			if s.Name == name {
				return s.Value
			}
		}
	}
	t.Skip("the host has no vDSO function " + name)
	return 0
}
