package kernel

import "garrison/sentry/linux"

// sysRestart is restart_syscall(2).
const sysRestart = 219

// Calls that the strict mode of seccomp(2) leaves.
const (
	sysRead      = 0
	sysWrite     = 1
	sysSigreturn = 15
	sysExit      = 60
)

// repeatCall makes the guest execute its system call instruction again.
func (t *Task) repeatCall() {
	t.regs.RAX = t.regs.OrigRAX
	t.regs.RIP -= 2 // the length of the instruction
}

// setCallNumber changes which call repeatCall repeats.
func (t *Task) setCallNumber(nr uint64) { t.regs.RAX = nr }

// failCall makes the present system call return e.
func (t *Task) failCall(e linux.Errno) { t.regs.RAX = -uint64(e) }

// notInCall marks the registers as those of no system call, so that nothing is
// restarted.
func (t *Task) notInCall() { t.regs.OrigRAX = ^uint64(0) }

// startFlags is RFLAGS at the start of a program: interrupts enabled.
const startFlags = 0x202

// userEnd is the end of the addresses that a guest may have (TASK_SIZE_MAX).
const userEnd = 1<<47 - 4096
