// What a signal, a time-out and a mask do to the calls that wait for files.
// covers: poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 accept connect recvfrom sendto recvmsg sendmmsg recvmmsg
#include "check.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

static volatile int hits;
static volatile int blocked; // in the handler: is SIGUSR1 blocked?
static void count(int s) {
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	blocked = sigismember(&now, SIGUSR1);
	hits++;
}

static void in(int us, int flags) {
	struct sigaction sa = {.sa_handler = count, .sa_flags = flags};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {.it_value = {0, us}};
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
}

static long ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int pair[2];

// Calls that a handler interrupts whatever SA_RESTART says.
static void never_restarted(int ep) {
	struct pollfd p = {pair[0], POLLIN, 0};
	struct epoll_event ev;
	fd_set r;
	FD_ZERO(&r);
	FD_SET(pair[0], &r);
	in(5000, SA_RESTART);
	FAILS(poll(&p, 1, 5000), EINTR);
	in(5000, SA_RESTART);
	FAILS(poll(NULL, 0, -1), EINTR);
	in(5000, SA_RESTART);
	FAILS(epoll_wait(ep, &ev, 1, 5000), EINTR);
	in(5000, SA_RESTART);
	struct timeval tv = {5, 0};
	FAILS(select(pair[0] + 1, &r, NULL, NULL, &tv), EINTR);
	CHECK(tv.tv_sec == 4 && tv.tv_usec > 0); // what is left
	CHECK(FD_ISSET(pair[0], &r));            // untouched
	struct timespec ts = {5, 0};
	in(5000, SA_RESTART);
	FAILS(ppoll(&p, 1, &ts, NULL), EINTR);
	CHECK(hits == 5);
}

// pending waits until SIGALRM, which is blocked, is.
static void pending(void) {
	sigset_t s;
	do {
		usleep(1000);
		CHECK(sigpending(&s) == 0);
	} while (!sigismember(&s, SIGALRM));
}

// The mask of the call holds while its handler runs, and is gone afterwards.
static void masks(int ep) {
	sigset_t alrm, none, usr1, now;
	sigemptyset(&none);
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	struct pollfd p = {pair[0], POLLIN, 0};
	struct epoll_event ev;
	sigprocmask(SIG_BLOCK, &alrm, NULL);
	for (int i = 0; i < 4; i++) {
		hits = 0;
		blocked = 0;
		in(1000, 0);
		pending();
		CHECK(hits == 0);
		struct timespec ts = {5, 0};
		switch (i) {
		case 0:
			FAILS(ppoll(&p, 1, &ts, &usr1), EINTR);
			break;
		case 1:
			FAILS(pselect(0, NULL, NULL, NULL, &ts, &usr1), EINTR);
			break;
		case 2:
			FAILS(epoll_pwait(ep, &ev, 1, 5000, &usr1), EINTR);
			break;
		case 3:
			FAILS(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, &usr1, 8), EINTR);
			break;
		}
		CHECK(hits == 1 && blocked == 1);
		sigprocmask(SIG_SETMASK, NULL, &now);
		CHECK(sigismember(&now, SIGALRM) && !sigismember(&now, SIGUSR1));
	}
	// A call that succeeds leaves the signal pending.
	hits = 0;
	CHECK(write(pair[1], "x", 1) == 1);
	in(1000, 0);
	pending();
	CHECK(ppoll(&p, 1, NULL, &usr1) == 1 || hits == 1);
	char c;
	CHECK(read(pair[0], &c, 1) == 1);
	sigprocmask(SIG_SETMASK, &none, NULL);
	CHECK(hits == 1);
	FAILS(syscall(SYS_ppoll, &p, 1, NULL, &usr1, 4), EINVAL);
	FAILS(syscall(SYS_epoll_pwait, ep, &ev, 1, 0, &usr1, 4), EINVAL);
}

// Socket calls begin anew after a handler with SA_RESTART, unless they have a time-out.
static void sockets(void) {
	char b[10];
	int l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(listen(l, 1) == 0);
	in(5000, 0);
	FAILS(accept(l, NULL, NULL), EINTR);
	in(5000, 0);
	FAILS(recv(pair[0], b, 1, 0), EINTR);
	struct timeval tv = {0, 20000};
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	long begin = ms();
	FAILS(recv(pair[0], b, 1, 0), EAGAIN);
	CHECK(ms() - begin >= 19);
	begin = ms();
	FAILS(read(pair[0], b, 1), EAGAIN);
	CHECK(ms() - begin >= 19);
	in(5000, SA_RESTART);
	FAILS(recv(pair[0], b, 1, 0), EINTR);
	in(5000, SA_RESTART);
	FAILS(read(pair[0], b, 1), EINTR);
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	FAILS(accept(l, NULL, NULL), EAGAIN);
	tv.tv_usec = 0;
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	// Restarted: the byte comes after the signal.
	pid_t pid = fork();
	if (pid == 0) {
		usleep(40000);
		_exit(write(pair[1], "y", 1) != 1);
	}
	hits = 0;
	in(5000, SA_RESTART);
	CHECK(recv(pair[0], b, 1, 0) == 1 && b[0] == 'y' && hits == 1);
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}

static volatile int pipes;
static void broken(int s) { pipes++; }

// EPIPE comes with SIGPIPE from streams alone, and not with MSG_NOSIGNAL.
static void sigpipe(void) {
	signal(SIGPIPE, broken);
	int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	for (int i = 0; i < 3; i++) {
		int p[2], want = i == 0;
		CHECK(socketpair(AF_UNIX, types[i], 0, p) == 0);
		CHECK(shutdown(p[0], SHUT_WR) == 0);
		pipes = 0;
		FAILS(write(p[0], "x", 1), EPIPE);
		CHECK(pipes == want);
		FAILS(send(p[0], "x", 1, 0), EPIPE);
		CHECK(pipes == 2 * want);
		FAILS(send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
		struct iovec v = {"x", 1};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
		FAILS(sendmsg(p[0], &m, MSG_NOSIGNAL), EPIPE);
		CHECK(pipes == 2 * want);
		close(p[0]);
		close(p[1]);
	}
}

// Batches of messages.
static void batches(void) {
	int p[2];
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
	char in[3][4];
	struct iovec o[3] = {{"a", 1}, {"bb", 2}, {"ccc", 3}}, v[3] = {{in[0], 4}, {in[1], 4}, {in[2], 4}};
	struct mmsghdr m[3] = {0};
	for (int i = 0; i < 3; i++) {
		m[i].msg_hdr.msg_iov = &o[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	CHECK(sendmmsg(p[0], m, 3, 0) == 3);
	CHECK(m[0].msg_len == 1 && m[2].msg_len == 3);
	for (int i = 0; i < 3; i++) {
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_len = 0;
	}
	CHECK(recvmmsg(p[1], m, 2, 0, NULL) == 2);
	CHECK(m[0].msg_len == 1 && m[1].msg_len == 2 && in[1][0] == 'b');
	CHECK(recvmmsg(p[1], m, 3, MSG_WAITFORONE, NULL) == 1);
	CHECK(m[0].msg_len == 3);
	FAILS(recvmmsg(p[1], m, 3, MSG_DONTWAIT, NULL), EAGAIN);
	struct timespec ts = {0, -1};
	FAILS(recvmmsg(p[1], m, 3, 0, &ts), EINVAL);
	CHECK(sendmmsg(p[0], m, 0, 0) == 0);
}

// A connection that can't have a descriptor stays in the queue.
static void full(void) {
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = {AF_UNIX, "\0garrison-full"};
	CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 1) == 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
	struct rlimit old, few;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few = old;
	few.rlim_cur = c + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	FAILS(accept(l, NULL, NULL), EMFILE);
	FAILS(poll(NULL, c + 2, 0), EINVAL);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(accept(l, NULL, NULL) > c);
}

int main(void) {
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	int ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &ev) == 0);
	CASE(never_restarted(ep));
	CASE(masks(ep));
	CASE(sockets());
	CASE(sigpipe());
	CASE(batches());
	CASE(full());
	return 0;
}
