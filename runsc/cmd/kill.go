package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"garrison/runsc/sandbox"
)

func (a *app) killCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:     "kill [flags] ID [SIGNAL]",
		Short:   "send a signal (SIGTERM if none is named) to a container's first process",
		Example: "  runsc kill web KILL",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			name := "TERM"
			if len(args) == 2 {
				name = args[1]
			}
			sig, err := parseSignal(name)
			if err != nil {
				return err
			}
			return failed("kill", args[0], sandbox.Signal(a.store(), args[0], sig, all))
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "send it to every process of the container")
	return c
}

// lastSignal is the highest signal number, and the real-time signals begin
// where the C library lets programs use them (signal(7)).
const (
	firstRealTime = 34
	lastSignal    = 64
)

// parseSignal reads "9", "KILL", "SIGKILL", "RTMIN+3" or "RTMAX-1".
func parseSignal(s string) (unix.Signal, error) {
	bad := fmt.Errorf("unknown signal %q", s)
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > lastSignal {
			return 0, bad
		}
		return unix.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n := unix.SignalNum("SIG" + name); n != 0 {
		return n, nil
	}
	for prefix, base := range map[string]int{"RTMIN": firstRealTime, "RTMAX": lastSignal} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		offset := 0
		if rest != "" {
			n, err := strconv.Atoi(rest)
			if err != nil || rest[0] != '+' && rest[0] != '-' {
				return 0, bad
			}
			offset = n
		}
		if n := base + offset; n >= firstRealTime && n <= lastSignal {
			return unix.Signal(n), nil
		}
	}
	return 0, bad
}
