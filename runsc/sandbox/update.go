package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/runsc/cgroup"
	"garrison/runsc/container"
	"garrison/runsc/control"
)

// Update gives container id other limits while it lives: what change names, as
// cgroup.Merge has it. All of it holds when Update returns nil; else what was before.
func Update(store container.Store, id string, change *specs.LinuxResources) error {
	c, err := store.Open(id)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := mustLive(c); err != nil {
		return err
	}
	u := &update{c: c, old: c.Resources, new: cgroup.Merge(c.Resources, change)}
	if err := cgroup.Check(u.new); err != nil {
		return err
	}
	if len(c.Cgroups) == 0 {
		err = cgroup.WithoutGroup(u.new)
	} else {
		u.group, err = openCgroup(c)
	}
	if err == nil {
		err = u.findOthers(store)
	}
	if err != nil {
		return err
	}
	if err := u.run(); err != nil {
		return err
	}
	c.Resources = u.new
	return c.Save()
}

// An update is the change of a container's limits.
type update struct {
	c        *container.Container
	old, new *specs.LinuxResources
	group    *cgroup.Group // nil for a container without

	others  []*container.Container // in the same sandbox
	housing *housing               // of a sandbox with others in it; nil for none
}

// findOthers looks for who else is in the sandbox, and where that is.
func (u *update) findOthers(store container.Store) (err error) {
	if u.others, err = sharing(store, u.c); err != nil || len(u.others) == 0 {
		return err
	}
	u.housing, err = findHousing(u.c, append([]*container.Container{u.c}, u.others...))
	return err
}

// run changes the host's cgroup, then the guest, then the cgroup again: at no time may
// the guest have more than the host lets the sandbox have, as it is the guest that
// has to meet its limit, not the sentry. A step that fails undoes those before it.
func (u *update) run() error {
	wide := cgroup.Widest(u.old, u.new)
	if err := u.host(wide); err != nil {
		_ = u.host(cgroup.Restore(u.old, u.new))
		return err
	}
	use, err := u.guest(u.old, u.new)
	if err != nil {
		_ = u.host(cgroup.Restore(u.old, u.new))
		return err
	}
	if err := u.host(withTasks(u.new, min(use.Tasks, mostTasks(u.old)))); err != nil {
		_, _ = u.guest(u.new, u.old)
		_ = u.host(cgroup.Restore(u.old, u.new))
		return err
	}
	return nil
}

// withTasks is r as the host has to keep it where the guest has n tasks already, which
// may be more than it may have from now on: their threads are the sentry's.
func withTasks(r *specs.LinuxResources, n uint64) *specs.LinuxResources {
	if r.Pids == nil || r.Pids.Limit == nil || *r.Pids.Limit <= 0 || uint64(*r.Pids.Limit) >= n {
		return r
	}
	tasks, out := int64(n), *r
	out.Pids = &specs.LinuxPids{Limit: &tasks}
	return &out
}

// mostTasks is what a sentry that is limited to r may say that its guest has: it is
// not trusted to widen what the host allows it.
func mostTasks(r *specs.LinuxResources) uint64 {
	const unlimited = 10_000 // more threads than Go lets a sentry have
	if n := cgroup.LimitsOf(r).Pids; n != 0 {
		return min(n, unlimited)
	}
	return unlimited
}

// host has the host allow the container r.
func (u *update) host(r *specs.LinuxResources) error {
	h := u.housing
	if u.group != nil && (h == nil || h.owner.ID != u.c.ID) {
		if err := u.group.Set(r); err != nil {
			return err
		}
	}
	if h == nil || h.covers(u.c) {
		return nil
	}
	now := *u.c
	now.Resources = r
	if h.owner.ID == now.ID {
		h.owner = &now
	}
	return h.widen(append(slices.Clone(u.others), &now))
}

// guest brings the sentry, and the size of the page file, from one to the other.
func (u *update) guest(from, to *specs.LinuxResources) (*control.Use, error) {
	was, is := cgroup.LimitsOf(from), cgroup.LimitsOf(to)
	if was.Memory != is.Memory {
		if err := u.resize(is.Memory); err != nil {
			return nil, err
		}
	}
	q := &control.Request{ID: u.c.ID, Update: &control.Update{Limits: is}}
	a, err := request(u.c, q, requestTimeout)
	if err == nil && a.Use == nil {
		err = errors.New("the sandbox does not say what it uses")
	}
	if err != nil {
		if was.Memory != is.Memory {
			_ = u.resize(was.Memory)
		}
		return nil, err
	}
	return a.Use, nil
}

// resize changes the size of the page file's mount, which is the guest's memory limit.
func (u *update) resize(limit uint64) error {
	_, files, err := exchange(u.c, &control.Request{ID: u.c.ID, PageMount: &control.PageMount{}}, requestTimeout, nil)
	defer control.CloseFiles(files)
	if err != nil {
		return err
	}
	if len(files) != 1 || !u.isPageMount(files[0]) {
		return errors.New("what the sandbox gave is not the mount of its memory")
	}
	err = resizePageMount(files[0], limit)
	if errors.Is(err, unix.EINVAL) {
		var fs unix.Statfs_t
		_ = unix.Fstatfs(int(files[0].Fd()), &fs)
		used := (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)
		return fmt.Errorf("unable to set memory limit to %d: %d bytes are in use", limit, used)
	}
	if err != nil {
		return fmt.Errorf("memory limit: %w", err)
	}
	return nil
}

// isPageMount says whether f is on the filesystem that was made for the container's
// memory: a sentry is not trusted to give nothing else.
func (u *update) isPageMount(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Dev == u.c.PageDevice
}
