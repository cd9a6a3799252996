package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"garrison/runsc/sandbox"
	"garrison/runsc/spec"
)

// execFlags are exec's flags.
type execFlags struct {
	process       string
	detach        bool
	tty           bool
	pidFile       string
	consoleSocket string
	cwd           string
	user          string
	env           []string
	groups        []uint
	caps          []string
	noNewPrivs    bool
	preserveFDs   int
	cgroups       []string
	ignorePaused  bool
}

func (a *app) execCommand() *cobra.Command {
	var o execFlags
	c := &cobra.Command{
		Use:     "exec [flags] ID COMMAND [ARG...]",
		Short:   "start another process in a running container",
		Example: "  runsc exec --tty web sh",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.exec(&o, args[0], args[1:]); err != nil {
				return failed("exec failed:", args[0], err)
			}
			return nil
		},
	}
	f := c.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringVarP(&o.process, "process", "p", "", "file that describes the process, in place of COMMAND")
	f.BoolVarP(&o.detach, "detach", "d", false, "leave once the process runs")
	f.BoolVarP(&o.tty, "tty", "t", false, "give it a terminal")
	f.StringVar(&o.pidFile, "pid-file", "", "file to write the process's host process id to")
	f.StringVar(&o.consoleSocket, "console-socket", "", "unix socket that receives the master of the terminal")
	f.StringVar(&o.cwd, "cwd", "", "working directory in the container")
	f.StringVarP(&o.user, "user", "u", "", "UID[:GID]")
	f.StringArrayVarP(&o.env, "env", "e", nil, "NAME=VALUE for the environment")
	f.UintSliceVarP(&o.groups, "additional-gids", "g", nil, "more groups")
	f.StringSliceVarP(&o.caps, "cap", "c", nil, "more capabilities")
	f.BoolVar(&o.noNewPrivs, "no-new-privs", false, "set no_new_privs")
	f.IntVar(&o.preserveFDs, "preserve-fds", 0, "pass this many more descriptors than the three")
	f.StringArrayVar(&o.cgroups, "cgroup", nil, "[CONTROLLER:]/ for the container's own cgroup; there are none below it")
	f.BoolVar(&o.ignorePaused, "ignore-paused", false, "allow it in a paused container, where it begins when that goes on")
	for _, label := range []string{"process-label", "apparmor"} {
		f.String(label, "", "accepted for runc's sake: it would guard the host's kernel, which guests never reach")
	}
	return c
}

func (a *app) exec(o *execFlags, id string, args []string) error {
	for _, g := range o.cgroups {
		if _, path, found := strings.Cut(g, ":"); !found && g != "/" || found && path != "/" {
			return fmt.Errorf("--cgroup=%s: there are no cgroups below the container's, which all its processes share", g)
		}
	}
	p, err := a.execProcess(o, id, args)
	if err != nil {
		return err
	}
	if err := checkConsole(p.Terminal, o.consoleSocket, o.detach); err != nil {
		return err
	}
	signals := catchSignals()
	e, err := sandbox.Exec(sandbox.ExecConfig{
		Store: a.store(), ID: id, Process: p, ConsoleSocket: o.consoleSocket, PIDFile: o.pidFile, PreserveFDs: o.preserveFDs,
		IgnorePaused: o.ignorePaused,
	})
	if err != nil || o.detach {
		return err
	}
	relay, err := e.Relay()
	if err != nil {
		return err
	}
	go forward(signals, relay, func(sig unix.Signal) { _ = sandbox.SignalProcess(a.store(), id, e.PID, sig) })
	a.code, err = e.Wait()
	relay.Close()
	return err
}

// execProcess is the process that the flags describe: as the container's init,
// but for what they say.
func (a *app) execProcess(o *execFlags, id string, args []string) (*specs.Process, error) {
	if o.process != "" {
		return spec.LoadProcess(o.process)
	}
	if len(args) == 0 {
		return nil, errors.New("a command, or --process, is needed")
	}
	init, err := sandbox.InitProcess(a.store(), id)
	if err != nil {
		return nil, err
	}
	p := *init
	p.Args, p.Terminal, p.ConsoleSize = args, o.tty, nil
	p.Env = append(slices.Clone(init.Env), o.env...)
	if o.cwd != "" {
		p.Cwd = o.cwd
	}
	if o.noNewPrivs {
		p.NoNewPrivileges = true
	}
	if o.user != "" {
		if err := setUser(&p.User, o.user); err != nil {
			return nil, err
		}
	}
	for _, g := range o.groups {
		p.User.AdditionalGids = append(slices.Clone(p.User.AdditionalGids), uint32(g))
	}
	if len(o.caps) > 0 {
		addCapabilities(&p, o.caps)
	}
	return &p, spec.ValidateProcess(&p)
}

// addCapabilities adds names to every set that a program started so has.
func addCapabilities(p *specs.Process, names []string) {
	var c specs.LinuxCapabilities
	if p.Capabilities != nil {
		c = *p.Capabilities
	}
	for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
		*set = append(slices.Clone(*set), names...)
	}
	p.Capabilities = &c
}

// setUser reads UID[:GID].
func setUser(u *specs.User, s string) error {
	uid, gid, both := strings.Cut(s, ":")
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return fmt.Errorf("--user=%s: UID[:GID] must be numbers", s)
	}
	u.UID = uint32(n)
	if both {
		if n, err = strconv.ParseUint(gid, 10, 32); err != nil {
			return fmt.Errorf("--user=%s: UID[:GID] must be numbers", s)
		}
		u.GID = uint32(n)
	}
	return nil
}
