// The ioctls of terminals, on both sides of a pseudoterminal: ioctl_tty(2).
// covers: ioctl
#include "tty.h"
#include <linux/kd.h>
#include <sys/sysmacros.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#define TIOCGLCK 0x5456
#define TIOCSLCK 0x5457

struct termios2 {
	tcflag_t iflag, oflag, cflag, lflag;
	cc_t line, cc[19];
	speed_t ispeed, ospeed;
};
#define GETS2 0x802c542a
#define SETS2 0x402c542b
#define SETSF2 0x402c542d
struct termio_ {
	unsigned short iflag, oflag, cflag, lflag;
	unsigned char line, cc[8];
};

static void unprivileged(void) { CHECK(setgid(65534) == 0 && setuid(65534) == 0); }

static void modes(struct pty *p) {
	struct termios a, b;
	CHECK(tcgetattr(p->s, &a) == 0 && tcgetattr(p->m, &b) == 0);
	CHECK(a.c_iflag == (ICRNL | IXON) && a.c_oflag == (OPOST | ONLCR));
	CHECK(a.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
	CHECK(a.c_cflag == (B38400 | CS8 | CREAD) && b.c_lflag == a.c_lflag && b.c_cc[VERASE] == 0x7f);
	MODES(p->m, t.c_lflag &= ~ECHO); // the master's modes are the slave's
	CHECK(tcgetattr(p->s, &a) == 0 && !(a.c_lflag & ECHO));
	MODES(p->s, t.c_lflag |= ECHO; t.c_cflag = B9600 | CS5 | PARENB | CSTOPB);
	CHECK(tcgetattr(p->s, &a) == 0 && a.c_cflag == (B9600 | CS8 | CREAD | CSTOPB));
	struct termios2 t;
	CHECK(ioctl(p->s, GETS2, &t) == 0 && t.ispeed == 9600 && t.ospeed == 9600);
	t.cflag = (t.cflag & ~CBAUD) | 0x1000, t.ospeed = t.ispeed = 12345; // BOTHER
	CHECK(ioctl(p->s, SETS2, &t) == 0 && ioctl(p->m, GETS2, &t) == 0 && t.ispeed == 12345 && t.ospeed == 12345);
	MODES(p->s, t.c_cflag = B38400 | CS8 | CREAD);
	struct termio_ o;
	CHECK(ioctl(p->s, TCGETA, &o) == 0 && o.lflag == (a.c_lflag & 0xffff) && o.cc[VINTR] == 3);
	o.lflag &= ~ECHO;
	CHECK(ioctl(p->s, TCSETA, &o) == 0 && tcgetattr(p->s, &a) == 0 && !(a.c_lflag & ECHO));
	CHECK(put(p->m, "lost\n") && events(p->s, POLLIN, 5000) == POLLIN);
	CHECK(ioctl(p->s, SETSF2, &t) == 0 && quiet(p->s));
	CHECK(put(p->m, "lost\n") && events(p->s, POLLIN, 5000) == POLLIN);
	CHECK(tcgetattr(p->s, &a) == 0 && tcsetattr(p->s, TCSAFLUSH, &a) == 0 && quiet(p->s));
	FAILS(ioctl(p->s, TCGETS, 8), EFAULT);
	FAILS(ioctl(p->s, TCSETS, 8), EFAULT);
	MODES(p->s, t.c_lflag |= ECHO);
	EXPECT(p->m, "lost\r\n");
}

// What TIOCSLCKTRMIOS has locked stays as it is.
static void locked(struct pty *p) {
	struct termios t;
	memset(&t, 0xff, sizeof t);
	CHECK(ioctl(p->s, TIOCGLCK, &t) == 0 && t.c_lflag == 0 && t.c_cc[VINTR] == 0);
	t.c_lflag = ECHO, t.c_cc[VINTR] = 1;
	IN_CHILD(unprivileged(); FAILS(ioctl(p->s, TIOCSLCK, &t), EPERM));
	if (ioctl(p->s, TIOCSLCK, &t) == 0) {
		MODES(p->s, t.c_lflag &= ~(ECHO | ECHOE); t.c_cc[VINTR] = 'x');
		CHECK(tcgetattr(p->m, &t) == 0 && t.c_lflag & ECHO && !(t.c_lflag & ECHOE) && t.c_cc[VINTR] == 3);
		CHECK(ioctl(p->m, TIOCGLCK, &t) == 0 && t.c_lflag == ECHO);
		memset(&t, 0, sizeof t);
		CHECK(ioctl(p->s, TIOCSLCK, &t) == 0);
		MODES(p->s, t.c_lflag |= ECHOE);
	}
}

static void queues(struct pty *p) {
	CHECK(put(p->m, "line\nhalf") && events(p->s, POLLIN, 5000) == POLLIN);
	CHECK(get_int(p->s, TIOCINQ) == 5 && get_int(p->s, TIOCOUTQ) == 0 && get_int(p->m, TIOCOUTQ) == 0);
	EXPECT(p->m, "line\r\nhalf");
	CHECK(get_int(p->m, FIONREAD) == 0);
	CHECK(put(p->s, "abc") && events(p->m, POLLIN, 5000) == POLLIN && get_int(p->m, TIOCINQ) == 3);
	CHECK(get_int(p->s, TIOCOUTQ) == 0);
	// What the master's side has taken up is not flushed by the slave.
	CHECK(tcflush(p->s, TCOFLUSH) == 0);
	EXPECT(p->m, "abc");
	CHECK(put(p->s, "abc") && events(p->m, POLLIN, 5000) == POLLIN && tcflush(p->m, TCIFLUSH) == 0 && quiet(p->m));
	CHECK(tcflush(p->m, TCOFLUSH) == 0 && get_int(p->s, TIOCINQ) == 5); // on its way there is nothing
	GETS(p->s, "line\n");
	CHECK(put(p->m, "\nmore"));
	EXPECT(p->m, "\r\nmore");
	CHECK(tcflush(p->s, TCIFLUSH) == 0 && get_int(p->s, TIOCINQ) == 0);
	CHECK(tcflush(p->s, TCIFLUSH) == 0 && put(p->m, "x\n"));
	GETS(p->s, "x\n");
	EXPECT(p->m, "x\r\n");
	FAILS(ioctl(p->s, TCFLSH, 3), EINVAL);
	FAILS(ioctl(p->m, TCFLSH, 3), EINVAL);
	FAILS(ioctl(p->s, TIOCINQ, 8), EFAULT);
	CHECK(ioctl(p->s, TCSBRK, 0) == 0 && ioctl(p->s, TCSBRK, 1) == 0 && ioctl(p->s, TCSBRKP, 1) == 0);
	CHECK(ioctl(p->s, TIOCSBRK) == 0 && ioctl(p->s, TIOCCBRK) == 0);
	CHECK(ioctl(p->m, TCSBRK, 1) == 0 && tcdrain(p->m) == 0);
}

// Flow control by TCXONC: each side has its own.
static void flow(struct pty *p) {
	CHECK(tcflow(p->s, TCOOFF) == 0 && events(p->s, POLLOUT, 0) == 0);
	fcntl(p->s, F_SETFL, O_NONBLOCK);
	FAILS(write(p->s, "x", 1), EAGAIN);
	CHECK(put(p->m, "in\n")); // its echo has to wait
	GETS(p->s, "in\n");
	CHECK(quiet(p->m));
	CHECK(put(p->m, "\021") && quiet(p->m)); // ^Q does not undo TCOOFF
	CHECK(tcflow(p->s, TCOON) == 0 && events(p->s, POLLOUT, 5000) == POLLOUT);
	CHECK(quiet(p->m) && put(p->s, "out")); // the echo goes with what comes next
	EXPECT(p->m, "in\r\nout");
	CHECK(put(p->m, "\023") && quiet(p->m) && events(p->s, POLLOUT, 0) == 0);
	CHECK(tcflow(p->s, TCOON) == 0 && events(p->s, POLLOUT, 0) == 0); // nor TCOON ^S
	CHECK(put(p->m, "\021") && events(p->s, POLLOUT, 5000) == POLLOUT);
	CHECK(tcflow(p->s, TCIOFF) == 0 && tcflow(p->s, TCION) == 0);
	EXPECT(p->m, "\023\021");
	CHECK(tcflow(p->m, TCOOFF) == 0);
	fcntl(p->m, F_SETFL, O_NONBLOCK);
	FAILS(write(p->m, "x", 1), EAGAIN);
	CHECK(events(p->m, POLLOUT, 0) == 0);
	CHECK(put(p->s, "out"));
	EXPECT(p->m, "out");
	CHECK(tcflow(p->m, TCOON) == 0 && events(p->m, POLLOUT, 5000) == POLLOUT && put(p->m, "x\n"));
	GETS(p->s, "x\n");
	EXPECT(p->m, "x\r\n");
	fcntl(p->m, F_SETFL, 0);
	fcntl(p->s, F_SETFL, 0);
	CHECK(tcflow(p->m, TCIOFF) == 0); // sends ^S to the slave
	CHECK(quiet(p->m) && events(p->s, POLLOUT, 0) == 0);
	CHECK(tcflow(p->m, TCION) == 0 && events(p->s, POLLOUT, 5000) == POLLOUT);
	FAILS(ioctl(p->s, TCXONC, 4), EINVAL);
}

static void refused(struct pty *p) {
	int n, fds[2] = {p->s, p->m};
	for (int i = 0; i < 2; i++) {
		int fd = fds[i];
		FAILS(ioctl(fd, KDGETMODE, &n), ENOTTY);
		FAILS(ioctl(fd, KDSETMODE, 0), ENOTTY);
		FAILS(ioctl(fd, KDGKBTYPE, &n), ENOTTY);
		FAILS(ioctl(fd, KDGETLED, &n), ENOTTY);
		FAILS(ioctl(fd, KDMKTONE, 0), ENOTTY);
		FAILS(ioctl(fd, TIOCLINUX, "\6"), ENOTTY);
		FAILS(ioctl(fd, TIOCMGET, &n), ENOTTY);
		FAILS(ioctl(fd, TIOCMSET, &n), ENOTTY);
		FAILS(ioctl(fd, TIOCMIWAIT, 0), ENOTTY);
		FAILS(ioctl(fd, TIOCGICOUNT, &n), ENOTTY);
		FAILS(ioctl(fd, TIOCGSERIAL, &n), ENOTTY);
		FAILS(ioctl(fd, 0x5460, 0), ENOTTY);
		CHECK(get_int(fd, TIOCGETD) == 0 && set_int(fd, TIOCSETD, 0) == 0);
		FAILS(set_int(fd, TIOCSETD, 29), EINVAL);
		FAILS(set_int(fd, TIOCSETD, -1), EINVAL);
		CHECK(get_int(fd, TIOCGSOFTCAR) == 0 && set_int(fd, TIOCSSOFTCAR, 1) == 0 && get_int(fd, TIOCGSOFTCAR) == 1);
		CHECK(set_int(fd, TIOCSSOFTCAR, 0) == 0);
	}
	FAILS(ioctl(p->m, TIOCCONS), EINVAL);
	IN_CHILD(unprivileged(); FAILS(ioctl(p->s, TIOCCONS), EPERM); FAILS(ioctl(p->s, TIOCVHANGUP), EPERM));
	FAILS(ioctl(p->s, TIOCGPTN, &n), ENOTTY);
	FAILS(ioctl(p->s, TIOCSPTLCK, &n), ENOTTY);
	FAILS(ioctl(p->s, TIOCPKT, &n), ENOTTY);
	FAILS(ioctl(p->s, TIOCSIG, SIGINT), ENOTTY);
	FAILS(ioctl(p->s, TIOCGPTPEER, O_RDWR), EIO);
	FAILS(ioctl(p->m, TIOCSIG, SIGTERM), EINVAL);
	CHECK(ioctl(p->m, TIOCSIG, SIGINT) == 0); // nobody is there
	FAILS(ioctl(p->m, TIOCGPTN, 8), EFAULT);
	FAILS(ioctl(p->m, TIOCPKT, 8), EFAULT);
	FAILS(lseek(p->s, 0, SEEK_SET), ESPIPE);
	FAILS(lseek(p->m, 0, SEEK_CUR), ESPIPE);
	FAILS(pread(p->s, &n, 1, 0), ESPIPE);
}

static void various(struct pty *p) {
	struct winsize w = {30, 100, 5, 6}, got = {0};
	CHECK(ioctl(p->s, TIOCGWINSZ, &got) == 0 && got.ws_row == 0 && got.ws_col == 0);
	CHECK(ioctl(p->m, TIOCSWINSZ, &w) == 0 && ioctl(p->s, TIOCGWINSZ, &got) == 0 && !memcmp(&w, &got, sizeof w));
	w.ws_row = 31;
	CHECK(ioctl(p->s, TIOCSWINSZ, &w) == 0 && ioctl(p->m, TIOCGWINSZ, &got) == 0 && got.ws_row == 31);
	FAILS(ioctl(p->s, TIOCSWINSZ, 8), EFAULT);
	FAILS(ioctl(p->s, TIOCGWINSZ, 8), EFAULT);
	unsigned dev = 0, dev2 = 0;
	int n = atoi(p->name + 9);
	CHECK(ioctl(p->s, TIOCGDEV, &dev) == 0 && ioctl(p->m, TIOCGDEV, &dev2) == 0);
	CHECK(dev == (136 << 8 | n) && dev2 == dev);
	CHECK(get_int(p->s, TIOCGEXCL) == 0 && ioctl(p->s, TIOCEXCL) == 0 && get_int(p->s, TIOCGEXCL) == 1);
	CHECK(get_int(p->m, TIOCGEXCL) == 0);
	CHECK(chmod(p->name, 0666) == 0);
	IN_CHILD(unprivileged(); FAILS(open(p->name, O_RDWR | O_NOCTTY), EBUSY));
	int again = open(p->name, O_RDWR | O_NOCTTY);
	CHECK(again >= 0 && ioctl(p->s, TIOCNXCL) == 0);
	close(again);
	IN_CHILD(unprivileged(); CHECK(open(p->name, O_RDWR | O_NOCTTY) >= 0));
	CHECK(ioctl(p->m, TIOCEXCL) == 0 && get_int(p->m, TIOCGEXCL) == 1 && get_int(p->s, TIOCGEXCL) == 0);
	// Nobody has the slave as controlling terminal.
	pid_t pid = 0;
	FAILS(ioctl(p->s, TIOCGPGRP, &pid), ENOTTY);
	FAILS(ioctl(p->s, TIOCGSID, &pid), ENOTTY);
	FAILS(ioctl(p->s, TIOCSPGRP, &pid), ENOTTY);
	FAILS(ioctl(p->s, TIOCNOTTY), ENOTTY);
	CHECK(ioctl(p->m, TIOCGPGRP, &pid) == 0 && pid == 0);
	FAILS(ioctl(p->m, TIOCGSID, &pid), ENOTTY);
	FAILS(ioctl(p->m, TIOCNOTTY), ENOTTY);
}

// TIOCSTI: what only root may, on any terminal.
static void simulated(struct pty *p) {
	CHECK(ioctl(p->s, TIOCSTI, "q") == 0 && ioctl(p->s, TIOCSTI, "\n") == 0);
	GETS(p->s, "q\n");
	EXPECT(p->m, "q\r\n");
	CHECK(ioctl(p->m, TIOCSTI, "w") == 0);
	EXPECT(p->m, "w");
	FAILS(ioctl(p->s, TIOCSTI, 8), EFAULT);
	IN_CHILD(unprivileged(); CHECK(ioctl(p->s, TIOCSTI, "x") == -1 && (errno == EPERM || errno == EIO)));
}

int main(void) {
	struct pty p = open_pty(0);
	CASE(modes(&p));
	close_pty(&p), p = open_pty(0);
	CASE(locked(&p));
	close_pty(&p), p = open_pty(0);
	CASE(queues(&p));
	close_pty(&p), p = open_pty(0);
	CASE(flow(&p));
	CASE(refused(&p));
	close_pty(&p), p = open_pty(0);
	CASE(various(&p));
	close_pty(&p), p = open_pty(0);
	CASE(simulated(&p));
	return 0;
}
