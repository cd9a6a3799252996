// What the cases of seccomp(2) share: short filters, and what children die of.
#ifndef SECCOMP_H
#define SECCOMP_H
#include "check.h"
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)
#define IF(v, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, yes, no)
#define PROG(...) \
	&(struct sock_fprog) { \
		.len = sizeof((struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter), .filter = (struct sock_filter[]){__VA_ARGS__} \
	}

static inline long seccomp(unsigned op, unsigned flags, void *args) { return syscall(SYS_seccomp, op, flags, args); }

// on makes call nr meet with action, and allows all others.
static inline long on_flags(int nr, unsigned action, unsigned flags) {
	return seccomp(SECCOMP_SET_MODE_FILTER, flags, PROG(LOAD(nr), IF(nr, 0, 1), RET(action), RET(SECCOMP_RET_ALLOW)));
}
static inline long on(int nr, unsigned action) { return on_flags(nr, action, 0); }

// IN_CHILD runs what follows in a child without core dumps, and status is how that ended.
static int status;
static inline int child(void) {
	fflush(stdout);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		return 1;
	}
	CHECK(waitpid(p, &status, 0) == p);
	return 0;
}
#define IN_CHILD if (child())
// For what must be true of all but a fatal child.
#define WELL (WIFEXITED(status) && WEXITSTATUS(status) == 0)
#define DIED_OF(s) (WIFSIGNALED(status) && WTERMSIG(status) == (s) && !WCOREDUMP(status))

// status_line is a number in /proc/self/task/tid/status.
static inline int status_line(const char *name) {
	char path[64], line[256];
	int v = -1;
	snprintf(path, sizeof path, "/proc/self/task/%ld/status", syscall(SYS_gettid));
	FILE *f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') v = atoi(line + strlen(name) + 1);
	fclose(f);
	return v;
}
#endif
