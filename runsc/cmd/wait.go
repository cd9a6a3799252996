package cmd

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"garrison/runsc/sandbox"
)

func (a *app) waitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "wait ID",
		Short: "wait for a container's first process to end, and print how it did",
		Long: `Wait until the first process of a container has ended, and print its exit status, or
128 and the number of the signal that killed it, as {"id":…,"exitStatus":…}.

Of a container that has ended before, the status is known only until the parent of the
process whose pid "state" shows has waited for that, which engines do at once: then
wait says so, and fails.`,
		Example: "  runsc wait web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			status, err := sandbox.WaitFor(a.store(), args[0])
			if err != nil {
				return failed("wait", args[0], err)
			}
			return json.NewEncoder(os.Stdout).Encode(struct {
				ID         string `json:"id"`
				ExitStatus int    `json:"exitStatus"`
			}{args[0], status})
		},
	}
}
