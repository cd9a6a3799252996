package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"garrison/runsc/control"
	"garrison/runsc/sandbox"
)

func (a *app) psCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "ps [flags] ID",
		Short: "list the processes of a container",
		Long: `List the processes of a container, with the numbers that they have in it. With
--format=json, print the host processes that stand for them, which is what engines ask for.`,
		Example: "  runsc ps web",
		Args:    cobra.RangeArgs(1, 2), // runc takes options for ps(1), which have no use here
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("ps", args[0], a.ps(args[0], format))
		},
	}
	c.Flags().StringVarP(&format, "format", "f", "table", "table or json")
	return c
}

func (a *app) ps(id, format string) error {
	switch format {
	case "json":
		pids, err := sandbox.HostProcesses(a.store(), id)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(pids)
	case "table":
		all, err := sandbox.Processes(a.store(), id)
		if err != nil {
			return err
		}
		return printProcesses(all)
	}
	return errors.New("invalid format option")
}

func printProcesses(all []control.ProcessInfo) error {
	w := tabwriter.NewWriter(os.Stdout, 1, 1, 2, ' ', 0)
	fmt.Fprint(w, "UID\tPID\tPPID\tS\tSTIME\tTTY\tTIME\tCMD\n")
	for _, p := range all {
		tty, command := p.TTY, strings.Join(p.Args, " ")
		if tty == "" {
			tty = "?"
		}
		if command == "" {
			command = "[" + p.Command + "]"
		}
		cpu := time.Duration(p.Nanos).Truncate(time.Second)
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%s\t%02d:%02d:%02d\t%s\n", p.UID, p.PID, p.PPID, p.State,
			time.Unix(0, p.Started).Format("15:04"), tty, int(cpu.Hours()), int(cpu.Minutes())%60, int(cpu.Seconds())%60, command)
	}
	return w.Flush()
}
