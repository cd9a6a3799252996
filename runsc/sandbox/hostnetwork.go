package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/runsc/control"
	"garrison/runsc/hostnet"
	"garrison/runsc/spec"
)

// chooseNetwork settles where the container's network comes from: one that is in the host's
// own namespace, which no sandbox can take over, has the host's sockets or none.
func (s *Sandbox) chooseNetwork() {
	if s.Options.Network == control.NetworkSandbox && spec.HostNetwork(s.Spec) {
		s.Options.Network = control.NetworkHost
	}
}

// fitsPod says why a sandbox that is there already can't give the container its network.
func (s *Sandbox) fitsPod() error {
	if s.Options.Network == control.NetworkHost && s.pod != nil && s.pod.Network != control.NetworkHost {
		return fmt.Errorf("host network: the sandbox of pod %s has a network of its own", s.pod.ID)
	}
	return nil
}

// startSentryThere starts a sentry that is to use the host's sockets in the namespace that
// the holder is in. It may make sockets there as anybody may, and has no rights over it,
// as its user namespace is another.
func (s *Sandbox) startSentryThere() error {
	if s.pod != nil || s.Options.Network != control.NetworkHost {
		return nil
	}
	err := s.holder.enter(func() error { return s.startSentryIn(ownNamespaces &^ unix.CLONE_NEWNET) })
	if err != nil {
		return err
	}
	return s.rec.Save()
}

// viewNetwork gets what a sentry with the host's sockets can't make itself.
func (s *Sandbox) viewNetwork() error {
	if s.pod != nil {
		return nil // it has all that it takes
	}
	return s.holder.enter(func() (err error) {
		if ns := spec.Namespace(s.Spec, specs.NetworkNamespace); ns != nil && ns.Path == "" {
			if err := hostnet.RaiseLoopback(); err != nil {
				return err
			}
		}
		if err := s.setNetworkSysctls(); err != nil {
			return err
		}
		if s.there, err = hostnet.Look(); err != nil || !s.mayBindLow() {
			return err
		}
		if s.binder, err = startBinder(); err == nil && s.group != nil {
			err = s.group.Add(s.binder.proc.Pid)
		}
		return err
	})
}

// setNetworkSysctls sets those parameters of linux.sysctl that are the network namespace's,
// where the calling thread is. It is the container's own, or there would be none: see
// package spec.
func (s *Sandbox) setNetworkSysctls() error {
	for name, value := range s.Spec.Linux.Sysctl {
		dotted := strings.ReplaceAll(name, "/", ".")
		if !strings.HasPrefix(dotted, "net.") {
			continue
		}
		path := "/proc/sys/" + strings.ReplaceAll(dotted, ".", "/")
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
	}
	return nil
}

// mayBindLow reports whether a process of the container can ever have the right to bind
// low ports.
func (s *Sandbox) mayBindLow() bool {
	c := s.Spec.Process.Capabilities
	return c != nil && slices.Contains(c.Bounding, "CAP_NET_BIND_SERVICE")
}

// hostNetworkOf is v and b as the sentry gets them.
func hostNetworkOf(files *fileList, v *hostnet.View, b *binder) *control.HostNetwork {
	if v == nil {
		return nil
	}
	n := &control.HostNetwork{Query: files.add(v.Query), Tables: map[string]int{}, Binder: -1}
	for name, f := range v.Tables {
		n.Tables[name] = files.add(f)
	}
	if b != nil {
		n.Binder = files.add(b.peer)
	}
	return n
}
