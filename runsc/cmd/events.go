package cmd

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"garrison/runsc/container"
	"garrison/runsc/control"
	"garrison/runsc/sandbox"
)

func (a *app) eventsCommand() *cobra.Command {
	var interval time.Duration
	var once bool
	c := &cobra.Command{
		Use:   "events [flags] ID",
		Short: "print what a container uses, and that it runs out of memory",
		Long: `Print as JSON, a line each, what a container uses, every --interval, and that one of its
processes was killed for lack of memory, when that happens; until the container ends.

Where the container has a cgroup, the figures are of all that is in it: the sandbox's
kernel, with the room that it has beside the guest's own limit of memory, included.
Without one they are the guest's. Processes ("pids") always are.`,
		Example: "  runsc events --stats web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if once {
				return failed("events", args[0], a.printStats(args[0]))
			}
			if interval <= 0 {
				return errors.New("duration interval must be greater than 0")
			}
			return failed("events", args[0], a.events(args[0], interval))
		},
	}
	c.Flags().DurationVar(&interval, "interval", 5*time.Second, "time between figures")
	c.Flags().BoolVar(&once, "stats", false, "print the figures once, and leave")
	return c
}

// events prints what happens to container id until it ends.
func (a *app) events(id string, interval time.Duration) error {
	w, err := sandbox.Watch(a.store(), id)
	if err != nil {
		return err
	}
	defer w.Close()
	happened, ended := make(chan control.Event), make(chan error, 1)
	go func() {
		for {
			e, err := w.Next()
			if err != nil {
				ended <- err
				return
			}
			happened <- e
		}
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case err = <-ended:
		case e := <-happened:
			switch {
			case e.Exit != nil:
				return nil
			case e.OOM:
				err = printEvent(&event{Type: "oom", ID: id})
			}
		case <-tick.C:
			err = a.printStats(id)
		}
		switch {
		case errors.Is(err, container.ErrNotRunning), errors.Is(err, container.ErrNotExist):
			return nil
		case errors.Is(err, sandbox.ErrNoAnswer):
			a.log.warn("events: %v", err)
		case err != nil:
			return err
		}
	}
}

func (a *app) printStats(id string) error {
	s, err := sandbox.Stats(a.store(), id)
	if err != nil {
		return err
	}
	return printEvent(&event{Type: "stats", ID: id, Data: statsOf(s)})
}

func printEvent(e *event) error { return json.NewEncoder(os.Stdout).Encode(e) }
