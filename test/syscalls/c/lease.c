// fcntl(2), "Leases": who may have one, who breaks it, and what the owner is told.
// covers: fcntl open truncate
#include "check.h"
#include <fcntl.h>
#include <poll.h>

static sigset_t io;

// told waits for the signal of a break.
#define told(sig) toldAt(sig, __LINE__)
static void toldAt(int sig, int line) {
	siginfo_t si;
	struct timespec t = {10, 0};
	int got = sigtimedwait(&io, &si, &t);
	if (got != sig)
		fprintf(stderr, "line %d: signal %d\n", line, got);
	CHECK(got == sig);
	CHECK(si.si_code == (sig == SIGIO ? SI_KERNEL : POLL_MSG));
}

// untold says that none has come.
static void untold(void) {
	struct timespec t = {0, 0};
	FAILS(sigtimedwait(&io, 0, &t), EAGAIN);
}

static pid_t opener(int flags) {
	pid_t p = fork();
	if (p == 0) {
		close_range(3, ~0U, 0); // not to keep the lease of a file that the parent closes
		int fd = open("f", flags);
		_exit(fd < 0 ? errno : 0);
	}
	return p;
}

static int ended(pid_t p) {
	int st;
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st));
	return WEXITSTATUS(st);
}

// waits says that p does not end while the lease is there.
static void waits(pid_t p) {
	usleep(20000);
	CHECK(waitpid(p, 0, WNOHANG) == 0);
}

int main(void) {
	sigemptyset(&io);
	sigaddset(&io, SIGIO), sigaddset(&io, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &io, 0);
	int w = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600), p[2];
	CHECK(w >= 0 && pipe(p) == 0);
	CHECK(fcntl(w, F_GETLEASE) == F_UNLCK);
	FAILS(fcntl(w, F_SETLEASE, 17), EINVAL);
	FAILS(fcntl(w, F_SETLEASE, F_UNLCK), EAGAIN); // it has none
	FAILS(fcntl(w, F_SETLEASE, F_RDLCK), EAGAIN); // itself it can write
	FAILS(fcntl(p[0], F_SETLEASE, F_RDLCK), EINVAL);
	int d = open(".", O_RDONLY);
	FAILS(fcntl(d, F_SETLEASE, F_RDLCK), EINVAL);
	int null = open("/dev/null", O_RDONLY);
	FAILS(fcntl(null, F_SETLEASE, F_RDLCK), EINVAL);

	// A write lease: nobody else has it open.
	int other = open("f", O_RDONLY);
	FAILS(fcntl(w, F_SETLEASE, F_WRLCK), EAGAIN);
	close(other);
	CHECK(fcntl(w, F_SETLEASE, F_WRLCK) == 0 && fcntl(w, F_GETLEASE) == F_WRLCK);
	CHECK(fcntl(w, F_GETOWN) == getpid());
	pid_t c = opener(O_RDONLY | O_NONBLOCK);
	CHECK(ended(c) == EWOULDBLOCK);
	told(SIGIO);
	CHECK(fcntl(w, F_GETLEASE) == F_RDLCK); // what it is to become
	CHECK(fcntl(w, F_SETLEASE, F_UNLCK) == 0 && fcntl(w, F_GETLEASE) == F_UNLCK);

	CHECK(fcntl(w, F_SETSIG, SIGRTMIN) == 0 && fcntl(w, F_SETLEASE, F_WRLCK) == 0);
	c = opener(O_RDONLY);
	told(SIGRTMIN);
	waits(c);
	CHECK(fcntl(w, F_SETLEASE, F_UNLCK) == 0);
	CHECK(ended(c) == 0);
	CHECK(fcntl(w, F_GETSIG) == 0 && fcntl(w, F_GETOWN) == 0); // these went with it

	// Closing gives it up.
	CHECK(fcntl(w, F_SETLEASE, F_WRLCK) == 0);
	c = opener(O_WRONLY);
	told(SIGIO);
	CHECK(fcntl(w, F_GETLEASE) == F_UNLCK);
	FAILS(fcntl(w, F_SETLEASE, F_WRLCK), EAGAIN);
	waits(c);
	close(w);
	CHECK(ended(c) == 0);

	// Read leases: several, while nobody writes.
	int r = open("f", O_RDONLY), r2 = open("f", O_RDONLY);
	CHECK(fcntl(r, F_SETLEASE, F_RDLCK) == 0 && fcntl(r2, F_SETLEASE, F_RDLCK) == 0);
	FAILS(fcntl(r, F_SETLEASE, F_WRLCK), EAGAIN);
	CHECK(ended(opener(O_RDONLY)) == 0);
	CHECK(ended(opener(O_PATH)) == 0);
	untold();
	CHECK(fcntl(r2, F_SETLEASE, F_UNLCK) == 0);
	CHECK(ended(opener(O_RDONLY | O_TRUNC | O_NONBLOCK)) == 0); // Linux looks at the access alone
	untold();
	CHECK(ended(opener(O_WRONLY | O_TRUNC | O_NONBLOCK)) == EWOULDBLOCK);
	told(SIGIO);
	CHECK(fcntl(r, F_GETLEASE) == F_UNLCK);
	CHECK(ended(opener(O_RDWR | O_NONBLOCK)) == EWOULDBLOCK);
	untold(); // once
	CHECK(fcntl(r, F_SETLEASE, F_UNLCK) == 0);

	CHECK(fcntl(r, F_SETLEASE, F_RDLCK) == 0);
	if ((c = fork()) == 0)
		_exit(truncate("f", 5) ? errno : 0);
	told(SIGIO);
	waits(c);
	CHECK(fcntl(r, F_SETLEASE, F_UNLCK) == 0 && ended(c) == 0);

	// A write lease that is broken by a reader may become one for reading.
	close(r2);
	CHECK(fcntl(r, F_SETLEASE, F_WRLCK) == 0);
	c = opener(O_RDONLY);
	told(SIGIO);
	waits(c);
	CHECK(fcntl(r, F_SETLEASE, F_RDLCK) == 0);
	CHECK(ended(c) == 0 && fcntl(r, F_GETLEASE) == F_RDLCK);

	// It is the open file's, whoever has it.
	if ((c = fork()) == 0) {
		close(r);
		_exit(0);
	}
	CHECK(ended(c) == 0 && fcntl(r, F_GETLEASE) == F_RDLCK);
	close(r);
	CHECK(ended(opener(O_RDWR)) == 0);

	// Another's file is not for those without CAP_LEASE.
	if ((c = fork()) == 0) {
		r = open("f", O_RDONLY);
		CHECK(r >= 0 && setuid(12345) == 0);
		FAILS(fcntl(r, F_SETLEASE, F_RDLCK), EACCES);
		_exit(0);
	}
	CHECK(ended(c) == 0);
	return 0;
}
