package cmd

import "github.com/spf13/cobra"

const helpName = "help"

// helpCommand is cobra's own, but that a command which does not exist is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     helpName + " [COMMAND]",
		Short:   "say how a command is used",
		Example: "  runsc help do",
		RunE: func(c *cobra.Command, args []string) error {
			about, _, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
