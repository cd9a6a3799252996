package cmd

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/console"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"garrison/runsc/container"
	"garrison/runsc/control"
	"garrison/runsc/sandbox"
	"garrison/runsc/spec"
	"garrison/runsc/uplink"
)

// doFlags are do's flags.
type doFlags struct {
	volumes []string
	cwd     string
	env     []string
	user    string
	network bool // --network was given
}

func (a *app) doCommand() *cobra.Command {
	var o doFlags
	c := &cobra.Command{
		Use:   "do [flags] [--] [COMMAND [ARG...]]",
		Short: "run a command in a sandbox on this host's own files",
		Long: `Run a command (a shell if none is given) in a sandbox that sees this host's root
filesystem. The host's files are read-only to it: what it writes goes to memory
and vanishes when it ends, except below directories bound with --volume.
Working directory, environment, standard input and outputs and exit status are
those of the command as if it ran without a sandbox. It reaches what the host does
by IPv4, through the host's address, and nobody reaches it, if root runs it and the
host forwards packets (net.ipv4.ip_forward) that no firewall drops; else, and with
--network=none, it has a loopback of its own. With --network=host it has the
host's network.`,
		Example: "  runsc do -v $PWD:/work -- make -C /work",
		RunE: func(c *cobra.Command, args []string) error {
			name := "shell"
			o.network = c.Flags().Changed("network")
			if len(args) > 0 {
				name = args[0]
			}
			return failed("do", name, a.do(&o, args))
		},
	}
	f := c.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringArrayVarP(&o.volumes, "volume", "v", nil, "SOURCE:DESTINATION[:ro]: a directory or file of the host that writes reach")
	f.StringVar(&o.cwd, "cwd", "", "working directory (default: the current one)")
	f.StringArrayVarP(&o.env, "env", "e", nil, "NAME=VALUE for the environment")
	f.StringVarP(&o.user, "user", "u", "", "UID[:GID] (default: the caller's)")
	return c
}

func (a *app) do(o *doFlags, args []string) error {
	s, err := doSpec(o, args)
	if err != nil {
		return err
	}
	if a.network == control.NetworkHost {
		// Of one of its own nobody would have made anything.
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	}
	if s.Process.Terminal {
		if size, err := console.Current().Size(); err == nil {
			s.Process.ConsoleSize = &specs.Box{Height: uint(size.Height), Width: uint(size.Width)}
		}
	}
	options := a.options()
	options.Mortal = true // Ctrl-C ends a command, pid 1 or not
	if options.Network, err = a.doNetwork(o.network); err != nil {
		return err
	}
	overlay := a.overlay
	if overlay == "none" {
		overlay = "memory"
	}
	a.sweep()
	signals := catchSignals()
	box, err := a.createSandbox(sandbox.Config{
		Store: a.store(), ID: doPrefix + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano()%1e9, 36),
		Bundle: "/", Spec: s, Options: options, Overlay: overlay, HostRoot: true, Leash: true,
		Uplink: true, UplinkOptional: !o.network,
	})
	if err != nil {
		return err
	}
	err = a.foreground(box, signals, false)
	box.Disconnect()
	if err != nil {
		return err
	}
	if a.code == 128+int(unix.SIGINT) {
		dieOf(unix.SIGINT)
	}
	return nil
}

// doNetwork is --network for do, where the default, unless it was asked for, is what there
// can be.
func (a *app) doNetwork(asked bool) (string, error) {
	if a.network != control.NetworkSandbox {
		return a.network, nil
	}
	err := uplink.Possible()
	var firewall *uplink.Firewall
	switch {
	case err == nil:
		return a.network, nil
	case asked && errors.As(err, &firewall):
		a.log.warn("%v", err)
		return a.network, nil
	case asked:
		return "", fmt.Errorf("--network=sandbox: %w (--network=none does without)", err)
	}
	a.log.debugf("a loopback is all the network: %v", err)
	return control.NetworkNone, nil
}

// dieOf ends this process by a signal: a shell goes on with its loop after a
// command that has exited with 130, but not after one that was interrupted.
func dieOf(sig unix.Signal) {
	signal.Reset(sig)
	_ = unix.Kill(os.Getpid(), sig)
	time.Sleep(time.Second) // until it arrives, unless somebody has us ignore it
}

// doPrefix begins the ids of do's containers.
const doPrefix = "do-"

// sweep removes what is on record of do's containers whose runsc was killed: they
// ended with it, but nobody was there to delete them.
func (a *app) sweep() {
	all, err := a.store().List()
	if err != nil {
		return
	}
	for _, c := range all {
		if strings.HasPrefix(c.ID, doPrefix) && c.Status() == container.Stopped && !c.Creator.Alive() {
			_ = sandbox.Delete(a.store(), c.ID, true)
		}
	}
}

// doSpec describes a container for args on the host's root.
func doSpec(o *doFlags, args []string) (*specs.Spec, error) {
	if len(args) == 0 {
		args = []string{shell()}
	}
	cwd := o.cwd
	if cwd == "" {
		var err error
		if cwd, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "garrison"
	}
	caps := spec.AllCapabilities()
	p := &specs.Process{
		Args: args, Cwd: cwd, Env: append(os.Environ(), o.env...), Terminal: isTerminal(os.Stdin) && isTerminal(os.Stdout),
		User:         specs.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())},
		Capabilities: &specs.LinuxCapabilities{Bounding: caps, Permitted: caps, Effective: caps},
	}
	if o.user != "" {
		if err := setUser(&p.User, o.user); err != nil {
			return nil, err
		}
	}
	s := &specs.Spec{
		Version: specs.Version, Process: p, Hostname: host, Root: &specs.Root{Path: "/"}, Mounts: spec.DefaultMounts(),
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.IPCNamespace},
			{Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
		}},
	}
	for _, v := range o.volumes {
		m, err := parseVolume(v)
		if err != nil {
			return nil, err
		}
		s.Mounts = append(s.Mounts, m)
	}
	return s, spec.Validate(s)
}

// parseVolume reads SOURCE:DESTINATION[:ro].
func parseVolume(v string) (specs.Mount, error) {
	parts := strings.Split(v, ":")
	m := specs.Mount{Type: "bind", Options: []string{"rbind"}}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !filepath.IsAbs(parts[1]) {
		return m, fmt.Errorf("--volume=%s: must be SOURCE:DESTINATION[:ro], with an absolute destination", v)
	}
	if len(parts) == 3 {
		if parts[2] != "ro" && parts[2] != "rw" {
			return m, fmt.Errorf("--volume=%s: %s: must be ro or rw", v, parts[2])
		}
		m.Options = append(m.Options, parts[2])
	}
	source, err := filepath.Abs(parts[0])
	if err != nil {
		return m, err
	}
	m.Source, m.Destination = source, filepath.Clean(parts[1])
	return m, nil
}

// shell is the user's own, or the one that every system has.
func shell() string {
	if s := os.Getenv("SHELL"); filepath.IsAbs(s) {
		if fi, err := os.Stat(s); err == nil && fi.Mode().IsRegular() {
			return s
		}
	}
	return "/bin/sh"
}

func isTerminal(f *os.File) bool {
	_, err := console.ConsoleFromFile(f)
	return err == nil
}
