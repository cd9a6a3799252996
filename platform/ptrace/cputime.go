package ptrace

import (
	"garrison/platform"
	"garrison/platform/stub"
)

var _ platform.CPUTimer = (*Context)(nil)

// GuestTime implements platform.CPUTimer.
func (c *Context) GuestTime() (process int, ns int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tid == 0 {
		return 0, 0
	}
	return c.pid, stub.ProcessTime(c.pid)
}

// ServerTime implements platform.CPUTimer.
func (c *Context) ServerTime() int64 { return c.server.Time() }
