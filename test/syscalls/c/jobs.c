// Sessions, process groups, and a terminal of one's own.
// covers: setsid setpgid getsid getpgid ioctl
#include "check.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

static volatile int hup, cont;
static void onhup(int s) { hup++; }

int main(void) {
	int st;
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(m >= 0 && grantpt(m) == 0 && unlockpt(m) == 0);
	char *name = ptsname(m);
	CHECK(name != NULL);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setsid() == getpid());
		CHECK(getsid(0) == getpid() && getpgrp() == getpid());
		FAILS(setsid(), EPERM);
		FAILS(setpgid(0, 0), EPERM);
		int s = open(name, O_RDWR); // becomes the controlling terminal
		CHECK(s >= 0 && isatty(s));
		CHECK(tcgetpgrp(s) == getpid());
		CHECK(tcgetsid(s) == getpid());
		int tty = open("/dev/tty", O_RDWR);
		CHECK(tty >= 0);
		struct winsize ws = {.ws_row = 30, .ws_col = 100}, got;
		CHECK(ioctl(s, TIOCSWINSZ, &ws) == 0 && ioctl(m, TIOCGWINSZ, &got) == 0 && got.ws_col == 100);
		// A background process that reads is stopped.
		pid_t bg = fork();
		if (bg == 0) {
			setpgid(0, 0);
			char c;
			read(s, &c, 1);
			_exit(3);
		}
		setpgid(bg, bg);
		CHECK(waitpid(bg, &st, WUNTRACED) == bg && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
		CHECK(tcsetpgrp(s, bg) == 0);
		CHECK(write(m, "x\n", 2) == 2);
		CHECK(kill(bg, SIGCONT) == 0);
		CHECK(waitpid(bg, &st, 0) == bg && WIFEXITED(st) && WEXITSTATUS(st) == 3);
		// Ctrl-C goes to the foreground group.
		bg = fork();
		if (bg == 0) { setpgid(0, 0); for (;;) pause(); }
		setpgid(bg, bg);
		signal(SIGTTOU, SIG_IGN);
		CHECK(tcsetpgrp(s, bg) == 0);
		CHECK(write(m, "\003", 1) == 1);
		CHECK(waitpid(bg, &st, 0) == bg && WIFSIGNALED(st) && WTERMSIG(st) == SIGINT);
		CHECK(tcsetpgrp(s, getpid()) == 0);
		signal(SIGHUP, onhup);
		close(m);
		_exit(12);
	}
	CHECK(waitpid(pid, &st, 0) == pid);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 12);
	FAILS(ioctl(m, TIOCSCTTY, 0), EPERM);
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid = fork();
	if (pid == 0) { setsid(); char c; FAILS(open("/dev/tty", O_RDWR), ENXIO); CHECK(read(fd[0], &c, 1) == 1); _exit(0); }
	asleep(pid);
	FAILS(setpgid(pid, pid), EPERM); // a session leader
	write(fd[1], "x", 1);
	waitpid(pid, &st, 0);
	CHECK(st == 0);
	FAILS(getsid(1 << 22), ESRCH);
	return 0;
}
