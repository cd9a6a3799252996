package shim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	task "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/errdefs"
	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"
)

// Names in a bundle.
const (
	rootfsName  = "rootfs"
	pidName     = "init.pid"
	addressName = "address" // where the shim listens, for containerd
)

// A container is one that runsc has made for this shim.
type container struct {
	id, bundle string
	*description
	runtime *runtime
	exits   *exits
	events  *publisher
	init    *process
	mounted bool          // the root filesystem is the shim's to unmount
	metrics metrics       // nil if there are none
	memory  chan struct{} // closed when no more is heard of its memory; nil if nobody listens

	mu    sync.Mutex
	execs map[string]*process
}

// createLocked mounts the root filesystem and has runsc make the container, with
// init.mu held. On failure nothing is left of it.
func (c *container) createLocked(ctx context.Context, r *api.CreateTaskRequest) (err error) {
	config := c.runtime.config
	if err := config.save(c.bundle); err != nil {
		return err
	}
	made := false
	defer func() {
		if err == nil {
			return
		}
		if made {
			err = errors.Join(err, c.runtime.remove(ctx, c.id))
		}
		err = errors.Join(err, c.unmount())
	}()
	if err := c.mount(r); err != nil {
		return err
	}
	pidFile := filepath.Join(c.bundle, pidName)
	err = c.init.launchLocked(pidFile, func(io runc.IO, console runc.ConsoleSocket) error {
		err := c.runtime.do(func(cmd *runc.Runc) error {
			return cmd.Create(ctx, c.id, c.bundle, &runc.CreateOpts{
				IO: io, ConsoleSocket: console, PidFile: pidFile, NoPivot: config.NoPivot, NoNewKeyring: config.NoNewKeyring,
			})
		})
		made = err == nil
		return err
	})
	if err != nil {
		return fmt.Errorf("OCI runtime create failed: %w", err)
	}
	if c.metrics = c.runtime.metrics(c.id); !c.joins() {
		c.metrics = cgroupMetrics(c.init.pid)
	}
	return nil
}

func (c *container) mount(r *api.CreateTaskRequest) error {
	if len(r.Rootfs) == 0 {
		return nil // the bundle has one already
	}
	rootfs := filepath.Join(c.bundle, rootfsName)
	if err := os.Mkdir(rootfs, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	c.mounted = true
	var all []mount.Mount
	for _, m := range r.Rootfs {
		all = append(all, mount.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	if err := mount.All(all, rootfs); err != nil {
		return fmt.Errorf("mount the root filesystem: %w", err)
	}
	return nil
}

func (c *container) unmount() error {
	if !c.mounted {
		return nil
	}
	return mount.UnmountRecursive(filepath.Join(c.bundle, rootfsName), unix.MNT_DETACH)
}

// process is the container's init, or the process of exec that has this id.
func (c *container) process(execID string) (*process, error) {
	if execID == "" {
		return c.init, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.execs[execID]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("process %s: %w", execID, errdefs.ErrNotFound)
}

// others are the processes of exec.
func (c *container) others() (all []*process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.execs {
		all = append(all, p)
	}
	return all
}

// execPIDs are the ids of the processes of exec by their pids.
func (c *container) execPIDs() map[int]string {
	all := map[int]string{}
	for _, p := range c.others() {
		p.mu.Lock()
		if p.status == task.Status_RUNNING {
			all[p.pid] = p.execID
		}
		p.mu.Unlock()
	}
	return all
}

// awaitOthers waits for the processes of exec to be gone, which end as init does, and
// for what is still to be told of the container's memory.
func (c *container) awaitOthers() {
	for _, p := range c.others() {
		p.mu.Lock()
		runs := p.status == task.Status_RUNNING
		p.mu.Unlock()
		if runs {
			<-p.exited
		}
	}
	c.awaitMemory()
}

// addExec adds a process that is to be started.
func (c *container) addExec(p *process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.execs[p.execID] != nil {
		return fmt.Errorf("process %s: %w", p.execID, errdefs.ErrAlreadyExists)
	}
	c.execs[p.execID] = p
	return nil
}

// deleteExec forgets a process that has ended or was never started.
func (c *container) deleteExec(p *process) error {
	p.mu.Lock()
	status := p.status
	p.mu.Unlock()
	if status == task.Status_RUNNING {
		return fmt.Errorf("process %s runs: %w", p.execID, errdefs.ErrFailedPrecondition)
	}
	p.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, p.execID)
	return nil
}

// delete removes a container that has ended or was never started.
func (c *container) delete(ctx context.Context) error {
	c.init.mu.Lock()
	status := c.init.status
	c.init.mu.Unlock()
	if status == task.Status_RUNNING || status == task.Status_PAUSED {
		return fmt.Errorf("container %s runs: %w", c.id, errdefs.ErrFailedPrecondition)
	}
	if err := c.runtime.remove(ctx, c.id); err != nil && !errors.Is(err, errdefs.ErrNotFound) {
		return err
	}
	if _, err := c.init.wait(ctx); err != nil {
		return err
	}
	for _, p := range append(c.others(), c.init) {
		p.release()
	}
	return c.unmount()
}

// freeze pauses the container, or lets it go on.
func (c *container) freeze(ctx context.Context, from, to task.Status, event any, run func(*runc.Runc, context.Context, string) error) error {
	c.init.mu.Lock()
	defer c.init.mu.Unlock()
	if c.init.status != from {
		return fmt.Errorf("container %s is %v: %w", c.id, c.init.status, errdefs.ErrFailedPrecondition)
	}
	if err := c.runtime.do(func(r *runc.Runc) error { return run(r, ctx, c.id) }); err != nil {
		return err
	}
	c.init.status = to
	c.events.send(event)
	return nil
}
