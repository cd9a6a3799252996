package cgroup

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/control"
)

func ptr[T any](v T) *T { return &v }

func memory(limit, swap int64) *specs.LinuxResources {
	return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(limit), Swap: ptr(swap)}}
}

func TestMerge(t *testing.T) {
	old := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](100), Swap: ptr[int64](200)},
		CPU:    &specs.LinuxCPU{Quota: ptr[int64](5), Cpus: "0"},
	}
	r := Merge(old, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](-1)},
		CPU:    &specs.LinuxCPU{Quota: ptr[int64](0), Shares: ptr[uint64](7), Mems: "0"},
		Pids:   &specs.LinuxPids{Limit: ptr[int64](9)},
	})
	if *r.Memory.Limit != -1 || *r.Memory.Swap != -1 {
		t.Errorf("memory %d, with swap %d", *r.Memory.Limit, *r.Memory.Swap)
	}
	if *r.CPU.Quota != 5 || *r.CPU.Shares != 7 || r.CPU.Cpus != "0" || r.CPU.Mems != "0" || *r.Pids.Limit != 9 {
		t.Errorf("%+v %+v", r.CPU, r.Pids)
	}
	if *old.Memory.Limit != 100 || old.CPU.Shares != nil || old.Pids != nil {
		t.Error("what was before has changed")
	}
	if r := Merge(nil, &specs.LinuxResources{}); r.Memory != nil || r.CPU != nil || r.Pids != nil {
		t.Errorf("%+v", r)
	}
}

func TestWidest(t *testing.T) {
	for _, c := range []struct {
		old, new    *specs.LinuxResources
		limit, swap int64
	}{
		{memory(100, 300), memory(200, 250), 200, 300},
		{memory(-1, -1), memory(200, 250), -1, -1},
		{memory(100, 100), memory(-1, -1), -1, -1},
	} {
		w := Widest(c.old, c.new)
		if *w.Memory.Limit != c.limit || *w.Memory.Swap != c.swap {
			t.Errorf("%d and %d, want %d and %d", *w.Memory.Limit, *w.Memory.Swap, c.limit, c.swap)
		}
	}
	// Who had no limit keeps having none until the guest has its own.
	w := Widest(nil, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](5)}})
	if w.Pids.Limit != nil {
		t.Errorf("%d", *w.Pids.Limit)
	}
}

func TestRestore(t *testing.T) {
	r := Restore(nil, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](5)}, CPU: &specs.LinuxCPU{Quota: ptr[int64](5)}, Pids: &specs.LinuxPids{Limit: ptr[int64](5)},
	})
	if *r.Memory.Limit != -1 || r.Memory.Swap != nil || *r.CPU.Quota != -1 || *r.Pids.Limit != -1 {
		t.Errorf("%+v", r)
	}
}

func TestLimitsOf(t *testing.T) {
	l := LimitsOf(&specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](100), Swap: ptr[int64](300), Reservation: ptr[int64](50)},
		CPU:    &specs.LinuxCPU{Quota: ptr[int64](-1), Period: ptr[uint64](1000), Shares: ptr[uint64](1024), Idle: ptr[int64](1), Cpus: "1"},
		Pids:   &specs.LinuxPids{Limit: ptr[int64](-1)},
	})
	if l.CPUWeight == 0 {
		t.Error("no weight")
	}
	l.CPUWeight = 0 // the library's formula
	if want := (control.Limits{Memory: 100, MemoryLow: 50, Swap: 200, CPUPeriod: 1000, CPUIdle: true, CPUs: "1"}); l != want {
		t.Errorf("%+v, want %+v", l, want)
	}
	if l := LimitsOf(memory(100, 100)); l.Swap != control.NoSwap {
		t.Errorf("swap %d", l.Swap)
	}
}

func TestWithoutGroup(t *testing.T) {
	if err := WithoutGroup(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](5)}, CPU: &specs.LinuxCPU{}}); err != nil {
		t.Error(err)
	}
	if err := WithoutGroup(&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](5)}}); err == nil {
		t.Error("a quota without a cgroup")
	}
}
