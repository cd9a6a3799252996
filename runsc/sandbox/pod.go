package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/container"
	"garrison/runsc/control"
	"garrison/runsc/spec"
)

// findPod is the record of a container whose sandbox that of s is to be in, or nil if it
// gets one of its own: annotations say so, or whose namespaces s names.
func (s *Sandbox) findPod() (*container.Container, error) {
	id := spec.Pod(s.Spec)
	if id == "" {
		return s.findNamed()
	}
	pod, err := running(s.Store, id)
	if err != nil {
		return nil, fmt.Errorf("the annotations make this a container of pod %s: %w", id, err)
	}
	if pod.Pod != "" {
		return nil, fmt.Errorf("the annotations make this a container of pod %s, which is itself one of pod %s", id, pod.Pod)
	}
	return pod, nil
}

// sharedKinds are the namespaces that containers of a sandbox may have in common, by their
// names in /proc/pid/ns.
var sharedKinds = []struct {
	kind specs.LinuxNamespaceType
	name string
}{{specs.NetworkNamespace, "net"}, {specs.PIDNamespace, "pid"}, {specs.IPCNamespace, "ipc"}, {specs.UTSNamespace, "uts"}}

// findNamed is the container whose namespaces the configuration names by their paths. Only
// a network namespace may be one that engines have made.
func (s *Sandbox) findNamed() (*container.Container, error) {
	var pod *container.Container
	var all []*container.Container
	var as string
	for _, n := range sharedKinds {
		ns := spec.Namespace(s.Spec, n.kind)
		if ns == nil || ns.Path == "" || n.name == "net" && s.Options.Network != control.NetworkSandbox {
			continue
		}
		if all == nil {
			var err error
			if all, err = s.living(); err != nil {
				return nil, err
			}
		}
		owner := ownerOf(all, ns.Path, n.name)
		switch {
		case owner != nil && pod != nil && owner.Sentry != pod.Sentry:
			return nil, fmt.Errorf("joining the %s namespace at %s: it is one of container %s, but the %s namespace is one of %s, and these two are in different sandboxes",
				n.kind, ns.Path, owner.ID, as, pod.ID)
		case owner != nil && pod == nil:
			pod, as = owner, string(n.kind)
		case owner == nil && n.name != "net":
			return nil, fmt.Errorf("joining the %s namespace at %s: it is none of a container that runs and is on record in %s", n.kind, ns.Path, s.Store.Root)
		}
	}
	return pod, nil
}

// living are the containers on record in which something may run.
func (s *Sandbox) living() ([]*container.Container, error) {
	all, err := s.Store.List()
	return slices.DeleteFunc(all, func(c *container.Container) bool { return mustLive(c) != nil }), err
}

// join asks the sentry of the pod to take the container in.
func (s *Sandbox) join(doc *control.Boot, files fileList) error {
	var err error
	if doc.Share, err = s.share(); err != nil {
		return err
	}
	if s.line, err = dial(s.rec); err != nil {
		return s.sentryFailure(err)
	}
	if err := s.line.Send(&control.Request{ID: s.ID, Join: doc}, files...); err != nil {
		return s.sentryFailure(err)
	}
	return nil
}

// share finds out in whose namespaces the container is to be.
func (s *Sandbox) share() (control.Share, error) {
	var share control.Share
	members, err := s.members()
	if err != nil {
		return share, err
	}
	for _, n := range sharedKinds {
		ns := spec.Namespace(s.Spec, n.kind)
		if ns == nil || ns.Path == "" || n.name == "net" {
			continue
		}
		owner := ownerOf(members, ns.Path, n.name)
		if owner == nil {
			return share, fmt.Errorf("joining the %s namespace at %s: it is none of pod %s", n.kind, ns.Path, s.pod.ID)
		}
		*map[string]*string{"pid": &share.PID, "ipc": &share.IPC, "uts": &share.UTS}[n.name] = owner.ID
	}
	if owner := s.sharesNetwork(members); owner != nil {
		share.Net = owner.ID
	}
	if s.Options.Network == control.NetworkHost && share.Net == "" {
		// The host's own has no owner. The sentry can be in one namespace only.
		if !sameFile(nsPath(s.holder.PID, "net"), nsPath(s.pod.Init.PID, "net")) {
			return share, fmt.Errorf("host network: the container's network namespace is not that of pod %s", s.pod.ID)
		}
		share.Net = s.pod.ID
	}
	return share, nil
}

// sharesNetwork is the member whose network the container has: where the holder is, so is
// the container. nil if it has one of its own.
func (s *Sandbox) sharesNetwork(members []*container.Container) *container.Container {
	if s.Options.Network == control.NetworkNone && spec.Pod(s.Spec) == "" {
		return nil
	}
	return ownerOf(members, nsPath(s.holder.PID, "net"), "net")
}

// members are the other containers of the sandbox, the one by which it was found before
// the others.
func (s *Sandbox) members() ([]*container.Container, error) {
	all, err := s.living()
	if err != nil {
		return nil, err
	}
	members := []*container.Container{s.pod}
	for _, c := range all {
		if c.ID != s.pod.ID && c.Sentry == s.pod.Sentry {
			members = append(members, c)
		}
	}
	return members, nil
}

// enterPod has the sentry of the pod answer for the container as well.
func (s *Sandbox) enterPod() error {
	err := os.Link(filepath.Join(s.pod.Dir(), container.ControlName), filepath.Join(s.rec.Dir(), container.ControlName))
	if errors.Is(err, os.ErrNotExist) {
		return s.sentryFailure(container.ErrNotRunning)
	}
	if err != nil {
		return err
	}
	// There may be another container of that ID by now.
	now, err := s.Store.Peek(s.pod.ID)
	if err != nil || now.Sentry != s.pod.Sentry {
		return s.sentryFailure(container.ErrNotRunning)
	}
	return nil
}

// ownerOf is the container whose namespace is at path, nil if it is none of these. Engines
// name it by the process that callers see. That process has namespaces of its own on the
// host, unless it shares the pids of another: then it is in the host's, and only the path
// tells.
func ownerOf(containers []*container.Container, path, name string) *container.Container {
	for _, c := range containers {
		theirs := nsPath(c.Init.PID, name)
		if filepath.Clean(path) == theirs || sameFile(path, theirs) && !sameFile(theirs, "/proc/self/ns/"+name) {
			return c
		}
	}
	return nil
}

func nsPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/ns/" + name }

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
