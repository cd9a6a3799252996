// Tracees with threads and children that are killed, left or let go at any moment.
// covers: ptrace wait4 kill
#include "ptrace.h"
#include <pthread.h>

enum { THREADS = 3, STOPS = 120, ROUNDS = 12 };

static void *works(void *a) {
	for (;;) {
		syscall(SYS_getppid);
		pid_t p = fork();
		if (p == 0) _exit(0);
		waitpid(p, NULL, __WALL);
	}
	return a;
}

static pid_t busy(void) {
	pid_t pid = fork();
	if (pid == 0) {
		alarm(20);
		pthread_t t;
		for (int i = 0; i < THREADS; i++) pthread_create(&t, 0, works, 0);
		works(0);
	}
	return pid;
}

// trace lets pid and whatever comes of it go from stop to stop for a while.
static void trace(pid_t pid, unsigned long options) {
	const unsigned long follow = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT;
	CHECK(PT(PTRACE_SEIZE, pid, 0, follow | options) == 0);
	CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	for (int i = 0; i < STOPS; i++) {
		int st;
		pid_t p = waitpid(-1, &st, __WALL);
		CHECK(p > 0);
		if (!WIFSTOPPED(st)) continue;
		int sig = st >> 16 == 0 && WSTOPSIG(st) != (SIGTRAP | 0x80) ? WSTOPSIG(st) : 0;
		CHECK(PT(PTRACE_SYSCALL, p, 0, sig) == 0 || errno == ESRCH);
	}
}

int main(void) {
	alarm(50);
	for (int round = 0; round < ROUNDS; round++) {
		pid_t tracer = fork();
		if (tracer == 0) {
			pid_t pid = busy();
			trace(pid, round % 3 == 0 ? PTRACE_O_EXITKILL : 0);
			switch (round % 3) {
			case 1: // killed under its tracer, which takes what is left
				kill(pid, SIGKILL);
				for (int st, p; (p = waitpid(-1, &st, __WALL)) > 0;)
					if (WIFSTOPPED(st)) PT(PTRACE_CONT, p, 0, 0);
				_exit(0);
			case 2: // the tracer goes, and the tracee is on its own
				kill(pid, SIGSTOP);
				kill(pid, SIGKILL);
			}
			_exit(0);
		}
		int st;
		CHECK(waitpid(tracer, &st, 0) == tracer);
		CHECK(st == 0);
	}
	return 0;
}
