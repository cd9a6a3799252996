package kernel

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
)

// A CPUSet is a set of processors, bit n of word n/64 for processor n.
type CPUSet [16]uint64

// AllCPUs is the first n processors.
func AllCPUs(n int) (s CPUSet) {
	for i := range min(n, len(s)*64) {
		s[i/64] |= 1 << (i % 64)
	}
	return s
}

// Count is the number of processors in s.
func (s *CPUSet) Count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// and is the processors that are in both s and o.
func (s CPUSet) and(o CPUSet) CPUSet {
	for i := range s {
		s[i] &= o[i]
	}
	return s
}

// Meets reports whether any processor is in both s and o.
func (s *CPUSet) Meets(o *CPUSet) bool {
	both := s.and(*o)
	return both.Count() > 0
}

// Has reports whether processor n is in s.
func (s *CPUSet) Has(n int) bool { return n < len(s)*64 && s[n/64]>>(n%64)&1 != 0 }

// First is the lowest processor in s, 0 if there is none.
func (s *CPUSet) First() uint32 {
	for i, w := range s {
		if w != 0 {
			return uint32(i*64 + bits.TrailingZeros64(w))
		}
	}
	return 0
}

// schedParm is how a task asked to be scheduled. It is kept and told: the
// host's scheduler is not asked, which a guest can't tell from a busy machine.
type schedParm struct {
	policy      uint32
	priority    int32 // of SCHED_FIFO and SCHED_RR
	nice        int32
	resetOnFork bool
	runtime     uint64 // of SCHED_DEADLINE; of the fair policies, the slice asked for
	deadline    uint64
	period      uint64
	flags       uint64 // SCHED_FLAG_RECLAIM and SCHED_FLAG_DL_OVERRUN
	io          int32  // ioprio_set(2)
}

// Sched is a task's scheduling attributes, sched_setattr(2).
type Sched struct {
	Policy      uint32
	Priority    int32
	Nice        int32
	ResetOnFork bool

	Runtime, Deadline, Period uint64
	Flags                     uint64 // SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN
}

// Sched returns t's attributes. Any goroutine may ask.
func (t *Task) Sched() Sched {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.sched
	return Sched{p.policy, p.priority, p.nice, p.resetOnFork, p.runtime, p.deadline, p.period, p.flags}
}

// SetSched changes them. The caller has checked them. Any goroutine may call it.
func (t *Task) SetSched(s Sched) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sched = schedParm{s.Policy, s.Priority, s.Nice, s.ResetOnFork, s.Runtime, s.Deadline, s.Period, s.Flags, t.sched.io}
}

// inherit is what a new task starts with.
func (p schedParm) inherit() schedParm {
	if !p.resetOnFork {
		return p
	}
	p.resetOnFork = false
	if p.policy == linux.SCHED_FIFO || p.policy == linux.SCHED_RR || p.policy == linux.SCHED_DEADLINE {
		p.policy, p.priority, p.nice = linux.SCHED_NORMAL, 0, 0
		p.runtime, p.deadline, p.period, p.flags = 0, 0, 0, 0
	}
	p.nice = max(p.nice, 0)
	return p
}

// Affinity is the processors t may run on: those of sched_setaffinity(2) that its
// container may use. Any goroutine may ask.
func (t *Task) Affinity() CPUSet {
	t.mu.Lock()
	s := t.affinity
	t.mu.Unlock()
	if may := t.tg.container.cgroup.cpus.Load(); may != nil {
		if s = s.and(*may); s.Count() == 0 {
			return *may
		}
	}
	return s
}

// SetAffinity changes them. The caller has checked them.
func (t *Task) SetAffinity(s CPUSet) {
	t.mu.Lock()
	t.affinity = s
	t.mu.Unlock()
	t.attend(attnMove)
}

// Yield lets other tasks run, sched_yield(2). They are threads of the host's, so it
// is the host's scheduler that is asked: Go's would wake other threads to pass on
// this one's place among them, which costs four times as much.
func (t *Task) Yield() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// CPU is a processor that t may run on, as getcpu(2) tells it: what rseq(2) tells, too.
func (t *Task) CPU() uint32 {
	a := t.Affinity()
	if t.rseq.At != 0 && a.Has(int(t.cpu)) {
		return t.cpu
	}
	if cpu, ok := hostCPU(); ok && a.Has(int(cpu)) {
		return cpu
	}
	return a.First()
}

// IOPriority is what ioprio_set(2) set, 0 if nothing. Any goroutine may ask.
func (t *Task) IOPriority() int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sched.io
}

// SetIOPriority sets what IOPriority returns.
func (t *Task) SetIOPriority(p int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sched.io = p
}

// Reserved is how much of one processor's time, in 1/2^20, the tasks of SCHED_DEADLINE
// other than but were promised.
func (k *Kernel) Reserved(but *Task) (n uint64) {
	for _, g := range k.Groups(k.RootPIDNS()) {
		for _, t := range k.Tasks(g) {
			if s := t.Sched(); t != but && s.Policy == linux.SCHED_DEADLINE {
				n += s.Share()
			}
		}
	}
	return n
}

// Share is how much of a processor's time s, of SCHED_DEADLINE, is promised, in 1/2^20.
func (s *Sched) Share() uint64 {
	hi, lo := bits.Mul64(s.Runtime, 1<<20)
	q, _ := bits.Div64(hi, lo, s.Period)
	return q
}
