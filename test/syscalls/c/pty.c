// Pseudoterminals: opening, packet mode, what one side sees when the other is
// closed: pty(7), ioctl_tty(2).
// covers: open read write poll ioctl
#include "tty.h"
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

static void opening(void) {
	struct stat st;
	int n, m = open("/dev/ptmx", O_RDWR | O_NOCTTY), s;
	char name[32];
	CHECK(m >= 0 && ioctl(m, TIOCGPTN, &n) == 0 && get_int(m, TIOCGPTLCK) == 1);
	sprintf(name, "/dev/pts/%d", n);
	CHECK(stat(name, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == 136 && minor(st.st_rdev) == (unsigned)n);
	CHECK(st.st_uid == getuid() && st.st_ino == (ino_t)n + 3);
	FAILS(open(name, O_RDWR | O_NOCTTY), EIO);
	FAILS(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY), EIO);
	CHECK(set_int(m, TIOCSPTLCK, 0) == 0 && get_int(m, TIOCGPTLCK) == 0);
	CHECK(events(m, POLLIN | POLLOUT, 0) == POLLOUT); // never opened is no hang-up
	CHECK((s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0);
	CHECK(fcntl(s, F_GETFD) == FD_CLOEXEC && (fcntl(s, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fstat(s, &st) == 0 && minor(st.st_rdev) == (unsigned)n);
	CHECK(fstat(m, &st) == 0 && major(st.st_rdev) == 5 && minor(st.st_rdev) == 2);
	CHECK(isatty(m) && isatty(s) && !strcmp(ttyname(s), name));
	int other = open("/dev/ptmx", O_RDWR | O_NOCTTY), n2;
	CHECK(other >= 0 && ioctl(other, TIOCGPTN, &n2) == 0 && n2 != n);
	close(other);
	sprintf(name, "/dev/pts/%d", n2);
	FAILS(open(name, O_RDWR), ENOENT);
	// What is open stays usable when it is locked again.
	CHECK(set_int(m, TIOCSPTLCK, 1) == 0 && put(s, "x"));
	EXPECT(m, "x");
	close(s);
	close(m);
}

// An instance of its own: its ptmx, its numbers, its options.
static void instances(void) {
	struct stat st;
	int n, m, s;
	// Where this runs may be mounted without devices.
	if (mkdir("box", 0755) || mount("tmpfs", "box", "tmpfs", 0, "mode=755")) {
		CHECK(errno == EPERM);
		return;
	}
	CHECK(chdir("box") == 0);
	if (mkdir("pts", 0755) || mount("devpts", "pts", "devpts", 0, "newinstance,mode=620,gid=5,ptmxmode=666,max=2")) {
		CHECK(errno == EPERM);
		CHECK(chdir("..") == 0 && umount("box") == 0);
		return;
	}
	CHECK(stat("pts/ptmx", &st) == 0 && (st.st_mode & 07777) == 0666);
	CHECK((m = open("pts/ptmx", O_RDWR | O_NOCTTY)) >= 0 && ioctl(m, TIOCGPTN, &n) == 0 && n == 0);
	CHECK(stat("pts/0", &st) == 0 && (st.st_mode & 07777) == 0620 && st.st_gid == 5);
	CHECK(set_int(m, TIOCSPTLCK, 0) == 0);
	CHECK((s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY)) >= 0 && put(s, "mine"));
	EXPECT(m, "mine");
	// A node 5:2 makes pseudoterminals of the devpts at "pts" beside it.
	CHECK(mknod("ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
	int m2 = open("ptmx", O_RDWR | O_NOCTTY);
	CHECK(m2 >= 0 && get_int(m2, TIOCGPTN) == 1);
	FAILS(open("ptmx", O_RDWR | O_NOCTTY), ENOSPC);
	close(m2);
	CHECK(mkdir("alone", 0755) == 0 && mknod("alone/ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
	FAILS(open("alone/ptmx", O_RDWR | O_NOCTTY), ENOENT);
	CHECK(mkdir("alone/pts", 0755) == 0);
	FAILS(open("alone/ptmx", O_RDWR | O_NOCTTY), ENODEV);
	close(s);
	close(m);
	CHECK(umount("pts") == 0 && chdir("..") == 0 && umount("box") == 0);
}

// The slave is closed for the last time: the master reads EIO until it is
// opened again, after what was written before.
static void slave_closed(void) {
	struct pty p = open_pty(0);
	int s2 = dup(p.s);
	CHECK(put(p.m, "typed\nahead"));
	EXPECT(p.m, "typed\r\nahead");
	close(p.s);
	CHECK(events(p.m, POLLIN | POLLOUT, 0) == POLLOUT);
	CHECK(put(s2, "last") && events(p.m, POLLIN, 5000) == POLLIN);
	MODES(s2, t.c_lflag &= ~ECHO);
	close(s2);
	char c;
	CHECK(events(p.m, POLLIN | POLLOUT, 0) == (POLLIN | POLLOUT | POLLHUP));
	EXPECT(p.m, "last");
	FAILS(read(p.m, &c, 1), EIO);
	CHECK(events(p.m, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP));
	CHECK(put(p.m, "!\n")); // it is kept
	CHECK((p.s = open(p.name, O_RDWR | O_NOCTTY | O_NONBLOCK)) >= 0);
	CHECK(events(p.m, POLLIN, 0) == 0);
	GETS(p.s, "typed\n"); // it was kept, and so were the modes
	GETS(p.s, "ahead!\n");
	CHECK(quiet(p.m));
	FAILS(read(p.s, &c, 1), EAGAIN);
	close_pty(&p);
	// A reader that waits is woken.
	p = open_pty(0);
	IN_CHILD(close(p.s); if (fork() == 0) {
		close(p.m);
		usleep(20000);
		_exit(0);
	});
	pid_t pid = fork();
	if (pid == 0) {
		close(p.s);
		FAILS(read(p.m, &c, 1), EIO);
		_exit(0);
	}
	asleep(pid);
	close(p.s);
	CHECK(ended(pid) == 0);
	close(p.m);
}

static void master_closed(void) {
	struct pty p = open_pty(0);
	char c;
	struct termios t;
	pid_t pid = fork(), pid2 = 0;
	if (pid == 0) {
		close(p.m);
		FAILS(read(p.s, &c, 1), EIO); // it was waiting
		CHECK(read(p.s, &c, 1) == 0);
		_exit(0);
	}
	if ((pid2 = fork()) == 0) {
		close(p.m);
		struct pollfd f = {p.s, POLLIN, 0};
		CHECK(poll(&f, 1, 10000) == 1 && f.revents == (POLLIN | POLLHUP | POLLERR));
		_exit(0);
	}
	asleep(pid);
	asleep(pid2);
	CHECK(put(p.s, "unread"));
	close(p.m);
	CHECK(ended(pid) == 0 && ended(pid2) == 0);
	CHECK(read(p.s, &c, 1) == 0);
	FAILS(write(p.s, "x", 1), EIO);
	FAILS(tcgetattr(p.s, &t), EIO);
	FAILS(tcflush(p.s, TCIFLUSH), EIO);
	FAILS(ioctl(p.s, FIONREAD, &t), EIO);
	FAILS(ioctl(p.s, TIOCSCTTY, 0), EIO);
	FAILS(tcsetpgrp(p.s, getpgrp()), ENOTTY);
	CHECK(events(p.s, POLLIN | POLLOUT, 0) == (POLLIN | POLLOUT | POLLHUP | POLLERR));
	FAILS(open(p.name, O_RDWR), ENOENT);
	char self[32];
	sprintf(self, "/proc/self/fd/%d", p.s);
	CHECK(open(self, O_RDWR) == -1);
	close(p.s);
}

static int next_packet(struct pty *p) {
	unsigned char b[100];
	CHECK(events(p->m, POLLIN, 5000) & POLLIN);
	return read(p->m, b, sizeof b) == 1 ? b[0] : -1;
}

static void packets(void) {
	struct pty p = open_pty(0);
	CHECK(get_int(p.m, TIOCGPKT) == 0 && set_int(p.m, TIOCPKT, 1) == 0 && get_int(p.m, TIOCGPKT) == 1);
	CHECK(put(p.s, "data"));
	GETS(p.m, "\0data");
	CHECK(put(p.s, "data") && events(p.m, POLLIN | POLLPRI, 5000) == POLLIN);
	char one[2];
	CHECK(read(p.m, one, 1) == 1 && one[0] == 0); // and it stays
	CHECK(read(p.m, one, 2) == 2 && one[1] == 'd');
	GETS(p.m, "\0ata");
	CHECK(tcflush(p.s, TCIFLUSH) == 0 && events(p.m, POLLIN | POLLPRI, 0) == (POLLIN | POLLPRI));
	CHECK(next_packet(&p) == TIOCPKT_FLUSHREAD && events(p.m, POLLIN | POLLPRI, 0) == 0);
	CHECK(tcflush(p.s, TCOFLUSH) == 0 && next_packet(&p) == TIOCPKT_FLUSHWRITE);
	CHECK(tcflush(p.s, TCIOFLUSH) == 0 && next_packet(&p) == (TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE));
	CHECK(tcflow(p.s, TCOOFF) == 0 && tcflush(p.s, TCOFLUSH) == 0 && next_packet(&p) == (TIOCPKT_STOP | TIOCPKT_FLUSHWRITE));
	CHECK(tcflow(p.s, TCOON) == 0 && next_packet(&p) == TIOCPKT_START);
	CHECK(tcflow(p.s, TCOOFF) == 0 && tcflow(p.s, TCOON) == 0 && next_packet(&p) == TIOCPKT_START);
	MODES(p.s, t.c_iflag &= ~IXON);
	CHECK(next_packet(&p) == TIOCPKT_NOSTOP);
	MODES(p.s, t.c_iflag |= IXON);
	CHECK(next_packet(&p) == TIOCPKT_DOSTOP);
	MODES(p.s, t.c_cc[VSTOP] = 'x');
	CHECK(next_packet(&p) == TIOCPKT_NOSTOP);
	MODES(p.s, t.c_cc[VSTOP] = 023; t.c_lflag |= EXTPROC);
	CHECK(next_packet(&p) == (TIOCPKT_DOSTOP | TIOCPKT_IOCTL));
	MODES(p.s, t.c_lflag &= ~ECHO);
	CHECK(next_packet(&p) == TIOCPKT_IOCTL);
	MODES(p.s, t.c_lflag &= ~EXTPROC);
	CHECK(next_packet(&p) == TIOCPKT_IOCTL);
	MODES(p.s, t.c_lflag &= ~ECHOE);
	CHECK(quiet(p.m));
	// What is being waited for is told first.
	CHECK(put(p.s, "late") && events(p.m, POLLIN, 5000) == POLLIN && tcflush(p.s, TCIFLUSH) == 0);
	CHECK(next_packet(&p) == TIOCPKT_FLUSHREAD);
	GETS(p.m, "\0late");
	CHECK(put(p.m, "\003") && next_packet(&p) == (TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE));
	CHECK(put(p.m, "\023") && next_packet(&p) == TIOCPKT_STOP && put(p.m, "\021") && next_packet(&p) == TIOCPKT_START);
	// What the master flushes is no news to it.
	CHECK(tcflush(p.m, TCIOFLUSH) == 0 && quiet(p.m));
	// Status that was there before packet mode is not told.
	CHECK(set_int(p.m, TIOCPKT, 0) == 0 && tcflush(p.s, TCIOFLUSH) == 0 && set_int(p.m, TIOCPKT, 1) == 0 && quiet(p.m));
	// epoll tells of it too.
	int e = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLPRI | EPOLLET}, got;
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p.m, &ev) == 0 && epoll_wait(e, &got, 1, 0) == 0);
	CHECK(tcflush(p.s, TCIFLUSH) == 0 && epoll_wait(e, &got, 1, 5000) == 1 && got.events == EPOLLPRI);
	close(e);
	close_pty(&p);
}

static void fill(int fd, char c, int *total) {
	char b[1000];
	memset(b, c, sizeof b);
	for (int n; (n = write(fd, b, sizeof b)) > 0;)
		*total += n;
	CHECK(errno == EAGAIN);
}

// How much fits, and that writers are woken by room.
static void limits(void) {
	struct pty p = open_pty(O_NONBLOCK);
	int in = 0, out = 0;
	MODES(p.s, cfmakeraw(&t));
	fcntl(p.m, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 5; i++) { // the kernel's thread makes room
		fill(p.m, 'i', &in);
		fill(p.s, 'o', &out);
		usleep(5000);
	}
	CHECK(in >= 8192 && in < 65536 && out >= 8192 && out < 65536);
	CHECK(get_int(p.s, TIOCINQ) == 4095 && get_int(p.m, TIOCINQ) == 4095);
	CHECK(events(p.m, POLLOUT, 0) == 0 && events(p.s, POLLOUT, 0) == 0);
	char b[20480];
	CHECK(read(p.s, b, sizeof b) >= 1);
	fcntl(p.m, F_SETFL, 0);
	fcntl(p.s, F_SETFL, 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (int left = 30000; left > 0;) {
			int n = read(p.s, b, sizeof b);
			CHECK(n > 0 && (b[0] == 'i' || b[0] == 'I'));
			for (int i = 0; i < n; i++)
				left -= b[i] == 'I';
		}
		_exit(0);
	}
	memset(b, 'I', 15000);
	CHECK(write(p.m, b, 15000) == 15000 && write(p.m, b, 15000) == 15000);
	CHECK(ended(pid) == 0);
	close_pty(&p);
}

int main(void) {
	CASE(opening());
	CASE(instances());
	CASE(slave_closed());
	CASE(master_closed());
	CASE(packets());
	CASE(limits());
	return 0;
}
