// Files and credentials that travel through unix sockets, and signalfd across fork.
// covers: sendmsg recvmsg socketpair setsockopt getsockopt signalfd4 poll
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

static long give(int s, int fd, const struct ucred *u) {
	char buf[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	memset(buf, 0, sizeof buf);
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = buf};
	struct cmsghdr *c = (struct cmsghdr *)buf;
	if (fd >= 0) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
		m.msg_controllen += CMSG_SPACE(sizeof fd);
		c = (struct cmsghdr *)(buf + m.msg_controllen);
	}
	if (u) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_CREDENTIALS;
		c->cmsg_len = CMSG_LEN(sizeof *u);
		memcpy(CMSG_DATA(c), u, sizeof *u);
		m.msg_controllen += CMSG_SPACE(sizeof *u);
	}
	return sendmsg(s, &m, 0);
}

// take receives a byte, into room bytes of control data.
static long take(int s, int room, int *fd, struct ucred *u, int *flags) {
	char b, buf[200];
	struct iovec v = {&b, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = room};
	long n = recvmsg(s, &m, MSG_CMSG_CLOEXEC);
	*fd = -1;
	u->pid = -1;
	*flags = m.msg_flags & ~MSG_CMSG_CLOEXEC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); n >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == SCM_RIGHTS && c->cmsg_len >= CMSG_LEN(sizeof(int)))
			memcpy(fd, CMSG_DATA(c), sizeof *fd);
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(u, CMSG_DATA(c), sizeof *u);
	}
	return n;
}

static void credentials(int p[2]) {
	int on = 1, fd, flags;
	struct ucred u, mine = {getpid(), getuid(), getgid()}, other = {1, 0, 0};
	CHECK(give(p[0], -1, NULL) == 1);
	CHECK(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	CHECK(take(p[1], 200, &fd, &u, &flags) == 1 && u.pid == 0 && u.uid == 65534); // sent too early
	pid_t child = fork();
	if (child == 0)
		_exit(write(p[0], "x", 1) != 1);
	int st;
	CHECK(waitpid(child, &st, 0) == child && st == 0);
	CHECK(take(p[1], 200, &fd, &u, &flags) == 1 && u.pid == child && u.uid == getuid());
	CHECK(give(p[0], -1, &mine) == 1);
	CHECK(take(p[1], 200, &fd, &u, &flags) == 1 && u.pid == mine.pid && flags == 0);
	socklen_t n = sizeof u;
	CHECK(getsockopt(p[1], SOL_SOCKET, SO_PEERCRED, &u, &n) == 0 && n == sizeof u && u.pid == getpid());
	child = fork();
	if (child == 0) {
		CHECK(setresgid(7, 7, 7) == 0 && setresuid(7, 7, 7) == 0);
		struct ucred me = {getpid(), 7, 7}, root = {getpid(), 0, 7};
		CHECK(give(p[0], -1, &me) == 1);
		FAILS(give(p[0], -1, &root), EPERM);
		other.uid = other.gid = 7;
		FAILS(give(p[0], -1, &other), EPERM);
		_exit(0);
	}
	CHECK(waitpid(child, &st, 0) == child && st == 0);
	CHECK(take(p[1], 200, &fd, &u, &flags) == 1 && u.uid == 7);
	on = 0;
	CHECK(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
}

static void rights(int p[2]) {
	int fd, flags, e[2];
	struct ucred u;
	CHECK(pipe(e) == 0);
	CHECK(give(p[0], e[0], NULL) == 1);
	CHECK(take(p[1], 200, &fd, &u, &flags) == 1 && fd >= 0 && flags == 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(write(e[1], "through", 7) == 7);
	char b[10];
	CHECK(read(fd, b, 10) == 7);
	close(fd);
	FAILS(give(p[0], 900, NULL), EBADF);
	CHECK(give(p[0], e[0], NULL) == 1);
	CHECK(take(p[1], 0, &fd, &u, &flags) == 1 && flags == MSG_CTRUNC);
	CHECK(give(p[0], e[0], NULL) == 1);
	CHECK(take(p[1], CMSG_LEN(2), &fd, &u, &flags) == 1 && flags == MSG_CTRUNC && fd == -1);
	CHECK(give(p[0], e[0], NULL) == 1);
	CHECK(read(p[1], b, 1) == 1); // the file is dropped
	// A file in flight stays open; it ends with the socket that holds it.
	CHECK(give(p[0], e[1], NULL) == 1);
	close(e[1]);
	struct pollfd q = {e[0], POLLIN, 0};
	CHECK(poll(&q, 1, 0) == 0);
	close(p[1]);
	CHECK(poll(&q, 1, 5000) == 1 && q.revents == POLLHUP);
	close(p[0]);
}

// A cycle of sockets that hold each other is found, and what they hold is closed.
static void garbage(void) {
	int p[2], e[2];
	CHECK(pipe(e) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	CHECK(give(p[0], e[1], NULL) == 1 && give(p[0], p[0], NULL) == 1 && give(p[1], p[1], NULL) == 1);
	close(e[1]);
	close(p[0]);
	close(p[1]);
	struct pollfd q = {e[0], POLLIN, 0};
	for (int i = 0; i < 200 && q.revents == 0; i++) {
		close(socket(AF_UNIX, SOCK_STREAM, 0));
		poll(&q, 1, 10);
	}
	CHECK(q.revents == POLLHUP);
}

// Whose signals a signalfd reads depends on who reads.
static void forked(void) {
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	int fd = signalfd(-1, &s, SFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	pid_t child = fork();
	if (child == 0) {
		struct signalfd_siginfo i;
		struct pollfd p = {fd, POLLIN, 0};
		CHECK(poll(&p, 1, 20) == 0);
		CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
		FAILS(read(fd, &i, sizeof i), EAGAIN);
		CHECK(fcntl(fd, F_SETFL, 0) == 0);
		CHECK(kill(getpid(), SIGUSR1) == 0);
		CHECK(poll(&p, 1, 5000) == 1);
		CHECK(read(fd, &i, sizeof i) == sizeof i && i.ssi_pid == (unsigned)getpid() && i.ssi_signo == SIGUSR1);
		_exit(0);
	}
	int st;
	CHECK(waitpid(child, &st, 0) == child && st == 0);
	struct signalfd_siginfo i;
	CHECK(read(fd, &i, sizeof i) == sizeof i && i.ssi_pid == (unsigned)getpid() && i.ssi_code == SI_USER);
}

int main(void) {
	int p[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	CASE(credentials(p));
	CASE(rights(p));
	CASE(garbage());
	CASE(forked());
	return 0;
}
