// Package fanotify is the files that tell of what happens to files, in whole mounts and
// filesystems too, and that are asked before files are used: fanotify(7).
package fanotify

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

const (
	classBits = linux.FAN_CLASS_CONTENT | linux.FAN_CLASS_PRE_CONTENT
	fidBits   = linux.FAN_REPORT_FID | linux.FAN_REPORT_DIR_FID | linux.FAN_REPORT_NAME | linux.FAN_REPORT_TARGET_FID
	// adminFlags are for the privileged.
	adminFlags = classBits | linux.FAN_REPORT_TID | linux.FAN_REPORT_PIDFD | linux.FAN_UNLIMITED_QUEUE | linux.FAN_UNLIMITED_MARKS
	initFlags  = adminFlags | fidBits | linux.FAN_CLOEXEC | linux.FAN_NONBLOCK

	eventFlags = linux.O_ACCMODE | linux.O_APPEND | linux.O_NONBLOCK | linux.O_SYNC | linux.O_CLOEXEC | linux.O_LARGEFILE | linux.O_NOATIME
)

// What a group without limits has all the same: a guest can't make the kernel keep more.
const (
	mostQueued = 1 << 17
	mostMarks  = 1 << 18
)

// A Spec is what fanotify_init(2) is asked for.
type Spec struct {
	Flags  uint32
	Events linux.OpenFlags // of the descriptors that come with events
	// Pidfd makes a descriptor that names a process of t's.
	Pidfd func(t *kernel.Task, p *kernel.PID) (kernel.FD, error)
}

// A Group is one open fanotify file: a vfs.File.
type Group struct {
	wait.Queue
	spec   Spec
	unpriv bool // made by somebody unprivileged, who learns less
	most   int  // events that may wait
	owner  *auth.UserNamespace
	uid    uint32

	// marking is held while a mark is made or changed: one for each object.
	marking lock.Mutex[lock.Epoll]

	mu      lock.Mutex[lock.Leaf]
	marks   map[object]*mark   // protected by mu, as are the masks of all
	waiting list.List[*event]  // to be read; protected by mu
	count   int                // of those; protected by mu
	last    map[content]*event // of those, what others can be merged into; protected by mu
	flooded bool               // one of those says that there were too many; protected by mu
	asked   []*event           // read, and to be answered; protected by mu
	closed  bool               // protected by mu
}

var (
	_ vfs.File     = (*Group)(nil)
	_ vfs.Control  = (*Group)(nil)
	_ vfs.Streamer = (*Group)(nil)
	_ vfs.FDInfoer = (*Group)(nil)
	_ vfs.Group    = (*Group)(nil)
	_ wait.Object  = (*Group)(nil)
)

// New is fanotify_init(2): EPERM, EINVAL; EMFILE if t's user has too many.
func New(t *kernel.Task, s Spec) (*vfs.FileDescription, error) {
	unpriv := !t.Creds().Capable(auth.CapSysAdmin)
	if err := s.check(unpriv); err != nil {
		return nil, err
	}
	g := &Group{
		spec: s, unpriv: unpriv, most: mostQueued, owner: t.Creds().UserNS, uid: t.Creds().EUID,
		marks: map[object]*mark{}, last: map[content]*event{},
	}
	if s.Flags&linux.FAN_UNLIMITED_QUEUE == 0 {
		g.most = int(min(max(0, t.Kernel().VFS.MaxQueued()), mostQueued))
	}
	if !g.owner.Count(g.uid, auth.CountFanotifyGroups) {
		return nil, linux.EMFILE
	}
	flags := linux.OpenFlags(linux.O_RDWR)
	if s.Flags&linux.FAN_NONBLOCK != 0 {
		flags |= linux.O_NONBLOCK
	}
	return t.Kernel().VFS.NewAnon(t, g, "[fanotify]", flags), nil
}

func (s *Spec) check(unpriv bool) error {
	fid := s.Flags & fidBits
	both := func(bits uint32) bool { return s.Flags&bits == bits }
	switch {
	case unpriv && (s.Flags&adminFlags != 0 || fid == 0):
		return linux.EPERM
	case s.Flags&^initFlags != 0,
		both(linux.FAN_REPORT_PIDFD | linux.FAN_REPORT_TID), // a pidfd names a whole process
		s.Events&^linux.OpenFlags(eventFlags) != 0,
		s.Events&linux.O_ACCMODE == linux.O_ACCMODE,
		fid != 0 && s.Flags&classBits != 0,
		both(classBits),
		fid&linux.FAN_REPORT_NAME != 0 && fid&linux.FAN_REPORT_DIR_FID == 0,
		fid&linux.FAN_REPORT_TARGET_FID != 0 && !both(linux.FAN_REPORT_NAME|linux.FAN_REPORT_FID):
		return linux.EINVAL
	}
	return nil
}

// Of is the group that a description is open on: EINVAL for other files.
func Of(d *vfs.FileDescription) (*Group, error) {
	g, ok := d.File().(*Group)
	if !ok {
		return nil, linux.EINVAL
	}
	return g, nil
}

// fid is how events name files, if they do so by handles.
func (g *Group) fid() uint32 { return g.spec.Flags & fidBits }

// Class implements vfs.Group.
func (g *Group) Class() int { return int(g.spec.Flags&classBits) / linux.FAN_CLASS_CONTENT }

// Stream implements vfs.Streamer.
func (g *Group) Stream() {}

// Ready implements wait.Object.
func (g *Group) Ready(mask wait.Events) wait.Events {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count == 0 {
		return 0
	}
	return mask & wait.Readable
}

// Ioctl implements vfs.Control. As on Linux FIONREAD counts what events at least have.
func (g *Group) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if cmd != linux.FIONREAD {
		return 0, linux.ENOTTY
	}
	g.mu.Lock()
	n := int32(g.count * headSize)
	g.mu.Unlock()
	return 0, usermem.Ptr[int32](arg).Store(m, &n)
}

// Close implements vfs.File: all that wait for an answer may go on.
func (g *Group) Close(c vfs.Ctx) {
	g.mu.Lock()
	g.closed = true
	marks := g.marks
	g.marks = map[object]*mark{}
	var rest []*event
	for e := range g.waiting.All() {
		rest = append(rest, e)
	}
	for _, e := range rest {
		e.place.Remove()
	}
	rest = append(rest, g.asked...)
	g.count, g.last, g.asked = 0, nil, nil
	g.mu.Unlock()
	for _, m := range marks {
		m.end()
	}
	for _, e := range rest {
		g.answer(e, linux.FAN_ALLOW)
		e.drop()
	}
	g.owner.Uncount(g.uid, auth.CountFanotifyGroups)
}
