package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"github.com/spf13/cobra"

	"garrison/runsc/control"
	"garrison/runsc/sandbox"
	"garrison/runsc/spec"
)

func (a *app) specCommand() *cobra.Command {
	var bundle string
	c := &cobra.Command{
		Use:     "spec [flags]",
		Short:   "write a config.json to start from",
		Example: "  mkdir web && cd web && runsc spec",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path := filepath.Join(bundle, spec.ConfigName)
			data, err := json.MarshalIndent(spec.Example(), "", "\t")
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("file %s exists. Remove it first", path)
			}
			if err != nil {
				return err
			}
			_, err = f.Write(append(data, '\n'))
			return errors.Join(err, f.Close())
		},
	}
	c.Flags().StringVarP(&bundle, "bundle", "b", ".", "directory to write it to")
	c.Flags().Bool("rootless", false, "accepted for runc's sake")
	return c
}

func versionText() string {
	return fmt.Sprintf("runsc version %s\nspec: %s\ngo: %s\n", control.Version, specs.Version, runtime.Version())
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version",
		Example: "  runsc version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Print(versionText())
			return err
		},
	}
}

func platformNames() []string {
	var names []string
	for _, p := range control.Platforms() {
		names = append(names, p[0])
	}
	return names
}

func knownPlatform(name string) bool { return slices.Contains(platformNames(), name) }

func (a *app) platformsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "platforms",
		Short:   "list what --platform can be",
		Example: "  runsc platforms",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, p := range control.Platforms() {
				mark := ""
				if p[0] == control.DefaultPlatform {
					mark = " (default)"
				}
				fmt.Printf("%s\t%s%s\n", p[0], p[1], mark)
			}
			return nil
		},
	}
}

// askSentry runs the sentry's program for what only it knows: runsc itself does
// not link the kernel.
func askSentry(flag string) error {
	path, err := sandbox.Program(sandbox.SentryProgram)
	if err != nil {
		return err
	}
	c := exec.Command(path, flag)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}

func (a *app) syscallsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "syscalls",
		Short:   "list the system calls that guests have",
		Long:    "List the system calls of Linux 6.12, one a line: number, name, and \"implemented\" or \"refused\" with errno and reason.",
		Example: "  runsc syscalls | grep -c implemented",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return askSentry("--syscalls") },
	}
}

func (a *app) debugCommand() *cobra.Command {
	var seccomp bool
	var whats [3]bool
	names := []string{control.DebugStacks, control.DebugPlatform, control.DebugGofer}
	c := &cobra.Command{
		Use:     "debug [flags] [ID]",
		Short:   "look into the sandbox's own works",
		Example: "  runsc debug --seccomp\n  runsc debug --stacks web\n  runsc debug --platform-stats web",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			what := slices.Index(whats[:], true)
			switch {
			case seccomp:
				return askSentry("--seccomp")
			case what >= 0 && len(args) == 1:
				text, err := sandbox.Debug(a.store(), args[0], names[what])
				if err != nil {
					return failed("debug", args[0], err)
				}
				_, err = fmt.Print(text)
				return err
			}
			return errors.New("--seccomp, or --stacks, --platform-stats or --gofer-stats and a container's id, is needed")
		},
	}
	c.Flags().BoolVar(&seccomp, "seccomp", false, "print the host calls that sentry and gofer may make")
	c.Flags().BoolVar(&whats[0], names[0], false, "print what the container's sentry is doing")
	c.Flags().BoolVar(&whats[1], names[1], false, "print how often the container's platform did what")
	c.Flags().BoolVar(&whats[2], names[2], false, "print what the container's gofer was asked for, and how often")
	c.MarkFlagsMutuallyExclusive(append(names, "seccomp")...)
	return c
}

func (a *app) featuresCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "features",
		Short:   "print what this runtime can do, as the OCI runtime specification has it",
		Example: "  runsc features",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			data, err := json.MarshalIndent(featureDocument(), "", "    ")
			if err != nil {
				return err
			}
			_, err = fmt.Printf("%s\n", data)
			return err
		},
	}
}

func featureDocument() features.Features {
	yes, no := true, false
	return features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions:  spec.MountOptions(),
		Linux: &features.Linux{
			Namespaces:   []string{"cgroup", "ipc", "mount", "network", "pid", "user", "uts"},
			Capabilities: spec.AllCapabilities(),
			Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &no, Rdma: &yes},
			Seccomp:      spec.SeccompFeatures(),
			Apparmor:     &features.Apparmor{Enabled: &no},
			Selinux:      &features.Selinux{Enabled: &no},
		},
		Annotations: map[string]string{"garrison.version": control.Version},
	}
}
