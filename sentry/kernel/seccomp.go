package kernel

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/seccomp"
)

// taskSeccomp is a task's seccomp(2) state.
type taskSeccomp struct {
	// filters is nil for a task that may make every call. Its own goroutine
	// changes it, and others of its process with SECCOMP_FILTER_FLAG_TSYNC, all
	// with groupSignals.mu held.
	filters atomic.Pointer[filters]

	// bound: another thread has given it no_new_privs, see bind.
	bound atomic.Bool

	calledFrom uint64 // where the present call was made, if not by the instruction before RIP
}

// filters is what a task's calls are judged by: the programs it has installed or
// inherited, or the strict mode. It is shared by the tasks that have the same.
type filters struct {
	*seccomp.Filter // nil in strict mode
	below           *filters
	users           atomic.Int32 // tasks that have it, and filters on top of it
	notifier        *Notifier    // nil if it has no listener
	killable        bool         // WAIT_KILLABLE_RECV
	log             bool         // FLAG_LOG
}

// strict is the filters of the strict mode. Nobody counts who has them.
var strict = &filters{}

// drop says that one less has f.
func (f *filters) drop() {
	for ; f != nil && f != strict && f.users.Add(-1) == 0; f = f.below {
		if f.notifier != nil {
			f.notifier.unused()
		}
	}
}

// has reports whether anc is f or below it.
func (f *filters) has(anc *filters) bool {
	for ; f != nil; f = f.below {
		if f == anc {
			return true
		}
	}
	return false
}

// SeccompMode is prctl(PR_GET_SECCOMP), and how many filters there are. Any
// goroutine may ask.
func (t *Task) SeccompMode() (mode, filters int) {
	switch f := t.filters.Load(); f {
	case nil:
		return linux.SECCOMP_MODE_DISABLED, 0
	case strict:
		return linux.SECCOMP_MODE_STRICT, 0
	default:
		return linux.SECCOMP_MODE_FILTER, f.Depth()
	}
}

// SetSeccompStrict leaves t no calls but read, write, exit and rt_sigreturn. The
// time-stamp counter, which Linux takes away too, is the processor's and stays.
// EINVAL if t has filters.
func (t *Task) SetSeccompStrict() error {
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := t.filters.Load(); f != nil && f != strict {
		return linux.EINVAL
	}
	t.filters.Store(strict)
	t.told = identity{}
	return nil
}

// AddFilter installs p: its word counts for every call that t makes from now on.
// With NEW_LISTENER n is who is asked by SECCOMP_RET_USER_NOTIF; else it is nil.
// EINVAL in the strict mode, EBUSY for a second listener, ENOMEM if there are too
// many. With TSYNC all threads get t's filters; thread is the number of one that has
// others of its own, if nothing was done for it.
func (t *Task) AddFilter(p *seccomp.Program, fl linux.SeccompFlags, n *Notifier) (thread int32, err error) {
	g := t.tg
	g.sig.mu.Lock()
	old := t.filters.Load()
	f, err := old.push(p, fl, n)
	if err == nil && fl&linux.SECCOMP_FILTER_FLAG_TSYNC != 0 {
		thread, err = t.unsynced(old)
	}
	if err != nil || thread != 0 {
		g.sig.mu.Unlock()
		return thread, err
	}
	if old != nil {
		old.users.Add(1) // f's; t's goes with the store
	}
	var before []*filters
	before = append(before, t.setFilters(f))
	t.told = identity{}
	if fl&linux.SECCOMP_FILTER_FLAG_TSYNC != 0 {
		before = append(before, t.syncFilters(f)...)
	}
	g.sig.mu.Unlock()
	for _, b := range before {
		b.drop()
	}
	if len(before) > 1 {
		g.SyncThreads(t)
	}
	return 0, nil
}

// push is f with p on top.
func (f *filters) push(p *seccomp.Program, fl linux.SeccompFlags, n *Notifier) (*filters, error) {
	if f == strict {
		return nil, linux.EINVAL
	}
	x := &filters{
		below: f, notifier: n, log: fl&linux.SECCOMP_FILTER_FLAG_LOG != 0,
		killable: fl&linux.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0,
	}
	for b := f; b != nil && n != nil; b = b.below {
		if b.notifier != nil && !b.notifier.Closed() {
			return nil, linux.EBUSY
		}
	}
	var top *seccomp.Filter
	if f != nil {
		top = f.Filter
	}
	var err error
	x.Filter, err = top.Push(p)
	return x, err
}

// setFilters gives x the filters f, and returns those that it had: the caller
// drops them, without locks. The caller holds sig.mu.
func (x *Task) setFilters(f *filters) (old *filters) {
	if f != nil && f != strict {
		f.users.Add(1)
	}
	return x.filters.Swap(f)
}

// unsynced is the number of a thread whose filters are none that t had too: they
// can't be replaced. ERESTARTNOINTR if t is to end. The caller holds sig.mu.
func (t *Task) unsynced(old *filters) (int32, error) {
	if s := &t.tg.sig; s.exiting || s.execing != nil && s.execing != t {
		return 0, linux.ERESTARTNOINTR
	}
	for _, x := range t.tg.sig.tasks {
		if f := x.filters.Load(); x != t && x.attention.Load()&attnExit == 0 && f != nil && !old.has(f) {
			return x.pid.In(t.pid.ns), nil
		}
	}
	return 0, nil
}

// syncFilters gives f, and no_new_privs if t has it, to the other threads, and
// returns what they had. They see it before they run on in the guest. The caller
// holds sig.mu.
func (t *Task) syncFilters(f *filters) (before []*filters) {
	for _, x := range t.tg.sig.tasks {
		if x == t || x.attention.Load()&attnExit != 0 {
			continue
		}
		if t.Creds().NoNewPrivs {
			x.bound.Store(true)
			x.bind()
		}
		before = append(before, x.setFilters(f))
		x.attend(attnFilter)
	}
	return before
}

// allowed reports whether f allows call nr whatever its arguments: then the
// platform may answer it.
func (f *filters) allowed(nr uint64) bool { return f == nil || f != strict && f.Allows(uint32(nr)) }
