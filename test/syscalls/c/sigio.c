// fcntl(2), F_SETSIG: a signal says by which descriptor it was asked for, and why.
// covers: fcntl ioctl
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static sigset_t io;

// told waits for the signal: fd and code are its siginfo's, band what it is in poll's terms.
static void told(int fd, int code, long band) {
	siginfo_t si;
	struct timespec t = {10, 0};
	CHECK(sigtimedwait(&io, &si, &t) == SIGRTMIN);
	if (si.si_fd != fd || si.si_code != code || si.si_band != band)
		fprintf(stderr, "fd %d code %d band %#lx\n", si.si_fd, si.si_code, (long)si.si_band);
	CHECK(si.si_fd == fd && si.si_code == code && si.si_band == band);
}

static void untold(void) {
	siginfo_t si;
	struct timespec t = {0, 0};
	FAILS(sigtimedwait(&io, &si, &t), EAGAIN);
}

static int chosen(int fd) {
	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && fcntl(fd, F_SETOWN, getpid()) == 0);
	return fd;
}

static void set_by_fcntl(void) {
	int p[2];
	CHECK(pipe(p) == 0);
	chosen(p[0]);
	CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0 && write(p[1], "x", 1) == 1);
	told(p[0], POLL_IN, POLLIN | POLLRDNORM);

	// Who turns on what is on already is not noted.
	int other = dup(p[0]);
	char c;
	CHECK(read(other, &c, 1) == 1 && fcntl(other, F_SETFL, O_ASYNC) == 0 && write(p[1], "x", 1) == 1);
	told(p[0], POLL_IN, POLLIN | POLLRDNORM);
	CHECK(fcntl(other, F_SETFL, 0) == 0 && read(other, &c, 1) == 1 && write(p[1], "x", 1) == 1);
	untold();
}

static void set_by_ioctl(void) {
	int s[2], on = 1;
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	int other = chosen(dup(s[0]));
	CHECK(ioctl(other, FIOASYNC, &on) == 0 && write(s[1], "x", 1) == 1);
	told(other, POLL_IN, POLLIN | POLLRDNORM);
}

static void of_a_directory(void) {
	int d = open(".", O_RDONLY);
	chosen(d);
	CHECK(fcntl(d, F_NOTIFY, DN_CREATE | DN_MULTISHOT) == 0);
	CHECK(close(creat("made", 0600)) == 0);
	told(d, POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
	int other = dup(d);
	CHECK(fcntl(other, F_NOTIFY, DN_DELETE | DN_MULTISHOT) == 0);
	CHECK(unlink("made") == 0);
	told(other, POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
	close(other), close(d);
}

static void of_a_lease(void) {
	int f = open("leased", O_CREAT | O_RDONLY, 0600);
	chosen(f);
	CHECK(fcntl(f, F_SETLEASE, F_RDLCK) == 0);
	FAILS(open("leased", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	told(f, POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
}

// Who makes a file ready has told its owner when the call returns.
static void before_the_call_returns(void) {
	int p[2];
	char c, event[256];
	int f = creat("changed", 0600);
	CHECK(pipe(p) == 0);
	chosen(p[0]);
	CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
	int d = chosen(open(".", O_RDONLY));
	CHECK(fcntl(d, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT) == 0);
	int n = chosen(inotify_init());
	CHECK(fcntl(n, F_SETFL, O_ASYNC) == 0 && inotify_add_watch(n, ".", IN_MODIFY) > 0);
	for (int i = 0; i < 200; i++) {
		siginfo_t si;
		struct timespec none = {0, 0};
		CHECK(write(p[1], "x", 1) == 1);
		CHECK(sigtimedwait(&io, &si, &none) == SIGRTMIN && si.si_fd == p[0]);
		CHECK(fchmod(f, 0600) == 0);
		CHECK(sigtimedwait(&io, &si, &none) == SIGRTMIN && si.si_fd == d);
		CHECK(write(f, "x", 1) == 1);
		CHECK(sigtimedwait(&io, &si, &none) == SIGRTMIN && si.si_fd == n);
		CHECK(write(f, "x", 1) == 1); // the same once more is no event
		untold();
		CHECK(read(n, event, sizeof event) > 0 && read(p[0], &c, 1) == 1);
	}
	close(d), close(n), close(f);
}

// Other files never send signals: the flag is ignored, and the ioctl unknown.
static void files_without_it(void) {
	int fds[] = {eventfd(0, 0), epoll_create1(0), open("/dev/null", O_RDWR), open(".", O_RDONLY), creat("plain", 0600)};
	for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
		int on = 1;
		CHECK(chosen(fds[i]) >= 0);
		FAILS(ioctl(fds[i], FIOASYNC, &on), ENOTTY);
		CHECK(fcntl(fds[i], F_SETFL, O_ASYNC) == 0 && (fcntl(fds[i], F_GETFL) & O_ASYNC) == 0);
		on = 0;
		CHECK(ioctl(fds[i], FIOASYNC, &on) == 0);
	}
	unsigned long long one = 1;
	CHECK(write(fds[0], &one, sizeof one) == sizeof one);
	untold();
	// open(2) keeps the flag, and sends nothing either.
	int f = open("plain", O_RDWR | O_ASYNC), off = 0;
	CHECK(fcntl(f, F_GETFL) & O_ASYNC);
	FAILS(ioctl(f, FIOASYNC, &off), ENOTTY);
}

static void random_has_it(void) {
	int f = open("/dev/urandom", O_RDWR), on = 1;
	CHECK(ioctl(f, FIOASYNC, &on) == 0 && fcntl(f, F_GETFL) & O_ASYNC);
}

int main(void) {
	sigemptyset(&io), sigaddset(&io, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &io, 0);
	CASE(set_by_fcntl());
	CASE(set_by_ioctl());
	CASE(of_a_directory());
	CASE(of_a_lease());
	CASE(before_the_call_returns());
	CASE(files_without_it());
	CASE(random_has_it());
	return 0;
}
