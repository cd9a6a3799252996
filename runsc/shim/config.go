package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/typeurl/v2"
)

// defaultConfigPath is the configuration of containers whose options name none.
// It need not exist.
const defaultConfigPath = "/etc/containerd/runsc.toml"

// defaultRoot is where containers are on record, a directory for each of
// containerd's namespaces.
const defaultRoot = "/run/containerd/runsc"

// A config says how runsc is called.
type config struct {
	Binary        string   `toml:"binary_name"` // default: runsc beside the shim, else in $PATH
	Root          string   `toml:"root"`
	SystemdCgroup bool     `toml:"systemd_cgroup"`
	ShimCgroup    string   `toml:"shim_cgroup"` // cgroup for the shim itself
	Flags         []string `toml:"-"`           // runsc's global flags: --name=value
	NoPivot       bool     `toml:"-"`
	NoNewKeyring  bool     `toml:"-"`
}

// reserved are global flags of runsc that have a setting of their own, or are
// the shim's business.
var reserved = []string{"root", "systemd-cgroup", "log", "log-format"}

// readConfig makes a config of the options of a request: runc's type, whose
// settings override the file at defaultConfigPath, or a type that names a file.
func readConfig(options typeurl.Any) (*config, error) {
	var message any
	if options != nil && len(options.GetValue()) > 0 {
		var err error
		if message, err = typeurl.UnmarshalAny(options); err != nil {
			return nil, fmt.Errorf("runtime options: %w", err)
		}
	}
	switch o := message.(type) {
	case nil:
		return readDefault()
	case *runcoptions.Options:
		c, err := readDefault()
		if err != nil {
			return nil, err
		}
		return c, c.override(o)
	case *runtimeoptions.Options:
		if o.ConfigPath != "" {
			return readFile(o.ConfigPath)
		}
		if len(o.ConfigBody) > 0 {
			return parseConfig(string(o.ConfigBody), "runtime options")
		}
		return readDefault()
	}
	return nil, fmt.Errorf("runtime options of type %s: not known; runtimeoptions.v1.Options and containerd.runc.v1.Options are", options.GetTypeUrl())
}

func readDefault() (*config, error) {
	c, err := readFile(defaultConfigPath)
	if errors.Is(err, os.ErrNotExist) {
		return &config{}, nil
	}
	return c, err
}

func readFile(path string) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseConfig(string(data), path)
}

// parseConfig reads TOML that came from where it says.
func parseConfig(data, where string) (*config, error) {
	var file struct {
		config
		Flags map[string]any `toml:"runsc_config"`
	}
	meta, err := toml.Decode(data, &file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("%s: unknown key %q", where, unknown[0])
	}
	c := &file.config
	for name, value := range file.Flags {
		switch value.(type) {
		case string, bool, int64:
		default:
			return nil, fmt.Errorf("%s: runsc_config.%s: must be a string, a number or a boolean", where, name)
		}
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("%s: runsc_config.%s: runsc's --%s is set by the shim", where, name, name)
		}
		c.Flags = append(c.Flags, fmt.Sprintf("--%s=%v", name, value))
	}
	slices.Sort(c.Flags)
	return c, nil
}

// override takes over what runc's options say. IoUid and IoGid have no meaning
// here: files from outside belong to the process that they are given to.
func (c *config) override(o *runcoptions.Options) error {
	if o.CriuImagePath != "" || o.CriuWorkPath != "" {
		return errors.New("runtime options: CriuImagePath and CriuWorkPath: there is no checkpoint")
	}
	if o.TaskApiAddress != "" {
		return errors.New("runtime options: TaskApiAddress: tasks are only served on the shim's own socket")
	}
	for _, s := range []struct {
		to   *string
		from string
	}{{&c.Binary, o.BinaryName}, {&c.Root, o.Root}, {&c.ShimCgroup, o.ShimCgroup}} {
		if s.from != "" {
			*s.to = s.from
		}
	}
	c.SystemdCgroup = c.SystemdCgroup || o.SystemdCgroup
	c.NoPivot, c.NoNewKeyring = o.NoPivotRoot, o.NoNewKeyring
	return nil
}

// binary is the program to call.
func (c *config) binary() string {
	if c.Binary != "" {
		return c.Binary
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "runsc")
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return "runsc"
}

// configName is the file of the bundle that keeps the config for a shim that
// cleans up after this one.
const configName = "shim.json"

func (c *config) save(bundle string) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, configName), data, 0o600)
}

// loadConfig reads what save has written, or what holds if there was no time to.
func loadConfig(bundle string) (*config, error) {
	data, err := os.ReadFile(filepath.Join(bundle, configName))
	if errors.Is(err, os.ErrNotExist) {
		return readDefault()
	}
	if err != nil {
		return nil, err
	}
	c := &config{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s: %w", configName, err)
	}
	return c, nil
}
