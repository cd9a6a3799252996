package kernel

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// An RseqArea is what a thread has registered by rseq(2).
type RseqArea struct {
	At   arch.Addr // 0: nothing
	Size uint32
	Sig  uint32 // what stands before the address that a section is left by
}

// Offsets in struct rseq: of CS, which only what is about processors stands before, and
// of Node, which only such stands behind.
const (
	rseqSection = 8
	rseqNode    = 20
)

// taskRseq is a task's restartable sequences. The host's are of no use for them: it
// would move a stub's thread out of the stub's own text, wherever the guest's area
// says. So a section is not begun anew when the host gives the processor to another
// thread, unseen; instead the guest is shown processors that no other thread
// of the address space gets meanwhile, see cpus.
type taskRseq struct {
	rseq    RseqArea
	cpu     uint32 // what the area says
	mmCPUs  *cpus  // the address space's; nil if no other task has ever been in it
	cpus    *cpus  // where t must have one while it is in the guest; nil if it need not
	evicted bool   // what it has there is not to be its own any more
}

// Rseq is t's registration.
func (t *Task) Rseq() RseqArea { return t.rseq }

// RegisterRseq registers a, of a size and an alignment that areas may have, for t that
// has none: EFAULT. What it says of a section is nobody's: that is cleared.
func (t *Task) RegisterRseq(a RseqArea) error {
	if a.At >= userEnd || uint64(a.Size) > uint64(userEnd-a.At) {
		return linux.EFAULT
	}
	section := usermem.Ptr[uint64](a.At + rseqSection)
	was, err := section.Load(t)
	if err == nil && was != 0 {
		err = section.Store(t, new(uint64))
	}
	if err != nil {
		return err
	}
	t.rseq, t.cpus = a, t.mmCPUs
	t.moveCPU()
	return nil
}

// UnregisterRseq undoes it: EFAULT if the area can't be written.
func (t *Task) UnregisterRseq() error {
	if err := t.storeCPU(&linux.Rseq{CPU: linux.RseqUninitialized}); err != nil {
		return err
	}
	t.forgetRseq()
	return nil
}

func (t *Task) forgetRseq() { t.rseq, t.cpus, t.evicted = RseqArea{}, nil, false }

// moveCPU sees to it that t's area names a processor that t may run on, and that its
// section, if it is in one, is begun anew.
func (t *Task) moveCPU() {
	switch {
	case t.rseq.At == 0:
	case t.cpus != nil:
		t.evicted = true // see takeCPU
	default:
		t.cpu = t.CPU()
		t.preempted()
	}
}

// preempted does what Linux does when a registered thread is to run that has not for
// some time: SIGSEGV if that can't be done.
func (t *Task) preempted() {
	err := t.restartSection()
	if err == nil {
		err = t.storeCPU(&linux.Rseq{CPUStart: t.cpu, CPU: t.cpu, MMCID: t.cpu})
	}
	if err != nil {
		t.ForceSignal(KernelSignal(linux.SIGSEGV))
	}
}

// storeCPU stores what of r is about processors. The rest is the guest's.
func (t *Task) storeCPU(r *linux.Rseq) error {
	b := usermem.AsBytes(r)
	if _, err := t.CopyOut(t.rseq.At, b[:rseqSection]); err != nil {
		return err
	}
	_, err := t.CopyOut(t.rseq.At+rseqNode, b[rseqNode:linux.RseqFeatureSize])
	return err
}

// restartSection makes t, if it is in a section, go on where that is to be begun
// anew. Otherwise it clears what is left of one. EINVAL for one that makes no sense.
func (t *Task) restartSection() error {
	section := usermem.Ptr[uint64](t.rseq.At + rseqSection)
	at, err := section.Load(t)
	if err != nil || at == 0 {
		return err
	}
	if at >= userEnd {
		return linux.EINVAL
	}
	cs, err := usermem.Ptr[linux.RseqCS](at).Load(t)
	if err != nil {
		return err
	}
	end := cs.Start + cs.PostCommit
	if cs.Version != 0 || cs.Start >= userEnd || end >= userEnd || end < cs.Start ||
		cs.Abort >= userEnd || cs.Abort-cs.Start < cs.PostCommit {
		return linux.EINVAL
	}
	sig, err := usermem.Ptr[uint32](cs.Abort - 4).Load(t)
	if err != nil {
		return err
	}
	if sig != t.rseq.Sig {
		return linux.EINVAL
	}
	if err := section.Store(t, new(uint64)); err != nil {
		return err
	}
	if t.regs.RIP-cs.Start < cs.PostCommit {
		t.regs.RIP = cs.Abort
	}
	return nil
}

// signalInSection restarts t's section, as the signal s is about to be handled. A
// handler of SIGSEGV may be told of a section that makes no sense by that signal itself.
func (t *Task) signalInSection(s linux.Signal) {
	if t.rseq.At == 0 {
		return
	}
	if err := t.restartSection(); err != nil && s != linux.SIGSEGV {
		t.ForceSignal(KernelSignal(linux.SIGSEGV))
	}
}

// inheritRseq gives n, which t makes, what a child has of t's: all in a copy of the
// address space, where it is alone; nothing in the same.
func (t *Task) inheritRseq(n *Task, shared bool) {
	if !shared {
		n.rseq, n.cpu = t.rseq, t.cpu
		return
	}
	if t.mmCPUs == nil {
		t.mmCPUs = newCPUs(t.k.CPUs())
		if t.rseq.At != 0 {
			t.cpus = t.mmCPUs
			t.cpus.of[t.cpu].last.Store(t)
		}
	}
	n.mmCPUs = t.mmCPUs
}
