package sandbox

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/runsc/cgroup"
	"garrison/runsc/container"
	"garrison/runsc/spec"
)

// sharing are the other containers in the sandbox of c, also such as are being made.
func sharing(store container.Store, c *container.Container) ([]*container.Container, error) {
	all, err := store.List()
	return slices.DeleteFunc(all, func(o *container.Container) bool {
		return o.ID == c.ID || o.Sentry != c.Sentry || o.Sentry.PID == 0 || o.Status() == container.Stopped
	}), err
}

// A housing is the cgroup that a sandbox is in: that of one of its containers.
type housing struct {
	owner *container.Container
	group *cgroup.Group
}

// findHousing is the one of the sandbox of c; nil if it is in none of these containers'.
func findHousing(c *container.Container, containers []*container.Container) (*housing, error) {
	for _, o := range containers {
		if len(o.Cgroups) == 0 {
			continue
		}
		g, err := openCgroup(o)
		if err != nil {
			return nil, err
		}
		if g.Has(c.Sentry.PID) {
			return &housing{o, g}, nil
		}
	}
	return nil, nil
}

// widen has the cgroup allow what all containers of the sandbox, others beside its owner,
// may have. The first container of a pod has the pod's limits already.
func (h *housing) widen(others []*container.Container) error {
	var more []*specs.LinuxResources
	for _, o := range others {
		if o.ID != h.owner.ID && !h.covers(o) {
			more = append(more, o.Resources)
		}
	}
	return h.group.Set(cgroup.Sum(h.owner.Resources, more...))
}

// covers says whether the limits of the cgroup are those of o's pod.
func (h *housing) covers(o *container.Container) bool {
	return spec.Pod(&specs.Spec{Annotations: o.Annotations}) == h.owner.ID
}

// makeRoom has the cgroup that the sandbox is in allow what the container may have beside
// the others.
func (s *Sandbox) makeRoom() error {
	if s.pod == nil {
		return nil
	}
	others, err := sharing(s.Store, s.rec)
	if err != nil {
		return err
	}
	h, err := findHousing(s.rec, others)
	if err != nil || h == nil || h.covers(s.rec) {
		return err
	}
	return h.widen(append(others, s.rec))
}

// removeCgroup removes the cgroup of c, none of whose own processes is left. A sandbox that
// is in it and lives on moves to that of another of its containers.
func removeCgroup(store container.Store, c *container.Container) error {
	if len(c.Cgroups) == 0 {
		return nil
	}
	g, err := openCgroup(c)
	if err != nil {
		return err
	}
	others, err := sharing(store, c)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(o *container.Container) bool { return maps.Equal(o.Cgroups, c.Cgroups) }) {
		return nil // it is theirs
	}
	if len(others) > 0 && g.Has(c.Sentry.PID) {
		if err := moveHouse(g, others); err != nil {
			return err
		}
	}
	return g.Destroy()
}

// moveHouse moves a sandbox from the cgroup of a container that goes to that of one that stays;
// if none of them has one, to where a sandbox without one begins. One that goes at the same
// time has none.
func moveHouse(from *cgroup.Group, stay []*container.Container) error {
	for _, o := range stay {
		if len(o.Cgroups) == 0 {
			continue
		}
		g, err := openCgroup(o)
		if err == nil {
			err = (&housing{o, g}).widen(stay)
		}
		if err == nil {
			err = from.MoveTo(g)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	return from.MoveTo(nil)
}
