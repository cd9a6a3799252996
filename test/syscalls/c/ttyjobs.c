// Job control: controlling terminals, background processes, orphaned groups,
// hang-ups: credentials(7), ioctl_tty(2), setpgid(2).
// covers: ioctl setsid setpgid exit_group kill wait4
#include "tty.h"

static volatile int hups, conts, winches, ttous, ttins, tstps, ints;
static void count(int s) {
	hups += s == SIGHUP, conts += s == SIGCONT, winches += s == SIGWINCH;
	ttous += s == SIGTTOU, ttins += s == SIGTTIN, tstps += s == SIGTSTP, ints += s == SIGINT;
}

static void on(int s) {
	struct sigaction a = {.sa_handler = count}; // without SA_RESTART
	CHECK(sigaction(s, &a, NULL) == 0);
}

static int pipes[2];
static void say(char c) { CHECK(write(pipes[1], &c, 1) == 1); }
static int heard(char c) {
	char b;
	return events(pipes[0], POLLIN, 5000) & POLLIN && read(pipes[0], &b, 1) == 1 && b == c;
}

// As a session leader in a child, with p.s as controlling terminal.
#define SESSION(p, ...) \
	IN_CHILD(CHECK(setsid() == getpid()); CHECK(ioctl((p).s, TIOCSCTTY, 0) == 0); __VA_ARGS__)

static void alone(void) { CHECK(setpgid(0, 0) == 0); }

// A background process of a group of its own; its parent waits for it.
static int background(void (*f)(struct pty *), struct pty *p) {
	pid_t pid = fork();
	if (pid == 0) {
		alone();
		f(p);
		_exit(0);
	}
	setpgid(pid, pid);
	return ended(pid);
}

// Becoming the controlling terminal.
static void acquire_leader(struct pty *p) {
	int t;
	FAILS(ioctl(p->s, TIOCSCTTY, 0), EPERM); // no leader
	CHECK(setsid() == getpid());
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	int w = open(p->name, O_WRONLY);
	CHECK(w >= 0);
	FAILS(open("/dev/tty", O_RDWR), ENXIO); // not by a file that can't be read
	int nc = open(p->name, O_RDWR | O_NOCTTY);
	CHECK(nc >= 0);
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	CHECK((t = open("/dev/ptmx", O_RDWR)) >= 0); // nor is a master
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	CHECK(open(p->name, O_RDONLY) >= 0);
	CHECK((t = open("/dev/tty", O_RDWR)) >= 0 && tcgetpgrp(t) == getpid() && tcgetsid(t) == getpid());
	CHECK(tcgetpgrp(p->m) == getpid() && tcgetsid(p->m) == getpid());
	CHECK(ioctl(p->s, TIOCSCTTY, 0) == 0); // it is so already
	struct stat st;
	CHECK(fstat(t, &st) == 0 && st.st_rdev == 0x500);
	struct pty q = open_pty(0);
	FAILS(ioctl(q.s, TIOCSCTTY, 0), EPERM);
	FAILS(ioctl(q.s, TIOCSCTTY, 1), EPERM);
	pid_t x;
	FAILS(ioctl(q.s, TIOCGPGRP, &x), ENOTTY);
	CHECK(ioctl(q.m, TIOCGPGRP, &x) == 0 && x == 0);
	// Another session does not get it; root may steal it.
	IN_CHILD(setsid(); FAILS(ioctl(p->s, TIOCSCTTY, 0), EPERM); CHECK(open(p->name, O_RDWR) >= 0); FAILS(open("/dev/tty", O_RDWR), ENXIO));
	IN_CHILD(setsid(); CHECK(setuid(65534) == 0); FAILS(ioctl(p->s, TIOCSCTTY, 1), EPERM));
	on(SIGHUP);
	IN_CHILD(setsid(); CHECK(ioctl(p->s, TIOCSCTTY, 1) == 0); CHECK(tcgetsid(p->s) == getpid()); signal(SIGHUP, SIG_IGN));
	CHECK(hups == 0);
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	FAILS(tcgetpgrp(p->s), ENOTTY);
	FAILS(tcgetpgrp(t), ENOTTY);
	CHECK(ioctl(q.m, TIOCSCTTY, 0) == 0); // by its master: the slave
	CHECK((t = open("/dev/tty", O_RDWR)) >= 0 && put(q.m, "hi\n"));
	GETS(t, "hi\n");
}

static void acquire(void) {
	struct pty p = open_pty(0);
	IN_CHILD(acquire_leader(&p));
	IN_CHILD(setsid(); CHECK(setuid(65534) == 0); close(p.s); (void)!write(1, "", 0));
	close_pty(&p);
}

static void reads_default(struct pty *p) {
	char c;
	FAILS(tcgetattr(8000, NULL), EBADF);
	read(p->s, &c, 1);
	_exit(9);
}

static void ignoring(struct pty *p) {
	char c;
	signal(SIGTTIN, SIG_IGN);
	FAILS(read(p->s, &c, 1), EIO);
	signal(SIGTTIN, SIG_DFL);
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGTTIN);
	sigaddset(&s, SIGTTOU);
	sigprocmask(SIG_BLOCK, &s, NULL);
	FAILS(read(p->s, &c, 1), EIO);
	CHECK(ioctl(p->s, TIOCSTI, "") == 0 || errno == EIO || errno == EPERM); // asks nobody
	MODES(p->s, t.c_lflag ^= ECHOK); // goes on
	MODES(p->s, t.c_lflag ^= ECHOK);
	CHECK(put(p->s, "b") && tcflush(p->s, TCIFLUSH) == 0 && tcflow(p->s, TCOON) == 0 && tcdrain(p->s) == 0 && tcsendbreak(p->s, 0) == 0);
	CHECK(tcsetpgrp(p->s, getppid()) == 0);
	sigpending(&s);
	CHECK(!sigismember(&s, SIGTTIN) && !sigismember(&s, SIGTTOU));
}

static void handling(struct pty *p) {
	char c;
	struct termios t;
	on(SIGTTIN);
	on(SIGTTOU);
	FAILS(read(p->s, &c, 1), EINTR);
	CHECK(ttins == 1);
	CHECK(tcgetattr(p->s, &t) == 0 && put(p->s, "w") && ttous == 0);
	FAILS(tcsetattr(p->s, TCSANOW, &t), EINTR);
	FAILS(tcsetattr(p->m, TCSANOW, &t), EINTR);
	CHECK(ttous == 2);
	FAILS(tcflush(p->s, TCIFLUSH), EINTR);
	FAILS(tcflow(p->s, TCOON), EINTR);
	FAILS(tcsendbreak(p->s, 0), EINTR);
	FAILS(tcdrain(p->s), EINTR);
	FAILS(tcsetpgrp(p->s, getpgrp()), EINTR);
	FAILS(ioctl(p->s, TIOCSETD, &(int){0}), EINTR);
	FAILS(ioctl(p->s, TCSETS, 8), EINTR); // before it looks
	CHECK(ttous == 9);
	CHECK(tcflush(p->m, TCIFLUSH) == 0 && tcflow(p->m, TCOON) == 0 && ttous == 9);
	struct winsize w = {1, 2, 3, 4};
	CHECK(ioctl(p->s, TIOCSWINSZ, &w) == 0 && ioctl(p->s, FIONREAD, &t) == 0 && ttous == 9);
	MODES(p->s, signal(SIGTTOU, SIG_IGN); t.c_lflag |= TOSTOP);
	on(SIGTTOU);
	FAILS(write(p->s, "x", 1), EINTR);
	CHECK(ttous == 10);
	signal(SIGTTOU, SIG_IGN);
	CHECK(put(p->s, "ignored"));
	MODES(p->s, t.c_lflag &= ~TOSTOP);
	int nb = open(p->name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	FAILS(read(nb, &c, 1), EINTR); // O_NONBLOCK or not
	CHECK(events(nb, POLLIN, 0) == 0);
}

static void in_background(void) {
	struct pty p = open_pty(0);
	SESSION(p,
		int st;
		CHECK(background(handling, &p) == 0);
		CHECK(tcflush(p.m, TCIOFLUSH) == 0);
		CHECK(background(ignoring, &p) == 0);
		CHECK(tcgetpgrp(p.s) == getpid());
		pid_t pid = fork();
		if (pid == 0) {
			alone();
			reads_default(&p);
		}
		CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
		setpgid(pid, pid);
		signal(SIGTTOU, SIG_IGN);
		CHECK(tcsetpgrp(p.s, pid) == 0 && kill(pid, SIGCONT) == 0);
		asleep(pid);
		CHECK(put(p.m, "x\032")); // it waits in read, and stops by the keyboard
		CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTSTP);
		CHECK(kill(pid, SIGCONT) == 0 && waitpid(pid, &st, WCONTINUED) == pid && WIFCONTINUED(st));
		CHECK(put(p.m, "\034"));
		CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGQUIT);
		// What tcsetpgrp refuses.
		FAILS(tcsetpgrp(p.s, -1), EINVAL);
		FAILS(tcsetpgrp(p.s, 1 << 22), ESRCH);
		FAILS(tcsetpgrp(p.s, getppid()), EPERM);
		FAILS(ioctl(p.s, TIOCSPGRP, 8), EFAULT);
		CHECK(tcsetpgrp(p.s, getpid()) == 0);
		pid = fork();
		if (pid == 0) {
			pause();
			_exit(0);
		}
		CHECK(tcsetpgrp(p.s, pid) == 0 && tcgetpgrp(p.s) == pid); // no group yet, but of this session
		CHECK(tcsetpgrp(p.s, getpid()) == 0);
		CHECK(setpgid(pid, pid) == 0 && kill(pid, SIGKILL) == 0);
		ended(pid));
	close_pty(&p);
}

// SIGTTIN stops the whole group, not only who asked.
static void whole_group(void) {
	struct pty p = open_pty(0);
	SESSION(p,
		int st;
		pid_t a = fork();
		if (a == 0) {
			alone();
			for (;;)
				pause();
		}
		setpgid(a, a);
		pid_t b = fork();
		if (b == 0) {
			setpgid(0, a);
			reads_default(&p);
		}
		CHECK(waitpid(a, &st, WUNTRACED) == a && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
		CHECK(waitpid(b, &st, WUNTRACED) == b && WIFSTOPPED(st));
		kill(-a, SIGKILL);
		ended(a);
		ended(b));
	close_pty(&p);
}

// A group that nobody outside it watches over: EIO, and no stops.
static void orphan(struct pty *p) {
	char c;
	on(SIGTTIN);
	FAILS(read(p->s, &c, 1), EIO);
	CHECK(ttins == 0);
	struct termios t;
	CHECK(tcgetattr(p->s, &t) == 0);
	FAILS(tcsetattr(p->s, TCSANOW, &t), EIO);
	FAILS(tcsetpgrp(p->s, getpgrp()), ENOTTY);
	CHECK(put(p->s, "o"));
	signal(SIGTTIN, SIG_IGN);
	FAILS(read(p->s, &c, 1), EIO);
	signal(SIGTTOU, SIG_IGN);
	CHECK(tcsetattr(p->s, TCSANOW, &t) == 0); // first comes whether it is ignored
	signal(SIGTSTP, SIG_DFL);
	raise(SIGTSTP); // does nothing
	say('o');
}

static void orphaned(void) {
	struct pty p = open_pty(0);
	SESSION(p,
		IN_CHILD(if (fork() == 0) {
			alone();
			while (getppid() != 1)
				usleep(1000);
			_exit((orphan(&p), 0));
		});
		CHECK(heard('o')));
	close_pty(&p);
	// A stopped member of a group that becomes orphaned is sent SIGHUP and SIGCONT.
	IN_CHILD(
		pid_t child;
		setsid();
		if ((child = fork()) == 0) {
			pid_t g = fork();
			if (g == 0) {
				alone();
				on(SIGHUP);
				on(SIGCONT);
				say('s');
				raise(SIGSTOP);
				CHECK(hups == 1 && conts == 1);
				say('w');
				_exit(0);
			}
			int st;
			CHECK(waitpid(g, &st, WUNTRACED) == g && WIFSTOPPED(st));
			_exit(0);
		}
		CHECK(heard('s') && ended(child) == 0 && heard('w')));
	// One that runs is left alone.
	IN_CHILD(
		setsid();
		IN_CHILD(if (fork() == 0) {
			alone();
			on(SIGHUP);
			say('s');
			usleep(30000);
			CHECK(hups == 0);
			say('w');
			_exit(0);
		});
		CHECK(heard('s') && heard('w')));
}

// Signals by the keyboard go to the foreground group, all of it and nobody else.
static void keyboard(void) {
	struct pty p = open_pty(0);
	SESSION(p,
		on(SIGINT);
		on(SIGWINCH);
		pid_t fg[2];
		for (int i = 0; i < 2; i++)
			if ((fg[i] = fork()) == 0) {
				setpgid(0, i ? fg[0] : 0);
				on(SIGINT);
				on(SIGWINCH);
				on(SIGTSTP);
				sigset_t all;
				sigset_t none;
				sigfillset(&all);
				sigemptyset(&none);
				sigprocmask(SIG_SETMASK, &all, NULL);
				say('r');
				while (!ints || !winches || !tstps)
					sigsuspend(&none);
				_exit(0);
			} else
				setpgid(fg[i], fg[0]);
		CHECK(heard('r') && heard('r'));
		signal(SIGTTOU, SIG_IGN);
		CHECK(tcsetpgrp(p.s, fg[0]) == 0);
		struct winsize w = {10, 10};
		CHECK(ioctl(p.m, TIOCSWINSZ, &w) == 0);
		CHECK(put(p.m, "\003") && ioctl(p.m, TIOCSIG, SIGTSTP) == 0);
		CHECK(ended(fg[0]) == 0 && ended(fg[1]) == 0);
		CHECK(ints == 0 && winches == 0);
		CHECK(tcsetpgrp(p.s, getpid()) == 0);
		CHECK(ioctl(p.m, TIOCSWINSZ, &w) == 0); // the same: nothing
		CHECK(winches == 0);
		w.ws_xpixel = 3;
		CHECK(ioctl(p.s, TIOCSWINSZ, &w) == 0 && winches == 1);
		// TIOCSIG flushes nothing, the character does.
		CHECK(put(p.m, "kept\n") && events(p.s, POLLIN, 5000) == POLLIN);
		CHECK(ioctl(p.m, TIOCSIG, SIGINT) == 0 && ints == 1);
		CHECK(get_int(p.s, FIONREAD) == 5);
		CHECK(put(p.m, "\003"));
		while (ints < 2)
			usleep(1000);
		CHECK(quiet(p.s));
		MODES(p.s, t.c_lflag |= NOFLSH);
		CHECK(put(p.m, "kept\n\003"));
		while (ints < 3)
			usleep(1000);
		GETS(p.s, "kept\n");
		// A read that waits is interrupted.
		char c;
		pid_t me = getpid();
		pid_t pid = fork();
		if (pid == 0) {
			asleep(me);
			CHECK(put(p.m, "\003") && getppid() == me);
			_exit(0);
		}
		FAILS(read(p.s, &c, 1), EINTR);
		ended(pid));
	close_pty(&p);
}

// TIOCNOTTY: of a leader the whole session loses its terminal.
static void given_up(void) {
	struct pty p = open_pty(0);
	SESSION(p,
		on(SIGHUP);
		on(SIGCONT);
		pid_t pid = fork();
		if (pid == 0) {
			hups = conts = 0;
			CHECK(ioctl(p.s, TIOCNOTTY) == 0);
			FAILS(open("/dev/tty", O_RDWR), ENXIO);
			FAILS(ioctl(p.s, TIOCSCTTY, 0), EPERM);
			_exit(0);
		}
		CHECK(ended(pid) == 0 && hups == 0 && tcgetsid(p.s) == getpid());
		int t = open("/dev/tty", O_RDWR);
		CHECK(t >= 0 && ioctl(t, TIOCNOTTY) == 0);
		CHECK(hups == 1 && conts == 1);
		FAILS(open("/dev/tty", O_RDWR), ENXIO);
		FAILS(ioctl(p.s, TIOCNOTTY), ENOTTY);
		CHECK(put(p.s, "still there"));
		EXPECT(p.m, "still there");
		CHECK(ioctl(p.s, TIOCSCTTY, 0) == 0 && tcgetpgrp(p.s) == getpid()));
	close_pty(&p);
}

// When the master is closed the leader alone is told; when the leader goes
// then, who was in the foreground is.
static void hung_up(void) {
	struct pty p = open_pty(0);
	pid_t leader = fork();
	if (leader == 0) {
		setsid();
		CHECK(ioctl(p.s, TIOCSCTTY, 0) == 0);
		close(p.m);
		on(SIGHUP);
		on(SIGCONT);
		pid_t fg = fork();
		if (fg == 0) {
			alone();
			hups = conts = 0;
			say('f');
			usleep(50000);
			CHECK(hups == 0 && conts == 0);
			FAILS(open("/dev/tty", O_RDWR), ENXIO); // all of the session lost it
			say('t');
			while (!hups || !conts)
				usleep(1000);
			say('h');
			_exit(0);
		}
		setpgid(fg, fg);
		signal(SIGTTOU, SIG_IGN);
		CHECK(tcsetpgrp(p.s, fg) == 0);
		say('l');
		while (!hups || !conts)
			usleep(1000);
		FAILS(open("/dev/tty", O_RDWR), ENXIO);
		usleep(100000);
		_exit(0);
	}
	char a, b;
	CHECK(read(pipes[0], &a, 1) == 1 && read(pipes[0], &b, 1) == 1 && a + b == 'f' + 'l');
	close(p.m);
	CHECK(heard('t') && ended(leader) == 0 && heard('h'));
	close(p.s);
}

// A leader's end takes the terminal from its session, tells the foreground, and
// leaves a pseudoterminal usable for who has it open.
static void leader_gone(void) {
	struct pty p = open_pty(0);
	pid_t leader = fork();
	if (leader == 0) {
		setsid();
		CHECK(ioctl(p.s, TIOCSCTTY, 0) == 0);
		pid_t fg = fork();
		on(SIGHUP);
		on(SIGCONT);
		if (fg == 0) {
			say('f');
			while (!hups)
				usleep(1000);
			FAILS(open("/dev/tty", O_RDWR), ENXIO);
			CHECK(conts == 0 && put(p.s, "still\n"));
			char c[10];
			CHECK(read(p.s, c, 10) == 3);
			say('e');
			_exit(0);
		}
		pid_t bg = fork();
		if (bg == 0) {
			alone();
			say('b');
			usleep(60000);
			CHECK(hups == 0 && conts == 0);
			FAILS(open("/dev/tty", O_RDWR), ENXIO);
			say('c');
			_exit(0);
		}
		char a, b;
		CHECK(read(pipes[0], &a, 1) == 1 && read(pipes[0], &b, 1) == 1 && a + b == 'f' + 'b');
		_exit(0);
	}
	CHECK(ended(leader) == 0);
	EXPECT(p.m, "still\r\n");
	CHECK(tcgetpgrp(p.m) == 0);
	CHECK(put(p.m, "ok\n"));
	EXPECT(p.m, "ok\r\n");
	CHECK(heard('e') && heard('c'));
	CHECK(put(p.s, "x"));
	EXPECT(p.m, "x");
	// It is free for another session.
	SESSION(p, CHECK(tcgetpgrp(p.s) == getpid()));
	close_pty(&p);
}

// vhangup by ioctl: who waits reads end of file, the modes are as at first.
static void vhung_up(void) {
	struct pty p = open_pty(0);
	char c;
	MODES(p.s, t.c_lflag &= ~ECHO; t.c_cc[VINTR] = 'x');
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(read(p.s, &c, 1) == 0);
		_exit(0);
	}
	asleep(pid);
	CHECK(ioctl(p.s, TIOCVHANGUP) == 0 && ended(pid) == 0);
	CHECK(read(p.s, &c, 1) == 0);
	FAILS(write(p.s, "x", 1), EIO);
	FAILS(ioctl(p.s, FIONREAD, &c), EIO);
	int s = open(p.name, O_RDWR | O_NOCTTY);
	CHECK(s >= 0);
	struct termios t;
	CHECK(tcgetattr(s, &t) == 0 && t.c_lflag & ECHO && t.c_cc[VINTR] == 3);
	CHECK(put(s, "anew") && put(p.m, "x\n"));
	EXPECT(p.m, "anewx\r\n");
	GETS(s, "x\n");
	close(p.s);
	CHECK(put(s, "y"));
	EXPECT(p.m, "y");
	close(s);
	FAILS(read(p.m, &c, 1), EIO);
	close(p.m);
}

int main(void) {
	CHECK(pipe(pipes) == 0);
	CASE(acquire());
	CASE(in_background());
	CASE(whole_group());
	CASE(orphaned());
	CASE(keyboard());
	CASE(given_up());
	CASE(hung_up());
	CASE(leader_gone());
	CASE(vhung_up());
	return 0;
}
