package sandbox

import (
	"errors"
	"fmt"
	"os"
	"time"

	"garrison/runsc/control"
	"garrison/runsc/hostnet"
	"garrison/runsc/uplink"
)

// takeNetwork takes over the network namespace that the holder is in, after the hooks, which
// may have put links there. A namespace that is not the container's own is left alone: the
// host's, where the container has a loopback of its own, and one that it shares.
func (s *Sandbox) takeNetwork() error {
	switch s.Options.Network {
	case control.NetworkNone:
		return nil
	case control.NetworkHost:
		return s.viewNetwork()
	}
	theirs := nsPath(s.holder.PID, "net")
	if sameFile(theirs, "/proc/self/ns/net") || sameFile(theirs, nsPath(1, "net")) {
		return nil
	}
	if s.pod != nil {
		members, err := s.members()
		if err != nil || s.sharesNetwork(members) != nil {
			return err
		}
	}
	err := s.holder.enter(func() (err error) {
		for end := time.Now().Add(claimTimeout); ; time.Sleep(10 * time.Millisecond) {
			s.net, err = hostnet.Take()
			if !errors.Is(err, hostnet.ErrTaken) {
				return err
			}
			if time.Now().After(end) {
				return fmt.Errorf("%w, which is not on record in %s, or is being made: to share its network, create this container with the same --root, and then", err, s.Store.Root)
			}
		}
	})
	if err != nil {
		return err
	}
	return s.askHost()
}

// claimTimeout is how long a sandbox that was in the network namespace may take to end.
const claimTimeout = 2 * time.Second

// connect gives the network namespace that the holder is in the host's way out.
func (s *Sandbox) connect() (err error) {
	if !s.Uplink || s.Options.Network != control.NetworkSandbox {
		return nil
	}
	ns, err := os.Open(nsPath(s.holder.PID, "net"))
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	defer ns.Close()
	s.uplink, err = uplink.Connect(ns)
	if err != nil && s.UplinkOptional {
		if s.Warn != nil {
			s.Warn("a loopback is all the network: " + err.Error())
		}
		s.Options.Network = control.NetworkNone
		return nil
	}
	return err
}

// Disconnect takes the way out away that Config.Uplink asked for: its links would go soon
// after the container.
func (s *Sandbox) Disconnect() {
	if s.uplink != nil {
		s.uplink.Close()
	}
}

// askHost has the host's name server asked if it is one that only the host itself reaches.
func (s *Sandbox) askHost() error {
	server, ok := uplink.Resolver()
	if s.uplink == nil || s.net == nil || !ok {
		return nil
	}
	names, err := hostnet.Names(server)
	if err == nil && names != nil {
		if s.net.Names != nil {
			s.net.Names.Close()
		}
		s.net.Names, s.net.NamesAt = names, server
	}
	return err
}

// networkOf is t as the sentry gets it.
func networkOf(files *fileList, t *hostnet.Taken) *control.Network {
	if t == nil {
		return nil
	}
	n := &control.Network{
		Query: files.add(t.Query), Events: files.add(t.Events), Claim: files.add(t.Claim), Names: files.add(t.Names),
		NamesAt: t.NamesAt, Answers: control.Ports(t.Answers), Parameters: t.Parameters,
	}
	for _, f := range t.Frames {
		n.Frames = append(n.Frames, files.add(f))
	}
	for _, f := range t.Dials {
		n.Dials = append(n.Dials, files.add(f))
	}
	return n
}
