// What the ptrace cases share.
#include "check.h"
#include <elf.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define PT(...) syscall(SYS_ptrace, __VA_ARGS__)

// stopped waits for pid and says whether it stopped with code: a signal, and 256
// times an event.
static inline int stopped(pid_t pid, int code) {
	int st = 0;
	if (waitpid(pid, &st, __WALL) != pid)
		return 0;
	if (st != (code << 8 | 0x7f))
		fprintf(stderr, "status %#x, want %#x\n", st, code << 8 | 0x7f);
	return st == (code << 8 | 0x7f);
}

// ended waits for pid and says whether that is how it ended.
static inline int ended(pid_t pid, int status) {
	int st = 0;
	if (waitpid(pid, &st, __WALL) != pid)
		return 0;
	if (st != status)
		fprintf(stderr, "status %#x, want %#x\n", st, status);
	return st == status;
}

// traced is a child that is traced and has stopped itself; it then runs f and
// ends with what that returns.
static inline pid_t traced(int (*f)(void)) {
	pid_t pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
			_exit(99);
		raise(SIGSTOP);
		_exit(f());
	}
	CHECK(stopped(pid, SIGSTOP));
	return pid;
}

static inline void finish(pid_t pid) {
	kill(pid, SIGKILL);
	CHECK(ended(pid, SIGKILL));
}

// status finds a line of /proc/pid/status.
static inline int status_has(pid_t pid, const char *line) {
	char name[64], buf[4096];
	snprintf(name, sizeof name, "/proc/%d/status", pid);
	FILE *f = fopen(name, "r");
	int n = f ? fread(buf, 1, sizeof buf - 1, f) : 0;
	if (f)
		fclose(f);
	buf[n > 0 ? n : 0] = 0;
	return strstr(buf, line) != NULL;
}
