package cgroup

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/moby/sys/userns"
	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// SentryMemory is what a sentry and its gofer need beside the guest's memory,
// in bytes: added to the memory limit of the cgroup.
const SentryMemory = 128 << 20

// A Config says which cgroups a sandbox shall be in.
type Config struct {
	ID string
	// Path is linux.cgroupsPath: "/a/b", or "slice:prefix:name" for systemd. One
	// that is not absolute is below the caller's own cgroup; "" is ID there.
	Path      string
	Systemd   bool
	Resources *specs.LinuxResources
}

// Wanted says whether the configuration asks for cgroups at all. Rules for
// devices alone do not: guests never reach the host's.
func (c Config) Wanted() bool {
	if c.Path != "" {
		return true
	}
	r := c.Resources
	return r != nil && (r.Memory != nil || r.CPU != nil || r.Pids != nil || r.BlockIO != nil ||
		len(r.HugepageLimits) > 0 || r.Network != nil || len(r.Rdma) > 0 || len(r.Unified) > 0)
}

// A Group is the cgroups of one sandbox, one for each controller of version 1,
// or one in all of version 2.
type Group struct {
	m      cgroups.Manager
	limits *cgroups.Resources
}

// New is the cgroups that c asks for, which are yet to be made: their paths can be
// written down first, so that whoever finds them knows whose they are.
func New(c Config) (*Group, error) {
	cg, err := c.translate()
	if err != nil {
		return nil, err
	}
	m, err := manager.New(cg)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return &Group{m, cg.Resources}, nil
}

// Make makes the cgroups, with their limits, for the process pid and those that are added:
// systemd makes none for nobody, and ends them with the last one. Nothing is left of them
// if it fails.
func (g *Group) Make(pid int) error {
	err := g.m.Apply(pid)
	if err == nil {
		err = g.m.Set(g.limits)
	}
	if err != nil {
		_ = g.m.Destroy()
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// Open is the cgroups that Make made, found again by their paths.
func Open(c Config, paths map[string]string) (*Group, error) {
	c.Resources = nil
	cg, err := c.translate()
	if err != nil {
		return nil, err
	}
	m, err := manager.NewWithPaths(cg, paths)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return &Group{m, cg.Resources}, nil
}

// Set gives the cgroups other limits. What r leaves out stays as it is.
func (g *Group) Set(in *specs.LinuxResources) error {
	r, err := resources(in)
	if err == nil {
		err = g.m.Set(r)
	}
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// Stats is what everything in the cgroups uses: guest, sentry and gofer.
func (g *Group) Stats() (*cgroups.Stats, error) {
	s, err := g.m.GetStats()
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return s, nil
}

// Paths are where the cgroups are, by controller, for Open.
func (g *Group) Paths() map[string]string { return g.m.GetPaths() }

// Add moves the process pid, with all its threads, into the cgroups.
func (g *Group) Add(pid int) error {
	if err := g.m.AddPid("", pid); err != nil {
		return fmt.Errorf("cgroup: add process %d: %w", pid, err)
	}
	return nil
}

// Processes are the host processes in the cgroups and below.
func (g *Group) Processes() ([]int, error) { return g.m.GetAllPids() }

// Freeze stops every process in the cgroups until it is called with false.
func (g *Group) Freeze(frozen bool) error {
	state := cgroups.Thawed
	if frozen {
		state = cgroups.Frozen
	}
	return g.m.Freeze(state)
}

// destroyTimeout is how long Destroy waits for the last processes to be gone.
const destroyTimeout = 2 * time.Second

// Destroy removes the cgroups. Processes that were killed a moment ago may
// still be on their way out.
func (g *Group) Destroy() error {
	for end := time.Now().Add(destroyTimeout); ; time.Sleep(5 * time.Millisecond) {
		err := g.m.Destroy()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
}

// translate turns the OCI's words into those of the cgroups package.
func (c Config) translate() (*cgroups.Cgroup, error) {
	// An ordinary user may have none; that counts if there are limits to set.
	cg := &cgroups.Cgroup{Systemd: c.Systemd, Rootless: userns.RunningInUserNS()}
	switch {
	case c.Systemd && c.Path == "":
		cg.Parent, cg.ScopePrefix, cg.Name = "system.slice", "runsc", c.ID
	case c.Systemd:
		parts := strings.Split(c.Path, ":")
		if len(parts) != 3 {
			return nil, fmt.Errorf("linux.cgroupsPath %q: expected slice:prefix:name for systemd", c.Path)
		}
		cg.Parent, cg.ScopePrefix, cg.Name = parts[0], parts[1], parts[2]
	case c.Path == "":
		cg.Path = c.ID
	case path.IsAbs(c.Path):
		cg.Path = path.Clean(c.Path)
	default:
		cg.Path = path.Clean("/" + c.Path)[1:] // no ".." leads out
	}
	r, err := resources(c.Resources)
	if err != nil {
		return nil, err
	}
	cg.Resources = r
	return cg, nil
}

// resources translates limits.
func resources(in *specs.LinuxResources) (*cgroups.Resources, error) {
	r := new(cgroups.Resources)
	if in == nil {
		return r, nil
	}
	setMemory(r, in.Memory)
	setCPU(r, in.CPU)
	if in.Pids != nil && in.Pids.Limit != nil {
		// The host's threads are the sentry's: a guest process costs one or two,
		// and the guest's own limit is the sentry's to keep.
		n := *in.Pids.Limit
		if n > 0 {
			n = n*2 + sentryThreads
		}
		if n != 0 {
			r.PidsLimit = &n // -1: unlimited
		}
	}
	if err := setBlockIO(r, in.BlockIO); err != nil {
		return nil, err
	}
	for _, l := range in.HugepageLimits {
		r.HugetlbLimit = append(r.HugetlbLimit, &cgroups.HugepageLimit{Pagesize: l.Pagesize, Limit: l.Limit})
	}
	if len(in.Rdma) > 0 {
		r.Rdma = make(map[string]cgroups.LinuxRdma, len(in.Rdma))
		for name, l := range in.Rdma {
			r.Rdma[name] = cgroups.LinuxRdma{HcaHandles: l.HcaHandles, HcaObjects: l.HcaObjects}
		}
	}
	if in.Network != nil {
		if in.Network.ClassID != nil {
			r.NetClsClassid = *in.Network.ClassID
		}
		for _, p := range in.Network.Priorities {
			r.NetPrioIfpriomap = append(r.NetPrioIfpriomap, &cgroups.IfPrioMap{Interface: p.Name, Priority: int64(p.Priority)})
		}
	}
	if len(in.Unified) > 0 {
		r.Unified = make(map[string]string, len(in.Unified))
		for k, v := range in.Unified {
			if strings.Contains(k, "/") {
				return nil, fmt.Errorf("linux.resources.unified: %q is not the name of a file", k)
			}
			r.Unified[k] = v
		}
	}
	return r, nil
}

// sentryThreads is how many threads a sentry and a gofer may have of their own.
const sentryThreads = 512

func setMemory(r *cgroups.Resources, m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	withRoom := func(n *int64) int64 {
		if n == nil || *n <= 0 {
			if n == nil {
				return 0
			}
			return *n // -1: unlimited
		}
		return *n + SentryMemory
	}
	r.Memory, r.MemoryReservation, r.MemorySwap = withRoom(m.Limit), withRoom(m.Reservation), withRoom(m.Swap)
	r.MemorySwappiness = m.Swappiness
	r.OomKillDisable = m.DisableOOMKiller != nil && *m.DisableOOMKiller
	r.MemoryCheckBeforeUpdate = m.CheckBeforeUpdate != nil && *m.CheckBeforeUpdate
}

func setCPU(r *cgroups.Resources, c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if c.Shares != nil {
		r.CpuShares = *c.Shares
		r.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(*c.Shares)
	}
	if c.Quota != nil {
		r.CpuQuota = *c.Quota
	}
	if c.Period != nil {
		r.CpuPeriod = *c.Period
	}
	if c.RealtimeRuntime != nil {
		r.CpuRtRuntime = *c.RealtimeRuntime
	}
	if c.RealtimePeriod != nil {
		r.CpuRtPeriod = *c.RealtimePeriod
	}
	r.CpuBurst, r.CPUIdle = c.Burst, c.Idle
	r.CpusetCpus, r.CpusetMems = c.Cpus, c.Mems
}

func setBlockIO(r *cgroups.Resources, b *specs.LinuxBlockIO) error {
	if b == nil {
		return nil
	}
	value := func(p *uint16) uint16 {
		if p == nil {
			return 0
		}
		return *p
	}
	r.BlkioWeight, r.BlkioLeafWeight = value(b.Weight), value(b.LeafWeight)
	for _, d := range b.WeightDevice {
		if d.Weight == nil && d.LeafWeight == nil {
			return errors.New("linux.resources.blockIO.weightDevice: neither weight nor leafWeight is given")
		}
		r.BlkioWeightDevice = append(r.BlkioWeightDevice, cgroups.NewWeightDevice(d.Major, d.Minor, value(d.Weight), value(d.LeafWeight)))
	}
	for _, t := range []struct {
		in  []specs.LinuxThrottleDevice
		out *[]*cgroups.ThrottleDevice
	}{
		{b.ThrottleReadBpsDevice, &r.BlkioThrottleReadBpsDevice},
		{b.ThrottleWriteBpsDevice, &r.BlkioThrottleWriteBpsDevice},
		{b.ThrottleReadIOPSDevice, &r.BlkioThrottleReadIOPSDevice},
		{b.ThrottleWriteIOPSDevice, &r.BlkioThrottleWriteIOPSDevice},
	} {
		for _, d := range t.in {
			*t.out = append(*t.out, cgroups.NewThrottleDevice(d.Major, d.Minor, d.Rate))
		}
	}
	return nil
}
