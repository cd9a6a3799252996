package cmd

import (
	"errors"

	"github.com/spf13/cobra"
)

// A sandbox's kernel can't be written down yet: both commands exist to say so,
// whatever flags come with them.
func refusal(use, short, why string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  runsc " + use,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE:               func(*cobra.Command, []string) error { return errors.New(why) },
	}
}

func (a *app) checkpointCommand() *cobra.Command {
	return refusal("checkpoint ID", "not supported: save a container's state",
		"checkpoint is not supported: the kernel of a sandbox can't be saved; the container goes on")
}

func (a *app) restoreCommand() *cobra.Command {
	return refusal("restore ID", "not supported: make a container of a saved state",
		"restore is not supported: the kernel of a sandbox can't be saved; no container was made")
}
