// Package lock is the kernel's mutexes and the one order in which they may be
// taken. The order below is documentation and check at once: built with
// -tags lockcheck, taking a lock out of order panics.
package lock

// A Rank is a place in the order. A lock may be taken only while every lock
// held has a lower number.
type Rank interface{ rank() int }

// The order, outermost first.
type (
	// Epoll guards one epoll instance's set.
	Epoll struct{}
	// Drain is held by who takes bytes out of a pipe, Fill by who puts some in: a
	// splice holds them while it reads or writes another file.
	Drain struct{}
	Fill  struct{}
	// File guards one open file description: its offset and flags.
	File struct{}
	// Rename serialises renames that move directories (s_vfs_rename_mutex).
	Rename struct{}
	// Dentry guards one directory's names.
	Dentry struct{}
	// Mounts guards the mount tree.
	Mounts struct{}
	// CopyUp is held while an overlay brings one file from a lower layer to the upper.
	CopyUp struct{}
	// Inode guards one inode's attributes.
	Inode struct{}
	// Socket guards one socket's state.
	Socket struct{}
	// TaskSet guards the process tree: pids, parents, groups, sessions. It comes
	// after files: proc looks processes up under a directory's lock, and no file
	// is touched under it.
	TaskSet struct{}
	// Signals guards one process's pending signals and handlers.
	Signals struct{}
	// Task guards one task's own fields that others read.
	Task struct{}
	// FDTable guards one table of descriptors: proc lists it while a file is read.
	FDTable struct{}
	// Futex serialises hand-overs of priority-inheriting futexes.
	Futex struct{}
	// Mappings guards one address space.
	Mappings struct{}
	// FileData guards which memory holds a file's bytes; it may be taken to
	// answer a page fault, under Mappings.
	FileData struct{}
	// Pages guards the allocator of guest memory.
	Pages struct{}
	// Leaf is for small locks under which nothing else is taken but a Queue.
	Leaf struct{}
)

func (Epoll) rank() int    { return 1 }
func (Drain) rank() int    { return 2 }
func (Fill) rank() int     { return 3 }
func (File) rank() int     { return 4 }
func (Rename) rank() int   { return 5 }
func (Dentry) rank() int   { return 6 }
func (Mounts) rank() int   { return 7 }
func (CopyUp) rank() int   { return 8 }
func (Inode) rank() int    { return 9 }
func (Socket) rank() int   { return 10 }
func (TaskSet) rank() int  { return 11 }
func (Signals) rank() int  { return 12 }
func (Task) rank() int     { return 13 }
func (FDTable) rank() int  { return 14 }
func (Futex) rank() int    { return 15 }
func (Mappings) rank() int { return 16 }
func (FileData) rank() int { return 17 }
func (Pages) rank() int    { return 18 }
func (Leaf) rank() int     { return 19 }

// Two locks two mutexes of one rank, the only way to hold both, in an order of
// its own, and returns what unlocks them. a and b may be the same.
func Two[R Rank](a, b *Mutex[R]) (unlock func()) {
	if a == b {
		a.Lock()
		return a.Unlock
	}
	if address(a) > address(b) {
		a, b = b, a
	}
	a.Lock()
	b.lockPeer()
	return func() { b.Unlock(); a.Unlock() }
}
