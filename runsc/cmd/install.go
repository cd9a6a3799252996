package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"garrison/runsc/sandbox"
)

// installFlags are install's and uninstall's flags.
type installFlags struct {
	config string // Docker's daemon.json
	name   string // of the runtime
}

func (o *installFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&o.config, "config", "/etc/docker/daemon.json", "Docker's configuration file")
	c.Flags().StringVar(&o.name, "runtime", "runsc", "name of the runtime there")
}

func (a *app) installCommand() *cobra.Command {
	var o installFlags
	c := &cobra.Command{
		Use:   "install [flags] [-- RUNSC-FLAG...]",
		Short: "tell Docker of this runtime, and say what containerd and Kubernetes need",
		Long: `Write an entry for this runsc into Docker's daemon.json, which keeps all else that
it says, and print what containerd's config.toml and Kubernetes need. Flags after
"--" are given to runsc each time that Docker runs it.`,
		Example: "  runsc install\n  runsc install --runtime runsc-ptrace -- --platform=ptrace",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			path, err := installed()
			if err != nil {
				return err
			}
			entry := dockerRuntime{Path: path, Args: args}
			changed, err := editDaemon(o.config, func(d daemonConfig) error { return d.add(o.name, entry) })
			if err != nil {
				return err
			}
			o.told(changed, "added to")
			fmt.Printf("\n%s\n%s", containerdEntry(o.name, path), runtimeClass(o.name))
			return nil
		},
	}
	o.register(c)
	return c
}

func (a *app) uninstallCommand() *cobra.Command {
	var o installFlags
	c := &cobra.Command{
		Use:     "uninstall [flags]",
		Short:   "take back what install has told Docker",
		Example: "  runsc uninstall",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			changed, err := editDaemon(o.config, func(d daemonConfig) error { return d.remove(o.name) })
			if err != nil {
				return err
			}
			o.told(changed, "removed from")
			return nil
		},
	}
	o.register(c)
	return c
}

var runtimeName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*$`)

// check refuses a name that Docker or Kubernetes would.
func (o *installFlags) check() error {
	if !runtimeName.MatchString(o.name) {
		return fmt.Errorf("--runtime=%s: must be letters, digits, dots and dashes", o.name)
	}
	return nil
}

// told says what has happened, and what makes it count.
func (o *installFlags) told(changed bool, what string) {
	if !changed {
		fmt.Printf("%s: nothing to change\n", o.config)
		return
	}
	fmt.Printf("runtime %q %s %s; make Docker read it: systemctl reload docker (or kill -HUP its daemon)\n", o.name, what, o.config)
}

// installed is the path of this program, which must be one that daemons can run.
func installed() (string, error) {
	path, err := sandbox.Program("runsc")
	if err != nil {
		return "", err
	}
	for _, p := range []string{path, filepath.Join(filepath.Dir(path), sandbox.SentryProgram), filepath.Join(filepath.Dir(path), sandbox.GoferProgram)} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm()&0o001 == 0 {
			return "", fmt.Errorf("%s must be there and executable: runsc, %s and %s stay together", p, sandbox.SentryProgram, sandbox.GoferProgram)
		}
	}
	return path, nil
}

// A dockerRuntime is an entry of daemon.json's "runtimes".
type dockerRuntime struct {
	Path string   `json:"path"`
	Args []string `json:"runtimeArgs,omitempty"`
}

// A daemonConfig is daemon.json, of which only "runtimes" is understood.
type daemonConfig map[string]json.RawMessage

const (
	runtimesKey       = "runtimes"
	defaultRuntimeKey = "default-runtime"
)

// runtimes are the entries that there are, each as it stands there.
func (d daemonConfig) runtimes() (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	if raw, ok := d[runtimesKey]; ok {
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("%q: %w", runtimesKey, err)
		}
	}
	return all, nil
}

func (d daemonConfig) add(name string, r dockerRuntime) error {
	all, err := d.runtimes()
	if err != nil {
		return err
	}
	var old dockerRuntime
	if raw, ok := all[name]; ok && json.Unmarshal(raw, &old) == nil && old.Path == r.Path && slices.Equal(old.Args, r.Args) {
		return nil
	}
	if all[name], err = json.Marshal(r); err != nil {
		return err
	}
	d[runtimesKey], err = json.Marshal(all)
	return err
}

// remove takes the entry away, unless every container is to be run by it: the daemon
// would not start again.
func (d daemonConfig) remove(name string) error {
	all, err := d.runtimes()
	if err != nil {
		return err
	}
	if _, ok := all[name]; !ok {
		return nil
	}
	var usual string
	if raw, ok := d[defaultRuntimeKey]; ok && json.Unmarshal(raw, &usual) == nil && usual == name {
		return fmt.Errorf("%q is %q: choose another first", defaultRuntimeKey, name)
	}
	delete(all, name)
	if len(all) == 0 {
		delete(d, runtimesKey)
		return nil
	}
	d[runtimesKey], err = json.Marshal(all)
	return err
}

// editDaemon changes the file at path by edit and reports whether it is another now.
// Readers see the old or the new one whole. One that is not there is empty, and
// one that becomes empty goes.
func editDaemon(path string, edit func(daemonConfig) error) (changed bool, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	before, err := parseDaemon(old)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	after, _ := parseDaemon(old)
	if err := edit(after); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(before[runtimesKey], after[runtimesKey]) {
		return false, nil
	}
	if len(after) == 0 {
		return true, os.Remove(path)
	}
	text, err := json.MarshalIndent(after, "", "  ")
	if err != nil {
		return false, err
	}
	return true, replaceFile(path, append(text, '\n'))
}

func parseDaemon(text []byte) (daemonConfig, error) {
	d := daemonConfig{}
	if len(bytes.TrimSpace(text)) == 0 {
		return d, nil
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	return d, nil
}

// replaceFile writes text in place of the file at path, with its owner and mode, and
// makes the directory if it has to.
func replaceFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once it has its name
	_, err = f.Write(text)
	if err == nil {
		err = likeFile(f, path)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// likeFile gives f the owner and mode of the file at path, or 0644 if there is none.
func likeFile(f *os.File, path string) error {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.Chmod(0o644)
	}
	if err != nil {
		return err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return errors.Join(f.Chown(int(st.Uid), int(st.Gid)), f.Chmod(fi.Mode().Perm()))
}

// containerdEntry is what goes to containerd's config.toml. The shim calls the
// runsc that it stands beside.
func containerdEntry(name, path string) string {
	return fmt.Sprintf(`For containerd, in /etc/containerd/config.toml:

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.%s]
    runtime_type = "io.containerd.runsc.v1"

and %s/containerd-shim-runsc-v1 in containerd's $PATH. Flags of runsc go to a
table [runsc_config] of /etc/containerd/runsc.toml.
`, name, filepath.Dir(path))
}

// runtimeClass is what Kubernetes is told.
func runtimeClass(name string) string {
	return fmt.Sprintf(`For Kubernetes, with runtimeClassName: %s in a pod's spec:

  apiVersion: node.k8s.io/v1
  kind: RuntimeClass
  metadata:
    name: %s
  handler: %s
`, name, name, name)
}
