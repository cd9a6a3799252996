package mm

import (
	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/usermem"
)

// An Env is what the spaces of one container have in common.
type Env struct{}

// NewEnv returns the Env of a container whose guests p runs and whose memory is f.
func NewEnv(p platform.Platform, f *memfile.File) *Env { return nil }

// A Space is one process's address space (mm_struct). Its methods may be called
// from any goroutine. It is a usermem.Memory.
type Space struct{}

// New returns an empty address space with one user. lim are the limits that
// apply to it (prlimit(2) may change them later).
func New(e *Env, lim *limits.Set) (*Space, error) { return nil, nil }

// Fork returns a copy for fork(2), with one user: private memory is shared until
// either writes it. by is the calling task's context, between two Switches in s.
func (s *Space) Fork(by platform.Context, lim *limits.Set) (*Space, error) { return nil, nil }

// IncUsers adds a user: CLONE_VM, or an accessor such as /proc/pid/mem. It is
// false, and nothing happened, if the last user has gone.
func (s *Space) IncUsers() bool { return false }

// DecUsers takes a user away; the last takes the space with it: the caller
// guarantees that no Switch into it is in progress then.
// The caller holds no lock of rank File or below.
func (s *Space) DecUsers() {}

// Users is the number of users.
func (s *Space) Users() int { return 0 }

// AddressSpace is what Context.Switch wants. It is constant.
func (s *Space) AddressSpace() platform.AddressSpace { return nil }

// NeedsBarrier reports that Barrier should be called soon: descriptors of unmapped files wait for it.
func (s *Space) NeedsBarrier() bool { return false }

// Barrier waits until all that was unmapped is out of the guest's reach, and
// closes what waited for that. by is the caller's context, as for platform.AddressSpace.
func (s *Space) Barrier(by platform.Context) error { return nil }

// HandleFault tries to cure a platform.Fault event of a guest thread in s.
func (s *Space) HandleFault(ev *platform.Event) Fault { return Fault{} }

// MMapOpts are the arguments of MMap.
type MMapOpts struct {
	Addr   arch.Addr
	Length uint64 // bytes; rounded up to pages
	Prot   linux.Prot
	Flags  linux.MapFlags
	Offset uint64 // in the file

	// File is nil for anonymous memory. File nil with an Identity is private
	// memory that shows a name (/dev/zero). MaxProt bounds mprotect(2).
	File     Mappable
	Identity Identity // one reference passes to MMap, whether or not it succeeds
	MaxProt  linux.Prot
	Name     string // "[stack]" and the like
	CanLock  bool   // CAP_IPC_LOCK: RLIMIT_MEMLOCK does not count
}

// MMap maps: mmap(2). It returns the address.
func (s *Space) MMap(o MMapOpts) (arch.Addr, error) { return 0, nil }

// Unmap is munmap(2).
func (s *Space) Unmap(a arch.Addr, n uint64) error { return nil }

// Protect is mprotect(2). readImpliesExec is personality(2)'s READ_IMPLIES_EXEC.
func (s *Space) Protect(a arch.Addr, n uint64, p linux.Prot) error { return nil }

// Remap is mremap(2); it returns the new address. canLock as in MMapOpts.
func (s *Space) Remap(a arch.Addr, oldLen, newLen uint64, f linux.RemapFlags, to arch.Addr, canLock bool) (arch.Addr, error) {
	return 0, nil
}

// Brk is brk(2): it returns the new program break, or the present one if it can't be a.
func (s *Space) Brk(a arch.Addr, canLock bool) arch.Addr { return 0 }

// Advise is madvise(2).
func (s *Space) Advise(a arch.Addr, n uint64, advice linux.Advice) error { return nil }

// Sync is msync(2).
func (s *Space) Sync(a arch.Addr, n uint64, f linux.SyncFlags) error { return nil }

// Lock is mlock2(2).
func (s *Space) Lock(a arch.Addr, n uint64, onFault, canLock bool) error { return nil }

// Unlock is munlock(2).
func (s *Space) Unlock(a arch.Addr, n uint64) error { return nil }

// LockAll is mlockall(2); flags 0 is munlockall(2).
func (s *Space) LockAll(flags int, canLock bool) error { return nil }

// Incore is mincore(2): one byte a page, bit 0 for residence.
func (s *Space) Incore(a arch.Addr, n uint64) ([]byte, error) { return nil, nil }

// CopyIn implements usermem.Memory.
func (s *Space) CopyIn(dst []byte, from arch.Addr) (int, error) { return 0, nil }

// CopyOut implements usermem.Memory.
func (s *Space) CopyOut(to arch.Addr, src []byte) (int, error) { return 0, nil }

// View implements usermem.Memory.
func (s *Space) View(r arch.Range, a arch.Access, f func([][]byte) (int64, error)) (int64, error) {
	return 0, nil
}

// Forced is s as ptrace(2) and /proc/pid/mem see it: protections do not count
// (FOLL_FORCE), but what is not mapped is still EFAULT.
func (s *Space) Forced() usermem.Memory { return nil }

// FutexKey is the key of the 32-bit word at a; private is FUTEX_PRIVATE_FLAG.
// EINVAL if a is not aligned, EFAULT if it is not mapped.
func (s *Space) FutexKey(a arch.Addr, private bool) (FutexKey, error) { return FutexKey{}, nil }

// Load32 loads the word at a atomically; EFAULT.
func (s *Space) Load32(a arch.Addr) (uint32, error) { return 0, nil }

// Swap32 stores new if the word at a is old, atomically, and returns what it was; EFAULT.
func (s *Space) CompareAndSwap32(a arch.Addr, old, new uint32) (was uint32, err error) { return 0, nil }

// Update32 replaces the word at a by f of it, atomically, and returns what it was; EFAULT.
// f may be called several times.
func (s *Space) Update32(a arch.Addr, f func(uint32) uint32) (was uint32, err error) { return 0, nil }

// A Region is a mapping as /proc/pid/maps and smaps show it.
type Region struct {
	arch.Range
	Access   arch.Access
	Shared   bool
	Offset   uint64
	Dev, Ino uint64
	Name     string // path, "[heap]", "[anon:…]", or ""
	File     bool   // Name is a path
	Flags    string // smaps' VmFlags: "rd wr mr mw me ac"
	Locked   bool

	// Bytes of memory, for smaps; counted only if asked for.
	RSS, SharedClean, SharedDirty, PrivateClean, PrivateDirty, Anonymous uint64
}

// Regions is the mappings in order, the vsyscall page last. With usage it
// counts memory too, which takes a host call a run or so.
func (s *Space) Regions(usage bool) []Region { return nil }

// Stats is what /proc/pid/{stat,statm,status} tell, in bytes.
type Stats struct {
	VM, PeakVM, Locked, Pinned, Data, Stack, Exec, Lib, PTE uint64
	RSS, PeakRSS, RSSAnon, RSSFile, RSSShmem                uint64
}

// Stats counts s's memory. With rss false the RSS fields are zero, and it is quick.
func (s *Space) Stats(rss bool) Stats { return Stats{} }

// Layout is where execve(2) put things, and what prctl(PR_SET_MM) changes.
type Layout struct {
	CodeStart, CodeEnd, DataStart, DataEnd arch.Addr
	BrkStart                               arch.Addr
	StackStart                             arch.Addr
	Args, Env                              arch.Range // the strings
	Auxv                                   []linux.AuxEntry
	VDSO                                   arch.Addr // AT_SYSINFO_EHDR, 0 if none
	MMapBase                               arch.Addr // mmap(2) chooses addresses below
}

// Layout returns s's layout.
func (s *Space) Layout() Layout { return Layout{} }

// SetLayout replaces it; a changed BrkStart also sets the break.
func (s *Space) SetLayout(l Layout) {}

// Executable is the file being executed (/proc/pid/exe), with a new reference; nil if there is none.
func (s *Space) Executable() Identity { return nil }

// SetExecutable replaces it; the reference passes to s.
func (s *Space) SetExecutable(f Identity) {}

// SetName names anonymous memory: prctl(PR_SET_VMA_ANON_NAME).
func (s *Space) SetName(a arch.Addr, n uint64, name string) error { return nil }

// ReadVM and WriteVM are in syscalls: process_vm_readv(2) is CopyIn of another Space.
func (s *Space) invalidate(file Mappable, start, end uint64, cows bool) {}

var _ usermem.Memory = (*Space)(nil)
