package kernel

import (
	"garrison/sentry/linux"
	"garrison/sentry/seccomp"
)

// judge lets t's filters decide on the system call that the guest is making, and
// reports whether it is to be carried out. If not, the registers are those after
// the call, or t is to end, or a signal is on its way.
func (t *Task) judge(f *filters) bool {
	if f == strict {
		nr, _ := t.regs.Syscall()
		switch nr {
		case sysRead, sysWrite, sysExit, sysSigreturn:
			return true
		}
		t.logVerdict(linux.SIGKILL, nr, linux.SECCOMP_RET_KILL_THREAD)
		t.endThread(linux.SignalStatus(linux.SIGKILL, false))
		return false
	}
	return t.filter(f, false)
}

// filter is judge by filters. seen says that a tracer has had its say on the call.
func (t *Task) filter(f *filters, seen bool) bool {
	nr, args := t.regs.Syscall()
	if f.Allows(nr) {
		return true
	}
	from := t.callSite()
	d := seccomp.NewData(nr, linux.AUDIT_ARCH_X86_64, from, &args)
	verdict, by := f.Run(&d)
	said := f
	for said.Filter != by && by != nil {
		said = said.below
	}
	if verdict&linux.SECCOMP_RET_ACTION_FULL == linux.SECCOMP_RET_TRACE {
		return seen || t.traceSeccomp(uint16(verdict)) && t.filter(f, true)
	}
	return t.execute(verdict, said, linux.SeccompData{
		Nr: int32(nr), Arch: linux.AUDIT_ARCH_X86_64, InstructionPointer: from, Args: args,
	})
}

// execute does what f's verdict says on the call c, and reports whether the call is
// to be carried out.
func (t *Task) execute(verdict uint32, f *filters, c linux.SeccompData) bool {
	data := verdict & linux.SECCOMP_RET_DATA
	act := verdict & linux.SECCOMP_RET_ACTION_FULL
	if f.log && act != linux.SECCOMP_RET_ALLOW {
		t.logVerdict(0, uint32(c.Nr), act)
	}
	switch act {
	case linux.SECCOMP_RET_ALLOW:
		return true
	case linux.SECCOMP_RET_LOG:
		if !f.log {
			t.logVerdict(0, uint32(c.Nr), act)
		}
		return true
	case linux.SECCOMP_RET_ERRNO:
		t.failCall(linux.Errno(min(data, maxErrno)))
	case linux.SECCOMP_RET_TRAP:
		t.regs.RAX = t.regs.OrigRAX // a handler sees the registers as they were
		t.ForceSignal(sigsys(&c, data))
	case linux.SECCOMP_RET_USER_NOTIF:
		return t.askListener(f, &c)
	default:
		t.killBySeccomp(act, sigsys(&c, data))
	}
	return false
}

// traceSeccomp lets t's tracer see the call, with data as the event's message. It
// reports whether the call is to be carried out, as the tracer left it: filters
// judge it anew. Without a tracer that has asked for the event it fails.
func (t *Task) traceSeccomp(data uint16) bool {
	if !t.SeccompEvent(data) {
		t.failCall(linux.ENOSYS)
		return false
	}
	nr, _ := t.regs.Syscall()
	return int32(nr) >= 0 && !t.Killed()
}

// killBySeccomp ends the thread if act says so and it is not the last one, else
// the process, as SIGSYS does which nothing catches.
func (t *Task) killBySeccomp(act uint32, info *linux.SigInfo) {
	t.logVerdict(linux.SIGSYS, info.Fields[2], act)
	t.regs.RAX = t.regs.OrigRAX
	g := t.tg
	g.sig.mu.Lock()
	if act == linux.SECCOMP_RET_KILL_THREAD && len(g.sig.tasks) > 1 {
		g.sig.mu.Unlock()
		t.endThread(linux.SignalStatus(linux.SIGSYS, false))
		return
	}
	g.sig.mu.Unlock()
	t.dieOf(info)
}

// traceJudged shows the tracer a call that was not carried out.
func (t *Task) traceJudged() {
	nr, args := t.regs.Syscall()
	if k := t.k; k.tracer != nil && nr < uint32(len(k.table)) && k.table[nr].Trace != nil {
		k.tracer.Enter(t, &k.table[nr], &args)
		var err error
		if ret := int64(t.regs.RAX); t.restart != 0 {
			err = t.restart
		} else if ret < 0 && ret >= -maxErrno {
			err = linux.Errno(-ret)
		}
		if !t.Killed() {
			k.tracer.Exit(t, &k.table[nr], &args, t.regs.RAX, err)
		}
	}
}

// sigsys is the signal of a filter's verdict on the call c.
func sigsys(c *linux.SeccompData, data uint32) *linux.SigInfo {
	info := &linux.SigInfo{Signo: int32(linux.SIGSYS), Errno: int32(data), Code: linux.SYS_SECCOMP}
	info.SetSyscall(c.InstructionPointer, c.Nr, c.Arch)
	return info
}

// seccompLines is how many verdicts a sandbox's debug log tells of: whoever has
// filters makes as many as it likes.
const seccompLines = 1000

// logVerdict notes what Linux gives its audit system.
func (t *Task) logVerdict(s linux.Signal, nr, act uint32) {
	if t.k.verdicts.Add(1) <= seccompLines {
		t.k.logf("task %d (%s): seccomp: call %d at %#x, action %#x, signal %d", t.pid.numbers[0], t.Name(), int32(nr), t.regs.RIP, act, s)
	}
}
