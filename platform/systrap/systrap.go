// Package systrap is the fast Platform: a seccomp filter turns each system call
// of a guest into a signal, whose handler, in the stub's own text, hands over to
// the sentry through a page that both have mapped. Host calls that change the
// guest's address space ride in the reply; a verifier lets through exactly those
// the sentry has armed, but for what can only take from the guest, and for what
// text that a process of one thread can't get past compares. Each address space is a stub process, each guest thread
// a thread of it. All stubs descend from one mother, made before the sentry
// locks itself up; they are the sentry's children, and die with it.
package systrap

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/place"
	"garrison/platform/stub"
)

// Options are how a host differs from what New expects.
type Options struct {
	// Proc is where proc(5) is mounted while New runs; "" means /proc.
	Proc string

	// Pool is how many clean stubs are made in advance; 0 means 1, less than 0 none.
	Pool int

	// NoBases has stubs ask the host to load FS and GS, as where programs can't do so
	// themselves (no FSGSBASE): there it is always so.
	NoBases bool
}

// A Platform is the systrap platform.
type Platform struct {
	facts      platform.Facts
	xstate     arch.XState // asked for once: CPUID is slow in a virtual machine
	initialFPU []byte      // floating-point state of a new program
	segments   uint64      // and selectors, as a signal frame has them
	regions    *regions
	verifier   *verifier
	cpus       *place.CPUs
	mother     *mother
	watch      uint32 // how often to look for watchTime
	patience   int    // how many waits a stub may leave unanswered
	gate       gateStages

	answered   atomic.Uint64 // calls that the gates of threads have answered that are gone, as they say
	operations atomic.Uint64 // host calls that stubs were told to make,
	solo       atomic.Uint64 // and those among them that are solo

	mu       sync.Mutex
	spaces   map[*space]struct{}   // those with a stub
	contexts map[*Context]struct{} // those not yet released
	counted  totals                // of those that were
}

// reservedMaps is how many of a stub's mappings are not the guest's.
const reservedMaps = 16

// New starts the platform: it makes the mother stub, for which it needs to
// exec, and to read proc. Everything after that gets by with the host calls of
// Syscalls.
func New(o Options) (*Platform, error) {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Pool == 0 {
		o.Pool = 1
	}
	o.NoBases = o.NoBases || !arch.HostLoadsBases()
	if err := quietChildren(); err != nil {
		return nil, err
	}
	p := &Platform{spaces: map[*space]struct{}{}, contexts: map[*Context]struct{}{}, xstate: arch.HostXState(), watch: looks(watchTime), patience: patience}
	_, p.gate = gateText()
	var err error
	if p.regions, err = newRegions(); err != nil {
		return nil, err
	}
	p.cpus = place.New(func() {})
	if p.mother, err = startMother(p, o); err != nil {
		p.cpus.Stop()
		p.endVerifier()
		p.regions.close()
		return nil, err
	}
	p.facts.Name = "systrap"
	p.facts.Gate = stubGate
	p.facts.MaxMaps = stub.Sysctl(o.Proc, "vm/max_map_count", 65530) - reservedMaps
	if p.initialFPU, err = p.mother.thread.fpu(); err != nil {
		p.Release()
		return nil, fmt.Errorf("systrap: read floating-point state: %w", err)
	}
	p.facts.FPUSize = len(p.initialFPU)
	p.segments = p.mother.thread.live().segments
	go p.mother.fill()
	return p, nil
}

// Syscalls returns the numbers of all host calls that the platform makes after
// New, in the sentry's process, besides those of Go's runtime.
//
// wait4, waitid, kill and tgkill are for stubs, which are the caller's children;
// sched_setaffinity for them and the caller's threads. ioctl is on the
// listener of the stubs' filter; futex on pages shared with them. mmap is shared and writable, of a memfd that
// ftruncate grows; fcntl is F_DUPFD_CLOEXEC.
func Syscalls() []uintptr {
	return []uintptr{
		unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_IOCTL, unix.SYS_POLL, unix.SYS_FUTEX,
		unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETCPU, unix.SYS_NANOSLEEP,
		unix.SYS_FCNTL, unix.SYS_CLOSE, unix.SYS_FTRUNCATE, unix.SYS_MMAP, unix.SYS_MUNMAP,
	}
}

// Facts implements platform.Platform.
func (p *Platform) Facts() platform.Facts { return p.facts }

// NewAddressSpace implements platform.Platform. The space gets its process when
// something enters it.
func (p *Platform) NewAddressSpace() (platform.AddressSpace, error) { return newSpace(p), nil }

// NewContext implements platform.Platform.
func (p *Platform) NewContext() platform.Context { return newContext(p) }

// Release implements platform.Platform.
func (p *Platform) Release() {
	p.mu.Lock()
	left := make([]*space, 0, len(p.spaces))
	for s := range p.spaces {
		left = append(left, s)
	}
	p.mu.Unlock()
	for _, s := range left {
		s.mu.Lock()
		s.endLocked(errNoStub)
		s.mu.Unlock()
	}
	p.mother.end()
	p.cpus.Stop()
	p.endVerifier()
	p.regions.close()
}

// endVerifier waits for the verifier's end, which comes with the last stub's.
func (p *Platform) endVerifier() {
	if p.verifier != nil {
		<-p.verifier.ended
		unix.Close(p.verifier.listener)
	}
}

// track and untrack keep account of spaces that have a process.
func (p *Platform) track(s *space) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spaces[s] = struct{}{}
}

func (p *Platform) untrack(s *space) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.spaces, s)
}
