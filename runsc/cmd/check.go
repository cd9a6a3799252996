package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"garrison/runsc/sandbox"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "say whether this host can run sandboxes, and how",
		Example: "  runsc check",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return check() },
	}
}

// A finding is what a check says of the host.
type finding struct {
	what string
	err  error  // nil: fine
	cure string // what to do about err
	must bool   // nothing works without it
}

func check() error {
	var name unix.Utsname
	_ = unix.Uname(&name)
	fmt.Printf("kernel    %s\n", unix.ByteSliceToString(name.Release[:]))
	fmt.Printf("cgroups   %s\n", cgroupVersion())
	fmt.Print("platform  ")
	if err := askSentry("--probe"); err != nil {
		fmt.Printf("unknown: %v\n", err)
	}
	failed := 0
	for _, f := range findings() {
		switch {
		case f.err == nil:
			fmt.Printf("ok        %s\n", f.what)
		case f.must:
			failed++
			fmt.Printf("MISSING   %s: %v: %s\n", f.what, f.err, f.cure)
		default:
			fmt.Printf("without   %s: %v: %s\n", f.what, f.err, f.cure)
		}
	}
	if failed > 0 {
		return fmt.Errorf("this host can't run sandboxes: %d things are missing", failed)
	}
	return nil
}

func findings() []finding {
	var root error
	if os.Geteuid() != 0 {
		root = errors.New("this is not root")
	}
	return []finding{
		{"root", root, "use sudo", true},
		{"user namespaces", positive("/proc/sys/user/max_user_namespaces"), "sysctl user.max_user_namespaces=1000", true},
		{"user ids to spare", sandbox.SpareIDs(), "run in a user namespace that has more of them mapped", true},
		{"seccomp filters", exists("/proc/sys/kernel/seccomp/actions_avail"), "a kernel with CONFIG_SECCOMP_FILTER", true},
		{"detached mounts", mountAPI(), "Linux 5.12 or newer", true},
		{"pidfds", pidfds(), "Linux 5.3 or newer", true},
		{"ptrace of own children", ptraceAllowed(), "sysctl kernel.yama.ptrace_scope=1", true},
		{sandbox.SentryProgram, program(sandbox.SentryProgram), "make build puts it beside runsc", true},
		{sandbox.GoferProgram, program(sandbox.GoferProgram), "make build puts it beside runsc", true},
		{"raised descriptor limit", descriptorLimit(), "guests share what there is; give CAP_SYS_RESOURCE or raise the hard limit", false},
	}
}

func cgroupVersion() string {
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err != nil {
		return "none: limits can't be set"
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return "version 2"
	}
	if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil {
		return "version 1, with a version 2 tree (hybrid)"
	}
	return "version 1"
}

func exists(path string) error {
	_, err := os.Stat(path)
	if err != nil {
		return errors.New("not in this kernel")
	}
	return nil
}

// positive asks that the number in a file, if it is there, is not 0.
func positive(path string) error {
	data, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(data)) == "0" {
		return errors.New("switched off")
	}
	return nil
}

// mountAPI asks for open_tree(2) and mount_setattr(2).
func mountAPI() error {
	if err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{}); err == unix.ENOSYS {
		return err
	}
	return nil
}

func pidfds() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// ptraceAllowed reads Yama's scope: at 2 tracing takes CAP_SYS_PTRACE, which a
// sentry does not have; at 3 nobody traces.
func ptraceAllowed() error {
	data, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if scope := strings.TrimSpace(string(data)); err == nil && scope != "0" && scope != "1" {
		return errors.New("kernel.yama.ptrace_scope is " + scope)
	}
	return nil
}

func program(name string) error {
	path, err := sandbox.Program(name)
	if err == nil {
		_, err = os.Stat(path)
	}
	return err
}

func descriptorLimit() error {
	const want = 1 << 18
	sandbox.RaiseHardLimits()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if l.Max < want {
		return fmt.Errorf("a sandbox can have %d descriptors", l.Max)
	}
	return nil
}
