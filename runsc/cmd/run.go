package cmd

import (
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"garrison/runsc/sandbox"
)

func (a *app) runCommand() *cobra.Command {
	var o creation
	var detach, keep bool
	c := &cobra.Command{
		Use:     "run [flags] ID",
		Short:   "make a container, start it, and end as it ends",
		Example: "  runsc run --bundle /containers/web web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed("run", args[0], a.run(&o, args[0], detach, keep))
		},
	}
	o.register(c)
	c.Flags().BoolVarP(&detach, "detach", "d", false, "leave once the container runs")
	c.Flags().BoolVar(&keep, "keep", false, "do not delete the container after it ends")
	c.Flags().Bool("no-subreaper", false, "accepted for runc's sake")
	return c
}

func (a *app) run(o *creation, id string, detach, keep bool) error {
	signals := catchSignals()
	s, err := a.create(o, id, detach)
	if err != nil {
		return err
	}
	if detach {
		if err := s.Start(); err != nil {
			_ = sandbox.Delete(a.store(), id, true)
			return err
		}
		return nil
	}
	return a.foreground(s, signals, keep)
}

// foreground starts s, stands between it and whoever called, and removes it
// when it has ended.
func (a *app) foreground(s *sandbox.Sandbox, signals <-chan os.Signal, keep bool) error {
	debug.SetGCPercent(100) // this may take long
	relay, err := s.Relay()
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		relay.Abandon()
		_ = sandbox.Delete(a.store(), s.ID, true)
		return err
	}
	go forward(signals, relay, func(sig unix.Signal) { _ = sandbox.Signal(a.store(), s.ID, sig, false) })
	a.code, err = s.Wait()
	relay.Close()
	if err != nil {
		return err
	}
	if line := s.Breakdown(); line != "" {
		a.log.warn("the sandbox's kernel broke down: %s (--debug-log=FILE keeps the stack)", line)
	} else if a.code == 128+int(unix.SIGKILL) && s.KernelKilled() {
		a.log.warn("the sandbox's kernel was killed from outside")
	}
	if keep {
		return nil
	}
	return sandbox.Delete(a.store(), s.ID, true)
}

// catchSignals begins to collect the signals that a foreground command passes on.
func catchSignals() <-chan os.Signal {
	ch := make(chan os.Signal, 64)
	signal.Notify(ch, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	return ch
}

// forward passes signals on, but a change of the terminal's size to the
// terminal that the guest has.
func forward(signals <-chan os.Signal, relay *sandbox.Relay, send func(unix.Signal)) {
	for s := range signals {
		if s == unix.SIGWINCH && relay != nil {
			relay.Resize()
			continue
		}
		send(s.(unix.Signal))
	}
}
