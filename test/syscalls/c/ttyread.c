// What read(2) of a terminal returns and when: lines, VMIN and VTIME, full
// queues, flow control: termios(3).
// covers: read write poll
#include "tty.h"
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>

static char buf[20000];

static void raw(struct pty *p, int min, int time) {
	MODES(p->s, cfmakeraw(&t); t.c_cc[VMIN] = min; t.c_cc[VTIME] = time);
}

static void type(struct pty *p, const char *s) {
	int want = get_int(p->s, FIONREAD) + strlen(s);
	CHECK(put(p->m, s));
	for (int i = 0; i < 5000 && get_int(p->s, FIONREAD) < want; i++)
		usleep(1000);
}

// later: what is typed s after ms.
static pid_t later(struct pty *p, int ms, const char *s) {
	pid_t pid = fork();
	if (pid == 0) {
		for (; *s; s++) {
			usleep(ms * 1000);
			write(p->m, s, 1);
		}
		_exit(0);
	}
	return pid;
}

static long since(struct timespec *a) {
	struct timespec b;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a->tv_sec) * 1000 + (b.tv_nsec - a->tv_nsec) / 1000000;
}

static void nothing(int s) {}

static void raw_reads(void) {
	struct pty p = open_pty(0);
	struct timespec t0;
	pid_t pid;
	raw(&p, 0, 0); // polls
	CHECK(read(p.s, buf, 10) == 0 && events(p.s, POLLIN, 0) == 0);
	type(&p, "abc");
	CHECK(read(p.s, buf, 2) == 2 && read(p.s, buf, 10) == 1 && read(p.s, buf, 10) == 0);
	raw(&p, 0, 1); // waits for a while
	clock_gettime(CLOCK_MONOTONIC, &t0);
	CHECK(read(p.s, buf, 10) == 0 && since(&t0) >= 95);
	type(&p, "ab");
	CHECK(read(p.s, buf, 10) == 2);
	raw(&p, 0, 255);
	pid = later(&p, 20, "x");
	CHECK(read(p.s, buf, 10) == 1);
	ended(pid);
	raw(&p, 3, 0); // waits for three
	type(&p, "ab");
	CHECK(events(p.s, POLLIN, 0) == 0); // that is what poll waits for
	pid = later(&p, 20, "cd");
	CHECK(read(p.s, buf, 10) >= 3 && !memcmp(buf, "abc", 3));
	ended(pid);
	CHECK(tcflush(p.s, TCIFLUSH) == 0);
	type(&p, "ab");
	CHECK(read(p.s, buf, 2) == 2); // but not for more than are wanted
	type(&p, "a");
	int nb = open(p.name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(read(nb, buf, 10) == 1);
	FAILS(read(nb, buf, 10), EAGAIN);
	raw(&p, 0, 1);
	FAILS(read(nb, buf, 10), EAGAIN);
	raw(&p, 0, 0);
	CHECK(read(nb, buf, 10) == 0);
	raw(&p, 3, 1); // the first, and then a while between two
	type(&p, "a");
	CHECK(events(p.s, POLLIN, 0) == POLLIN);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	CHECK(read(p.s, buf, 10) == 1 && since(&t0) >= 95);
	pid = later(&p, 150, "x");
	CHECK(read(p.s, buf, 10) == 1); // the time begins with the first
	ended(pid);
	raw(&p, 3, 20);
	pid = later(&p, 10, "abc");
	CHECK(read(p.s, buf, 10) == 3);
	ended(pid);
	CHECK(read(p.s, buf, 0) == 0);
	// A signal ends it; what is there already counts.
	raw(&p, 5, 0);
	struct sigaction a = {.sa_handler = nothing};
	CHECK(sigaction(SIGALRM, &a, NULL) == 0);
	struct itimerval soon = {.it_value.tv_usec = 20000};
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	FAILS(read(p.s, buf, 10), EINTR);
	type(&p, "ab");
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0 && read(p.s, buf, 10) == 2);
	type(&p, "abcde");
	FAILS(syscall(SYS_read, p.s, 8, 5), EFAULT);
	// No more than 64 are waited for.
	raw(&p, 200, 0);
	for (int i = 0; i < 5; i++)
		type(&p, "01234567890123456789");
	CHECK(events(p.s, POLLIN, 0) == 0 && read(p.s, buf, 1000) == 64);
	raw(&p, 70, 0);
	CHECK(tcflush(p.s, TCIFLUSH) == 0);
	for (int i = 0; i < 5; i++)
		type(&p, "01234567890123456789");
	CHECK(read(p.s, buf, 1000) == 64);
	close(nb);
	close_pty(&p);
}

static void lines(void) {
	struct pty p = open_pty(0);
	MODES(p.s, t.c_lflag &= ~ECHO; t.c_cc[VEOL] = ';'; t.c_cc[VEOL2] = ',');
	type(&p, "one\ntwo\n");
	CHECK(read(p.s, buf, 100) == 4 && read(p.s, buf, 2) == 2 && read(p.s, buf, 100) == 2 && buf[1] == '\n');
	type(&p, "a;b,c\n");
	GETS(p.s, "a;");
	GETS(p.s, "b,");
	GETS(p.s, "c\n");
	type(&p, "end");
	CHECK(events(p.s, POLLIN, 0) == 0);
	CHECK(put(p.m, "\004"));
	GETS(p.s, "end");
	CHECK(put(p.m, "\004\004x\n") && events(p.s, POLLIN, 5000) == POLLIN);
	CHECK(read(p.s, buf, 100) == 0 && read(p.s, buf, 100) == 0);
	GETS(p.s, "x\n");
	// As many as are wanted, then the end-of-file character alone.
	CHECK(put(p.m, "abc\004") && events(p.s, POLLIN, 5000) == POLLIN);
	CHECK(read(p.s, buf, 3) == 3 && events(p.s, POLLIN, 0) == 0);
	CHECK(put(p.m, "q\n"));
	GETS(p.s, "q\n");
	// A reader with O_NONBLOCK.
	fcntl(p.s, F_SETFL, O_NONBLOCK);
	FAILS(read(p.s, buf, 1), EAGAIN);
	CHECK(put(p.m, "half") && quiet(p.s));
	FAILS(read(p.s, buf, 1), EAGAIN);
	// Half a line becomes readable when lines are turned off, and a line when on again.
	MODES(p.s, t.c_lflag &= ~ICANON; t.c_cc[VMIN] = 1; t.c_cc[VTIME] = 0);
	CHECK(events(p.s, POLLIN, 0) == POLLIN && get_int(p.s, FIONREAD) == 4);
	CHECK(read(p.s, buf, 1) == 1);
	MODES(p.s, t.c_lflag |= ICANON; t.c_cc[VEOF] = 4);
	GETS(p.s, "alf");
	close_pty(&p);
}

// A line longer than there is room for: its end is kept, its tail lost.
static void full(void) {
	struct pty p = open_pty(O_NONBLOCK);
	MODES(p.s, t.c_lflag &= ~ECHO);
	memset(buf, 'a', 5000);
	CHECK(write(p.m, buf, 5000) == 5000 && put(p.m, "z\nnext\n") && events(p.s, POLLIN, 5000) == POLLIN);
	CHECK(read(p.s, buf, sizeof buf) == 4096 && buf[4094] == 'a' && buf[4095] == '\n');
	GETS(p.s, "next\n");
	// Whole lines are not lost: they wait.
	for (int i = 0; i < 100; i++)
		CHECK(put(p.m, "012345678901234567890123456789012345678901234567890123456789\n"));
	int n = 0;
	while (n < 100 * 61 && events(p.s, POLLIN, 5000) == POLLIN) {
		CHECK(read(p.s, buf, sizeof buf) == 61 && buf[60] == '\n');
		n += 61;
	}
	CHECK(n == 100 * 61 && quiet(p.s));
	close_pty(&p);
}

// Output stopped by ^S: writers wait, poll says so, ^Q or (IXANY) anything lets go.
static void stopped(void) {
	struct pty p = open_pty(0);
	CHECK(put(p.m, "\023") && quiet(p.m) && events(p.s, POLLOUT, 0) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(put(p.s, "held"));
		_exit(0);
	}
	CHECK(quiet(p.m) && waitpid(pid, NULL, WNOHANG) == 0);
	CHECK(put(p.m, "a") && quiet(p.m)); // no echo either
	CHECK(put(p.m, "\021"));
	ssize_t n = 0; // the echo that waited and the writer are in no order
	while (n < 5 && events(p.m, POLLIN, 5000) & POLLIN) {
		ssize_t k = read(p.m, buf + n, 5 - n);
		CHECK(k > 0);
		n += k;
	}
	CHECK(n == 5 && (!memcmp(buf, "aheld", 5) || !memcmp(buf, "helda", 5)));
	CHECK(ended(pid) == 0);
	MODES(p.s, t.c_iflag |= IXANY);
	CHECK(put(p.m, "\023") && quiet(p.m) && events(p.s, POLLOUT, 0) == 0);
	CHECK(put(p.m, "b"));
	EXPECT(p.m, "b");
	CHECK(events(p.s, POLLOUT, 5000) == POLLOUT);
	// ^C lets go as well, and so does turning IXON off.
	CHECK(put(p.m, "\023") && quiet(p.m) && put(p.m, "\003"));
	EXPECT(p.m, "^C");
	CHECK(put(p.m, "\023") && quiet(p.m));
	MODES(p.s, t.c_iflag &= ~IXON);
	CHECK(events(p.s, POLLOUT, 5000) == POLLOUT && put(p.s, "free"));
	EXPECT(p.m, "free");
	// IXOFF is for lines with a device; a pseudoterminal sends no ^S.
	MODES(p.s, t.c_iflag |= IXOFF; t.c_lflag &= ~(ICANON | ECHO));
	memset(buf, 'x', 4000);
	CHECK(write(p.m, buf, 4000) == 4000 && write(p.m, buf, 4000) == 4000 && quiet(p.m));
	close_pty(&p);
}

// What comes in between a ^C and what was written before it is not lost.
static void written_before(void) {
	struct pty p = open_pty(0);
	CHECK(put(p.s, "output\n") && events(p.m, POLLIN, 5000) == POLLIN && put(p.m, "\003"));
	EXPECT(p.m, "output\r\n^C");
	CHECK(put(p.m, "x\ty\177\177\177") && put(p.s, "")); // a tab goes as it came
	EXPECT(p.m, "x\ty\b \b" "\b\b\b\b\b" "\b \b"); // from column 8 to 3
	CHECK(put(p.m, "\303\244\177"));
	EXPECT(p.m, "\303\244\b \b");
	MODES(p.s, t.c_iflag |= IUTF8);
	CHECK(tcflush(p.s, TCIFLUSH) == 0 && put(p.m, "\303\244\177\n"));
	EXPECT(p.m, "\303\244\b \b\r\n");
	GETS(p.s, "\n");
	close_pty(&p);
}

static void edges(void) {
	struct pty p = open_pty(0);
	int e = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET}, got;
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p.s, &ev) == 0);
	CHECK(put(p.m, "half") && epoll_wait(e, &got, 1, 20) == 0);
	CHECK(put(p.m, "\n") && epoll_wait(e, &got, 1, 5000) == 1 && got.events == EPOLLIN);
	CHECK(epoll_wait(e, &got, 1, 0) == 0);
	CHECK(put(p.m, "more\n") && epoll_wait(e, &got, 1, 5000) == 1);
	close(e);
	close_pty(&p);
}

int main(void) {
	CASE(raw_reads());
	CASE(lines());
	CASE(full());
	CASE(stopped());
	CASE(written_before());
	CASE(edges());
	return 0;
}
