// proc_locks(5): how /proc/locks and /proc/pid/fdinfo tell of locks and of who waits.
// covers: fcntl flock
#include "check.h"
#include "locks.h"
#include <sched.h>

#define says(proc, name, ...) \
	do { \
		char want_[1024]; \
		snprintf(want_, sizeof want_, __VA_ARGS__); \
		const char *got_ = lines(proc, name); \
		if (strcmp(got_, want_)) fprintf(stderr, "want:\n%sgot:\n%s", want_, got_); \
		CHECK(!strcmp(got_, want_)); \
	} while (0)

// pinned keeps the process where Linux adds what is new before what is there: it
// has a list for each processor.
static void pinned(void) {
	cpu_set_t one;
	CHECK(sched_getaffinity(0, sizeof one, &one) == 0);
	for (int i = 0, seen = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &one) && seen++) CPU_CLR(i, &one);
	CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

static void listed(void) {
	pinned();
	int fd = fresh("l"), two = open("l", O_RDONLY), me = getpid(), e[2];
	says("/proc/locks", "l", "%s", "");
	CHECK(set(fd, F_WRLCK, 0, 0, 0) == 0);
	says("/proc/locks", "l", "POSIX  ADVISORY  WRITE %d |0 EOF\n", me);
	CHECK(set(fd, F_UNLCK, 0, 10, 5) == 0 && set(fd, F_UNLCK, 0, 20, 0) == 0);
	CHECK(set(fd, F_UNLCK, 0, 15, 0) == 0);
	says("/proc/locks", "l", "POSIX  ADVISORY  WRITE %d |0 9\n", me);
	CHECK(set(fd, F_RDLCK, 0, 0, 10) == 0);
	says("/proc/locks", "l", "POSIX  ADVISORY  READ %d |0 9\n", me);
	CHECK(ofd(two, F_RDLCK, 0, 1) == 0);
	says("/proc/locks", "l", "OFDLCK ADVISORY  READ -1 |0 0\nPOSIX  ADVISORY  READ %d |0 9\n", me);
	CHECK(flock(fd, LOCK_EX) == 0);
	says("/proc/locks", "l", "FLOCK  ADVISORY  WRITE %d |0 EOF\nOFDLCK ADVISORY  READ -1 |0 0\nPOSIX  ADVISORY  READ %d |0 9\n", me, me);
	pid_t c = holds(fd, F_RDLCK, 3, 5, e);
	says("/proc/locks", "l", "POSIX  ADVISORY  READ %d |3 7\nFLOCK  ADVISORY  WRITE %d |0 EOF\nOFDLCK ADVISORY  READ -1 |0 0\nPOSIX  ADVISORY  READ %d |0 9\n", c, me, me);
	lets(c, e);
	close(two);
	says("/proc/locks", "l", "FLOCK  ADVISORY  WRITE %d |0 EOF\n", me);
	close(fd);
	says("/proc/locks", "l", "%s", "");
}

// A flock outlives who took it: its number is then nobody's.
static void listedElsewhere(void) {
	int fd = fresh("x");
	pid_t c = fork();
	if (c == 0) _exit(flock(fd, LOCK_SH));
	ends(c);
	CHECK(flock(open("x", O_RDONLY), LOCK_SH | LOCK_NB) == 0);
	says("/proc/locks", "x", "FLOCK  ADVISORY  READ %d |0 EOF\n", getpid());
}

static pid_t waiter(int fd, const char *name, int type, int64_t start, int64_t len) {
	int before = waiting(name);
	pid_t c = fork();
	if (c == 0) {
		struct flock l = {.l_type = type, .l_start = start, .l_len = len};
		_exit(type == LOCK_EX + 100 ? flock(open(name, O_RDWR), LOCK_EX) : fcntl(fd, F_SETLKW, &l));
	}
	for (int i = 0; waiting(name) == before && i < 5000; i++) usleep(1000);
	return c;
}

static void listedWaiters(void) {
	pinned();
	int fd = fresh("w"), me = getpid();
	CHECK(set(fd, F_WRLCK, 0, 0, 10) == 0 && set(fd, F_WRLCK, 0, 50, 10) == 0);
	pid_t a = waiter(fd, "w", F_RDLCK, 0, 5), b = waiter(fd, "w", F_RDLCK, 3, 5), c = waiter(fd, "w", F_WRLCK, 4, 0), d = waiter(fd, "w", F_RDLCK, 55, 0);
	// A waiter that another one is in the way of waits for that.
	says("/proc/locks", "w", "POSIX  ADVISORY  WRITE %d |50 59\n-> POSIX  ADVISORY  READ %d |55 EOF\nPOSIX  ADVISORY  WRITE %d |0 9\n-> POSIX  ADVISORY  READ %d |0 4\n -> POSIX  ADVISORY  WRITE %d |4 EOF\n-> POSIX  ADVISORY  READ %d |3 7\n",
		me, d, me, a, c, b);
	kill(c, SIGKILL), waitpid(c, 0, 0);
	CHECK(waiting("w") == 3);
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
	ends(a), ends(b), ends(d);
	CHECK(waiting("w") == 0);
	CHECK(flock(fd, LOCK_SH) == 0);
	a = waiter(fd, "w", LOCK_EX + 100, 0, 0);
	says("/proc/locks", "w", "FLOCK  ADVISORY  READ %d |0 EOF\n-> FLOCK  ADVISORY  WRITE %d |0 EOF\n", me, a);
	CHECK(flock(fd, LOCK_UN) == 0);
	ends(a);
}

static void listedLeases(void) {
	pinned();
	int fd = fresh("e"), me = getpid(), st;
	signal(SIGIO, SIG_IGN);
	CHECK(fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
	says("/proc/locks", "e", "LEASE  ACTIVE    WRITE %d |0 EOF\n", me);
	pid_t c = fork();
	if (c == 0) {
		int r = open("e", O_RDONLY | O_NONBLOCK);
		_exit(r == -1 && errno == EWOULDBLOCK ? 0 : 1);
	}
	ends(c);
	says("/proc/locks", "e", "LEASE  BREAKING  READ %d |0 EOF\n", me);
	c = fork();
	if (c == 0) _exit(open("e", O_WRONLY) < 0);
	for (int i = 0; !waiting("e") && i < 5000; i++) usleep(1000);
	says("/proc/locks", "e", "LEASE  BREAKING  UNLCK %d |0 EOF\n-> LEASE  BREAKER   WRITE %d <none>:0 0 EOF\n", me, c);
	CHECK(waitpid(c, &st, WNOHANG) == 0);
	CHECK(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
	ends(c);
	says("/proc/locks", "e", "%s", "");
}

static void listedInFDInfo(void) {
	int fd = fresh("n"), two = open("n", O_RDWR), me = getpid(), e[2];
	char mine[64], other[64];
	sprintf(mine, "/proc/self/fdinfo/%d", fd), sprintf(other, "/proc/self/fdinfo/%d", two);
	CHECK(set(fd, F_WRLCK, 0, 0, 5) == 0 && flock(fd, LOCK_EX) == 0 && ofd(two, F_WRLCK, 10, 0) == 0);
	pid_t c = holds(fd, F_RDLCK, 7, 1, e);
	says(mine, "n", "FLOCK  ADVISORY  WRITE %d |0 EOF\nPOSIX  ADVISORY  WRITE %d |0 4\n", me, me);
	says(other, "n", "OFDLCK ADVISORY  WRITE -1 |10 EOF\n");
	lets(c, e);
	close(two);
	says(mine, "n", "FLOCK  ADVISORY  WRITE %d |0 EOF\n", me);
}

int main(void) {
	APART(listed());
	APART(listedWaiters());
	APART(listedLeases());
	APART(listedInFDInfo());
	APART(listedElsewhere());
	return 0;
}
