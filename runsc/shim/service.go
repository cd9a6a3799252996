package shim

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/pkg/shutdown"
	"github.com/containerd/containerd/plugin"
	"github.com/containerd/containerd/runtime/v2/shim"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"
)

// init has the library serve tasks: it finds what a shim serves among its plugins.
func init() {
	plugin.Register(&plugin.Registration{
		Type:     plugin.TTRPCPlugin,
		ID:       "task",
		Requires: []plugin.Type{plugin.EventPlugin, plugin.InternalPlugin},
		InitFn: func(ic *plugin.InitContext) (any, error) {
			events, err := ic.GetByID(plugin.EventPlugin, "publisher")
			if err != nil {
				return nil, err
			}
			sd, err := ic.GetByID(plugin.InternalPlugin, "shutdown")
			if err != nil {
				return nil, err
			}
			return newService(ic.Context, events.(shim.Publisher), sd.(shutdown.Service)), nil
		},
	})
}

// socketFD is the socket that serveOn has passed on.
const socketFD = 3

// A service is the containers of one shim.
type service struct {
	exits    *exits
	events   *publisher
	shutdown shutdown.Service

	mu         sync.Mutex
	containers map[string]*container // nil while one is being made
}

func newService(ctx context.Context, p shim.Publisher, sd shutdown.Service) *service {
	// The library leaves it as it was inherited. Who else had it would seem to be a shim
	// when this one is gone.
	unix.CloseOnExec(socketFD)
	// The library looks for this file when the shim ends. Then the bundle, which is of
	// the pod's first container, may be gone.
	if address, err := shim.ReadAddress(addressName); err == nil {
		sd.RegisterCallback(func(context.Context) error { return shim.RemoveSocket(address) })
	}
	return &service{exits: newExits(), events: newPublisher(ctx, p, sd), shutdown: sd, containers: map[string]*container{}}
}

// RegisterTTRPC has server serve the tasks.
func (s *service) RegisterTTRPC(server *ttrpc.Server) error {
	api.RegisterTaskService(server, tasks{s})
	return nil
}

// container is the one that has this id.
func (s *service) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("container %s: %w", id, errdefs.ErrNotFound)
}

// process is one of a container's.
func (s *service) process(id, execID string) (*process, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, err
	}
	return c.process(execID)
}

// reserve makes room for a container with this id.
func (s *service) reserve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.containers[id]; ok {
		return fmt.Errorf("container %s: %w", id, errdefs.ErrAlreadyExists)
	}
	s.containers[id] = nil
	return nil
}

func (s *service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, id)
}

// create makes a container and tells containerd.
func (s *service) create(ctx context.Context, r *api.CreateTaskRequest) (*container, error) {
	if r.Checkpoint != "" {
		return nil, fmt.Errorf("restore from a checkpoint: %w", errdefs.ErrNotImplemented)
	}
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	config, err := readConfig(r.Options)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	d, err := describe(r.Bundle)
	if err != nil {
		return nil, err
	}
	c := &container{
		id: r.ID, bundle: r.Bundle, description: d, runtime: newRuntime(config, r.Bundle, namespace),
		exits: s.exits, events: s.events, execs: map[string]*process{},
	}
	c.init = newProcess(c, "", streamNames{r.Stdin, r.Stdout, r.Stderr, r.Terminal})
	c.init.mu.Lock()
	defer c.init.mu.Unlock()
	if err := c.createLocked(ctx, r); err != nil {
		return nil, err
	}
	s.events.send(&events.TaskCreate{
		ContainerID: r.ID, Bundle: r.Bundle, Rootfs: r.Rootfs, Pid: uint32(c.init.pid),
		IO: &events.TaskIO{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal},
	})
	return c, nil
}

// A tasks is the service as containerd calls it (containerd.task.v2.Task).
type tasks struct{ *service }

var nothing = &emptypb.Empty{}

// answer is the end of a call that returns nothing.
func answer(err error) (*emptypb.Empty, error) {
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	return nothing, nil
}

// Create makes a container.
func (s tasks) Create(ctx context.Context, r *api.CreateTaskRequest) (*api.CreateTaskResponse, error) {
	if err := s.reserve(r.ID); err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	c, err := s.create(ctx, r)
	if err != nil {
		s.forget(r.ID)
		return nil, errgrpc.ToGRPC(err)
	}
	s.mu.Lock()
	s.containers[r.ID] = c
	s.mu.Unlock()
	return &api.CreateTaskResponse{Pid: uint32(c.init.pid)}, nil
}

// Connect says who the shim is, and a container's init.
func (s tasks) Connect(_ context.Context, r *api.ConnectRequest) (*api.ConnectResponse, error) {
	a := &api.ConnectResponse{ShimPid: uint32(os.Getpid())}
	if c, err := s.container(r.ID); err == nil {
		a.TaskPid = uint32(c.init.pid)
	}
	return a, nil
}

// Shutdown ends the shim, unless it has containers.
func (s tasks) Shutdown(context.Context, *api.ShutdownRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.containers) == 0 {
		s.shutdown.Shutdown()
	}
	return nothing, nil
}
