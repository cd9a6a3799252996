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

// tables are the host calls of a sentry on the platform called name.
func tables(pid int, name string) []filter.Table {
	all := []filter.Table{filter.Runtime(pid), filter.Sentry()}
	switch name {
	case "ptrace":
		return append(all, filter.Platform(name, ptrace.Syscalls()))
	case "systrap":
		return append(all, filter.Platform(name, systrap.Syscalls()))
	}
	return all
}
