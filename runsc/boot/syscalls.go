package boot

import (
	"bufio"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/syscalls"
)

// printSyscalls writes the support table, one call a line.
func printSyscalls(w io.Writer) error {
	out := bufio.NewWriter(w)
	for nr := range syscalls.Table {
		c := &syscalls.Table[nr]
		switch {
		case c.Name == "":
		case c.Refused != 0:
			fmt.Fprintf(out, "%d %s refused %s %s\n", nr, c.Name, unix.ErrnoName(c.Refused), c.Why)
		case c.Fn == nil:
			fmt.Fprintf(out, "%d %s refused ENOSYS not there yet\n", nr, c.Name)
		default:
			fmt.Fprintf(out, "%d %s implemented\n", nr, c.Name)
		}
	}
	return out.Flush()
}

// brokenTable is a copy of the table in which the calls that broken names do
// nothing but return 0, or answer ENOSYS.
func brokenTable(broken map[string]string) (*kernel.Table, error) {
	if len(broken) == 0 {
		return &syscalls.Table, nil
	}
	t := syscalls.Table
	for name, how := range broken {
		found := false
		for nr := range t {
			if t[nr].Name != name {
				continue
			}
			found = true
			t[nr].Fn = func(*kernel.Task, *[6]uint64) (uint64, error) {
				if how == "ENOSYS" {
					return 0, linux.ENOSYS
				}
				return 0, nil
			}
		}
		if !found {
			return nil, fmt.Errorf("--break-syscall: there is no system call %q", name)
		}
	}
	return &t, nil
}
