package sandbox

import (
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/runsc/cgroup"
	"garrison/runsc/container"
	"garrison/runsc/control"
	"garrison/runsc/hostnet"
	"garrison/runsc/spec"
	"garrison/runsc/uplink"
)

// A Config is what the command line and the bundle say of a container to be made.
type Config struct {
	Store   container.Store
	ID      string
	Bundle  string // absolute
	Spec    *specs.Spec
	Options control.Options

	Overlay       string // "none", "memory" or "dir=PATH"
	RootImage     string // an EROFS image that is the root; "" for the configuration's root.path
	SystemdCgroup bool
	ConsoleSocket string // where the terminal's master goes; "" keeps it for Relay
	PIDFile       string
	HostRoot      bool // the root is the host's own: its mounts come along, below overlays in memory
	Uplink        bool // its network namespace gets the host's way out, while this process lives
	// UplinkOptional: it has a loopback where the host can't make a way out.
	UplinkOptional bool
	Leash          bool     // the container ends when this process does
	PreserveFDs    int      // descriptors from 3 on that init inherits
	DebugLog       *os.File // where sentry and gofer write; nil for a file in the container's directory

	// Warn, if not nil, is told what is left out of what Spec asks for.
	Warn func(text string)
	// Step, if not nil, is told when each part of the creation is done.
	Step func(name string)
}

// A Sandbox is a container that this process has created: it is the parent of
// its processes until it exits.
type Sandbox struct {
	Config
	rec    *container.Container
	pod    *container.Container // whose sentry is this one's too; nil for one of its own
	uid    uint32
	log    *os.File
	group  *cgroup.Group // nil when no cgroup was asked for
	gate   *os.File      // sentry and gofer go on when a byte each is written to it
	sentry *child        // nil in a pod
	line   *control.Conn // to the sentry, until the container is on record
	gofer  *child
	holder *holder
	view   *view // what the holder shows of the container's files, or nil
	term   *terminal
	uplink *uplink.Uplink // nil for none
	net    *hostnet.Taken // nil if the container has only a loopback, or the pod's network
	hooked bool           // hooks have begun to run

	// Of a container with the host's sockets, unless another of its pod has them already:
	there  *hostnet.View
	binder *binder // nil if it may not bind low ports
}

// Create makes a container and everything it needs, up to where only Start is
// missing. If it fails, nothing is left behind.
func Create(c Config) (*Sandbox, error) {
	rec, err := c.Store.Create(c.ID)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{Config: c, rec: rec}
	if err := s.create(); err != nil {
		s.undo()
		return nil, err
	}
	s.closeFiles()
	rec.Close()
	return s, nil
}

// create is the order of creation. The sentry is started first, as it has the
// longest way to go; what it then needs is prepared while it is on it.
func (s *Sandbox) create() error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"record", s.begin},
		{"cgroup", s.chooseCgroup},
		{"start sentry", s.startSentry},
		{"start holder", s.startHolder},
		{"start gofer", s.startGofer},
		{"settle holder", s.settleHolder},
		{"start sentry there", s.startSentryThere},
		{"join cgroup", s.joinCgroup},
		{"make room", s.makeRoom},
		{"hooks", s.runCreateHooks},
		{"uplink", s.connect},
		{"network", s.takeNetwork},
		{"boot", s.boot},
		{"show files", s.showFiles},
		{"finish", s.finish},
	} {
		if err := step.do(); err != nil {
			return err
		}
		if s.Step != nil {
			s.Step(step.name)
		}
	}
	return nil
}

// begin writes down that the container is being created.
func (s *Sandbox) begin() error {
	self, err := container.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	s.chooseNetwork()
	if s.pod, err = s.findPod(); err != nil {
		return err
	}
	if s.pod != nil {
		s.uid = s.pod.UID
	} else if s.uid, err = chooseUID(s.Store); err != nil {
		return err
	}
	if err := s.fitsPod(); err != nil {
		return err
	}
	s.rec.State = container.State{
		ID: s.ID, Bundle: s.Bundle, Rootfs: s.Spec.Root.Path, Created: time.Now().UTC(), Annotations: s.Spec.Annotations,
		Owner: os.Getuid(), Phase: container.Creating, Creator: self, UID: s.uid,
		Platform: s.Options.Platform, Network: s.Options.Network, Hooks: s.Spec.Hooks, Process: s.Spec.Process,
		CgroupsPath: s.Spec.Linux.CgroupsPath, SystemdCgroup: s.SystemdCgroup, Resources: s.Spec.Linux.Resources,
	}
	if s.pod != nil {
		s.rec.Pod, s.rec.Sentry, s.rec.Platform = s.pod.ID, s.pod.Sentry, s.pod.Platform
	}
	s.log = s.DebugLog
	if s.log == nil {
		s.log, err = os.OpenFile(filepath.Join(s.rec.Dir(), container.LogName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
	}
	if err := s.rec.Save(); err != nil || s.pod == nil {
		return err
	}
	return s.enterPod()
}

// chooseCgroup writes down where the cgroup will be, before there is one.
func (s *Sandbox) chooseCgroup() error {
	c := cgroup.Config{ID: s.ID, Path: s.rec.CgroupsPath, Systemd: s.SystemdCgroup, Resources: s.Spec.Linux.Resources}
	if !c.Wanted() {
		return nil
	}
	var err error
	if s.group, err = cgroup.New(c); err != nil {
		return err
	}
	s.rec.Cgroups = s.group.Paths()
	return s.rec.Save()
}

// ownNamespaces are those that neither sentry nor gofer share with anybody.
const ownNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// goferCapabilities are what it takes to act on files for any user; none of
// them reaches beyond the files that the gofer was given.
const goferCapabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH |
	1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_MKNOD | 1<<unix.CAP_SETFCAP

// startSentry starts the sentry, unless that has to wait until the network namespace is
// there whose sockets it is to use.
func (s *Sandbox) startSentry() error {
	if s.pod != nil || s.Options.Network == control.NetworkHost {
		return nil
	}
	return s.startSentryIn(ownNamespaces)
}

// startSentryIn starts the sentry in new namespaces, and for the rest in the caller's.
func (s *Sandbox) startSentryIn(namespaces uintptr) error {
	p := program{
		name: SentryProgram, args: []string{"--platform=" + s.Options.Platform, s.ID},
		namespaces: namespaces, uid: s.uid, log: s.log,
	}
	var err error
	if s.group != nil {
		// The sentry's children, the stubs, must be born in the cgroup too.
		if p.gate, s.gate, err = os.Pipe(); err != nil {
			return err
		}
		defer p.gate.Close()
	}
	if s.sentry, err = p.start(); err == nil {
		s.line, s.rec.Sentry = s.sentry.conn, s.sentry.Process
	}
	return err
}

func (s *Sandbox) startGofer() (err error) {
	p := program{
		name: GoferProgram, args: []string{s.ID},
		namespaces: ownNamespaces, caps: goferCapabilities, descriptors: true, log: s.log,
	}
	s.gofer, err = p.start()
	return err
}

func (s *Sandbox) startHolder() (err error) {
	var slave *os.File
	if s.Spec.Process.Terminal {
		if s.term, err = newTerminal(s.Spec.Process.ConsoleSize); err != nil {
			return err
		}
		slave = s.term.slave
	}
	c := holderConfig{id: s.ID, terminal: slave}
	if ns := spec.Namespace(s.Spec, specs.NetworkNamespace); ns != nil {
		c.freshNet, c.netPath = ns.Path == "", ns.Path
	}
	if ns := spec.Namespace(s.Spec, specs.PIDNamespace); ns != nil {
		c.freshPID = ns.Path == ""
	}
	c.users, c.groups = idMaps(s.Spec.Linux.UIDMappings), idMaps(s.Spec.Linux.GIDMappings)
	s.holder, err = beginHolder(&c)
	return err
}

func (s *Sandbox) settleHolder() error {
	if err := s.holder.settle(); err != nil {
		return err
	}
	s.rec.Init, s.rec.Gofer = s.holder.Process, s.gofer.Process
	return s.rec.Save()
}

// joinCgroup makes the cgroup, which the holder is the first in, and puts the others there.
func (s *Sandbox) joinCgroup() error {
	all := []container.Process{s.holder.Process, s.gofer.Process}
	if s.sentry != nil {
		all = append(all, s.sentry.Process)
	}
	for i, p := range all {
		if s.group != nil {
			put := s.group.Add
			if i == 0 {
				put = s.group.Make
			}
			if err := put(p.PID); err != nil {
				return err
			}
		}
		if adj := s.Spec.Process.OOMScoreAdj; adj != nil {
			setOOMScore(p.PID, *adj)
		}
	}
	if s.gate != nil {
		if _, err := s.gate.Write([]byte{0}); err != nil {
			return err
		}
	}
	return nil
}

// runCreateHooks runs the hooks of the create operation: after the holder, so
// that they find the network namespace, and before the root is opened, so that
// what they mount in it is seen.
func (s *Sandbox) runCreateHooks() error {
	h := s.Spec.Hooks
	if h == nil {
		return nil
	}
	s.hooked = true
	state := s.rec.OCI()
	//lint:ignore SA1019 docker uses them
	if err := container.RunHooks("prestart", h.Prestart, state, nil); err != nil {
		return err
	}
	if err := container.RunHooks("createRuntime", h.CreateRuntime, state, nil); err != nil {
		return err
	}
	return container.RunHooks("createContainer", h.CreateContainer, state, s.holder.enter)
}

// finish puts the container on record as created and tells those who wait.
func (s *Sandbox) finish() error {
	s.rec.Phase = container.Created
	if !s.Leash {
		s.rec.Creator = container.Process{}
	}
	if s.term != nil && s.ConsoleSocket != "" {
		if err := s.term.send(s.ConsoleSocket); err != nil {
			return err
		}
	}
	if s.PIDFile != "" {
		if err := writePIDFile(s.PIDFile, s.holder.PID); err != nil {
			return err
		}
	}
	if err := s.rec.Save(); err != nil {
		return err
	}
	if err := s.line.Send(&control.Commit{Leash: s.Leash}); err != nil {
		return s.sentryFailure(err)
	}
	return nil
}

// closeFiles gives up what only the creation needed. The terminal's slave is
// the sentry's now: as long as nobody else has it, its end is the master's.
func (s *Sandbox) closeFiles() {
	for _, c := range []*child{s.sentry, s.gofer} {
		if c != nil && !(s.Leash && c == s.sentry) {
			c.close()
		}
	}
	if s.pod != nil && s.line != nil && !s.Leash {
		s.line.Close()
	}
	if s.holder != nil {
		s.holder.close()
	}
	if s.net != nil {
		s.net.Close()
	}
	if s.there != nil {
		s.there.Close()
	}
	if s.binder != nil {
		s.binder.close()
	}
	if s.gate != nil {
		s.gate.Close()
	}
	if s.log != nil && s.log != s.DebugLog {
		s.log.Close()
	}
	if s.term != nil {
		s.term.slave.Close()
		if s.ConsoleSocket != "" {
			s.term.master.Close()
		}
	}
}

// undo ends and removes whatever the failed creation has made. The holder goes
// last, as its death would make the sentry report another error.
func (s *Sandbox) undo() {
	for _, c := range []*child{s.sentry, s.gofer} {
		if c != nil {
			c.kill()
		}
	}
	if s.pod != nil && s.line != nil {
		s.line.Close() // which the sentry takes for the end of the container
	}
	if s.holder != nil {
		s.holder.kill()
	}
	if s.binder != nil {
		s.binder.kill()
	}
	s.closeFiles()
	s.Disconnect()
	if s.view != nil {
		close(s.view.points)
	}
	if s.term != nil {
		s.term.master.Close()
	}
	if s.group != nil {
		_ = s.group.Destroy()
	}
	if s.PIDFile != "" && s.rec.Phase == container.Created {
		_ = os.Remove(s.PIDFile)
	}
	if s.hooked && s.Spec.Hooks != nil {
		_ = container.RunHooks("poststop", s.Spec.Hooks.Poststop, s.rec.OCI(), nil)
	}
	_ = s.rec.Remove()
}
