package cmd

import (
	"github.com/spf13/cobra"

	"garrison/runsc/sandbox"
)

func (a *app) startCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "start ID",
		Short:   "let the program of a created container run",
		Example: "  runsc start web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("start", args[0], sandbox.Start(a.store(), args[0]))
		},
	}
}

func (a *app) deleteCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:     "delete [flags] ID",
		Short:   "remove a container that has ended, and all that belongs to it",
		Example: "  runsc delete --force web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("delete", args[0], sandbox.Delete(a.store(), args[0], force))
		},
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "end the container first, if it runs (SIGKILL)")
	return c
}

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "pause ID",
		Short:   "stop every process of a container",
		Example: "  runsc pause web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("pause", args[0], sandbox.Pause(a.store(), args[0]))
		},
	}
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume ID",
		Short:   "let a paused container go on",
		Example: "  runsc resume web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("resume", args[0], sandbox.Resume(a.store(), args[0]))
		},
	}
}
