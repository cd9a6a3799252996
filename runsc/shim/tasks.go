package shim

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	task "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	runc "github.com/containerd/go-runc"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Start lets a container's init run, or makes a process that Exec has described.
func (s tasks) Start(ctx context.Context, r *api.StartRequest) (*api.StartResponse, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	pid, err := p.start(ctx)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	return &api.StartResponse{Pid: uint32(pid)}, nil
}

// Exec describes a process that Start will make.
func (s tasks) Exec(_ context.Context, r *api.ExecProcessRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return answer(err)
	}
	p := newProcess(c, r.ExecID, streamNames{r.Stdin, r.Stdout, r.Stderr, r.Terminal})
	if err := json.Unmarshal(r.Spec.GetValue(), &p.spec); err != nil {
		return answer(fmt.Errorf("process of exec %s: %w: %w", r.ExecID, err, errdefs.ErrInvalidArgument))
	}
	p.spec.Terminal = r.Terminal
	if err := c.addExec(p); err != nil {
		return answer(err)
	}
	s.events.send(&events.TaskExecAdded{ContainerID: r.ID, ExecID: r.ExecID})
	return nothing, nil
}

// Delete removes a container, or forgets a process of Exec, and says how it ended.
func (s tasks) Delete(ctx context.Context, r *api.DeleteRequest) (*api.DeleteResponse, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	if r.ExecID != "" {
		err = p.container.deleteExec(p)
	} else {
		err = p.container.delete(ctx)
	}
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &api.DeleteResponse{Pid: uint32(p.pid), ExitStatus: uint32(p.exit.Status), ExitedAt: timestamppb.New(p.exit.Timestamp)}
	if r.ExecID == "" {
		s.forget(r.ID)
		s.events.send(&events.TaskDelete{ContainerID: r.ID, Pid: a.Pid, ExitStatus: a.ExitStatus, ExitedAt: a.ExitedAt})
	}
	return a, nil
}

// State says what a process does.
func (s tasks) State(_ context.Context, r *api.StateRequest) (*api.StateResponse, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &api.StateResponse{
		ID: p.id(), Bundle: p.container.bundle, Pid: uint32(p.pid), Status: p.status,
		Stdin: p.names.stdin, Stdout: p.names.stdout, Stderr: p.names.stderr, Terminal: p.names.terminal,
		ExitStatus: uint32(p.exit.Status), ExitedAt: timestamppb.New(p.exit.Timestamp), ExecID: p.execID,
	}, nil
}

// Wait waits for a process to have ended.
func (s tasks) Wait(ctx context.Context, r *api.WaitRequest) (*api.WaitResponse, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	e, err := p.wait(ctx)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	return &api.WaitResponse{ExitStatus: uint32(e.Status), ExitedAt: timestamppb.New(e.Timestamp)}, nil
}

// Kill sends a signal to a process, or to all of a container.
func (s tasks) Kill(ctx context.Context, r *api.KillRequest) (*emptypb.Empty, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return answer(err)
	}
	if r.ExecID != "" {
		return answer(p.signal(unix.Signal(r.Signal)))
	}
	return answer(p.container.runtime.do(func(c *runc.Runc) error {
		return c.Kill(ctx, r.ID, int(r.Signal), &runc.KillOpts{All: r.All})
	}))
}

// Pause stops every process of a container.
func (s tasks) Pause(ctx context.Context, r *api.PauseRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return answer(err)
	}
	return answer(c.freeze(ctx, task.Status_RUNNING, task.Status_PAUSED, &events.TaskPaused{ContainerID: r.ID}, (*runc.Runc).Pause))
}

// Resume lets a paused container go on.
func (s tasks) Resume(ctx context.Context, r *api.ResumeRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return answer(err)
	}
	return answer(c.freeze(ctx, task.Status_PAUSED, task.Status_RUNNING, &events.TaskResumed{ContainerID: r.ID}, (*runc.Runc).Resume))
}

// Pids lists the host processes that stand for a container's, and which of them
// are of Exec.
func (s tasks) Pids(ctx context.Context, r *api.PidsRequest) (*api.PidsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	var pids []int
	err = c.runtime.do(func(cmd *runc.Runc) (err error) {
		pids, err = cmd.Ps(ctx, r.ID)
		return err
	})
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	execs := c.execPIDs()
	a := &api.PidsResponse{}
	for _, pid := range pids {
		info := &task.ProcessInfo{Pid: uint32(pid)}
		if id := execs[pid]; id != "" {
			if info.Info, err = packed(&runcoptions.ProcessDetails{ExecID: id}); err != nil {
				return nil, errgrpc.ToGRPC(err)
			}
		}
		a.Processes = append(a.Processes, info)
	}
	return a, nil
}

// ResizePty sets the size of a process's terminal.
func (s tasks) ResizePty(_ context.Context, r *api.ResizePtyRequest) (*emptypb.Empty, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return answer(err)
	}
	return answer(p.resize(r.Width, r.Height))
}

// CloseIO ends a process's standard input.
func (s tasks) CloseIO(_ context.Context, r *api.CloseIORequest) (*emptypb.Empty, error) {
	p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return answer(err)
	}
	if r.Stdin {
		p.closeInput()
	}
	return nothing, nil
}

// Update sets a container's limits.
func (s tasks) Update(ctx context.Context, r *api.UpdateTaskRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return answer(err)
	}
	var resources specs.LinuxResources
	if err := json.Unmarshal(r.Resources.GetValue(), &resources); err != nil {
		return answer(fmt.Errorf("resources: %w: %w", err, errdefs.ErrInvalidArgument))
	}
	return answer(c.runtime.do(func(cmd *runc.Runc) error { return cmd.Update(ctx, r.ID, &resources) }))
}

// Stats says what a container has used.
func (s tasks) Stats(ctx context.Context, r *api.StatsRequest) (*api.StatsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	if c.metrics == nil {
		return nil, errgrpc.ToGRPC(fmt.Errorf("container %s has no cgroup: %w", r.ID, errdefs.ErrNotFound))
	}
	m, err := c.metrics(ctx)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	packed, err := packed(m)
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	return &api.StatsResponse{Stats: packed}, nil
}

// Checkpoint is not there yet.
func (s tasks) Checkpoint(context.Context, *api.CheckpointTaskRequest) (*emptypb.Empty, error) {
	return answer(fmt.Errorf("checkpoint: runsc has none: %w", errdefs.ErrNotImplemented))
}

// packed is a message with the name of its type, as containerd spells it.
func packed(message any) (*anypb.Any, error) {
	a, err := typeurl.MarshalAny(message)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: a.GetTypeUrl(), Value: a.GetValue()}, nil
}
