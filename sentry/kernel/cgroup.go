package kernel

import "sync/atomic"

// controlGroup is what the control group of a container (cgroups(7)) makes the kernel
// itself keep to and account for: the pids, the cpuset and the cpuacct controller.
type controlGroup struct {
	cpus atomic.Pointer[CPUSet] // nil for all there are

	// Protected by Kernel.tasks:

	tasks TaskCount
	used  cpuUse // by processes that have ended
}

// A TaskCount is what a pids controller tells. Zombies count.
type TaskCount struct {
	Now, Peak uint64
	Limit     uint64 // 0 for none
	Refused   uint64 // how often clone(2) has failed for the limit
}

// add counts n more tasks. What comes from outside is not refused, as who joins a
// control group of Linux is not.
func (c *TaskCount) add(n int) {
	c.Now += uint64(n)
	c.Peak = max(c.Peak, c.Now)
}

// full says whether clone(2) has to fail, and counts that it did.
func (c *TaskCount) full() bool {
	if c.Limit == 0 || c.Now < c.Limit {
		return false
	}
	c.Refused++
	return true
}

// Tasks is how many tasks the container has and may have.
func (c *Container) Tasks() TaskCount {
	c.k.tasks.RLock()
	defer c.k.tasks.RUnlock()
	return c.cgroup.tasks
}

// SetTaskLimit limits the tasks that the container may have; 0 lifts the limit. More
// than that may be there already: they stay, and there are no new ones.
func (c *Container) SetTaskLimit(n uint64) {
	c.k.tasks.Lock()
	defer c.k.tasks.Unlock()
	c.cgroup.tasks.Limit = n
}

// CPUTime is the nanoseconds of processor time that the container's processes have used,
// those that have ended included.
func (c *Container) CPUTime() (user, system int64) {
	var running []*ThreadGroup
	c.k.tasks.RLock()
	used := c.cgroup.used
	for _, p := range c.k.rootPIDNS.pids {
		if g := p.group; g != nil && g.container == c && !g.exited {
			running = append(running, g)
		}
	}
	c.k.tasks.RUnlock()
	for _, g := range running {
		u, s := g.CPUTime()
		used.user, used.system = used.user+u, used.system+s
	}
	return used.user, used.system
}

// CPUs are the processors that the container's tasks may run on.
func (c *Container) CPUs() CPUSet {
	if s := c.cgroup.cpus.Load(); s != nil {
		return *s
	}
	return AllCPUs(c.k.CPUs())
}

// SetCPUs changes them, to all there are if none of s is. What tasks have asked for
// by sched_setaffinity(2) holds within it; where nothing is left, all of it.
func (c *Container) SetCPUs(s CPUSet) {
	all := AllCPUs(c.k.CPUs())
	if s = s.and(all); s.Count() == 0 || s == all {
		c.cgroup.cpus.Store(nil)
	} else {
		c.cgroup.cpus.Store(&s)
	}
	for _, g := range c.Groups() {
		for _, t := range c.k.Tasks(g) {
			t.attend(attnMove)
		}
	}
}
