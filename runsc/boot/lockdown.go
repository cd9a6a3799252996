package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"garrison/platform/ptrace"
	"garrison/platform/systrap"
	"garrison/runsc/filter"
)

// lockDown gives up what only starting needed. It began without capabilities,
// in an empty root and namespaces of its own; from here on it is not dumpable
// (its user's other processes, of which there are none, could not trace it) and
// makes no host call that the tables do not list.
func lockDown(platformName string, debug bool) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_DUMPABLE: %w", err)
	}
	mode := filter.Kill
	if debug {
		mode = filter.Trap
	}
	return filter.Install(mode, tables(os.Getpid(), platformName)...)
}

// tables are the host calls of a sentry on the platforms called names.
func tables(pid int, names ...string) []filter.Table {
	all := []filter.Table{filter.Runtime(pid), filter.Sentry()}
	for _, name := range names {
		switch name {
		case "ptrace":
			all = append(all, filter.Platform(name, ptrace.Syscalls()))
		case "systrap":
			all = append(all, filter.Platform(name, systrap.Syscalls()))
		}
	}
	return all
}
