package systrap

import (
	"garrison/platform"
	"garrison/platform/stub"
)

var _ platform.CPUTimer = (*Context)(nil)

// GuestTime implements platform.CPUTimer.
func (c *Context) GuestTime() (process int, ns int64) {
	t := c.current.Load()
	if t == nil {
		t = c.lent.Load()
	}
	if t == nil {
		return 0, 0
	}
	return t.pid, max(stub.ProcessTime(t.pid)-t.spent, 0)
}

// ServerTime implements platform.CPUTimer.
func (c *Context) ServerTime() int64 { return c.server.Time() }
