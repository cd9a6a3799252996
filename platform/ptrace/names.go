package ptrace

import (
	"garrison/platform"
	"garrison/platform/stub"
)

var _ platform.Namer = (*Context)(nil)

// Name implements platform.Namer.
func (c *Context) Name(comm string, args []byte) {
	c.names = &stub.Names{Comm: comm, Args: args}
}

// nameOp is the number of an operation that is no system call, but two, and the
// copying between: to have the host show the names in the slot. stub_amd64.s has it, too.
const nameOp = 1 << 62

// putNamesLocked writes new names, if there are any, for c's stub to show with what is
// queued. The space's lock is held until that has been done: its threads share the slot.
func (c *Context) putNamesLocked() {
	if c.names == nil {
		return
	}
	c.names.Put(c.space.stub.slot.names, stubText, stubArgs)
	c.thread.unnamed, c.names = true, nil
}
