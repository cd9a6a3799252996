package platformtest

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// childOf returns the process that the directory name in /proc is of, if its
// parent is the process parent.
func childOf(name string, parent int) (int, bool) {
	pid, err := strconv.Atoi(name)
	if err != nil {
		return 0, false
	}
	stat, err := os.ReadFile("/proc/" + name + "/stat")
	if err != nil {
		return 0, false
	}
	// The command name, in parentheses, may hold anything.
	_, rest, ok := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	if !ok {
		return 0, false
	}
	fields := strings.Fields(rest)
	return pid, len(fields) > 1 && fields[1] == strconv.Itoa(parent)
}

// runningChildren returns the children of this process that have a thread in
// state R.
func runningChildren(t testing.TB) map[int]bool {
	t.Helper()
	out := map[int]bool{}
	for pid := range Children(t) {
		dir := "/proc/" + strconv.Itoa(pid) + "/task/"
		tasks, _ := os.ReadDir(dir)
		for _, task := range tasks {
			stat, _ := os.ReadFile(dir + task.Name() + "/stat")
			if rest := stat[bytes.LastIndexByte(stat, ')')+1:]; bytes.HasPrefix(rest, []byte(" R")) {
				out[pid] = true
			}
		}
	}
	return out
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
