// ptrace(2): who may trace whom, memory, registers, signals, system calls.
// covers: ptrace wait4 waitid kill
#include "ptrace.h"
#include <sys/mman.h>

static volatile long word = 0x1122334455667788;
static volatile int got;
static void handler(int s) { got = s; }

static int exits(void) { return 7; }

static void errors(void) {
	FAILS(PT(PTRACE_CONT, getpid(), 0, 0), ESRCH);
	FAILS(PT(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	FAILS(PT(PTRACE_ATTACH, 0x7ffffff, 0, 0), ESRCH);
	FAILS(PT(PTRACE_ATTACH, 0, 0, 0), ESRCH);
	FAILS(PT(PTRACE_ATTACH, -1, 0, 0), ESRCH);
	pid_t pid = fork();
	if (pid == 0) for (;;) pause();
	FAILS(PT(PTRACE_SEIZE, pid, 1, 0), EIO);
	FAILS(PT(PTRACE_SEIZE, pid, 0, 1 << 15), EIO);
	FAILS(PT(PTRACE_KILL, pid, 0, 0), ESRCH);
	FAILS(PT(PTRACE_INTERRUPT, pid, 0, 0), ESRCH);
	CHECK(PT(PTRACE_ATTACH, pid, 0, 0) == 0);
	FAILS(PT(PTRACE_ATTACH, pid, 0, 0), EPERM);
	FAILS(PT(PTRACE_SEIZE, pid, 0, 0), EPERM);
	CHECK(stopped(pid, SIGSTOP));
	FAILS(PT(PTRACE_INTERRUPT, pid, 0, 0), EIO);
	FAILS(PT(PTRACE_LISTEN, pid, 0, 0), EIO);
	FAILS(PT(PTRACE_CONT, pid, 0, 65), EIO);
	FAILS(PT(PTRACE_DETACH, pid, 0, 65), EIO);
	FAILS(PT(PTRACE_SETOPTIONS, pid, 0, 1 << 15), EINVAL);
	FAILS(PT(12345, pid, 0, 0), EIO);
	long v;
	FAILS(PT(PTRACE_PEEKDATA, pid, 8, &v), EIO);
	FAILS(PT(PTRACE_POKEDATA, pid, 8, 1), EIO);
	FAILS(PT(PTRACE_PEEKDATA, pid, &word, 8), EFAULT);
	FAILS(PT(PTRACE_GETREGS, pid, 0, 8), EFAULT);
	FAILS(PT(PTRACE_SETREGS, pid, 0, 8), EFAULT);
	FAILS(PT(PTRACE_PEEKUSER, pid, 4, &v), EIO);
	FAILS(PT(PTRACE_PEEKUSER, pid, sizeof(struct user) + 64, &v), EIO);
	FAILS(PT(PTRACE_POKEUSER, pid, offsetof(struct user, u_tsize), 0), EIO);
	// A stopped tracee is still its tracer's alone.
	CHECK(status_has(pid, "State:\tt (tracing stop)"));
	char line[32];
	snprintf(line, sizeof line, "TracerPid:\t%d\n", getpid());
	CHECK(status_has(pid, line));
	CHECK(PT(PTRACE_DETACH, pid, 0, 0) == 0);
	CHECK(status_has(pid, "TracerPid:\t0\n"));
	FAILS(PT(PTRACE_DETACH, pid, 0, 0), ESRCH);
	finish(pid);
}

static void memory(void) {
	pid_t pid = traced(exits);
	long v = 0;
	CHECK(PT(PTRACE_PEEKDATA, pid, &word, &v) == 0 && v == word);
	CHECK(PT(PTRACE_POKEDATA, pid, &word, 5) == 0);
	CHECK(PT(PTRACE_PEEKTEXT, pid, &word, &v) == 0 && v == 5 && word != 5);
	// Text is not writable, and is changed for the tracee alone.
	long text = *(long *)(void *)exits;
	CHECK(PT(PTRACE_POKETEXT, pid, exits, 0xcc) == 0);
	CHECK(PT(PTRACE_PEEKTEXT, pid, exits, &v) == 0 && v == 0xcc && *(long *)(void *)exits == text);
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/mem", pid);
	FILE *f = fopen(name, "r+");
	CHECK(f && fseek(f, (long)exits, SEEK_SET) == 0 && fwrite(&text, 8, 1, f) == 1 && fclose(f) == 0);
	CHECK(PT(PTRACE_PEEKTEXT, pid, exits, &v) == 0 && v == text);
	struct iovec l = {&v, 8}, r = {(void *)&word, 8};
	CHECK(process_vm_readv(pid, &l, 1, &r, 1, 0) == 8 && v == 5);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 7 << 8));
}

static void registers(void) {
	pid_t pid = traced(exits);
	struct user_regs_struct r, q;
	CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0);
	CHECK(r.cs == 0x33 && r.ss == 0x2b && r.rsp != 0 && r.rip != 0);
	long v;
	CHECK(PT(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rsp), &v) == 0 && (unsigned long)v == r.rsp);
	CHECK(PT(PTRACE_POKEUSER, pid, offsetof(struct user, regs.r15), 0x1234) == 0);
	struct iovec io = {&q, sizeof q};
	CHECK(PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) == 0 && io.iov_len == sizeof q && q.r15 == 0x1234);
	q.r15 = r.r15;
	CHECK(PT(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) == 0);
	CHECK(PT(PTRACE_GETREGS, pid, 0, &q) == 0 && memcmp(&r, &q, sizeof r) == 0);
	io.iov_len = 8; // the first alone
	CHECK(PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) == 0 && io.iov_len == 8);
	io.iov_len = 7;
	FAILS(PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io), EINVAL);
	FAILS(PT(PTRACE_GETREGSET, pid, 0x7777, &io), EINVAL);
	FAILS(PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, 8), EFAULT);
	FAILS(PT(PTRACE_POKEUSER, pid, offsetof(struct user, regs.cs), 0), EIO);
	FAILS(PT(PTRACE_POKEUSER, pid, offsetof(struct user, regs.fs_base), 1UL << 47), EIO);

	struct user_fpregs_struct f;
	CHECK(PT(PTRACE_GETFPREGS, pid, 0, &f) == 0 && (f.mxcsr & 0xffc0) == 0x1f80);
	f.xmm_space[0] = 0xabcdef;
	CHECK(PT(PTRACE_SETFPREGS, pid, 0, &f) == 0);
	memset(&f, 0, sizeof f);
	struct iovec fio = {&f, sizeof f};
	CHECK(PT(PTRACE_GETREGSET, pid, NT_PRFPREG, &fio) == 0 && fio.iov_len == 512 && f.xmm_space[0] == 0xabcdef);
	f.mxcsr = ~0u;
	FAILS(PT(PTRACE_SETFPREGS, pid, 0, &f), EINVAL);
	static char x[65536];
	struct iovec xio = {x, sizeof x};
	CHECK(PT(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &xio) == 0);
	if (xio.iov_len > 512) {
		CHECK(*(int *)(x + 160) == 0xabcdef && (*(long *)(x + 464) & 3) == 3);
		*(int *)(x + 164) = 0x77;
		CHECK(PT(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &xio) == 0);
		CHECK(PT(PTRACE_GETFPREGS, pid, 0, &f) == 0 && f.xmm_space[1] == 0x77);
		memset(x + 520, 1, 8);
		FAILS(PT(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &xio), EINVAL);
	}
	// Debug registers that watch for nothing.
	CHECK(PT(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg[7]), &v) == 0 && v == 0);
	CHECK(PT(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 0) == 0);
	CHECK(PT(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[6]), 0) == 0);
	FAILS(PT(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[4]), 1), EIO);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 7 << 8));
}

static int signals_child(void) {
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR1);
	int first = got;
	got = 0;
	raise(SIGUSR1);
	int second = got;
	raise(SIGUSR2); // ignored, and told all the same
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, 0);
	raise(SIGUSR1);
	raise(SIGCHLD);
	return first == SIGUSR1 && second == 0 ? 3 : 1;
}

static void signals(void) {
	pid_t pid = traced(signals_child);
	siginfo_t si;
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGUSR1));
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_signo == SIGUSR1 && si.si_code == SI_TKILL && si.si_pid == pid);
	CHECK(PT(PTRACE_CONT, pid, 0, SIGUSR1) == 0); // delivered
	CHECK(stopped(pid, SIGUSR1));
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0); // thrown away
	CHECK(stopped(pid, SIGUSR2));
	si.si_value.sival_int = 5;
	CHECK(PT(PTRACE_SETSIGINFO, pid, 0, &si) == 0);
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_value.sival_int == 5);
	CHECK(PT(PTRACE_CONT, pid, 0, SIGUSR2) == 0);
	CHECK(stopped(pid, SIGCHLD));
	unsigned long set;
	FAILS(PT(PTRACE_GETSIGMASK, pid, 4, &set), EINVAL);
	CHECK(PT(PTRACE_GETSIGMASK, pid, 8, &set) == 0 && set == 1UL << (SIGUSR1 - 1));
	struct __ptrace_peeksiginfo_args a = {0, 0, 4};
	siginfo_t many[4];
	CHECK(PT(PTRACE_PEEKSIGINFO, pid, &a, many) == 1 && many[0].si_signo == SIGUSR1);
	a.flags = 1;
	CHECK(PT(PTRACE_PEEKSIGINFO, pid, &a, many) == 0);
	a.flags = 2;
	FAILS(PT(PTRACE_PEEKSIGINFO, pid, &a, many), EINVAL);
	set = 1UL << (SIGUSR2 - 1) | 1UL << (SIGKILL - 1);
	CHECK(PT(PTRACE_SETSIGMASK, pid, 8, &set) == 0);
	CHECK(PT(PTRACE_GETSIGMASK, pid, 8, &set) == 0 && set == 1UL << (SIGUSR2 - 1));
	CHECK(PT(PTRACE_CONT, pid, 0, SIGCHLD) == 0);
	CHECK(stopped(pid, SIGUSR1)); // it is not blocked any more
	CHECK(PT(PTRACE_CONT, pid, 0, SIGTERM) == 0); // another signal instead
	CHECK(ended(pid, SIGTERM));
}

static int calls_child(void) {
	syscall(SYS_getppid);
	long r = syscall(SYS_getppid); // which the tracer makes getpid
	if (r != getpid()) return 1;
	if (syscall(SYS_getppid) != 42) return 2; // not made at all
	errno = 0;
	if (syscall(SYS_getppid) != -1 || errno != EXDEV) return 3; // another result
	return 0;
}

static void call(pid_t pid, struct user_regs_struct *r) {
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP | 0x80));
	CHECK(PT(PTRACE_GETREGS, pid, 0, r) == 0);
}

struct call_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct { uint64_t nr, args[6]; } entry;
		struct { int64_t rval; uint8_t is_error; } exit;
	} u;
};

static void calls(void) {
	struct user_regs_struct r;
	pid_t pid = traced(calls_child);
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	struct call_info ci;
	memset(&ci, 0, sizeof ci);
	CHECK(PT(PTRACE_GET_SYSCALL_INFO, pid, sizeof ci, &ci) == 24 && ci.op == 0 && ci.arch == 0xc000003e);
	for (;;) {
		call(pid, &r);
		if (r.orig_rax == SYS_getppid) break;
	}
	CHECK((long)r.rax == -ENOSYS);
	CHECK(PT(PTRACE_GET_SYSCALL_INFO, pid, sizeof ci, &ci) == 80 && ci.op == 1);
	CHECK(ci.u.entry.nr == SYS_getppid && ci.ip == r.rip && ci.sp == r.rsp);
	siginfo_t si;
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_signo == SIGTRAP && si.si_code == (SIGTRAP | 0x80));
	long msg;
	CHECK(PT(PTRACE_GETEVENTMSG, pid, 0, &msg) == 0 && msg == 1);
	call(pid, &r);
	CHECK(r.orig_rax == SYS_getppid && (int)r.rax == getpid());
	CHECK(PT(PTRACE_GET_SYSCALL_INFO, pid, sizeof ci, &ci) == 33 && ci.op == 2);
	CHECK(ci.u.exit.rval == getpid() && ci.u.exit.is_error == 0);
	CHECK(PT(PTRACE_GETEVENTMSG, pid, 0, &msg) == 0 && msg == 2);
	call(pid, &r);
	CHECK(r.orig_rax == SYS_getppid);
	r.orig_rax = SYS_getpid;
	CHECK(PT(PTRACE_SETREGS, pid, 0, &r) == 0);
	call(pid, &r);
	CHECK((int)r.rax == pid);
	for (;;) {
		call(pid, &r);
		if (r.orig_rax == SYS_getppid) break;
		call(pid, &r);
	}
	r.orig_rax = -1;
	r.rax = 42;
	CHECK(PT(PTRACE_SETREGS, pid, 0, &r) == 0);
	call(pid, &r);
	CHECK(r.rax == 42);
	call(pid, &r);
	call(pid, &r);
	r.rax = -EXDEV;
	CHECK(PT(PTRACE_SETREGS, pid, 0, &r) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 0));
}

static int emu_child(void) { return syscall(SYS_getppid) == 1234 ? 4 : 1; }

static void emulation(void) {
	struct user_regs_struct r;
	pid_t pid = traced(emu_child);
	do {
		CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
		CHECK(stopped(pid, SIGTRAP));
		CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0);
	} while (r.orig_rax != SYS_getppid);
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	CHECK(PT(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), 1234) == 0);
	CHECK(PT(PTRACE_SYSEMU, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0);
	CHECK(r.orig_rax == SYS_exit_group && r.rdi == 4);
	// It is not made: glibc tries exit next.
	CHECK(PT(PTRACE_SYSEMU, pid, 0, 0) == 0);
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && WIFSTOPPED(st));
	finish(pid);
}

static int loops(void) {
	__asm__ volatile("nop\n nop\n nop\n int3\n nop\n");
	return 6;
}

static void stepping(void) {
	struct user_regs_struct r;
	siginfo_t si;
	pid_t pid = traced(loops);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP)); // int3
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == SI_KERNEL);
	CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0);
	long v;
	CHECK(PT(PTRACE_PEEKTEXT, pid, r.rip - 1, &v) == 0 && (v & 0xffff) == 0x90cc);
	CHECK(PT(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	unsigned long before = r.rip;
	CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0 && r.rip == before + 1 && !(r.eflags & 0x100));
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == TRAP_TRACE && (unsigned long)si.si_addr == r.rip);
	// Back over the nops, and over a breakpoint.
	r.rip = before - 3;
	CHECK(PT(PTRACE_SETREGS, pid, 0, &r) == 0);
	long was;
	CHECK(PT(PTRACE_PEEKTEXT, pid, r.rip, &was) == 0);
	CHECK(PT(PTRACE_POKETEXT, pid, r.rip, (was & ~0xffL) | 0xcc) == 0);
	CHECK(PT(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	CHECK(PT(PTRACE_POKETEXT, pid, r.rip, was) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	// A step into a handler stops at its first instruction.
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 6 << 8));
}

static int steps_child(void) {
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	return got == SIGUSR1 ? 8 : 1;
}

// Steps over a system call, into a handler and out of it.
static void steps(void) {
	struct user_regs_struct r;
	pid_t pid = traced(steps_child);
	int st, calls = 0, n = 0;
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGUSR1));
	CHECK(PT(PTRACE_SINGLESTEP, pid, 0, SIGUSR1) == 0);
	CHECK(stopped(pid, SIGTRAP));
	CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0 && r.rip == (unsigned long)handler);
	siginfo_t si;
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == SIGTRAP);
	for (;;) {
		long code = 0;
		CHECK(PT(PTRACE_PEEKTEXT, pid, r.rip, &code) == 0);
		int call = (code & 0xffff) == 0x050f;
		unsigned long at = r.rip, nr = r.rax;
		CHECK(PT(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &st, 0) == pid);
		if (WIFEXITED(st)) break;
		CHECK(st == (SIGTRAP << 8 | 0x7f));
		CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0);
		if (call && nr != SYS_rt_sigreturn) CHECK(r.rip == at + 2);
		calls += call;
		CHECK(++n < 100000);
	}
	CHECK(WEXITSTATUS(st) == 8 && calls >= 1);
}

static volatile long watched;
__attribute__((noinline)) static void marked(void) { __asm__ volatile("nop"); }

static int writes(void) {
	for (int i = 0; i < 10; i++) *(volatile long *)&word = i;
	watched = 77;
	marked();
	return watched == 77 ? 5 : 1;
}

static int debug_set(pid_t pid, int i, unsigned long v) {
	return PT(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + 8 * i, v);
}

static void debug_registers(void) {
	struct user_regs_struct r;
	siginfo_t si;
	long v;
	int st;
	pid_t pid = traced(writes);
	FAILS(debug_set(pid, 0, 1UL << 60), EINVAL);
	CHECK(debug_set(pid, 0, (unsigned long)&watched) == 0);
	CHECK(debug_set(pid, 1, (unsigned long)marked) == 0);
	FAILS(debug_set(pid, 7, 2 << 16 | 1), EINVAL); // input and output
	// A write of 8 bytes at the first, execution at the second.
	CHECK(debug_set(pid, 7, 1 | 9 << 16 | 4) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(waitpid(pid, &st, 0) == pid);
	if (st == 5 << 8) { // as in virtual machines that have none
		puts("absent debug registers");
		return;
	}
	CHECK(st == (SIGTRAP << 8 | 0x7f));
	CHECK(PT(PTRACE_PEEKDATA, pid, &watched, &v) == 0 && v == 77);
	CHECK(PT(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg) + 48, &v) == 0 && (v & 0xf) == 1);
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == TRAP_HWBKPT);
	CHECK(debug_set(pid, 6, 0) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	CHECK(PT(PTRACE_GETREGS, pid, 0, &r) == 0 && r.rip == (unsigned long)marked);
	CHECK(PT(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg) + 48, &v) == 0 && (v & 0xf) == 2);
	CHECK(debug_set(pid, 7, 0) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 5 << 8));
}

int main(void) {
	alarm(50);
	CASE(errors());
	CASE(memory());
	CASE(registers());
	CASE(signals());
	CASE(calls());
	CASE(emulation());
	CASE(stepping());
	CASE(steps());
	CASE(debug_registers());
	return 0;
}
