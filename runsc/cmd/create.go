package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"garrison/runsc/sandbox"
	"garrison/runsc/spec"
)

// creation is the flags that create and run share.
type creation struct {
	command       *cobra.Command
	bundle        string
	consoleSocket string
	pidFile       string
	preserveFDs   int
}

func (o *creation) register(c *cobra.Command) {
	o.command = c
	f := c.Flags()
	f.StringVarP(&o.bundle, "bundle", "b", ".", "directory that holds config.json and the root filesystem")
	f.StringVar(&o.consoleSocket, "console-socket", "", "unix socket that receives the master of the container's terminal")
	f.StringVar(&o.pidFile, "pid-file", "", "file to write the container's host process id to")
	f.IntVar(&o.preserveFDs, "preserve-fds", 0, "pass this many more descriptors than the three (and $LISTEN_FDS) to the container")
	f.Bool("no-pivot", false, "accepted for runc's sake: a sandbox's root is always its own")
	f.Bool("no-new-keyring", false, "accepted for runc's sake: a sandbox has no host keyring")
}

func (a *app) createCommand() *cobra.Command {
	var o creation
	c := &cobra.Command{
		Use:     "create [flags] ID",
		Short:   "make a container, ready to start",
		Example: "  runsc create --bundle /containers/web web && runsc start web",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := a.create(&o, args[0], true)
			return failed("create", args[0], err)
		},
	}
	o.register(c)
	return c
}

// create makes container id of a bundle. Detached, its terminal needs somebody
// to give it to.
func (a *app) create(o *creation, id string, detached bool) (*sandbox.Sandbox, error) {
	bundle, err := filepath.Abs(o.bundle)
	if err != nil {
		return nil, err
	}
	s, err := spec.Load(bundle)
	if err != nil {
		return nil, err
	}
	if err := a.flagsFromAnnotations(o.command, s.Annotations); err != nil {
		return nil, err
	}
	cfg := sandbox.Config{
		Store: a.store(), ID: id, Bundle: bundle, Spec: s, Options: a.options(), Overlay: a.overlay, RootImage: a.rootfs, SystemdCgroup: a.systemd,
		ConsoleSocket: o.consoleSocket, PIDFile: o.pidFile, PreserveFDs: o.preserveFDs,
	}
	if err := checkConsole(cfg.Spec.Process.Terminal, o.consoleSocket, detached); err != nil {
		return nil, err
	}
	if n := os.Getenv("LISTEN_FDS"); n != "" { // sd_listen_fds(3)
		listen, err := strconv.Atoi(n)
		if err != nil || listen < 0 {
			return nil, fmt.Errorf("LISTEN_FDS=%q: not a number", n)
		}
		cfg.PreserveFDs += listen
		cfg.Spec.Process.Env = append(cfg.Spec.Process.Env, "LISTEN_FDS="+n, "LISTEN_PID=1")
	}
	return a.createSandbox(cfg)
}

// createSandbox is sandbox.Create with the logs of the command line.
func (a *app) createSandbox(cfg sandbox.Config) (*sandbox.Sandbox, error) {
	var err error
	if cfg.DebugLog, err = a.openDebugLog(cfg.ID); err != nil {
		return nil, err
	}
	if a.strace && cfg.DebugLog == nil {
		cfg.DebugLog = os.Stderr
	}
	if a.debug {
		last := time.Now()
		cfg.Step = func(name string) {
			now := time.Now()
			a.log.debugf("%-40s %v", name, now.Sub(last))
			last = now
		}
	}
	cfg.Warn = func(text string) { a.log.warn("%s", text) }
	sandbox.RaiseHardLimits()
	return sandbox.Create(cfg)
}

// checkConsole refuses what can't be done with a terminal.
func checkConsole(terminal bool, socket string, detached bool) error {
	switch {
	case detached && terminal && socket == "":
		return fmt.Errorf("cannot allocate tty if runsc will detach without setting console socket")
	case (!detached || !terminal) && socket != "":
		return fmt.Errorf("cannot use console socket if runsc will not detach or allocate tty")
	}
	return nil
}
