package container

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A State is what is written down about a container.
type State struct {
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       int               `json:"owner"` // user id of whoever created it

	// Phase is how far the commands have come; whether the processes live is
	// not written but looked at, see Status.
	Phase Phase `json:"phase"`
	// Creator is the runsc that creates the container, while it does; if the
	// container ends with that runsc, for as long as it lives.
	Creator Process `json:"creator"`
	// Init is the process whose pid callers see. It lives as long as the
	// container's init and ends as it did.
	Init Process `json:"init"`
	// Pod is the container whose sandbox this one has joined, and which it may outlive; ""
	// if it has begun one of its own.
	Pod string `json:"pod,omitempty"`
	// Sentry is the kernel, Gofer its hand on host files. All containers of a sandbox
	// have its sentry on record, by which they are told.
	Sentry Process `json:"sentry"`
	Gofer  Process `json:"gofer"`

	// UID is the unprivileged host user that the sentry runs as.
	UID uint32 `json:"uid"`
	// PageDevice is the device number of the filesystem that the guest's memory is in.
	PageDevice uint64 `json:"pageDevice,omitempty"`
	// Cgroups are the paths of the sandbox's cgroups by controller, as
	// github.com/opencontainers/cgroups keeps them; none when none was asked for.
	Cgroups map[string]string `json:"cgroups,omitempty"`
	// CgroupsPath and SystemdCgroup are what the paths were made from.
	CgroupsPath   string `json:"cgroupsPath,omitempty"`
	SystemdCgroup bool   `json:"systemdCgroup,omitempty"`
	// Resources are the limits that hold now: config.json's, but for what update has
	// changed since.
	Resources *specs.LinuxResources `json:"resources,omitempty"`
	// CgroupOwned says that this container made its cgroups.
	CgroupOwned bool `json:"cgroupOwned,omitempty"`

	// Platform is the name of the platform that runs the guest.
	Platform string `json:"platform"`
	// Network is where its network comes from: control.Network*.
	Network string `json:"network,omitempty"`
	// Hooks are those that are yet to run.
	Hooks *specs.Hooks `json:"hooks,omitempty"`
	// Process is the container's init, whose environment and rights exec inherits.
	Process *specs.Process `json:"process,omitempty"`
}

// A Phase is how far the commands have brought a container.
type Phase string

// The phases in their order.
const (
	Creating Phase = "creating"
	Created  Phase = "created"
	Running  Phase = "running"
	Paused   Phase = "paused"
)

// Stopped is the status of a container whose init has ended. It is no phase:
// nobody may be there to write it down.
const Stopped = "stopped"

// Status is the OCI status of the container: creating, created, running,
// paused or stopped. It looks at the host's processes.
func (c *Container) Status() string {
	switch c.Phase {
	case Creating:
		if c.Creator.Alive() {
			return string(Creating)
		}
	case Created, Running, Paused:
		if c.Init.Alive() {
			return string(c.Phase)
		}
	}
	return Stopped
}

// OCI is the container's state as the OCI runtime specification has it, which
// hooks read on their standard input.
func (c *Container) OCI() *specs.State {
	s := &specs.State{
		Version:     specs.Version,
		ID:          c.ID,
		Status:      specs.ContainerState(c.Status()),
		Bundle:      c.Bundle,
		Annotations: c.Annotations,
	}
	if s.Status != specs.StateStopped {
		s.Pid = c.Init.PID
	}
	return s
}

// A Report is the state as `state` and `list --format json` print it: the OCI
// state and what runc adds to it.
type Report struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	PID         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"`
}

// Report is the container's state for people and engines.
func (c *Container) Report() Report {
	r := Report{
		Version: specs.Version, ID: c.ID, Status: c.Status(), Bundle: c.Bundle, Rootfs: c.Rootfs,
		Created: c.Created, Annotations: c.Annotations,
	}
	if r.Status != Stopped {
		r.PID = c.Init.PID
	}
	return r
}
