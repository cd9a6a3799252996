package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestWanted(t *testing.T) {
	limit := int64(10)
	for _, c := range []struct {
		config Config
		want   bool
	}{
		{Config{}, false},
		{Config{Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}}, false},
		{Config{Path: "/x"}, true},
		{Config{Resources: &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}}, true},
	} {
		if got := c.config.Wanted(); got != c.want {
			t.Errorf("%+v: %v", c.config, got)
		}
	}
}

func TestResources(t *testing.T) {
	limit, swap, pids, shares := int64(100<<20), int64(-1), int64(10), uint64(512)
	r, err := resources(&specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap},
		Pids:   &specs.LinuxPids{Limit: &pids},
		CPU:    &specs.LinuxCPU{Shares: &shares},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Memory != limit+SentryMemory || r.MemorySwap != -1 || *r.PidsLimit <= pids || r.CpuShares != 512 || r.CpuWeight == 0 {
		t.Errorf("%+v", r)
	}
	if _, err := resources(&specs.LinuxResources{Unified: map[string]string{"../x": "1"}}); err == nil {
		t.Error("a path passes for a file name")
	}
}

func TestLife(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	limit := int64(64 << 20)
	c := Config{ID: "garrison-test-" + strconv.Itoa(os.Getpid()), Resources: &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}}
	first := sleeper(t)
	g, err := New(c)
	if err == nil {
		err = g.Make(first)
	}
	if err != nil {
		t.Skip("no cgroups here: ", err)
	}
	// Nobody's limits are left behind: version 1 shows that by the path.
	if own, err := cgroups.GetOwnCgroupPath("memory"); err == nil && filepath.Dir(g.Paths()["memory"]) != own {
		t.Errorf("%s is not below %s", g.Paths()["memory"], own)
	}
	second := sleeper(t)
	if err := g.Add(second); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{first, second} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err != nil || !strings.Contains(string(data), c.ID) {
			t.Fatalf("%s %v", data, err)
		}
	}
	again, err := Open(c, g.Paths())
	if err != nil {
		t.Fatal(err)
	}
	pids, err := again.Processes()
	if err != nil || len(pids) != 2 || !slices.Contains(pids, first) || !slices.Contains(pids, second) {
		t.Errorf("%v %v", pids, err)
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	if err := again.Destroy(); err != nil {
		t.Fatal(err)
	}
	for _, p := range g.Paths() {
		if _, err := os.Stat(p); err == nil {
			t.Errorf("%s is left", p)
		}
	}
}
