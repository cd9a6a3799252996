package kernel

import (
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A coreDump is a process that writes its core file: the other threads wait, as they
// were, until it is there. It is protected by groupSignals.mu.
type coreDump struct {
	left    int     // threads that have yet to stand still
	threads []*Task // those that do
	arrived Gate    // opened when left becomes 0
	over    bool    // the others may go on to their end
	done    Gate    // opened when over
}

// dieOf ends t's process by a signal that nothing caught, with a core file if it is
// one of those that leave one: do_coredump.
func (t *Task) dieOf(info *linux.SigInfo) {
	g := t.tg
	core := linux.CoreSignals.Has(info.Signal()) && t.mayDump()
	g.sig.mu.Lock()
	if g.sig.exiting || !core {
		if !g.sig.exiting {
			g.sig.fatality = *info
		}
		g.beginExit(linux.SignalStatus(info.Signal(), false), nil)
		g.sig.mu.Unlock()
		return
	}
	g.sig.fatality = *info
	d := &coreDump{}
	g.sig.dump = d
	g.beginExit(linux.SignalStatus(info.Signal(), false), t)
	for _, x := range g.sig.tasks {
		if x != t && !x.leaving {
			d.left++
		}
	}
	g.sig.mu.Unlock()
	dumped := t.awaitThreads(d) && t.dumpCore(d, info)
	g.sig.mu.Lock()
	if dumped {
		g.sig.status |= linux.SignalStatus(0, true)
	}
	g.sig.dump, d.over = nil, true
	g.sig.mu.Unlock()
	d.done.Open()
	t.attend(attnKill)
}

// mayDump reports whether a core file of t's process would be of any size, and may be
// written at all.
func (t *Task) mayDump() bool {
	const smallest = 4096 // ELF_EXEC_PAGESIZE
	return t.k.opts.CorePattern != nil && t.tg.Dumpable() == 1 && t.Limit(limits.Core) >= smallest
}

// awaitThreads waits until the other threads stand still: false if t is killed first.
func (t *Task) awaitThreads(d *coreDump) bool {
	mu := &t.tg.sig.mu
	for {
		ticket := d.arrived.Ticket()
		mu.Lock()
		left := d.left
		mu.Unlock()
		if left == 0 {
			return true
		}
		if t.BlockKillable(d.arrived.Since(ticket), wait.Readable) != nil {
			return false
		}
	}
}

// standForDump lets a thread that is about to end wait until its process's core file
// is written, if one is: its registers and its memory are to be in there.
func (t *Task) standForDump() {
	g := t.tg
	g.sig.mu.Lock()
	d := g.sig.dump
	t.leaving = d == nil
	g.sig.mu.Unlock()
	if d == nil {
		return
	}
	t.dumpFPU = t.ctx.FPU()
	g.sig.mu.Lock()
	d.threads = append(d.threads, t)
	d.left--
	last := d.left == 0
	g.sig.mu.Unlock()
	if last {
		d.arrived.Open()
	}
	for {
		ticket := d.done.Ticket()
		g.sig.mu.Lock()
		over := d.over
		t.leaving = over
		g.sig.mu.Unlock()
		if over {
			return
		}
		t.blockHard(d.done.Since(ticket))
	}
}

// dumpCore writes the core file: false if there is none.
func (t *Task) dumpCore(d *coreDump, info *linux.SigInfo) bool {
	name, err := t.coreName(info.Signal())
	if err == nil {
		var f *vfs.FileDescription
		if f, err = t.openCore(name); err == nil {
			defer f.Release(t)
			w := coreWriter{t: t, f: f, left: t.Limit(limits.Core), buf: make([]byte, coreChunk)}
			t.dumpFPU = t.ctx.FPU()
			w.write(append([]*Task{t}, d.threads...), info)
			return true // as on Linux also if it had to be cut
		}
	}
	t.k.logf("task %d (%s): no core file %q: %v", t.pid.numbers[0], t.Name(), name, err)
	return false
}

// openCore makes the core file: one that is there already gives way, so that nobody
// has it open.
func (t *Task) openCore(name string) (*vfs.FileDescription, error) {
	a := vfs.At{Name: name}
	if err := vfs.Unlink(t, a); err != nil && err != linux.ENOENT {
		t.k.logf("core file %q: %v", name, err) // as it can't be made then, that is told too
	}
	const flags = linux.O_CREAT | linux.O_EXCL | linux.O_WRONLY | linux.O_NOFOLLOW | linux.O_LARGEFILE
	f, err := vfs.Open(t, a, vfs.OpenSpec{Flags: flags, Mode: 0o600})
	if err != nil {
		return nil, err
	}
	x, err := f.Attr(t)
	if err == nil && (x.Mode&linux.FileMode(linux.S_IFMT) != linux.S_IFREG || x.Mode&0o677 != 0o600 || x.UID != t.Creds().FSUID) {
		err = linux.EPERM
	}
	if err != nil {
		f.Release(t)
		return nil, err
	}
	return f, nil
}
