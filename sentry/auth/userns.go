package auth

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"garrison/sentry/lock"
)

// What making a user namespace can fail with: ENOSPC and EPERM.
var (
	ErrTooMany = errors.New("too many namespaces, or too deep")
	ErrNoID    = errors.New("the maker's ids mean nothing in its user namespace")
)

// A UserNamespace is a user namespace, user_namespaces(7). Ids inside the kernel are
// those of the first one, which maps all ids to themselves. A nil *UserNamespace is
// the first one too: the kernel's own credentials name none.
type UserNamespace struct {
	Parent *UserNamespace // nil for the initial one
	Owner  uint32         // the effective uid that made it
	Group  uint32         // and gid
	Inode  uint64         // of /proc/pid/ns/user

	level     int
	couldCaps bool // the maker had CAP_SETFCAP: its root may own file capabilities
	limits    nsLimits

	uids, gids, projids atomic.Pointer[IDMap] // nil: not written yet

	mu       lock.Mutex[lock.Leaf]
	noGroups bool // protected by mu: setgroups(2) is denied
}

// maxLevel is how deep user namespaces may be nested.
const maxLevel = 32

// NewUserNamespace is the namespace that a task with credentials c makes, without
// maps. ErrTooMany, ErrNoID.
func NewUserNamespace(c *Creds, inode uint64) (*UserNamespace, error) {
	p := c.UserNS
	if p.Level() > maxLevel {
		return nil, ErrTooMany
	}
	if !p.KnowsUID(c.EUID) || !p.KnowsGID(c.EGID) {
		return nil, ErrNoID
	}
	n := &UserNamespace{
		Parent: p, Owner: c.EUID, Group: c.EGID, Inode: inode,
		level: p.Level() + 1, couldCaps: c.Effective.Has(CapSetfcap), noGroups: !p.groupsAllowed(),
	}
	if !Charge(p, c.EUID, CountUser, n) {
		return nil, ErrTooMany
	}
	return n, nil
}

// First reports whether ns is the initial namespace.
func (ns *UserNamespace) First() bool { return ns == nil || ns.Parent == nil }

// Level is how deep ns lies below the initial namespace.
func (ns *UserNamespace) Level() int {
	if ns == nil {
		return 0
	}
	return ns.level
}

// Same reports whether ns and x are one namespace.
func (ns *UserNamespace) Same(x *UserNamespace) bool { return ns == x || ns.First() && x.First() }

// Within reports whether ns is anc or a descendant of it.
func (ns *UserNamespace) Within(anc *UserNamespace) bool {
	for ; !ns.First(); ns = ns.Parent {
		if ns == anc {
			return true
		}
	}
	return anc.First()
}

func (ns *UserNamespace) groupsAllowed() bool {
	if ns == nil {
		return true
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return !ns.noGroups
}

// SetgroupsAllowed is what /proc/pid/setgroups says.
func (ns *UserNamespace) SetgroupsAllowed() bool { return ns.groupsAllowed() }

// MaySetgroups reports whether setgroups(2) may be used inside: group ids are mapped,
// and nobody has denied it.
func (ns *UserNamespace) MaySetgroups() bool {
	return ns.First() || ns.gids.Load() != nil && ns.groupsAllowed()
}

// SetSetgroups is a write to /proc/pid/setgroups. False if it is too late to deny, or
// to allow what is denied.
func (ns *UserNamespace) SetSetgroups(allow bool) bool {
	if ns == nil {
		return allow
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	switch {
	case allow:
		return !ns.noGroups
	case ns.First() || ns.gids.Load() != nil:
		return false
	}
	ns.noGroups = true
	return true
}

// Kinds of what /proc/sys/user limits.
const (
	CountUser = iota
	CountPID
	CountUTS
	CountIPC
	CountNet
	CountMnt
	CountCgroup
	CountTime
	CountFanotifyGroups
	CountFanotifyMarks
	countKinds
)

// CountNames is the kinds in the names of the files max_*.
var CountNames = [countKinds]string{
	"user_namespaces", "pid_namespaces", "uts_namespaces", "ipc_namespaces", "net_namespaces", "mnt_namespaces",
	"cgroup_namespaces", "time_namespaces", "fanotify_groups", "fanotify_marks",
}

// DefaultCount is each limit before anybody sets it: a new namespace has none of its
// own but what holds above it.
const (
	DefaultCount         = 95000
	defaultFanotify      = 128
	defaultFanotifyMarks = 65536
	noCount              = 1<<31 - 1
)

func defaultCount(kind int) int {
	switch kind {
	case CountFanotifyGroups:
		return defaultFanotify
	case CountFanotifyMarks:
		return defaultFanotifyMarks
	}
	return DefaultCount
}

// A countKey is who has made namespaces of a kind.
type countKey struct {
	uid  uint32
	kind int
}

// nsLimits is a user namespace's limits on what is made in it, and what was.
type nsLimits struct {
	mu   lock.Mutex[lock.Leaf]
	max  [countKinds]int // protected by mu; 0: not set, -1: none allowed
	made map[countKey]int
}

// MaxCount is /proc/sys/user/max_* of ns.
func (ns *UserNamespace) MaxCount(kind int) int {
	if ns == nil {
		return defaultCount(kind)
	}
	ns.limits.mu.Lock()
	defer ns.limits.mu.Unlock()
	return ns.maxLocked(kind)
}

func (ns *UserNamespace) maxLocked(kind int) int {
	switch n := ns.limits.max[kind]; {
	case n > 0:
		return n
	case n < 0:
		return 0
	case ns.First():
		return defaultCount(kind)
	}
	return noCount
}

// SetMaxCount changes it.
func (ns *UserNamespace) SetMaxCount(kind, n int) {
	if ns == nil {
		return
	}
	if n == 0 {
		n = -1
	}
	ns.limits.mu.Lock()
	defer ns.limits.mu.Unlock()
	ns.limits.max[kind] = n
}

// add counts n more of kind made by uid; false if that is too many.
func (ns *UserNamespace) add(uid uint32, kind, n int) bool {
	if ns == nil {
		return true
	}
	l := &ns.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	k := countKey{uid, kind}
	if n > 0 && l.made[k]+n > ns.maxLocked(kind) {
		return false
	}
	if l.made == nil {
		l.made = map[countKey]int{}
	}
	if l.made[k] += n; l.made[k] == 0 {
		delete(l.made, k)
	}
	return true
}

// Charge counts the new namespace what of kind, made by uid in ns, there and in all
// namespaces above, until the garbage collector finds it gone. False (ENOSPC) if
// there are too many.
func Charge[T any](ns *UserNamespace, uid uint32, kind int, what *T) bool {
	ok := ns.charge(uid, kind)
	// What is gone may only not have been found yet.
	for try := 0; !ok && try < 3; try++ {
		runtime.GC()
		time.Sleep(time.Millisecond) // clean-ups run in a goroutine of their own
		ok = ns.charge(uid, kind)
	}
	if ok {
		runtime.AddCleanup(what, func(c charged) { c.ns.discharge(c.uid, c.kind) }, charged{ns, uid, kind})
	}
	return ok
}

// Count counts one more of kind, made by uid in ns, there and in all namespaces above. False
// if that is too many; else Uncount when it is gone.
func (ns *UserNamespace) Count(uid uint32, kind int) bool { return ns.charge(uid, kind) }

// Uncount undoes Count.
func (ns *UserNamespace) Uncount(uid uint32, kind int) { ns.discharge(uid, kind) }

type charged struct {
	ns   *UserNamespace
	uid  uint32
	kind int
}

func (ns *UserNamespace) charge(uid uint32, kind int) bool {
	who := uid
	for at := ns; ; at = at.Parent {
		if !at.add(who, kind, 1) {
			for x, w := ns, uid; x != at; x, w = x.Parent, x.Owner {
				x.add(w, kind, -1)
			}
			return false
		}
		if at.First() {
			return true
		}
		who = at.Owner
	}
}

func (ns *UserNamespace) discharge(uid uint32, kind int) {
	for at := ns; ; at = at.Parent {
		at.add(uid, kind, -1)
		if at.First() {
			return
		}
		uid = at.Owner
	}
}
