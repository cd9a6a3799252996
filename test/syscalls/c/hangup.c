// vhangup(2): the controlling terminal goes, for all who have it open.
// covers: vhangup
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static volatile int hangups;
static void count(int s) { hangups++; }

static void leader(const char *name) {
	CHECK(setsid() == getpid());
	int s = open(name, O_RDWR), tty = open("/dev/tty", O_RDWR);
	CHECK(s >= 0 && tty >= 0);
	signal(SIGHUP, count);
	CHECK(syscall(SYS_vhangup) == 0);
	CHECK(hangups == 1);
	char c;
	CHECK(read(s, &c, 1) == 0); // end of file
	FAILS(write(s, "x", 1), EIO);
	struct termios t;
	FAILS(tcgetattr(s, &t), EIO);
	struct pollfd p = {s, POLLIN | POLLOUT, 0};
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
	FAILS(open("/dev/tty", O_RDWR), ENXIO); // it controls the session no more
	CHECK(syscall(SYS_vhangup) == 0);       // nothing is left to hang up
}

static void unprivileged(void) {
	CHECK(setuid(65534) == 0);
	FAILS(syscall(SYS_vhangup), EPERM);
}

int main(void) {
	int m = posix_openpt(O_RDWR | O_NOCTTY), st;
	CHECK(m >= 0 && grantpt(m) == 0 && unlockpt(m) == 0);
	char *name = ptsname(m);
	CHECK(name != NULL);
	pid_t pid = fork();
	if (pid == 0) {
		leader(name);
		unprivileged();
		_exit(0);
	}
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	return 0;
}
