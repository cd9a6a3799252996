// Children of the C cases: one that ends, one that waits to be ended.
#ifndef CHILD_H
#define CHILD_H
#include "check.h"
#include <sys/prctl.h>

static inline pid_t exits(int code) {
	pid_t p = fork();
	if (p == 0) _exit(code);
	CHECK(p > 0);
	return p;
}

// pauses makes a child that ends with its parent, at the latest.
static inline pid_t pauses(void) {
	pid_t parent = getpid(), p = fork();
	if (p == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) _exit(1);
		for (;;) pause();
	}
	CHECK(p > 0);
	return p;
}

static inline void end(pid_t p) {
	CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, __WALL) == p);
}

// gone waits for the end of p, and leaves it to be waited for.
static inline void gone(pid_t p) {
	siginfo_t si;
	CHECK(waitid(P_PID, p, &si, WEXITED | WNOWAIT) == 0);
}

// nobody takes the caller's rights.
static inline void nobody(void) {
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0);
	CHECK(syscall(SYS_setresgid, 65534, 65534, 65534) == 0);
	CHECK(syscall(SYS_setresuid, 65534, 65534, 65534) == 0);
}
#endif
