// prctl(2): choices that are kept, inherited, and asked back; what is refused.
// covers: prctl mmap mprotect wait4
#include "check.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#define P(...) prctl(__VA_ARGS__)
enum { SET_IO_FLUSHER = 57, GET_IO_FLUSHER = 58, SET_MDWE = 65, GET_MDWE = 66, SET_MERGE = 67, GET_MERGE = 68 };

static void child(void (*f)(void)) {
	int st;
	pid_t p = fork();
	if (p == 0) f(), _exit(0);
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

static void inherits(void) {
	CHECK(P(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
	CHECK(P(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	CHECK(P(PR_GET_TIMERSLACK) == 12345);
}

static void denies(void) {
	void *x = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(P(GET_MDWE, 0, 0, 0, 0) == 0);
	FAILS(P(SET_MDWE, 2, 0, 0, 0), EINVAL); // not to inherit what is not set
	FAILS(P(SET_MDWE, 4, 0, 0, 0), EINVAL);
	FAILS(P(SET_MDWE, 1, 1, 0, 0), EINVAL);
	FAILS(P(GET_MDWE, 1, 0, 0, 0), EINVAL);
	CHECK(P(SET_MDWE, 1, 0, 0, 0) == 0 && P(GET_MDWE, 0, 0, 0, 0) == 1);
	CHECK(P(SET_MDWE, 1, 0, 0, 0) == 0);
	FAILS(P(SET_MDWE, 0, 0, 0, 0), EPERM);
	FAILS(P(SET_MDWE, 3, 0, 0, 0), EPERM);
	FAILS(mmap(0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EACCES);
	void *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	FAILS(mprotect(m, 4096, PROT_READ | PROT_EXEC), EACCES);
	FAILS(mprotect(m, 4096, PROT_EXEC), EACCES);
	CHECK(mprotect(m, 4096, PROT_READ) == 0);
	FAILS(mprotect(x, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
	CHECK(mprotect(x, 4096, PROT_EXEC) == 0 && mprotect(x, 4096, PROT_READ) == 0);
	FAILS(mprotect(x, 4096, PROT_READ | PROT_EXEC), EACCES);
	int st;
	pid_t p = fork();
	if (p == 0) {
		if (P(GET_MDWE, 0, 0, 0, 0) != 1) _exit(1);
		execl("/proc/self/exe", "prctl", "mdwe", (char *)0);
		_exit(2);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

static void deniesAlone(void) {
	CHECK(P(SET_MDWE, 3, 0, 0, 0) == 0 && P(GET_MDWE, 0, 0, 0, 0) == 3);
	int st;
	pid_t p = fork();
	if (p == 0) _exit(P(GET_MDWE, 0, 0, 0, 0));
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

static void merges(void) {
	FAILS(P(SET_MERGE, 1, 1, 0, 0), EINVAL);
	FAILS(P(GET_MERGE, 1, 0, 0, 0), EINVAL);
	if (P(SET_MERGE, 1, 0, 0, 0) == 0) { // else a Linux without CONFIG_KSM
		CHECK(P(GET_MERGE, 0, 0, 0, 0) == 1);
		CHECK(P(SET_MERGE, 0, 0, 0, 0) == 0 && P(GET_MERGE, 0, 0, 0, 0) == 0);
	}
}

// resumed is a tracee that stops, goes on by SIGCONT, and tells its tracer so.
static void resumed(void) {
	int st, seen = 0;
	siginfo_t si;
	pid_t p = fork();
	if (p == 0) for (;;) pause();
	CHECK(ptrace(PTRACE_SEIZE, p, 0, 0) == 0);
	CHECK(kill(p, SIGSTOP) == 0);
	CHECK(waitpid(p, &st, 0) == p && st >> 8 == SIGSTOP);
	CHECK(ptrace(PTRACE_CONT, p, 0, SIGSTOP) == 0);
	CHECK(waitpid(p, &st, 0) == p && st >> 8 == (SIGSTOP | PTRACE_EVENT_STOP << 8));
	CHECK(ptrace(PTRACE_LISTEN, p, 0, 0) == 0);
	CHECK(kill(p, SIGCONT) == 0);
	while (!seen) {
		CHECK(waitpid(p, &st, WCONTINUED) == p);
		if (WIFCONTINUED(st))
			seen = 1;
		else
			CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
	}
	memset(&si, 0, sizeof si);
	CHECK(waitid(P_PID, p, &si, WCONTINUED | WNOHANG) == 0 && (si.si_pid == 0 || si.si_code != CLD_CONTINUED));
	kill(p, SIGKILL);
	while (waitpid(p, &st, 0) == p && !WIFSIGNALED(st)) {}
	CHECK(WTERMSIG(st) == SIGKILL);
}

int main(int argc, char **argv) {
	if (argc > 1) // after execve
		_exit(P(GET_MDWE, 0, 0, 0, 0) != 1);
	FAILS(P(PR_MCE_KILL, 1, 3, 0, 0), EINVAL);
	CHECK(P(PR_MCE_KILL, 0, 0, 0, 0) == 0); // Linux may have set something all the same
	FAILS(P(PR_MCE_KILL, 2, 0, 0, 0), EINVAL);
	FAILS(P(PR_MCE_KILL, 0, 1, 0, 0), EINVAL);
	FAILS(P(PR_MCE_KILL, 1, 1, 1, 0), EINVAL);
	FAILS(P(PR_MCE_KILL_GET, 1, 0, 0, 0), EINVAL);
	CHECK(P(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
	CHECK(P(PR_MCE_KILL, 1, PR_MCE_KILL_LATE, 0, 0) == 0 && P(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE);
	CHECK(P(PR_MCE_KILL, 1, PR_MCE_KILL_DEFAULT, 0, 0) == 0 && P(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
	CHECK(P(PR_MCE_KILL, 1, PR_MCE_KILL_EARLY, 0, 0) == 0);
	CHECK(P(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 && P(PR_SET_TIMERSLACK, 12345) == 0);
	inherits();
	child(inherits);
	CHECK(P(PR_MCE_KILL, 0, 0, 0, 0) == 0 && P(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);

	// Not without CAP_SYS_RESOURCE, and that comes first.
	FAILS(P(SET_IO_FLUSHER, 1, 0, 0, 0), EPERM);
	FAILS(P(SET_IO_FLUSHER, 7, 7, 0, 0), EPERM);
	FAILS(P(GET_IO_FLUSHER, 0, 0, 0, 0), EPERM);

	// What a processor has to do with it is the machine's; what is no such kind is not.
	FAILS(P(PR_GET_SPECULATION_CTRL, 0, 1, 0, 0), EINVAL);
	FAILS(P(PR_GET_SPECULATION_CTRL, 99, 0, 0, 0), ENODEV);
	FAILS(P(PR_SET_SPECULATION_CTRL, 99, PR_SPEC_ENABLE, 0, 0), ENODEV);
	FAILS(P(PR_SET_SPECULATION_CTRL, 0, PR_SPEC_ENABLE, 1, 0), EINVAL);
	CHECK(P(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0) >= 0);
	CHECK(P(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0) >= 0);

	FAILS(P(PR_SET_FPEMU, 0, 0, 0, 0), EINVAL);
	FAILS(P(PR_GET_ENDIAN, 0, 0, 0, 0), EINVAL);
	FAILS(P(12321, 0, 0, 0, 0), EINVAL);
	child(denies);
	child(deniesAlone);
	child(merges);
	resumed();
	return 0;
}
