package shim

import (
	"context"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/log"
)

// statsInterval is how often "runsc events" tells what the shim does not ask for.
const statsInterval = 24 * time.Hour

// memoryTimeout is how long the end of a container waits for the last that is
// told of its memory.
const memoryTimeout = time.Second

// watchMemory tells containerd when the container's limit of memory has ended a
// process in it, which "runsc events" says for as long as the container runs.
func (c *container) watchMemory() {
	ctx := context.Background()
	all, err := c.runtime.command("").Events(ctx, c.id, statsInterval)
	if err != nil {
		log.G(ctx).WithError(err).Warn("runsc events: out of memory won't be told")
		return
	}
	c.memory = make(chan struct{})
	go func() {
		defer close(c.memory)
		for e := range all {
			switch e.Type {
			case "oom":
				c.events.send(&events.TaskOOM{ContainerID: c.id})
			case "error":
				log.G(ctx).WithError(e.Err).Warn("runsc events")
				return
			}
		}
	}()
}

func (c *container) awaitMemory() {
	if c.memory == nil {
		return
	}
	select {
	case <-c.memory:
	case <-time.After(memoryTimeout):
	}
}
