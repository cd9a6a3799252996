// What the cases about terminals share: pseudoterminals, and what is to be read
// from them.
#ifndef TTY_H
#define TTY_H
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

struct pty {
	int m, s; // master; slave, open with O_NOCTTY
	char name[32];
};

static struct pty open_pty(int slave_flags) {
	struct pty p;
	int n, unlock = 0;
	p.m = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	CHECK(p.m >= 0 && ioctl(p.m, TIOCGPTN, &n) == 0 && ioctl(p.m, TIOCSPTLCK, &unlock) == 0);
	sprintf(p.name, "/dev/pts/%d", n);
	p.s = open(p.name, O_RDWR | O_NOCTTY | slave_flags);
	CHECK(p.s >= 0);
	return p;
}

static inline void close_pty(struct pty *p) {
	close(p->s);
	close(p->m);
}

// MODES(fd, statements) changes the struct termios t.
#define MODES(fd, ...) \
	do { \
		struct termios t; \
		CHECK(tcgetattr(fd, &t) == 0); \
		__VA_ARGS__; \
		CHECK(tcsetattr(fd, TCSANOW, &t) == 0); \
	} while (0)

static inline int put(int fd, const char *s) { return write(fd, s, strlen(s)) == (ssize_t)strlen(s); }

static inline int events(int fd, int mask, int ms) {
	struct pollfd p = {fd, mask, 0};
	CHECK(poll(&p, 1, ms) >= 0);
	return p.revents;
}

// quiet: nothing comes from fd. The kernel moves bytes in a thread of its own.
static inline int quiet(int fd) { return !(events(fd, POLLIN, 20) & POLLIN); }

// EXPECT(fd, "text"): that is what can be read, in however many pieces.
#define EXPECT(fd, want) expect(__LINE__, fd, want, sizeof(want) - 1)
static inline void expect(int line, int fd, const char *want, size_t n) {
	char buf[8192];
	size_t have = 0;
	while (have < n && events(fd, POLLIN, 5000) & POLLIN) {
		ssize_t k = read(fd, buf + have, sizeof buf - have);
		if (k <= 0)
			break;
		have += k;
	}
	if (have == n && !memcmp(buf, want, n))
		return;
	fprintf(stderr, "line %d: read \"", line);
	for (size_t i = 0; i < have; i++)
		fprintf(stderr, buf[i] < 32 || buf[i] > 126 ? "\\%03o" : "%c", buf[i] & 255);
	fprintf(stderr, "\", want \"%s\"\n", want);
	_exit(1);
}

// GETS(fd, "text"): one read(2) gives exactly that.
#define GETS(fd, want) \
	do { \
		char buf_[8192]; \
		CHECK(events(fd, POLLIN, 5000) & (POLLIN | POLLHUP)); \
		ssize_t n_ = read(fd, buf_, sizeof buf_); \
		if (n_ != sizeof(want) - 1 || memcmp(buf_, want, n_)) { \
			fprintf(stderr, "line %d: read %zd \"%.*s\" (%o), want \"%s\"\n", __LINE__, n_, n_ > 0 ? (int)n_ : 0, buf_, buf_[0] & 255, want); \
			_exit(1); \
		} \
	} while (0)

static inline int get_int(int fd, unsigned long cmd) {
	int n = -1;
	return ioctl(fd, cmd, &n) == 0 ? n : -1;
}

static inline int set_int(int fd, unsigned long cmd, int n) { return ioctl(fd, cmd, &n); }

// ended waits for pid and says how it ended.
static inline int ended(pid_t pid) {
	int st;
	CHECK(waitpid(pid, &st, 0) == pid);
	return st;
}

// IN_CHILD(statements): a child does them and ends well.
#define IN_CHILD(...) \
	do { \
		pid_t pid_ = fork(); \
		CHECK(pid_ >= 0); \
		if (pid_ == 0) { \
			__VA_ARGS__; \
			_exit(0); \
		} \
		CHECK(ended(pid_) == 0); \
	} while (0)
#endif
