package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"garrison/platform/ptrace"
	"garrison/platform/systrap"
	"garrison/runsc/filter"
	"garrison/sentry/socket/hostinet"
)

// lockDown gives up what only starting needed. It began without capabilities,
// in an empty root and namespaces of its own; from here on it is not dumpable
// (its user's other processes, of which there are none, could not trace it) and
// makes no host call that the tables do not list.
func (s *sandbox) lockDown(hostNetwork bool) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_DUMPABLE: %w", err)
	}
	mode := filter.Kill
	if s.options.Debug {
		mode = filter.Trap
	}
	all := tables(os.Getpid(), s.platform.Facts().Name)
	if hostNetwork {
		all = append(all, hostNetworkTable())
	}
	if s.dials {
		all = append(all, filter.Dial())
	}
	return filter.Install(mode, all...)
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

// hostNetworkTable is the host calls of a sentry whose guest uses the host's sockets.
func hostNetworkTable() filter.Table {
	set, get := hostinet.Options()
	return filter.HostNetwork(filterOptions(set), filterOptions(get))
}

func filterOptions(l []hostinet.Option) (out []filter.Option) {
	for _, o := range l {
		out = append(out, filter.Option(o))
	}
	return out
}
