package platformtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// standing tells all that is known of why this process and its children do not
// get on: of each host thread, and of each goroutine. Threads come first, as to
// have the stacks of goroutines makes them all stop.
func standing(t testing.TB) string {
	var out bytes.Buffer
	for _, task := range hostThreads(t) {
		tellOf(&out, task)
	}
	buf := make([]byte, 1<<20)
	out.Write(buf[:runtime.Stack(buf, true)])
	return out.String()
}

// hostThreads returns the directories in proc of the threads of this process and
// of its children.
func hostThreads(t testing.TB) (tasks []string) {
	pids := []int{os.Getpid()}
	for pid := range Children(t) {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	for _, pid := range pids {
		of, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		tasks = append(tasks, of...)
	}
	return tasks
}

// Of a thread's directory, the files that say what it does, waits for, and has had
// of the processors, and the lines of its status about signals and processors.
var (
	threadFiles = []string{"stat", "wchan", "syscall", "stack", "schedstat"}
	statusLines = []string{"TracerPid", "SigPnd", "ShdPnd", "SigBlk", "Cpus_allowed_list",
		"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"}
)

// tellOf writes what the caller may know of the thread task.
func tellOf(out *bytes.Buffer, task string) {
	fmt.Fprintln(out, task)
	for _, name := range threadFiles {
		v, err := os.ReadFile(filepath.Join(task, name))
		if err != nil {
			v = []byte(err.Error())
		}
		v = bytes.ReplaceAll(bytes.TrimSpace(v), []byte("\n"), []byte("\n\t\t"))
		fmt.Fprintf(out, "\t%s: %s\n", name, v)
	}
	status, _ := os.ReadFile(filepath.Join(task, "status"))
	for line := range strings.Lines(string(status)) {
		if name, _, _ := strings.Cut(line, ":"); slices.Contains(statusLines, name) {
			fmt.Fprintf(out, "\t%s", line)
		}
	}
}
