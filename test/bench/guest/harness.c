// Running one thing at a time, in a process of its own, and saying how it went.
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *current = "?";

u64 now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

// say makes one write, so that lines stay whole whoever else prints.
void say(const char *name, const char *format, ...) {
	char line[1024];
	int n = snprintf(line, sizeof line, "result\t%s\t", name);
	va_list args;
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - n - 1, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2) n = sizeof line - 2;
	line[n++] = '\n';
	if (write(1, line, n) != n) _exit(3);
}

void fail(const char *format, ...) {
	char reason[512];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	say(current, "FAILED\t%s", reason);
	_exit(1);
}

void failed(const char *what) { fail("%s: %s", what, strerror(errno)); }

const char *path(const char *where, const char *name) {
	static char p[256];
	snprintf(p, sizeof p, "%s/%s", where, name);
	return p;
}

void await(int pid) {
	int status;
	try(waitpid(pid, &status, 0));
	if (status != 0) fail("the child's wait status is %#x", status);
}

// finish waits for a child, for limit seconds at most, then kills its process
// group, and with it what the child left there. It returns the child's wait
// status, or -1 if it was late. SIGCHLD is blocked.
static int finish(int pid, int limit) {
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	u64 end = now() + limit * 1000000000ull;
	int status = -1;
	pid_t ended;
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		u64 t = now();
		if (t >= end) break;
		struct timespec left = {(end - t) / 1000000000, (end - t) % 1000000000};
		sigtimedwait(&child, NULL, &left);
	}
	kill(-pid, SIGKILL);
	if (ended != pid) {
		waitpid(pid, NULL, 0);
		status = -1;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0) continue; // init inherits what the child left
	return status;
}

void attempt(const char *name, int limit, void (*body)(const void *), const void *arg) {
	sigset_t child, old;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &old); // finish waits for it
	current = name;
	pid_t pid = fork();
	if (pid == -1) {
		say(name, "FAILED\tfork: %s", strerror(errno));
		return;
	}
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		setpgid(0, 0);
		body(arg);
		_exit(0);
	}
	setpgid(pid, pid); // whoever of the two is first
	int status = finish(pid, limit);
	if (status == -1)
		say(name, "FAILED\tit did not end in %d s", limit);
	else if (WIFSIGNALED(status))
		say(name, "FAILED\tit was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) > 1)
		say(name, "FAILED\tit exited with %d", WEXITSTATUS(status));
}
