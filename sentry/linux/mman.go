package linux

// Prot is the prot argument of mmap(2) and mprotect(2).
type Prot uint32

// <asm-generic/mman-common.h>
const (
	PROT_NONE      Prot = 0x0
	PROT_READ      Prot = 0x1
	PROT_WRITE     Prot = 0x2
	PROT_EXEC      Prot = 0x4
	PROT_SEM       Prot = 0x8
	PROT_GROWSDOWN Prot = 0x01000000
	PROT_GROWSUP   Prot = 0x02000000
)

// MapFlags is the flags argument of mmap(2).
type MapFlags uint32

// <asm/mman.h>, <linux/mman.h>
const (
	MAP_SHARED          MapFlags = 0x01
	MAP_PRIVATE         MapFlags = 0x02
	MAP_SHARED_VALIDATE MapFlags = 0x03
	MAP_DROPPABLE       MapFlags = 0x08
	MAP_TYPE            MapFlags = 0x0f
	MAP_FIXED           MapFlags = 0x10
	MAP_ANONYMOUS       MapFlags = 0x20
	MAP_32BIT           MapFlags = 0x40
	MAP_ABOVE4G         MapFlags = 0x80
	MAP_GROWSDOWN       MapFlags = 0x0100
	MAP_DENYWRITE       MapFlags = 0x0800
	MAP_EXECUTABLE      MapFlags = 0x1000
	MAP_LOCKED          MapFlags = 0x2000
	MAP_NORESERVE       MapFlags = 0x4000
	MAP_POPULATE        MapFlags = 0x8000
	MAP_NONBLOCK        MapFlags = 0x10000
	MAP_STACK           MapFlags = 0x20000
	MAP_HUGETLB         MapFlags = 0x40000
	MAP_SYNC            MapFlags = 0x80000
	MAP_FIXED_NOREPLACE MapFlags = 0x100000
	MAP_UNINITIALIZED   MapFlags = 0x4000000

	MAP_HUGE_SHIFT = 26
	MAP_HUGE_MASK  = 0x3f

	// MAP_LEGACY_MASK is what MAP_SHARED_VALIDATE accepts of any file.
	MAP_LEGACY_MASK = MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE |
		MAP_EXECUTABLE | MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |
		MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G |
		MAP_HUGE_MASK<<MAP_HUGE_SHIFT
)

// RemapFlags is the flags argument of mremap(2).
type RemapFlags uint32

// <linux/mman.h>
const (
	MREMAP_MAYMOVE   RemapFlags = 1
	MREMAP_FIXED     RemapFlags = 2
	MREMAP_DONTUNMAP RemapFlags = 4
)

// Advice is the advice argument of madvise(2).
type Advice int32

// <asm-generic/mman-common.h>
const (
	MADV_NORMAL          Advice = 0
	MADV_RANDOM          Advice = 1
	MADV_SEQUENTIAL      Advice = 2
	MADV_WILLNEED        Advice = 3
	MADV_DONTNEED        Advice = 4
	MADV_FREE            Advice = 8
	MADV_REMOVE          Advice = 9
	MADV_DONTFORK        Advice = 10
	MADV_DOFORK          Advice = 11
	MADV_MERGEABLE       Advice = 12
	MADV_UNMERGEABLE     Advice = 13
	MADV_HUGEPAGE        Advice = 14
	MADV_NOHUGEPAGE      Advice = 15
	MADV_DONTDUMP        Advice = 16
	MADV_DODUMP          Advice = 17
	MADV_WIPEONFORK      Advice = 18
	MADV_KEEPONFORK      Advice = 19
	MADV_COLD            Advice = 20
	MADV_PAGEOUT         Advice = 21
	MADV_POPULATE_READ   Advice = 22
	MADV_POPULATE_WRITE  Advice = 23
	MADV_DONTNEED_LOCKED Advice = 24
	MADV_COLLAPSE        Advice = 25
	MADV_HWPOISON        Advice = 100
	MADV_SOFT_OFFLINE    Advice = 101
	MADV_GUARD_INSTALL   Advice = 102
	MADV_GUARD_REMOVE    Advice = 103
)

// SyncFlags is the flags argument of msync(2).
type SyncFlags int32

// <asm-generic/mman-common.h>
const (
	MS_ASYNC      SyncFlags = 1
	MS_INVALIDATE SyncFlags = 2
	MS_SYNC       SyncFlags = 4
)

// Flags of mlockall(2) and mlock2(2).
const (
	MCL_CURRENT = 1
	MCL_FUTURE  = 2
	MCL_ONFAULT = 4

	MLOCK_ONFAULT = 1
)

// Codes of SIGSEGV and SIGBUS, <asm-generic/siginfo.h>.
const (
	SEGV_MAPERR = 1
	SEGV_ACCERR = 2

	BUS_ADRALN = 1
	BUS_ADRERR = 2
	BUS_OBJERR = 3
)
