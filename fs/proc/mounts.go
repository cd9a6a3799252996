package proc

import (
	"bytes"
	"fmt"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// escapeMount writes what separates fields in octal, as mangle() does.
func escapeMount(s string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace(s)
}

// openMounts makes the Open of a file that lists p's mounts. Like Linux's it
// belongs to the namespace that p was in when it was opened, and can be polled.
func openMounts(write func(w *bytes.Buffer, all []vfs.MountInfo)) func(*process, vfs.Ctx, linux.OpenFlags) (vfs.File, error) {
	return func(p *process, _ vfs.Ctx, _ linux.OpenFlags) (vfs.File, error) {
		fs := p.task().FS()
		if fs == nil {
			return nil, linux.EINVAL
		}
		ns := fs.Namespace()
		ns.IncRef()
		m := &mounts{ns: ns, root: fs.Root(), write: write}
		m.watched, _ = any(ns).(watched)
		if m.watched != nil {
			m.seen = m.watched.Changes()
		}
		return m, nil
	}
}

// watched is a tree of mounts that tells of changes.
type watched interface {
	Changes() uint64 // a count of them
	Watch(*wait.Watch)
	Unwatch(*wait.Watch)
}

// A mounts is an open list of mounts.
type mounts struct {
	ns      *vfs.MountNamespace // held
	watched watched             // ns; nil if it can't be watched
	root    vfs.Path            // held
	write   func(w *bytes.Buffer, all []vfs.MountInfo)

	mu   lock.Mutex[lock.Leaf]
	text []byte // protected by mu: what the last read from the start gave
	seen uint64 // protected by mu: the changes that poll has told of
}

// Read implements vfs.File.
func (m *mounts) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	m.mu.Lock()
	text := m.text
	m.mu.Unlock()
	if off == 0 || text == nil {
		var w bytes.Buffer
		m.write(&w, m.ns.Mounts(m.root))
		text = w.Bytes()
		m.mu.Lock()
		m.text = text
		m.mu.Unlock()
	}
	if off >= int64(len(text)) {
		return 0, nil
	}
	n, err := dst.CopyOut(text[off:])
	return int64(n), err
}

// Write implements vfs.File.
func (*mounts) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (m *mounts) Close(vfs.Ctx) {
	m.root.Drop()
	m.ns.DecRef()
}

// Ready implements wait.Object: always readable, and POLLERR|POLLPRI once after a
// change.
func (m *mounts) Ready(mask wait.Events) wait.Events {
	e := wait.Readable & mask
	if m.watched == nil {
		return e
	}
	now := m.watched.Changes()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen != now {
		m.seen = now
		e |= wait.Err | wait.Pri&mask
	}
	return e
}

// Watch implements wait.Object.
func (m *mounts) Watch(w *wait.Watch) {
	if m.watched != nil {
		m.watched.Watch(w)
	}
}

// Unwatch implements wait.Object.
func (m *mounts) Unwatch(w *wait.Watch) {
	if m.watched != nil {
		m.watched.Unwatch(w)
	}
}

// source is what a mount without a source shows.
func source(s string) string {
	if s == "" {
		return "none"
	}
	return escapeMount(s)
}

// writeMountinfo is /proc/pid/mountinfo, proc_pid_mountinfo(5).
func writeMountinfo(w *bytes.Buffer, all []vfs.MountInfo) {
	for i := range all {
		m := &all[i]
		fmt.Fprintf(w, "%d %d %d:%d %s %s %s", m.ID, m.Parent, linux.Major(m.Dev), linux.Minor(m.Dev),
			escapeMount(m.Root), escapeMount(m.Point), m.Options)
		if m.Propagation != "" {
			w.WriteString(" " + m.Propagation)
		}
		fmt.Fprintf(w, " - %s %s %s\n", m.Type, source(m.Source), join(m.FSFlags, m.FSOptions))
	}
}

// join puts a comma between lists of options.
func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "," + b
}

// writeMounts is /proc/pid/mounts, fstab(5): whether anything can be written, the
// filesystem's flags, then the mount's, then the filesystem's own options.
func writeMounts(w *bytes.Buffer, all []vfs.MountInfo) {
	for i := range all {
		m := &all[i]
		o := m.FSFlags
		if strings.HasPrefix(m.Options, "ro") {
			o = "ro" + o[2:]
		}
		fmt.Fprintf(w, "%s %s %s %s 0 0\n", source(m.Source), escapeMount(m.Point), m.Type, join(o+m.Options[2:], m.FSOptions))
	}
}

// showMountstats is /proc/pid/mountstats.
func showMountstats(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	fs := p.task().FS()
	if fs == nil {
		return linux.EINVAL
	}
	root := fs.Root()
	defer root.Drop()
	for _, m := range fs.Namespace().Mounts(root) {
		if m.Source == "" {
			w.WriteString("no device")
		} else {
			fmt.Fprintf(w, "device %s", escapeMount(m.Source))
		}
		fmt.Fprintf(w, " mounted on %s with fstype %s\n", escapeMount(m.Point), m.Type)
	}
	return nil
}
