// Locks of files, and how /proc tells of them.
#ifndef LOCKS_H
#define LOCKS_H
#include "check.h"
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static inline int fresh(const char *name) {
	unlink(name);
	int fd = open(name, O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	return fd;
}

static inline int set(int fd, int type, int whence, int64_t start, int64_t len) {
	struct flock l = {.l_type = type, .l_whence = whence, .l_start = start, .l_len = len};
	return fcntl(fd, F_SETLK, &l);
}

static inline int ofd(int fd, int type, int64_t start, int64_t len) {
	struct flock l = {.l_type = type, .l_start = start, .l_len = len};
	return fcntl(fd, F_OFD_SETLK, &l);
}

static inline void ends(pid_t p) {
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

// ask is F_GETLK or F_OFD_GETLK of a process that has no locks of its own, where
// the caller's are to be seen.
static inline struct flock ask(int fd, int cmd, int type, int64_t start, int64_t len, int apart) {
	struct flock l = {.l_type = type, .l_start = start, .l_len = len};
	int p[2];
	if (!apart) {
		CHECK(fcntl(fd, cmd, &l) == 0);
		return l;
	}
	CHECK(pipe(p) == 0);
	pid_t c = fork();
	if (c == 0) {
		CHECK(fcntl(fd, cmd, &l) == 0);
		CHECK(write(p[1], &l, sizeof l) == sizeof l);
		_exit(0);
	}
	CHECK(read(p[0], &l, sizeof l) == sizeof l);
	ends(c);
	close(p[0]), close(p[1]);
	return l;
}

static inline struct flock at(int fd, int type, int64_t start, int64_t len) { return ask(fd, F_GETLK, type, start, len, 1); }
static inline struct flock ofdAt(int fd, int type, int64_t start, int64_t len) { return ask(fd, F_OFD_GETLK, type, start, len, 0); }

#define is(l, type, start, len, pid) isAt(l, type, start, len, pid, __LINE__)
static inline void isAt(struct flock l, int type, int64_t start, int64_t len, int pid, int line) {
	int same = l.l_type == type && l.l_start == start && l.l_len == len && l.l_pid == pid && l.l_whence == SEEK_SET;
	if (!same)
		fprintf(stderr, "line %d: type %d, %ld+%ld, pid %d, whence %d\n", line, l.l_type, l.l_start, l.l_len, l.l_pid, l.l_whence);
	CHECK(same);
}

// sees says what is in the way of a lock of the whole file by another process.
#define sees(fd, type, start, len, pid) is(at(fd, F_WRLCK, 0, 0), type, start, len, pid)

// holds makes a process that has a lock until lets.
static inline pid_t holds(int fd, int type, int64_t start, int64_t len, int e[2]) {
	int up[2];
	char b;
	CHECK(pipe(up) == 0 && pipe(e) == 0);
	pid_t c = fork();
	if (c == 0) {
		close(e[1]);
		CHECK(set(fd, type, SEEK_SET, start, len) == 0);
		write(up[1], "x", 1);
		read(e[0], &b, 1);
		_exit(0);
	}
	close(e[0]);
	CHECK(read(up[0], &b, 1) == 1);
	close(up[0]), close(up[1]);
	return c;
}

static inline void lets(pid_t c, int e[2]) {
	CHECK(write(e[1], "x", 1) == 1);
	close(e[1]);
	waitpid(c, 0, 0); // ECHILD if it is another's
}

// lines is what a file of /proc says of name's locks, without the numbers and the
// file.
static inline const char *lines(const char *proc, const char *name) {
	static char out[8192];
	char line[256], file[64];
	struct stat st;
	FILE *f = fopen(proc, "r");
	CHECK(f && stat(name, &st) == 0);
	snprintf(file, sizeof file, " %02x:%02x:%lu ", major(st.st_dev), minor(st.st_dev), (long)st.st_ino);
	*out = 0;
	int ours = 0;
	while (fgets(line, sizeof line, f)) {
		char *here = strstr(line, file), *text = strstr(line, ": "), *breaker = strstr(line, "<none>:0 ");
		if (breaker && ours) strcat(out, text + 2); // who waits for a lease has no file yet
		if (breaker || !(ours = here != 0)) continue;
		*here = 0;
		sprintf(out + strlen(out), "%s |%s", text + 2, here + strlen(file));
	}
	fclose(f);
	return out;
}

// waiting counts name's locks that are waited for.
static inline int waiting(const char *name) {
	int n = 0;
	for (const char *l = lines("/proc/locks", name); (l = strstr(l, "-> ")); l++) n++;
	return n;
}

#endif
