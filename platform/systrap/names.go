package systrap

import (
	"garrison/platform"
	"garrison/platform/stub"
)

var _ platform.Namer = (*Context)(nil)

// Name implements platform.Namer.
func (c *Context) Name(comm string, args []byte) {
	c.names = &stub.Names{Comm: comm, Args: args}
}

// naming is the operation by which a stub has the host show its names.
var naming = armed{call: stub.Call{Nr: nameOp}}

// putNames writes new names, if there are any, for c's stub to be told to show.
func (c *Context) putNames() {
	if c.names == nil {
		return
	}
	c.names.Put(c.thread.region.names, stubText, stubArgs)
	c.thread.unnamed, c.names = true, nil
}
