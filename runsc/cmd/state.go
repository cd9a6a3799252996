package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"garrison/runsc/container"
)

func (a *app) stateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "state ID",
		Short:   "print the state of a container as JSON",
		Example: "  runsc state web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.store().Peek(args[0])
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(report(c), "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Printf("%s\n", data)
			return err
		},
	}
}

func (a *app) listCommand() *cobra.Command {
	var format string
	var quiet bool
	c := &cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "list the containers below --root",
		Example: "  runsc list --format json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.list(format, quiet) },
	}
	c.Flags().StringVarP(&format, "format", "f", "table", "table or json")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "only the ids")
	return c
}

func (a *app) list(format string, quiet bool) error {
	all, err := a.store().List()
	if err != nil {
		return err
	}
	if quiet {
		for _, c := range all {
			fmt.Println(c.ID)
		}
		return nil
	}
	var reports []container.Report // nil prints as null, as runc has it
	for _, c := range all {
		reports = append(reports, report(c))
	}
	switch format {
	case "json":
		return json.NewEncoder(os.Stdout).Encode(reports)
	case "table":
		w := tabwriter.NewWriter(os.Stdout, 12, 1, 3, ' ', 0)
		fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
		for _, r := range reports {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.PID, r.Status, r.Bundle, r.Created.Format(time.RFC3339Nano), r.Owner)
		}
		return w.Flush()
	}
	return errors.New("invalid format option")
}

// report is c's state with its owner's name.
func report(c *container.Container) container.Report {
	r := c.Report()
	r.Owner = "#" + strconv.Itoa(c.Owner)
	if u, err := user.LookupId(strconv.Itoa(c.Owner)); err == nil {
		r.Owner = u.Username
	}
	return r
}
