package kernel

import (
	"sync"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/loader"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/seccomp"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// Namespaces is the namespaces of a task besides its user namespace (in its
// credentials), its pid namespace (its PID's) and its mount namespace (its
// FSContext's).
type Namespaces struct {
	UTS *UTSNamespace
	IPC *IPCNamespace
	Net *NetNamespace
	// PIDForChildren is where children are numbered: unshare(2), setns(2).
	PIDForChildren *PIDNamespace
	Cgroup         *CgroupNamespace
	// Time is whose clocks the task reads, TimeForChildren whose its children will.
	Time, TimeForChildren *TimeNamespace
}

// A Container is a set of processes that the outside started as one: one init,
// and those that were exec'd beside it. Its fields but those below mu never change.
type Container struct {
	ID     string
	Memory *memfile.File // where its guests' pages are
	Env    *mm.Env
	VDSO   *loader.VDSO // nil for none
	asking askingVDSO

	// The namespaces that a new process of the container starts in.
	Mounts *vfs.MountNamespace
	PIDs   *PIDNamespace
	UserNS *auth.UserNamespace
	NS     Namespaces

	k         *Kernel
	cgroup    controlGroup
	gate      pauseGate
	noticeOOM func() // ContainerSpec.OutOfMemory

	choosing sync.Mutex                  // held by who makes room, before every other lock
	kills    atomic.Uint64               // processes killed for lack of memory
	victim   atomic.Pointer[ThreadGroup] // the last of them, until its memory is back

	mu   sync.Mutex
	init *ThreadGroup // protected by mu
}

// ContainerSpec is what NewContainer needs; the namespaces that are nil are new
// ones, but for the network, which is none.
type ContainerSpec struct {
	ID       string
	Memory   *memfile.File
	Mounts   *vfs.MountNamespace // one reference passes to the container
	UserNS   *auth.UserNamespace // nil for the first one; new namespaces belong to it
	PIDs     *PIDNamespace
	UTS      *UTSNamespace
	IPC      *IPCNamespace
	Net      *NetNamespace
	Hostname string
	// OutOfMemory, if not nil, is called when a process is about to be killed for
	// lack of memory. It must not wait for anything.
	OutOfMemory func()
}

// NewContainer makes a container without processes. EEXIST if there is one of that ID.
func (k *Kernel) NewContainer(s ContainerSpec) (*Container, error) {
	user := s.UserNS
	if user == nil {
		user = k.rootUserNS
	}
	c := &Container{ID: s.ID, Memory: s.Memory, Mounts: s.Mounts, PIDs: s.PIDs, UserNS: user, k: k, noticeOOM: s.OutOfMemory}
	c.Env = mm.NewEnv(k.platform, s.Memory)
	c.Env.SetTotalMemory(k.Memory())
	// The kernel's own copies to guest memory meet the limit too, with locks held.
	c.Env.SetOutOfMemory(c.shortOfMemory)
	vdso, err := loader.NewVDSO(k.facts, s.Memory, false)
	if err != nil {
		return nil, err
	}
	c.VDSO = vdso
	c.NS = Namespaces{UTS: s.UTS, IPC: s.IPC, Net: s.Net, Cgroup: k.cgroupNS, Time: k.timeNS, TimeForChildren: k.timeNS}
	if c.PIDs == nil {
		c.PIDs = k.NewPIDNamespace(k.rootPIDNS, user)
	}
	c.NS.PIDForChildren = c.PIDs
	if c.NS.UTS == nil {
		c.NS.UTS = k.NewUTS(s.Hostname, "(none)", user)
	}
	if c.NS.IPC == nil {
		c.NS.IPC = k.NewIPC(user)
	}
	if c.NS.Net == nil {
		c.NS.Net = k.newNetwork(user)
	}
	k.tasks.Lock()
	defer k.tasks.Unlock()
	if k.containers[c.ID] != nil {
		return nil, linux.EEXIST
	}
	k.containers[c.ID] = c
	return c, nil
}

// Container finds a container by its ID; nil if there is none.
func (k *Kernel) Container(id string) *Container {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return k.containers[id]
}

// Containers lists the containers.
func (k *Kernel) Containers() (out []*Container) {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	for _, c := range k.containers {
		out = append(out, c)
	}
	sortBy(out, func(c *Container) string { return c.ID })
	return out
}

// Remove forgets a container, all of whose processes have ended, and gives up
// its mounts and all that it has in its page file.
func (c *Container) Remove() {
	c.k.tasks.Lock()
	delete(c.k.containers, c.ID)
	c.k.tasks.Unlock()
	c.Mounts.DecRef()
	c.Env.Close()
	c.VDSO.Close()
	c.asking.vdso.Close()
}

// Init is the container's first process, nil before it is made.
func (c *Container) Init() *ThreadGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.init
}

// Kernel is the kernel that c belongs to.
func (c *Container) Kernel() *Kernel { return c.k }

// Groups lists the container's processes, zombies too, by pid.
func (c *Container) Groups() []*ThreadGroup {
	all := c.k.Groups(c.k.rootPIDNS)
	out := all[:0]
	for _, g := range all {
		if g.container == c {
			out = append(out, g)
		}
	}
	return out
}

// SignalAll sends every process of the container a signal from outside.
func (c *Container) SignalAll(info *linux.SigInfo) {
	for _, g := range c.Groups() {
		g.SignalFromOutside(info)
	}
}

// OutOfMemories is how many processes were killed for lack of memory.
func (c *Container) OutOfMemories() uint64 { return c.kills.Load() }

// shortOfMemory has room made when the kernel itself has met the memory limit. Who is
// being killed already, or is by the time that there are no locks in the way, is room
// enough.
func (c *Container) shortOfMemory() {
	before := c.kills.Load()
	if c.victim.Load() != nil {
		return
	}
	go c.makeRoom(nil, before)
}

// OutOfMemory makes room when t has met the memory limit: it kills the process of
// the container that is worth the most memory by Linux's reckoning (its size, and
// oom_score_adj), or waits for one that is on its way out already.
func (c *Container) OutOfMemory(t *Task) {
	victim := c.makeRoom(t.tg, c.kills.Load())
	if victim == nil || victim == t.tg {
		return
	}
	e := &victim.pid.Exits
	for !t.Killed() {
		ticket := e.Ticket()
		if ended, _ := c.k.PIDState(victim.pid); ended {
			break
		}
		t.BlockKillable(e.Since(ticket), wait.Readable)
	}
	c.Memory.Flush()
}

// makeRoom kills a process, if none is dying already nor was killed since there had been
// kills of them, and returns it. short is who has too little memory, nil if that is not
// known: the last choice. nil if there is nobody to kill, or no need any more.
func (c *Container) makeRoom(short *ThreadGroup, kills uint64) *ThreadGroup {
	c.choosing.Lock()
	defer c.choosing.Unlock()
	if v := c.victim.Load(); v != nil || c.kills.Load() != kills {
		return v
	}
	victim, dying := c.oomVictim(short)
	if victim == nil || dying {
		return victim
	}
	c.victim.Store(victim)
	c.kills.Add(1)
	c.k.logf("container %s: out of memory: killed process %d (%s)", c.ID, victim.pid.numbers[0], victim.Leader().Name())
	if c.noticeOOM != nil {
		c.noticeOOM()
	}
	victim.Kill()
	go func() {
		<-victim.ended
		c.Memory.Flush()
		c.victim.Store(nil)
	}()
	return victim
}

// oomVictim chooses whose memory is to be had; dying says that it is ending already.
func (c *Container) oomVictim(short *ThreadGroup) (victim *ThreadGroup, dying bool) {
	victim = short
	best := int64(-1 << 62)
	for _, g := range c.Groups() {
		if g != short && g.Ending() {
			return g, true
		}
		if score, ok := g.Badness(); ok && score > best {
			victim, best = g, score
		}
	}
	return victim, false
}

// Ending reports whether g is being killed, or exits, and has not ended yet.
func (g *ThreadGroup) Ending() bool {
	g.sig.mu.Lock()
	exiting := g.sig.exiting
	g.sig.mu.Unlock()
	return exiting && !g.Exited()
}

// Badness is how much is gained by killing g, in pages, as /proc/pid/oom_score
// scales it; ok is false if it must not be killed, or is ending already.
func (g *ThreadGroup) Badness() (score int64, ok bool) {
	const never = -1000
	adjust := int64(g.OOMAdjust())
	s := g.Leader().SpaceOf()
	if s == nil {
		return 0, false
	}
	pages := int64(s.Stats(true).RSS >> 12)
	s.DecUsers()
	if adjust == never {
		return 0, false
	}
	return pages + adjust*int64(g.k.Memory()>>12)/1000, true
}

// ProcessSpec says what a process that comes from outside is to be: a container's
// init, or one exec'd beside it.
type ProcessSpec struct {
	Container *Container
	Argv, Env []string
	// Path is the program; Argv[0] if empty. It is not looked for in $PATH:
	// see Lookup.
	Path   string
	Cwd    string // "/" if empty; must exist
	Creds  *auth.Creds
	Limits *limits.Set // owned by the process from then on
	Umask  linux.FileMode
	// Files is the descriptors 0, 1, 2…; nil is a closed one. The references stay the caller's.
	Files []*vfs.FileDescription
	// Terminal becomes the controlling terminal, if not nil.
	Terminal  Terminal
	OOMAdjust int32
	// Mortal: as pid 1, it can be killed by any signal it does not handle.
	Mortal bool

	Personality uint32

	// Filter, if not nil, judges the process's calls from the first on, as if it had
	// installed it by seccomp(2) with FilterFlags.
	Filter      *seccomp.Program
	FilterFlags linux.SeccompFlags
}
