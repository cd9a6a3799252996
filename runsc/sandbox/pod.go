package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/container"
	"garrison/runsc/control"
	"garrison/runsc/spec"
)

// findPod is the record of the container whose sandbox that of s is to be in, or nil if
// it gets one of its own.
func findPod(store container.Store, s *specs.Spec) (*container.Container, error) {
	id := spec.Pod(s)
	if id == "" {
		return nil, nil
	}
	pod, err := running(store, id)
	if err != nil {
		return nil, fmt.Errorf("the annotations make this a container of pod %s: %w", id, err)
	}
	if pod.Pod != "" {
		return nil, fmt.Errorf("the annotations make this a container of pod %s, which is itself one of pod %s", id, pod.Pod)
	}
	return pod, nil
}

// join asks the sentry of the pod to take the container in.
func (s *Sandbox) join(doc *control.Boot, files fileList) error {
	var err error
	if doc.Share, err = s.share(); err != nil {
		return err
	}
	if s.line, err = dial(s.pod); err != nil {
		return s.sentryFailure(err)
	}
	if err := s.line.Send(&control.Request{Join: doc}, files...); err != nil {
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
	for _, n := range []struct {
		kind specs.LinuxNamespaceType
		name string // in /proc/pid/ns
		id   *string
	}{
		{specs.PIDNamespace, "pid", &share.PID},
		{specs.IPCNamespace, "ipc", &share.IPC},
		{specs.UTSNamespace, "uts", &share.UTS},
	} {
		ns := spec.Namespace(s.Spec, n.kind)
		if ns == nil || ns.Path == "" {
			continue
		}
		if *n.id = ownerOf(members, ns.Path, n.name); *n.id == "" {
			return share, fmt.Errorf("joining the %s namespace at %s: it is none of pod %s", n.kind, ns.Path, s.pod.ID)
		}
	}
	// Where the holder is, so is the container.
	if sameFile(nsPath(s.holder.PID, "net"), nsPath(s.pod.Init.PID, "net")) {
		share.Net = s.pod.ID
	}
	return share, nil
}

// members are the containers of the pod, its first one before the others.
func (s *Sandbox) members() ([]*container.Container, error) {
	all, err := s.Store.List()
	if err != nil {
		return nil, err
	}
	members := []*container.Container{s.pod}
	for _, c := range all {
		if c.Pod == s.pod.ID && mustLive(c) == nil {
			members = append(members, c)
		}
	}
	return members, nil
}

// ownerOf is the ID of the member whose namespace is at path: engines name it by the
// process that callers see. That process has namespaces of its own on the host, but for
// that of pids, where only the path tells.
func ownerOf(members []*container.Container, path, name string) string {
	for _, c := range members {
		theirs := nsPath(c.Init.PID, name)
		if filepath.Clean(path) == theirs || name != "pid" && sameFile(path, theirs) {
			return c.ID
		}
	}
	return ""
}

func nsPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/ns/" + name }

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
