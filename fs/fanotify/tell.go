package fanotify

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A content is what events are alike in that can be told as one.
type content struct {
	pid    *kernel.PID // of the process, or the thread; nil if nobody's
	at     vfs.Path    // held; nowhere for a group that names files by handles
	fsid   [2]int32
	dir    named // a directory, perhaps with a name in it
	to     named // another: FAN_RENAME
	file   named // without a name
	ondir  bool
	rename bool
}

// A named is a file by its inode's number, and perhaps the name of an entry in it.
type named struct {
	is   bool
	ino  uint64
	name string
}

// An event is one to be read.
type event struct {
	content
	place list.Elem[*event] // among those that wait
	mask  uint32            // protected by the group's mu
	ask   *question         // nil if nobody waits for an answer
}

// drop gives up what e holds. No lock is held.
func (e *event) drop() { e.at.Drop() }

// Tell implements vfs.Group.
func (g *Group) Tell(e *vfs.Event, hits []vfs.Hit) error {
	f := g.match(e, hits)
	if f.mask == 0 {
		return nil
	}
	t, _ := kernel.Caller(e.By)
	x := &event{mask: f.mask}
	x.place.Value = x
	if f.mask&askEvents != 0 {
		if t == nil || t.PID() == nil {
			return nil // the kernel itself waits for nobody, nor does who makes a process from outside
		}
		x.ask = &question{g: g}
	}
	if t != nil {
		x.pid = t.LockHolder().(*kernel.PID)
		if g.spec.Flags&linux.FAN_REPORT_TID != 0 {
			x.pid = t.PID()
		}
	}
	if g.fid() == 0 {
		x.at = e.At.Hold()
	} else {
		x.fsid = f.fsid
		x.name(g.fid(), e, &f)
	}
	if !g.queue(x) {
		x.drop()
		return nil
	}
	if x.ask != nil {
		return g.await(t, x)
	}
	return nil
}

// name says by handles what x, made of e, is about, as the group's flags ask for.
func (x *event) name(fid uint32, e *vfs.Event, f *finding) {
	entry := f.mask&entryEvents != 0
	x.ondir, x.rename = f.mask&linux.FAN_ONDIR != 0, f.mask&linux.FAN_RENAME != 0
	whose := e.Node
	if entry && fid&linux.FAN_REPORT_TARGET_FID == 0 {
		whose = e.Dir
	}
	dir := e.Dir
	if !entry && e.Mask&linux.FAN_ONDIR != 0 {
		dir = e.Node
	}
	file := func(i vfs.Inode) named { return named{is: true, ino: e.Ino(i)} }
	if fid&linux.FAN_REPORT_DIR_FID == 0 || dir == nil {
		x.file = file(whose)
		return
	}
	child := whose != dir && fid&linux.FAN_REPORT_FID != 0 && !x.ondir
	if entry {
		child = whose != dir && fid&linux.FAN_REPORT_TARGET_FID != 0
	}
	withName := fid&linux.FAN_REPORT_NAME != 0 && (entry || !x.ondir)
	if !child && !withName {
		x.file = file(dir)
		return
	}
	x.dir = file(dir)
	if withName {
		x.dir.name = e.Name
	}
	if child {
		x.file = file(whose)
	}
	if x.rename {
		if f.as[vfs.OnFilesystem] || f.as[vfs.OnTarget] {
			x.to = file(e.To)
			x.to.name = e.ToName
		}
		if !f.as[vfs.OnFilesystem] && !f.as[vfs.OnInode] {
			x.dir = named{}
		}
	}
}

// queue has x read, unless it says no more than one that waits already, or there are too
// many. It reports whether x was used.
func (g *Group) queue(x *event) bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	if old := g.last[x.content]; old != nil && x.ask == nil {
		old.mask |= x.mask
		g.mu.Unlock()
		return false
	}
	used := g.count < g.most
	if !used {
		if g.flooded {
			g.mu.Unlock()
			return false
		}
		g.flooded = true
		x = &event{mask: linux.FAN_Q_OVERFLOW}
		x.place.Value = x
	}
	g.waiting.PushBack(&x.place)
	g.count++
	if used && x.ask == nil {
		g.last[x.content] = x
	}
	g.mu.Unlock()
	g.Notify(wait.Readable)
	return used
}

// takeLocked takes x from those that wait.
func (g *Group) takeLocked(x *event) {
	x.place.Remove()
	g.count--
	if g.last[x.content] == x {
		delete(g.last, x.content)
	}
	if x.mask == linux.FAN_Q_OVERFLOW {
		g.flooded = false
	}
}
