package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/moby/sys/userns"
	"github.com/spf13/cobra"

	"garrison/runsc/container"
	"garrison/runsc/control"
	"garrison/runsc/sandbox"
)

// app is what the global flags say.
type app struct {
	root       string
	logPath    string
	logFormat  string
	debug      bool
	debugLog   string
	platform   string
	network    string
	overlay    string
	rootfs     string
	strace     bool
	release    string
	breakCalls map[string]string
	systemd    bool
	rootless   string // true, false or, for runc's sake, auto
	args       []string
	allowed    string // the file that names the flags which annotations may set
	command    string // the one that runs

	log  logger
	code int // exit status of a command that succeeded
}

// defaultRoot is where containers are on record: for the root of a user namespace, as
// rootless engines start runtimes, in the directory of the user behind it, who alone
// may write there.
func defaultRoot() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && userns.RunningInUserNS() {
		return filepath.Join(dir, "garrison")
	}
	return "/run/garrison"
}

// Main runs the command line and returns the exit status.
func Main(args []string) int {
	// A command is over before collecting garbage would have paid off.
	debug.SetGCPercent(-1)
	a := &app{args: args}
	root := a.rootCommand()
	root.SetArgs(args)
	command, err := root.ExecuteC()
	if err == nil {
		return a.code
	}
	err = a.explain(command, err)
	a.log.open(a.logPath, a.logFormat, a.debug) // flags may be what failed
	a.log.fail(err)
	return exitStatus(command, err)
}

// rootCommand is runsc itself, with all its commands.
func (a *app) rootCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "runsc",
		Short: "run containers in sandboxes that have a kernel of their own",
		Long: `runsc is an OCI runtime. Docker, containerd and podman use it in runc's place;
"runsc do" runs one command in a sandbox on this host's own files.`,
		Example:                    "  runsc do -- sh -c 'uname -a; id'",
		Version:                    control.Version,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			a.log.open(a.logPath, a.logFormat, a.debug)
			a.command = c.Name()
			return a.check(c)
		},
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.SetVersionTemplate(versionText())
	c.SetFlagErrorFunc(flagError)
	f := c.PersistentFlags()
	f.StringVar(&a.root, "root", defaultRoot(), "directory where containers are on record (should be in memory)")
	f.StringVar(&a.logPath, "log", "", "file that errors are appended to, beside standard error")
	f.StringVar(&a.logFormat, "log-format", "text", "format of --log: text or json")
	f.BoolVar(&a.debug, "debug", false, "log more")
	f.StringVar(&a.debugLog, "debug-log", "", "file that the sandbox's own processes write to; %ID% and %COMMAND% stand for the container's and the command's (default: one in --root, deleted with the container)")
	f.StringVar(&a.allowed, "allowed-annotations", defaultAllowed, "file of root's that names the flags which annotations dev.garrison.FLAG may set")
	f.StringVar(&a.platform, "platform", control.DefaultPlatform, "what runs the guest's code (see: runsc platforms)")
	f.StringVar(&a.network, "network", "sandbox", "network of the sandbox: sandbox (a TCP/IP of its own, with the links of its network namespace on the host; the host's sockets if the configuration says that it has the host's namespace), host (the host's sockets, in its network namespace, rather than a TCP/IP of its own), or none (a loopback)")
	f.StringVar(&a.overlay, "overlay", "none", "where writes to the root go: none (the root itself), memory, or dir=/path")
	f.StringVar(&a.rootfs, "rootfs", "", "EROFS image that is the root, read-only, in place of the configuration's root.path")
	f.BoolVar(&a.strace, "strace", false, "log every system call of the guest")
	f.StringVar(&a.release, "kernel-release", "", "release that uname(2) reports in the sandbox (default 6.12.0)")
	f.BoolVar(&a.systemd, "systemd-cgroup", false, "make cgroups by systemd; cgroupsPath is slice:prefix:name")
	f.StringToStringVar(&a.breakCalls, "break-syscall", nil, "NAME=ENOSYS or NAME=nothing, for tests")
	f.StringVar(&a.rootless, "rootless", "false", "true: as an ordinary user, in a user namespace with the ids of /etc/subuid and /etc/subgid")
	f.Lookup("rootless").NoOptDefVal = "true"
	f.String("criu", "", "accepted for runc's sake")
	for _, hidden := range []string{"break-syscall", "criu"} {
		_ = f.MarkHidden(hidden)
	}
	c.Flags().BoolP("version", "v", false, "print the version")
	c.SetHelpCommand(helpCommand())
	c.AddCommand(
		a.checkCommand(), a.checkpointCommand(), a.createCommand(), a.deleteCommand(), a.debugCommand(), a.doCommand(), a.eventsCommand(),
		a.execCommand(), a.featuresCommand(), a.installCommand(), a.killCommand(), a.listCommand(), a.pauseCommand(), a.platformsCommand(),
		a.psCommand(), a.restoreCommand(), a.resumeCommand(), a.runCommand(), a.specCommand(), a.startCommand(), a.stateCommand(),
		a.syscallsCommand(), a.uninstallCommand(), a.updateCommand(), a.versionCommand(), a.waitCommand(),
	)
	return c
}

// noRoot are the commands that anybody may use.
var noRoot = map[string]bool{
	"runsc": true, "spec": true, "version": true, "platforms": true, "syscalls": true, "features": true, "help": true,
	"completion": true, "bash": true, "zsh": true, "fish": true, "powershell": true, "debug": true, "check": true, "install": true, "uninstall": true,
}

// networks are the values of --network.
var networks = []string{control.NetworkSandbox, control.NetworkHost, control.NetworkNone}

// check refuses what can't work before anything is begun.
func (a *app) check(c *cobra.Command) error {
	if a.logFormat != "text" && a.logFormat != "json" {
		return fmt.Errorf("--log-format=%s: must be text or json", a.logFormat)
	}
	if !knownPlatform(a.platform) {
		return fmt.Errorf("--platform=%s: no such platform; there is: %s", a.platform, strings.Join(platformNames(), ", "))
	}
	if !slices.Contains(networks, a.network) {
		return fmt.Errorf("--network=%s: not supported; there is: %s", a.network, strings.Join(networks, ", "))
	}
	for name, how := range a.breakCalls {
		if how != "ENOSYS" && how != "nothing" {
			return fmt.Errorf("--break-syscall=%s=%s: must be ENOSYS or nothing", name, how)
		}
	}
	root, err := filepath.Abs(a.root)
	if err != nil {
		return err
	}
	a.root = root
	if !noRoot[c.Name()] && os.Geteuid() != 0 {
		return a.becomeRoot(c)
	}
	return nil
}

// becomeRoot executes this command again as root of a user namespace, if --rootless
// asks for that. It returns only if it fails.
func (a *app) becomeRoot(c *cobra.Command) error {
	switch a.rootless {
	case "true":
	case "false", "auto":
		return errors.New("needs root: it makes namespaces, mounts and cgroups (use sudo, or --rootless)")
	default:
		return fmt.Errorf("--rootless=%s: must be true or false", a.rootless)
	}
	if !c.Flags().Changed("root") {
		dir := os.Getenv("XDG_RUNTIME_DIR")
		if dir == "" {
			return errors.New("--rootless: neither --root nor XDG_RUNTIME_DIR says where containers can be on record")
		}
		a.root = filepath.Join(dir, "garrison")
	}
	return sandbox.BecomeRoot(a.store(), append([]string{"runsc", "--root", a.root}, a.args...))
}

func (a *app) store() container.Store { return container.Store{Root: a.root} }

// options are what a sentry gets of the global flags.
func (a *app) options() control.Options {
	return control.Options{
		Platform: a.platform, Network: a.network, Strace: a.strace, Debug: a.debug, Release: a.release, Break: a.breakCalls,
	}
}

// openDebugLog opens --debug-log for container id, or returns nil if there is none.
func (a *app) openDebugLog(id string) (*os.File, error) {
	if a.debugLog == "" {
		return nil, nil
	}
	path := strings.NewReplacer("%ID%", id, "%COMMAND%", a.command).Replace(a.debugLog)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--debug-log: %w", err)
	}
	return f, nil
}

// An operationError is a failure of a command on a container. It reads as
// `create "web": what went wrong`.
type operationError struct {
	what string
	err  error
}

func (e *operationError) Error() string { return e.what + ": " + e.err.Error() }
func (e *operationError) Unwrap() error { return e.err }

// failed names the container in an error, unless the error is of the few that
// engines compare as a whole.
func failed(verb, id string, err error) error {
	if err == nil || errors.Is(err, container.ErrNotExist) || errors.Is(err, container.ErrNotRunning) || errors.Is(err, container.ErrExist) {
		return err
	}
	return &operationError{fmt.Sprintf("%s %q", verb, id), err}
}

// exitStatus is what a command that failed ends with. Docker expects 127 of a
// program that was not found and 126 of one that can't be executed.
func exitStatus(c *cobra.Command, err error) int {
	var p *control.Problem
	if errors.As(err, &p) && p.Code != 0 {
		return p.Code
	}
	if c != nil && c.Name() == "exec" {
		return 255
	}
	return 1
}
