package kernel

import (
	"garrison/sentry/ktime"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// intervalTimers is setitimer(2)'s three timers, and RLIMIT_CPU's.
type intervalTimers struct {
	mu    lock.Mutex[lock.Leaf]
	real  *ktime.Timer // protected by mu, nil before the first use
	virt  *cpuTimer    // protected by mu
	prof  *cpuTimer    // protected by mu
	limit *cpuTimer    // protected by mu
}

// alarmClock sends SIGALRM when ITIMER_REAL expires.
type alarmClock struct{ g *ThreadGroup }

// Expired implements ktime.Listener.
func (a *alarmClock) Expired(*ktime.Timer, uint64) { a.g.Signal(KernelSignal(linux.SIGALRM)) }

// cpuAlarm sends a signal when a timer on processor time expires.
type cpuAlarm struct {
	g   *ThreadGroup
	sig linux.Signal
}

func (a *cpuAlarm) cpuExpired(uint64) { a.g.Signal(KernelSignal(a.sig)) }

// realTimer is g's ITIMER_REAL.
func (g *ThreadGroup) realTimer() *ktime.Timer {
	g.itime.mu.Lock()
	defer g.itime.mu.Unlock()
	if g.itime.real == nil {
		g.itime.real = ktime.NewTimer(&g.k.Clocks.Monotonic, &alarmClock{g})
	}
	return g.itime.real
}

// profTimer is g's ITIMER_VIRTUAL or ITIMER_PROF.
func (g *ThreadGroup) profTimer(which int) *cpuTimer {
	g.itime.mu.Lock()
	defer g.itime.mu.Unlock()
	p, sig := &g.itime.prof, linux.SIGPROF
	if which == linux.ITIMER_VIRTUAL {
		p, sig = &g.itime.virt, linux.SIGVTALRM
	}
	if *p == nil {
		*p = &cpuTimer{g: g, user: which == linux.ITIMER_VIRTUAL, listen: &cpuAlarm{g, sig}}
	}
	return *p
}

// SetITimer is setitimer(2): left and interval in nanoseconds, left 0 to disarm.
func (g *ThreadGroup) SetITimer(which int, left, interval int64) (oldLeft, oldInterval int64) {
	oldLeft, oldInterval = g.ITimer(which)
	if which == linux.ITIMER_REAL {
		t := g.realTimer()
		t.Set(settingIn(t.Clock().Now(), left, interval))
		return oldLeft, oldInterval
	}
	x := g.profTimer(which)
	x.arm(settingIn(x.now(), left, interval))
	return oldLeft, oldInterval
}

func settingIn(now, left, interval int64) ktime.Setting {
	if left <= 0 {
		return ktime.Setting{}
	}
	at := now + left
	if at < 0 {
		at = 1<<63 - 1
	}
	return ktime.Setting{At: at, Interval: interval}
}

// ITimer is getitimer(2).
func (g *ThreadGroup) ITimer(which int) (left, interval int64) {
	if which == linux.ITIMER_REAL {
		t := g.realTimer()
		return leftOf(t.Get(), t.Clock().Now())
	}
	x := g.profTimer(which)
	return leftOf(x.get(), x.now())
}

// leftOf is the time until s at now: never 0 for a timer that is armed.
func leftOf(s ktime.Setting, now int64) (left, interval int64) {
	if s.At == 0 {
		return 0, s.Interval
	}
	return max(s.At-now, 1), s.Interval
}

// stopAlarms disarms all timers of g at its end.
func (g *ThreadGroup) stopAlarms() {
	g.itime.mu.Lock()
	real := g.itime.real
	g.itime.mu.Unlock()
	if real != nil {
		real.Stop()
	}
	g.cpu.stop()
}

// cpuLimit enforces RLIMIT_CPU: SIGXCPU at the soft limit and each second after
// it, SIGKILL at the hard one.
type cpuLimit struct{ g *ThreadGroup }

func (c *cpuLimit) cpuExpired(uint64) {
	u, s := c.g.CPUTime()
	l, used := c.g.limits.Get(limits.CPU), uint64(u+s)/1e9
	switch {
	case used >= l.Max:
		c.g.Kill()
	case used >= l.Cur:
		c.g.Signal(KernelSignal(linux.SIGXCPU))
		c.g.limits.Advance(limits.CPU, l, used+1)
	}
}

// WatchCPULimit makes a changed RLIMIT_CPU count.
func (g *ThreadGroup) WatchCPULimit() {
	l := g.limits.Get(limits.CPU)
	g.itime.mu.Lock()
	x := g.itime.limit
	if x == nil {
		if l.Cur == limits.Infinity && l.Max == limits.Infinity {
			g.itime.mu.Unlock()
			return
		}
		x = &cpuTimer{g: g, listen: &cpuLimit{g}}
		g.itime.limit = x
	}
	g.itime.mu.Unlock()
	const never = limits.Infinity / 1e9
	first := min(l.Cur, l.Max)
	if first >= never/2 {
		x.arm(ktime.Setting{})
		return
	}
	x.arm(ktime.Setting{At: int64(max(first*1e9, 1)), Interval: 1e9})
}
