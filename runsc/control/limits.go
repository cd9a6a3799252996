package control

// Limits are what a container may use: what its control group shows inside, and
// what the sentry itself keeps it to. Zero is no limit, or the default.
type Limits struct {
	Memory     uint64 `json:"memory,omitempty"` // bytes: the size of the page file's mount
	MemoryHigh uint64 `json:"memoryHigh,omitempty"`
	MemoryLow  uint64 `json:"memoryLow,omitempty"`
	Swap       uint64 `json:"swap,omitempty"` // bytes beside Memory; NoSwap for none
	CPUQuota   uint64 `json:"cpuQuota,omitempty"`
	CPUPeriod  uint64 `json:"cpuPeriod,omitempty"` // microseconds, as the quota and the burst
	CPUBurst   uint64 `json:"cpuBurst,omitempty"`
	CPUWeight  uint64 `json:"cpuWeight,omitempty"` // 1-10000
	CPUIdle    bool   `json:"cpuIdle,omitempty"`
	Pids       uint64 `json:"pids,omitempty"`
	CPUs       string `json:"cpus,omitempty"` // a list, as cpuset(7) has it
	Mems       string `json:"mems,omitempty"`
}

// NoSwap is a Limits.Swap of no swap at all.
const NoSwap = ^uint64(0)
