package mm

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/interval"
	"garrison/sentry/limits"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
)

// maxMappings is vm.max_map_count: the mappings a guest may have.
const maxMappings = 65530

// An Env is what the spaces of one container have in common.
type Env struct {
	platform platform.Platform
	facts    platform.Facts
	memory   *memfile.File
	shared   *memfile.Pool // shared anonymous memory
	windows  *windowCache
	texts    *textTable
	total    atomic.Uint64 // bytes of memory there are
	maxRuns  int
	oom      atomic.Pointer[func()]
}

// NewEnv returns the Env of a container whose guests p runs and whose memory
// is f. It does not own them.
func NewEnv(p platform.Platform, f *memfile.File) *Env {
	e := &Env{platform: p, facts: p.Facts(), memory: f, shared: f.NewPool(), windows: newWindowCache()}
	e.texts = newTextTable(e)
	e.maxRuns = min(e.facts.MaxMaps, maxMappings) * 3 / 4
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		e.total.Store((uint64(si.Totalram) + uint64(si.Totalswap)) * uint64(si.Unit))
	}
	return e
}

// SetTotalMemory says how many bytes of memory the container has (at first: the
// host's). A single mapping beyond that is refused, as Linux's heuristic
// overcommit does.
func (e *Env) SetTotalMemory(n uint64) { e.total.Store(n) }

// TotalMemory is what SetTotalMemory was told.
func (e *Env) TotalMemory() uint64 { return e.total.Load() }

// Memory is the container's page file.
func (e *Env) Memory() *memfile.File { return e.memory }

// Platform is what runs the container's guests.
func (e *Env) Platform() platform.Platform { return e.platform }

// Close ends the Env, which no space uses any more.
func (e *Env) Close() {
	e.windows.close()
	e.texts.close()
	e.shared.Close()
}

// A Space is one process's address space (mm_struct). Its methods may be called
// from any goroutine, and take locks from the rank Mappings on. It is a usermem.Memory.
type Space struct {
	env     *Env
	as      platform.AddressSpace
	holder  *memfile.Holder
	lim     atomic.Pointer[limits.Set]
	users   atomic.Int64
	needs   atomic.Bool // NeedsBarrier
	tlb     tlb
	peakRSS atomic.Uint64 // the largest that Stats has seen
	filled  filled

	companion atomic.Pointer[Companion]

	mu    lock.RWMutex[lock.Mappings]
	vmas  interval.Map[arch.Addr, vma] // what the guest asked for; protected by mu, as all below
	runs  interval.Map[arch.Addr, run] // what the host has mapped
	mem   allocator
	heat  *heat
	ops   opQueue
	count counters
	hosts map[HostFile]uint64 // bytes that runs map of each
	trash trash

	layout  Layout
	lockAll vmaFlags // what mlockall(MCL_FUTURE) gives new mappings
	exe     Identity
	cluster clusterState
	changes uint64 // counts changes of runs, for faults
	forked  uint64 // what changes was after the last fork
	dead    bool
	sealed  bool // some mapping is
	flags   spaceFlags
	futex   futexHash
	patch   patches
}

// New returns an empty address space with one user. lim are the limits that
// apply to it, as they change.
func New(e *Env, lim *limits.Set) (*Space, error) {
	as, err := e.platform.NewAddressSpace()
	if err != nil {
		return nil, err
	}
	s := newSpace(e, lim)
	s.as, s.holder = as, e.memory.NewHolder()
	s.layout.MMapBase = s.top()
	return s, nil
}

func newSpace(e *Env, lim *limits.Set) *Space {
	s := &Space{env: e, heat: new(heat), hosts: make(map[HostFile]uint64)}
	s.lim.Store(lim)
	s.users.Store(1)
	return s
}

// Env is the space's container's.
func (s *Space) Env() *Env { return s.env }

// SetLimits replaces the limits that apply.
func (s *Space) SetLimits(lim *limits.Set) { s.lim.Store(lim) }

func (s *Space) limit(k limits.Kind) uint64 { return s.lim.Load().Cur(k) }

// AddressSpace is what Context.Switch wants. It is constant.
func (s *Space) AddressSpace() platform.AddressSpace { return s.as }

// top is the end of what a guest may map (TASK_SIZE).
func (s *Space) top() arch.Addr {
	u := s.env.facts.User
	return u[len(u)-1].End
}

// user reports whether guests may map all of r.
func (s *Space) user(r arch.Range) bool {
	for _, u := range s.env.facts.User {
		if u.Covers(r) {
			return true
		}
	}
	return false
}

// bottom is the lowest address that can be mapped without being asked for by
// its exact value: vm.mmap_min_addr.
func (s *Space) bottom() arch.Addr { return s.env.facts.User[0].Start }

// Users is the number of users.
func (s *Space) Users() int { return int(s.users.Load()) }

// IncUsers adds a user: CLONE_VM, or an accessor such as /proc/pid/mem. It is
// false, and nothing happened, if the last user has gone.
func (s *Space) IncUsers() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// alone reports whether nobody but the caller uses the space, and so nothing
// runs in it: its only thread is the caller's, in the kernel.
func (s *Space) alone() bool { return s.users.Load() == 1 }

// DecUsers takes a user away; the last takes the space with it: then no Switch
// into it is in progress nor will begin. The caller holds no lock of rank File
// or later: files may be closed.
func (s *Space) DecUsers() {
	if s.users.Add(-1) == 0 {
		if c := s.Companion(nil); c != nil {
			c.Close()
		}
		s.release()
	}
}

func (s *Space) release() {
	s.mu.Lock()
	s.dead = true
	s.dropVMAs(arch.Range{End: ^arch.Addr(0)})
	s.mu.Unlock()

	s.as.Release() // from here on no process can see the pages

	s.mu.Lock()
	s.tlb.clear()
	var owned []memfile.Range
	for r, x := range s.runs.All() {
		if x.owned {
			owned = append(owned, x.memory(rng(r)))
		}
	}
	s.runs.Clear()
	for f := range s.hosts {
		s.trash.hosts = append(s.trash.hosts, f)
	}
	clear(s.hosts)
	s.trash.hosts = append(s.trash.hosts, s.trash.retired...)
	s.trash.retired = nil
	if s.exe != nil {
		s.trash.ids = append(s.trash.ids, s.exe)
		s.exe = nil
	}
	s.holder.Close(owned)
	s.unlock()
}

// NeedsBarrier reports that Barrier should be called soon: descriptors of
// unmapped files wait for it.
func (s *Space) NeedsBarrier() bool { return s.needs.Load() }

// maxRetired is how many host descriptors may wait for a Barrier before NeedsBarrier.
const maxRetired = 64

// Barrier waits until all that was unmapped is out of the guest's reach, and
// closes what waited for that. by is the caller's context, as for
// platform.AddressSpace.
func (s *Space) Barrier(by platform.Context) error {
	s.mu.Lock()
	retired := s.trash.retired
	s.trash.retired = nil
	s.needs.Store(false)
	s.mu.Unlock()
	err := s.as.Barrier(by)
	for _, f := range retired {
		f.DecRef()
	}
	return err
}

// trash is what to let go of once the lock is no longer held.
type trash struct {
	ids     []Identity
	hosts   []HostFile
	retired []HostFile // not before the next Barrier
}

// unlock unlocks s.mu, taken for writing, after the queued operations went to
// the platform, and releases what became unused.
func (s *Space) unlock() {
	s.flush()
	t := s.trash
	s.trash.ids, s.trash.hosts = nil, nil
	if len(t.retired) > maxRetired {
		s.needs.Store(true)
	}
	s.mu.Unlock()
	for _, id := range t.ids {
		id.DecRef()
	}
	for _, f := range t.hosts {
		f.DecRef()
	}
}

// SetOutOfMemory says what to call when the kernel itself could not write to a
// guest's memory because the container has no more: it must not block, nor take
// ranked locks, and should see to it that a victim is killed.
func (e *Env) SetOutOfMemory(f func()) { e.oom.Store(&f) }

func (e *Env) outOfMemory() {
	if f := e.oom.Load(); f != nil {
		(*f)()
	}
}

// reclaim frees memory that is waiting to be freed; false if there was none.
func (e *Env) reclaim() bool { return e.memory.Reclaim() }
