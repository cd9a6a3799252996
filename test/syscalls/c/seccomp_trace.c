// SECCOMP_RET_TRACE: a filter hands a call to the tracer, who lets it be made,
// makes it another, or puts a result in its place; filters judge what it has become.
// covers: seccomp ptrace
#include "ptrace.h"
#include "seccomp.h"

enum { DATA = 42 };

static int filtered(void) {
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || on(SYS_getppid, SECCOMP_RET_TRACE | DATA) != 0)
		return 90;
	if (on(SYS_getuid, SECCOMP_RET_ERRNO | EXDEV) != 0)
		return 91;
	raise(SIGUSR1);
	errno = 0;
	long r = syscall(SYS_getppid);
	if (r == getpid())
		return 1;
	if (r == 77)
		return 2;
	if (r == -1)
		return errno;
	return r == getppid() ? 3 : 92;
}

static long orig(pid_t pid, long nr) { return PT(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), nr); }

// traces lets the tracee go on with its getppid as call nr, with result rax if
// that is -1, and is how it ended.
static int traces(unsigned long options, long nr, long rax) {
	pid_t pid = traced(filtered);
	int st;
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, options) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGUSR1));
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	for (int n = 0; options; n++) {
		CHECK(waitpid(pid, &st, 0) == pid);
		if (WIFEXITED(st))
			return n > 0 ? WEXITSTATUS(st) : 99;
		CHECK(st == ((SIGTRAP | PTRACE_EVENT_SECCOMP << 8) << 8 | 0x7f));
		unsigned long data = 0;
		CHECK(PT(PTRACE_GETEVENTMSG, pid, 0, &data) == 0 && data == DATA);
		long was;
		CHECK(PT(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.orig_rax), &was) == 0 && was == SYS_getppid);
		if (n == 0 && nr != SYS_getppid) {
			CHECK(orig(pid, nr) == 0);
			if (nr == -1)
				CHECK(PT(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), rax) == 0);
		}
		CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st));
	return WEXITSTATUS(st);
}

int main(void) {
	CHECK(traces(PTRACE_O_TRACESECCOMP, SYS_getppid, 0) == 3); // as it was
	CHECK(traces(PTRACE_O_TRACESECCOMP, SYS_getpid, 0) == 1);  // another
	CHECK(traces(PTRACE_O_TRACESECCOMP, -1, 77) == 2);         // none
	CHECK(traces(PTRACE_O_TRACESECCOMP, SYS_getuid, 0) == EXDEV); // one that the filters refuse
	CHECK(traces(0, SYS_getppid, 0) == ENOSYS);                // a tracer that has not asked
	return 0;
}
