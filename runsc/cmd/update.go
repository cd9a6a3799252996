package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"garrison/runsc/sandbox"
)

const updateHelp = `Change the limits of a container while it lives. What is not given, and what is 0,
stays as it is. The memory that is limited is the guest's, and so are the processes
and threads: the cgroup on the host has room for the sandbox's kernel besides. Less
memory than is in use is refused; fewer processes than there are is not, as on Linux.
All else is the host's cgroup's; a container whose config.json named none has none.

--resources reads linux.resources of the OCI's config.json ("-" is standard input):
memory, cpu, pids, blockIO.weight and unified; then the other flags are ignored.`

// limitFlag is a flag of update, and where its value goes.
type limitFlag struct {
	name, usage string
	set         func(r *specs.LinuxResources, value string) error
}

func (a *app) updateCommand() *cobra.Command {
	var file string
	values := map[string]*string{}
	c := &cobra.Command{
		Use:     "update [flags] ID",
		Short:   "change the limits of a container",
		Long:    updateHelp,
		Example: "  runsc update --memory 512M --pids-limit 200 web",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := wantedLimits(file, values)
			if err != nil {
				return err
			}
			return failed("update", args[0], sandbox.Update(a.store(), args[0], r))
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "resources", "r", "", `file with the limits, or "-"`)
	for _, l := range limitFlags() {
		values[l.name] = f.String(l.name, "", l.usage)
	}
	for _, past := range []string{"kernel-memory", "kernel-memory-tcp"} {
		f.String(past, "", "accepted for runc's sake: the host has no such limit any more")
		_ = f.MarkHidden(past)
	}
	return c
}

// wantedLimits are those of file, or else of the flags.
func wantedLimits(file string, values map[string]*string) (*specs.LinuxResources, error) {
	if file != "" {
		return readLimits(file)
	}
	r := &specs.LinuxResources{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{}}
	for _, l := range limitFlags() {
		v := *values[l.name]
		if v == "" {
			continue
		}
		if err := l.set(r, v); err != nil {
			return nil, fmt.Errorf("invalid value for %s: %w", l.name, err)
		}
	}
	return r, nil
}

func readLimits(file string) (*specs.LinuxResources, error) {
	in := os.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("--resources: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("--resources: %w", err)
	}
	r := new(specs.LinuxResources)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("--resources=%s: not the JSON of linux.resources: %w", file, err)
	}
	return r, nil
}

// limitFlags are the flags that are one limit each.
func limitFlags() []limitFlag {
	return []limitFlag{
		{"blkio-weight", "weight of block I/O, 10 to 1000", number(16, func(r *specs.LinuxResources, n uint64) { w := uint16(n); r.BlockIO.Weight = &w })},
		{"cpu-period", "microseconds that --cpu-quota is of", number(64, func(r *specs.LinuxResources, n uint64) { r.CPU.Period = &n })},
		{"cpu-quota", "microseconds of processor time in each period; -1 is no limit", signed(func(r *specs.LinuxResources, n int64) { r.CPU.Quota = &n })},
		{"cpu-burst", "microseconds of quota that may be saved up", number(64, func(r *specs.LinuxResources, n uint64) { r.CPU.Burst = &n })},
		{"cpu-idle", "1: runs only when nothing else does; 0: not so", signed(func(r *specs.LinuxResources, n int64) { r.CPU.Idle = &n })},
		{"cpu-share", "weight of processor time, of 1024", number(64, func(r *specs.LinuxResources, n uint64) { r.CPU.Shares = &n })},
		{"cpu-rt-period", "microseconds that --cpu-rt-runtime is of", number(64, func(r *specs.LinuxResources, n uint64) { r.CPU.RealtimePeriod = &n })},
		{"cpu-rt-runtime", "microseconds of real-time scheduling in each period", signed(func(r *specs.LinuxResources, n int64) { r.CPU.RealtimeRuntime = &n })},
		{"cpuset-cpus", "processors to run on, as 0-2,5", func(r *specs.LinuxResources, v string) error { r.CPU.Cpus = v; return nil }},
		{"cpuset-mems", "memory nodes to use", func(r *specs.LinuxResources, v string) error { r.CPU.Mems = v; return nil }},
		{"memory", "bytes of memory (512M and the like too); -1 is no limit", amountFlag(func(r *specs.LinuxResources, n int64) { r.Memory.Limit = &n })},
		{"memory-reservation", "bytes of memory that are kept from others", amountFlag(func(r *specs.LinuxResources, n int64) { r.Memory.Reservation = &n })},
		{"memory-swap", "bytes of memory and swap together; -1 is no limit", amountFlag(func(r *specs.LinuxResources, n int64) { r.Memory.Swap = &n })},
		{"pids-limit", "processes and threads; -1 is no limit", signed(func(r *specs.LinuxResources, n int64) { r.Pids.Limit = &n })},
		{"l3-cache-schema", "refused: see --mem-bw-schema", refused("Intel RDT/CAT: l3 cache schema is not enabled")},
		{"mem-bw-schema", "refused: a sandbox has no group of Intel's resource director", refused("Intel RDT/MBA: memory bandwidth schema is not enabled")},
	}
}

func number(bits int, set func(*specs.LinuxResources, uint64)) func(*specs.LinuxResources, string) error {
	return func(r *specs.LinuxResources, v string) error {
		n, err := strconv.ParseUint(v, 10, bits)
		if err == nil {
			set(r, n)
		}
		return err
	}
}

func signed(set func(*specs.LinuxResources, int64)) func(*specs.LinuxResources, string) error {
	return func(r *specs.LinuxResources, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err == nil {
			set(r, n)
		}
		return err
	}
}

func amountFlag(set func(*specs.LinuxResources, int64)) func(*specs.LinuxResources, string) error {
	return func(r *specs.LinuxResources, v string) error {
		n := int64(-1)
		if v != "-1" {
			var err error
			if n, err = units.RAMInBytes(v); err != nil {
				return err
			}
		}
		set(r, n)
		return nil
	}
}

func refused(why string) func(*specs.LinuxResources, string) error {
	return func(*specs.LinuxResources, string) error { return fmt.Errorf("%s", why) }
}
