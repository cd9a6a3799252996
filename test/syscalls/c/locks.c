// fcntl(2), "Advisory record locking" and "Open file description locks"; flock(2).
// covers: fcntl flock close dup fork execve
#include "check.h"
#include "locks.h"
#include <pthread.h>
#include <sys/time.h>

#define MAX INT64_MAX

static void ranges(void) {
	int fd = fresh("r"), ro = open("r", O_RDONLY), wo = open("r", O_WRONLY);
	CHECK(ftruncate(fd, 100) == 0 && lseek(fd, 40, SEEK_SET) == 40);
	// What is no range, before what the file is open for.
	FAILS(set(ro, F_WRLCK, 7, 0, 0), EINVAL);
	FAILS(set(fd, F_WRLCK, SEEK_SET, -1, 0), EINVAL);
	FAILS(set(fd, F_WRLCK, SEEK_CUR, -41, 5), EINVAL);
	FAILS(set(fd, F_WRLCK, SEEK_SET, 5, -6), EINVAL);
	FAILS(set(ro, F_WRLCK, SEEK_SET, 5, -6), EINVAL);
	FAILS(set(fd, F_WRLCK, SEEK_CUR, MAX, 0), EOVERFLOW);
	FAILS(set(fd, F_WRLCK, SEEK_END, MAX - 99, 0), EOVERFLOW);
	FAILS(set(fd, F_WRLCK, SEEK_SET, 2, MAX), EOVERFLOW);
	FAILS(set(fd, F_WRLCK, SEEK_SET, 0, INT64_MIN), EINVAL);
	FAILS(set(fd, F_WRLCK, SEEK_SET, MAX, INT64_MIN), EINVAL);
	FAILS(set(fd, 3, SEEK_SET, 0, 0), EINVAL);
	FAILS(set(fd, -1, SEEK_SET, 0, 0), EINVAL);
	FAILS(set(ro, 3, 0, 0, 0), EINVAL);
	FAILS(set(ro, F_WRLCK, 0, 0, 0), EBADF);
	FAILS(set(wo, F_RDLCK, 0, 0, 0), EBADF);
	CHECK(set(ro, F_UNLCK, 0, 0, 0) == 0 && set(wo, F_UNLCK, 0, 0, 0) == 0);
	FAILS(fcntl(fd, F_SETLK, (void *)1), EFAULT);
	FAILS(fcntl(fd, F_GETLK, (void *)1), EFAULT);
	FAILS(fcntl(-1, F_SETLK, (void *)1), EBADF);
	FAILS(fcntl(open("r", O_PATH), F_GETLK, (void *)1), EBADF);
	struct flock l = {.l_type = F_UNLCK};
	FAILS(fcntl(fd, F_GETLK, &l), EINVAL);
	// What is one.
	CHECK(set(fd, F_WRLCK, SEEK_CUR, 2, 3) == 0);
	sees(fd, F_WRLCK, 42, 3, getpid());
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
	CHECK(set(fd, F_WRLCK, SEEK_END, -10, -5) == 0);
	sees(fd, F_WRLCK, 85, 5, getpid());
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
	CHECK(set(fd, F_WRLCK, SEEK_SET, 1, MAX) == 0);
	sees(fd, F_WRLCK, 1, 0, getpid()); // up to the last byte is to the end
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
	CHECK(set(fd, F_WRLCK, SEEK_SET, MAX, 1) == 0);
	sees(fd, F_WRLCK, MAX, 0, getpid());
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
	sees(fd, F_UNLCK, 0, 0, 0);
}

// Ranges are joined and cut; F_GETLK tells the first in the way, by owner and place.
static void merges(void) {
	int fd = fresh("m"), ends[2];
	CHECK(set(fd, F_WRLCK, 0, 20, 10) == 0 && set(fd, F_WRLCK, 0, 0, 10) == 0);
	sees(fd, F_WRLCK, 0, 10, getpid());
	CHECK(set(fd, F_WRLCK, 0, 10, 10) == 0);
	sees(fd, F_WRLCK, 0, 30, getpid());
	CHECK(set(fd, F_RDLCK, 0, 5, 5) == 0);
	sees(fd, F_WRLCK, 0, 5, getpid());
	is(at(fd, F_WRLCK, 5, 1), F_RDLCK, 5, 5, getpid());
	is(at(fd, F_RDLCK, 5, 10), F_WRLCK, 10, 20, getpid());
	is(at(fd, F_RDLCK, 5, 5), F_UNLCK, 5, 5, 0);
	CHECK(set(fd, F_UNLCK, 0, 12, 2) == 0);
	is(at(fd, F_WRLCK, 11, 0), F_WRLCK, 10, 2, getpid());
	is(at(fd, F_WRLCK, 12, 0), F_WRLCK, 14, 16, getpid());
	CHECK(set(fd, F_RDLCK, 0, 0, 0) == 0); // all of them into one
	sees(fd, F_RDLCK, 0, 0, getpid());
	// Others' locks come after those of who was first, wherever they are.
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0 && set(fd, F_RDLCK, 0, 50, 10) == 0);
	pid_t c = holds(fd, F_RDLCK, 0, 10, ends);
	sees(fd, F_RDLCK, 50, 10, getpid());
	CHECK(set(fd, F_RDLCK, 0, 30, 5) == 0);
	sees(fd, F_RDLCK, 30, 5, getpid());
	is(at(fd, F_WRLCK, 0, 20), F_RDLCK, 0, 10, c);
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0 && set(fd, F_RDLCK, 0, 2, 5) == 0);
	sees(fd, F_RDLCK, 0, 10, c);
	lets(c, ends);
}

static void lostByClose(void) {
	int fd = fresh("c"), other = open("c", O_RDONLY), copy = dup(fd);
	CHECK(set(fd, F_WRLCK, 0, 0, 0) == 0);
	sees(fd, F_WRLCK, 0, 0, getpid());
	close(open("/dev/null", O_RDONLY));
	sees(fd, F_WRLCK, 0, 0, getpid());
	close(copy);
	sees(fd, F_UNLCK, 0, 0, 0);
	CHECK(set(fd, F_WRLCK, 0, 0, 0) == 0);
	close(other);
	sees(fd, F_UNLCK, 0, 0, 0);
	CHECK(set(fd, F_WRLCK, 0, 0, 0) == 0);
	CHECK(dup2(open("/dev/null", O_RDONLY), open("c", O_RDONLY)) >= 0); // which closes
	sees(fd, F_UNLCK, 0, 0, 0);
	CHECK(set(fd, F_WRLCK, 0, 0, 0) == 0);
	pid_t p = fork(); // the child has none, and closing takes none away
	if (p == 0) {
		is(at(fd, F_WRLCK, 0, 0), F_WRLCK, 0, 0, getppid());
		FAILS(set(fd, F_RDLCK, 0, 0, 0), EAGAIN);
		CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
		close(fd);
		_exit(0);
	}
	ends(p);
	sees(fd, F_WRLCK, 0, 0, getpid());
	close(fd);
}

// openFile has locks that belong to the open file: dup and fork share them.
static void openFile(void) {
	int fd = fresh("o"), two = open("o", O_RDWR), copy = dup(fd);
	struct flock l = {.l_type = F_WRLCK, .l_pid = 1};
	FAILS(fcntl(fd, F_OFD_SETLK, &l), EINVAL);
	FAILS(fcntl(fd, F_OFD_GETLK, &l), EINVAL);
	int ro = open("o", O_RDONLY);
	FAILS(fcntl(ro, F_OFD_SETLK, &l), EBADF); // first
	CHECK(ofd(fd, F_WRLCK, 10, 10) == 0);
	CHECK(ofd(copy, F_WRLCK, 15, 10) == 0);
	is(ofdAt(two, F_WRLCK, 0, 0), F_WRLCK, 10, 15, -1);
	is(ofdAt(fd, F_WRLCK, 0, 0), F_UNLCK, 0, 0, 0);
	is(at(fd, F_WRLCK, 0, 0), F_WRLCK, 10, 15, -1); // the process is another owner
	FAILS(set(fd, F_WRLCK, 0, 0, 0), EAGAIN);
	CHECK(set(fd, F_WRLCK, 0, 0, 5) == 0);
	is(ofdAt(fd, F_WRLCK, 0, 0), F_WRLCK, 0, 5, getpid());
	FAILS(ofd(fd, F_RDLCK, 0, 1), EAGAIN);
	CHECK(set(fd, F_UNLCK, 0, 0, 0) == 0);
	// F_UNLCK asks which are one's own.
	is(ofdAt(fd, F_UNLCK, 0, 0), F_WRLCK, 10, 15, -1);
	is(ofdAt(fd, F_UNLCK, 0, 10), F_UNLCK, 0, 10, 0);
	is(ofdAt(two, F_UNLCK, 0, 0), F_UNLCK, 0, 0, 0);
	close(copy);
	close(open("o", O_RDONLY));
	FAILS(ofd(two, F_RDLCK, 0, 0), EAGAIN);
	pid_t p = fork();
	if (p == 0) { // shares them
		CHECK(ofd(fd, F_UNLCK, 10, 5) == 0);
		close(fd);
		_exit(0);
	}
	ends(p);
	is(ofdAt(two, F_WRLCK, 0, 0), F_WRLCK, 15, 10, -1);
	close(fd);
	CHECK(ofd(two, F_WRLCK, 0, 0) == 0);
}

static void setgidIsNoMandate(void) {
	int fd = fresh("s"), ends[2];
	CHECK(fchmod(fd, 02660) == 0);
	pid_t c = holds(fd, F_WRLCK, 0, 0, ends);
	CHECK(write(fd, "x", 1) == 1 && pread(fd, &(char){0}, 1, 0) == 1 && ftruncate(fd, 0) == 0);
	lets(c, ends);
}

static void flocks(void) {
	int fd = fresh("f"), two = open("f", O_RDONLY), copy = dup(fd), path = open("f", O_PATH);
	FAILS(flock(fd, 0), EINVAL);
	FAILS(flock(fd, LOCK_SH | LOCK_EX), EINVAL);
	FAILS(flock(-1, 77), EINVAL);
	FAILS(flock(-1, LOCK_SH), EBADF);
	FAILS(flock(path, LOCK_SH), EBADF);
	CHECK(flock(-1, 32 | LOCK_SH) == 0); // LOCK_MAND is nothing any more
	CHECK(flock(two, LOCK_EX) == 0); // open for anything
	FAILS(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(two, LOCK_SH) == 0 && flock(fd, LOCK_SH) == 0);
	// Who fails to change a lock has lost it.
	FAILS(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(two, LOCK_EX | LOCK_NB) == 0);
	CHECK(flock(two, LOCK_UN) == 0 && flock(two, LOCK_UN) == 0);
	CHECK(flock(copy, LOCK_EX | LOCK_NB) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
	pid_t p = fork();
	if (p == 0) _exit(flock(copy, LOCK_UN)); // it is one lock
	ends(p);
	CHECK(flock(two, LOCK_EX | LOCK_NB) == 0);
	close(two);
	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	CHECK(set(open("f", O_RDWR), F_WRLCK, 0, 0, 0) == 0); // another kind of lock
}

static void onAlarm(int sig) {}

// waits for a lock that somebody has, until an alarm.
static int interrupted(int fd, int cmd, int flags, struct itimerval t) {
	struct sigaction sa = {.sa_handler = onAlarm, .sa_flags = flags};
	sigaction(SIGALRM, &sa, 0);
	setitimer(ITIMER_REAL, &t, 0);
	struct flock l = {.l_type = F_WRLCK};
	int r = cmd ? fcntl(fd, cmd, &l) : flock(fd, LOCK_EX), e = errno;
	setitimer(ITIMER_REAL, &(struct itimerval){}, 0);
	errno = e;
	return r;
}

static void interruption(void) {
	int fd = fresh("i"), two = open("i", O_RDWR), e[2];
	struct itimerval often = {{0, 20000}, {0, 20000}};
	pid_t c = holds(fd, F_WRLCK, 0, 0, e);
	CHECK(flock(fd, LOCK_EX) == 0);
	FAILS(interrupted(two, F_SETLKW, 0, often), EINTR);
	FAILS(interrupted(two, F_OFD_SETLKW, 0, often), EINTR);
	FAILS(interrupted(two, 0, 0, often), EINTR);
	struct sigaction sa = {.sa_handler = onAlarm, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, 0);
	pid_t p = fork();
	if (p == 0) { // lets go of it after some signals
		usleep(60000);
		lets(c, e);
		_exit(0);
	}
	CHECK(interrupted(two, F_SETLKW, SA_RESTART, often) == 0);
	waitpid(p, 0, 0);
	sees(fd, F_WRLCK, 0, 0, getpid());
}

static void *closer(void *fd) {
	usleep(30000);
	close((long)fd);
	return 0;
}

// Who is given a lock of a file that was closed meanwhile has none.
static void closedMeanwhile(void) {
	int fd = fresh("w"), two = open("w", O_RDWR), e[2];
	struct flock l = {.l_type = F_WRLCK};
	pid_t c = holds(fd, F_WRLCK, 0, 0, e);
	pid_t p = fork();
	if (p == 0) {
		usleep(80000);
		lets(c, e);
		_exit(0);
	}
	pthread_t t;
	pthread_create(&t, 0, closer, (void *)(long)two);
	FAILS(fcntl(two, F_SETLKW, &l), EBADF);
	sees(fd, F_UNLCK, 0, 0, 0);
	waitpid(p, 0, 0);
}

// chain makes n processes of which each waits for the next one's byte; the last then
// asks for the first's.
static int chain(int fd, int n) {
	int up[2], go[2], status, deadlocks = 0;
	pid_t all[20];
	char b;
	CHECK(pipe(up) == 0 && pipe(go) == 0);
	for (int i = 0; i < n; i++) {
		if ((all[i] = fork()) == 0) {
			CHECK(set(fd, F_WRLCK, 0, i, 1) == 0);
			write(up[1], "x", 1);
			close(go[1]);
			read(go[0], &b, 1);
			if (i == n - 1) { // when all others wait
				while (waiting("d") < n - 1) usleep(1000);
				ualarm(200000, 0);
			}
			struct flock l = {.l_type = F_WRLCK, .l_start = (i + 1) % n, .l_len = 1};
			int r = fcntl(fd, F_SETLKW, &l);
			_exit(r == 0 ? 0 : errno);
		}
		CHECK(read(up[0], &b, 1) == 1);
	}
	close(go[0]), close(go[1]);
	for (int i = n - 1; i >= 0; i--) {
		CHECK(waitpid(all[i], &status, 0) == all[i]);
		deadlocks += WIFEXITED(status) && WEXITSTATUS(status) == EDEADLK;
	}
	close(up[0]), close(up[1]);
	return deadlocks;
}

static void deadlocks(void) {
	int fd = fresh("d");
	CHECK(chain(fd, 2) == 1);
	CHECK(chain(fd, 3) == 1);
	CHECK(chain(fd, 12) == 1);
	CHECK(chain(fd, 13) == 0); // Linux looks no further than ten
}

// afterExec asks, as another program, of locks on what is at a descriptor.
static int afterExec(const char *fd) {
	sees(atoi(fd), F_WRLCK, 3, 4, getpid());
	close(dup(atoi(fd)));
	sees(atoi(fd), F_UNLCK, 0, 0, 0);
	FAILS(flock(open("k", O_RDONLY), LOCK_SH | LOCK_NB), EWOULDBLOCK);
	return 0;
}

static void keptByExec(void) {
	int fd = fresh("k");
	char arg[16];
	sprintf(arg, "%d", fd);
	CHECK(set(fd, F_WRLCK, 0, 3, 4) == 0 && flock(fd, LOCK_EX) == 0);
	pid_t c = fork();
	if (c == 0) { // close-on-exec is a close like any other
		CHECK(set(fd, F_WRLCK, 0, 20, 1) == 0 && fcntl(fcntl(fd, F_DUPFD, 100), F_SETFD, FD_CLOEXEC) == 0);
		_exit(0);
	}
	ends(c);
	execl("/proc/self/exe", "locks", arg, (char *)0);
	CHECK(!"execve");
}

int main(int argc, char **argv) {
	if (argc > 1)
		_exit(afterExec(argv[1]));
	APART(ranges());
	APART(merges());
	APART(lostByClose());
	APART(openFile());
	APART(setgidIsNoMandate());
	APART(flocks());
	APART(interruption());
	APART(closedMeanwhile());
	APART(deadlocks());
	APART(keptByExec());
	return 0;
}
