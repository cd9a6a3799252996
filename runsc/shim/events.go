package shim

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/pkg/shutdown"
	containerd "github.com/containerd/containerd/runtime"
	"github.com/containerd/containerd/runtime/v2/shim"
	"github.com/containerd/log"
)

// A publisher tells containerd what happens, in the order in which it is told.
type publisher struct {
	queue  chan any
	closed chan struct{}
}

// newPublisher publishes by p until the shim is shut down.
func newPublisher(ctx context.Context, p shim.Publisher, sd shutdown.Service) *publisher {
	q := &publisher{queue: make(chan any, 128), closed: make(chan struct{})}
	namespace, _ := namespaces.Namespace(ctx)
	// The last events are published while the shim shuts down.
	ctx = namespaces.WithNamespace(context.Background(), namespace)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case e := <-q.queue:
				q.publish(ctx, p, e)
			case <-q.closed:
				for len(q.queue) > 0 {
					q.publish(ctx, p, <-q.queue)
				}
				return
			}
		}
	}()
	sd.RegisterCallback(func(context.Context) error {
		close(q.closed)
		<-done
		return p.Close()
	})
	return q
}

func (q *publisher) publish(ctx context.Context, p shim.Publisher, e any) {
	// The library tries again later what fails: the daemon may be restarting.
	if err := p.Publish(ctx, topic(e), e); err != nil {
		log.G(ctx).WithError(err).Warnf("publish %T", e)
	}
}

// send queues an event. What is sent after the shutdown has begun is lost.
func (q *publisher) send(e any) {
	select {
	case q.queue <- e:
	case <-q.closed:
	}
}

// topic is where containerd expects an event.
func topic(e any) string {
	switch e.(type) {
	case *events.TaskCreate:
		return containerd.TaskCreateEventTopic
	case *events.TaskStart:
		return containerd.TaskStartEventTopic
	case *events.TaskOOM:
		return containerd.TaskOOMEventTopic
	case *events.TaskExit:
		return containerd.TaskExitEventTopic
	case *events.TaskDelete:
		return containerd.TaskDeleteEventTopic
	case *events.TaskExecAdded:
		return containerd.TaskExecAddedEventTopic
	case *events.TaskExecStarted:
		return containerd.TaskExecStartedEventTopic
	case *events.TaskPaused:
		return containerd.TaskPausedEventTopic
	case *events.TaskResumed:
		return containerd.TaskResumedEventTopic
	}
	panic(fmt.Sprintf("no topic for %T", e))
}
