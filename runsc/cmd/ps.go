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
		Use:   "ps [flags] ID [ps options]",
		Short: "list the processes of a container",
		Long: `List the processes of a container, with the numbers that they have in it. With
--format=json, print the host processes that they are, which is what engines ask for: there
the host's ps(1) shows their names and arguments.

The table is not the host's ps(1)'s: of its options there are -e and -f, which change
nothing, and -o with a list of: ` + psColumnNames() + `.`,
		Example: "  runsc ps web -o pid,args",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("ps", args[0], a.ps(args[0], format, args[1:]))
		},
	}
	c.Flags().SetInterspersed(false) // what follows the ID is for ps
	c.Flags().StringVarP(&format, "format", "f", "table", "table or json")
	return c
}

func (a *app) ps(id, format string, options []string) error {
	switch format {
	case "json":
		pids, err := sandbox.HostProcesses(a.store(), id)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(pids)
	case "table":
		columns, err := psOptions(options)
		if err != nil {
			return err
		}
		all, err := sandbox.Processes(a.store(), id)
		if err != nil {
			return err
		}
		return printProcesses(columns, all)
	}
	return errors.New("invalid format option")
}

// psDefault are the columns of a list with no -o.
const psDefault = "uid,pid,ppid,s,stime,tty,time,cmd"

// A psColumn is what ps(1) prints of a process by one of its names.
type psColumn struct {
	names string // separated by spaces
	title string
	show  func(p *control.ProcessInfo) string
}

func psColumns() []psColumn {
	return []psColumn{
		{"uid ruid euid", "UID", func(p *control.ProcessInfo) string { return fmt.Sprint(p.UID) }},
		{"pid tgid", "PID", func(p *control.ProcessInfo) string { return fmt.Sprint(p.PID) }},
		{"ppid", "PPID", func(p *control.ProcessInfo) string { return fmt.Sprint(p.PPID) }},
		{"s state stat", "S", func(p *control.ProcessInfo) string { return p.State }},
		{"nlwp thcount", "NLWP", func(p *control.ProcessInfo) string { return fmt.Sprint(p.Threads) }},
		{"stime start_time", "STIME", func(p *control.ProcessInfo) string { return time.Unix(0, p.Started).Format("15:04") }},
		{"tty tname", "TTY", showTTY},
		{"time cputime", "TIME", showTime},
		{"comm ucmd", "COMMAND", func(p *control.ProcessInfo) string { return p.Command }},
		{"args command", "COMMAND", showCommand},
		{"cmd", "CMD", showCommand},
	}
}

func showTTY(p *control.ProcessInfo) string {
	if p.TTY == "" {
		return "?"
	}
	return p.TTY
}

func showTime(p *control.ProcessInfo) string {
	cpu := time.Duration(p.Nanos).Truncate(time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", int(cpu.Hours()), int(cpu.Minutes())%60, int(cpu.Seconds())%60)
}

func showCommand(p *control.ProcessInfo) string {
	if len(p.Args) == 0 {
		return "[" + p.Command + "]"
	}
	return strings.Join(p.Args, " ")
}

func psColumnNames() string {
	var all []string
	for _, c := range psColumns() {
		name, _, _ := strings.Cut(c.names, " ")
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

// psOptions are the columns that options of ps(1) ask for.
func psOptions(options []string) (columns []psColumn, err error) {
	list := ""
	options = strings.Fields(strings.Join(options, " ")) // engines give them all in one
	for i := 0; i < len(options); i++ {
		o := options[i]
		switch {
		case o == "-o" && i+1 < len(options):
			i++
			list += "," + options[i]
		case strings.HasPrefix(o, "-o") && len(o) > 2:
			list += "," + o[2:]
		case strings.Trim(strings.TrimPrefix(o, "-"), "efA") != "":
			return nil, fmt.Errorf("ps option %q: the table is not the host's ps(1)'s; there are -e, -f and -o LIST", o)
		}
	}
	if list == "" {
		list = psDefault
	}
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		c, err := psColumnOf(name)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func psColumnOf(name string) (psColumn, error) {
	for _, c := range psColumns() {
		for _, n := range strings.Fields(c.names) {
			if n == name {
				return c, nil
			}
		}
	}
	return psColumn{}, fmt.Errorf("ps option -o %s: not known here; there is: %s", name, psColumnNames())
}

func printProcesses(columns []psColumn, all []control.ProcessInfo) error {
	w := tabwriter.NewWriter(os.Stdout, 1, 1, 2, ' ', 0)
	row := func(cell func(c *psColumn) string) {
		cells := make([]string, len(columns))
		for i := range columns {
			cells[i] = cell(&columns[i])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	row(func(c *psColumn) string { return c.title })
	for i := range all {
		row(func(c *psColumn) string { return c.show(&all[i]) })
	}
	return w.Flush()
}
