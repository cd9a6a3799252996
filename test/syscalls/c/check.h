// What the C cases share: CHECK(cond) says where and why it does not hold.
#ifndef CHECK_H
#define CHECK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s does not hold (errno %d, %s)\n", __FILE__, __LINE__, #cond, errno, strerror(errno)); \
			_exit(1); \
		} \
	} while (0)

// FAILS(call, E): call returns -1 with errno E.
#define FAILS(call, e) \
	do { \
		errno = 0; \
		long r_ = (long)(call); \
		if (r_ != -1 || errno != (e)) { \
			fprintf(stderr, "%s:%d: %s gave %ld, errno %d (%s), want %s\n", __FILE__, __LINE__, #call, r_, errno, strerror(errno), #e); \
			_exit(1); \
		} \
	} while (0)

// absent says whether a call that gave r is one that this kernel was built
// without. The runner compares: what Linux has must not be absent in the sandbox.
static inline int absent(const char *call, long r) {
	if (r != -1 || errno != ENOSYS)
		return 0;
	printf("absent %s\n", call);
	fflush(stdout);
	return 1;
}

// write_file writes s to a file that is there, in one call: -1 and errno if that fails.
static inline int write_file(const char *path, const char *s) {
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	int n = write(fd, s, strlen(s)), e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

// self_status is the number that /proc/self/status has for key, -1 if it has none.
static inline long self_status(const char *key) {
	char line[256];
	long n = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0)
			n = atol(line + strlen(key) + 1);
	if (f)
		fclose(f);
	return n;
}

// asleep waits until every thread of a process but the caller waits in the kernel: for as
// long as 20 s, as it may not even have begun to run. What it waits for it does not say.
static inline void asleep(pid_t pid) {
	for (int i = 0, awake = 1; i < 20000 && awake; i++) {
		char name[300], line[512];
		snprintf(name, sizeof name, "/proc/%d/task", pid);
		DIR *d = opendir(name);
		CHECK(d != NULL);
		awake = 0;
		for (struct dirent *e; (e = readdir(d));) {
			if (e->d_name[0] == '.' || atoi(e->d_name) == syscall(SYS_gettid))
				continue;
			snprintf(name, sizeof name, "/proc/%d/task/%s/stat", pid, e->d_name);
			int fd = open(name, O_RDONLY), n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
			line[n > 0 ? n : 0] = 0;
			char *state = strrchr(line, ')'); // after the name, which may have any
			awake |= state && state[2] != 'S';
			if (fd >= 0)
				close(fd);
		}
		closedir(d);
		if (awake)
			usleep(1000);
	}
}

// CASE(call) is a case of its own of the program's: the runner gives it a verdict.
// What fails in it ends the program, so the cases after it fail too.
#define CASE(call) \
	do { \
		mark("case", #call); \
		call; \
		mark("passed", #call); \
	} while (0)

// APART(call) is CASE(call) in a child: the cases after it run all the same.
#define APART(call) \
	do { \
		mark("case", #call); \
		pid_t pid_ = fork(); \
		if (pid_ == 0) { \
			call; \
			_exit(0); \
		} \
		if (ended_well(pid_)) \
			mark("passed", #call); \
	} while (0)

static inline void mark(const char *what, const char *call) {
	char b[256];
	fflush(stdout);
	write(1, b, snprintf(b, sizeof b, "%s %s\n", what, call));
}

static inline int ended_well(pid_t child) {
	int status = -1;
	while (waitpid(child, &status, __WALL) == -1 && errno == EINTR)
		;
	if (child > 0 && WIFSIGNALED(status))
		fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
	return child > 0 && status == 0;
}

// Only main's return says that all is well: an exit status alone could be that
// of a broken fork or wait.
__attribute__((destructor)) static void well(void) {
	fflush(stdout);
	write(1, "well\n", 5);
}
#endif
