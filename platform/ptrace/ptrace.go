// Package ptrace is the Platform that needs nothing but ptrace(2): each guest
// address space is a stub process, each guest thread a thread of it, run with
// PTRACE_SYSEMU so that its system calls never reach the host. The stub holds
// nothing but one page of text (stub_amd64.s), through which its tracer makes
// it do host calls: mmap, munmap, mprotect, clone. All stubs descend from one
// mother, made before the sentry locks itself up; they are the sentry's
// children, and die with it.
package ptrace

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/place"
	"garrison/platform/stub"
)

// Options are how a host differs from what New expects.
type Options struct {
	// Proc is where proc(5) is mounted while New runs; "" means /proc.
	Proc string

	// Pool is how many clean stubs are kept ready for NewAddressSpace; 0 means
	// 2, less than 0 none.
	Pool int
}

// A Platform is the ptrace platform.
type Platform struct {
	facts      platform.Facts
	initialFPU []byte // floating-point state of a new program
	slots      *slots
	passer     *passer
	cpus       *place.CPUs
	mother     *mother

	watching atomic.Bool // watcher is running
	watcher  *time.Timer

	mu     sync.Mutex
	spaces map[*space]struct{} // those with a stub
}

// reservedMaps is how many of a stub's mappings are not the guest's.
const reservedMaps = 16

// New starts the platform: it makes the mother stub, for which it needs to
// exec, and to read proc. Everything after that gets by with the host calls of
// Syscalls. The caller's credentials must be those the sentry will keep:
// a tracer may not have more or less rights than its tracees.
//
// It sets SA_NOCLDSTOP for SIGCHLD in this process.
func New(o Options) (*Platform, error) {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Pool == 0 {
		o.Pool = 2
	}
	o.Pool = max(o.Pool, 0)
	if err := quietChildStops(); err != nil {
		return nil, fmt.Errorf("ptrace: sigaction: %w", err)
	}
	p := &Platform{spaces: map[*space]struct{}{}}
	var err error
	if p.slots, err = newSlots(); err != nil {
		return nil, err
	}
	if p.passer, err = newPasser(); err != nil {
		p.slots.close()
		return nil, err
	}
	p.watcher = time.AfterFunc(time.Hour, p.watch)
	p.cpus = place.New(p.watchIfNeeded)
	if p.mother, err = startMother(p, o); err != nil {
		p.passer.close()
		p.slots.close()
		return nil, err
	}
	p.facts.Name = "ptrace"
	p.facts.MaxMaps = stub.Sysctl(o.Proc, "vm/max_map_count", 65530) - reservedMaps
	p.facts.FPUSize = len(p.initialFPU)
	p.mother.askRefill()
	return p, nil
}

// Syscalls returns the numbers of all host calls that the platform makes after
// New, in the sentry's process, besides those of Go's runtime.
//
// ptrace, wait4, waitid, kill and tgkill are for stubs, which are the caller's
// children; sched_setaffinity and sched_getaffinity for them and the caller's
// threads. sendmsg and recvmsg are on the platform's own socket. mmap is shared
// and writable, of a memfd that ftruncate grows; fcntl is F_DUPFD_CLOEXEC.
func Syscalls() []uintptr {
	return []uintptr{
		unix.SYS_PTRACE, unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_KILL, unix.SYS_TGKILL,
		unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETCPU, unix.SYS_NANOSLEEP,
		unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_FCNTL, unix.SYS_CLOSE,
		unix.SYS_FTRUNCATE, unix.SYS_MMAP, unix.SYS_MUNMAP,
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
	close(p.mother.stop)
	<-p.mother.ended
	p.mu.Lock()
	left := make([]*space, 0, len(p.spaces))
	for s := range p.spaces {
		left = append(left, s)
	}
	p.mu.Unlock()
	for _, s := range left {
		s.Release()
	}
	p.cpus.Stop()
	p.watcher.Stop()
	p.passer.close()
	p.slots.close()
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
