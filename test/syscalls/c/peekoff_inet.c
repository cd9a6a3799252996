// SO_PEEK_OFF of UDP and TCP: a peek begins where the last has ended; socket(7).
// covers: recvfrom recvmsg setsockopt getsockopt ioctl
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

static char b[100];

static void set(int s, int v) { CHECK(setsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &v, sizeof v) == 0); }

static int off(int s) {
	int v = 4711;
	socklen_t n = sizeof v;
	CHECK(getsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &v, &n) == 0 && n == 4);
	return v;
}

// pair is two connected sockets of a type.
static void pair(int family, int type, int s[2]) {
	union { struct sockaddr_in a; struct sockaddr_in6 b; struct sockaddr s; } u = {0};
	socklen_t n = family == AF_INET ? sizeof u.a : sizeof u.b;
	u.s.sa_family = family;
	if (family == AF_INET)
		u.a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		u.b.sin6_addr = in6addr_loopback;
	int l = socket(family, type, 0);
	s[0] = socket(family, type, 0);
	CHECK(bind(l, &u.s, n) == 0 && getsockname(l, &u.s, &n) == 0);
	if (type == SOCK_STREAM)
		CHECK(listen(l, 1) == 0);
	CHECK(connect(s[0], &u.s, n) == 0);
	if (type == SOCK_STREAM) {
		s[1] = accept(l, NULL, NULL);
		CHECK(s[1] >= 0 && close(l) == 0);
	} else
		s[1] = l;
}

// peeks says whether a peek with room for n bytes gives text.
static int peeks(int s, size_t n, const char *text) {
	memset(b, 0, sizeof b);
	ssize_t k = recv(s, b, n, MSG_PEEK | MSG_DONTWAIT);
	return k == (ssize_t)strlen(text) && !memcmp(b, text, k);
}

static int reads(int s, size_t n, const char *text) {
	memset(b, 0, sizeof b);
	ssize_t k = recv(s, b, n, MSG_DONTWAIT);
	return k == (ssize_t)strlen(text) && !memcmp(b, text, k);
}

static int readable(int s) {
	struct pollfd f = {.fd = s, .events = POLLIN};
	return poll(&f, 1, 0) == 1 && f.revents & POLLIN;
}

static int queued(int s) {
	int n;
	CHECK(ioctl(s, FIONREAD, &n) == 0);
	return n;
}

static void datagrams(int family) {
	int s[2];
	pair(family, SOCK_DGRAM, s);
	CHECK(off(s[1]) == -1);
	CHECK(send(s[0], "abcde", 5, 0) == 5 && send(s[0], "fgh", 3, 0) == 3 && send(s[0], "ijklmn", 6, 0) == 6);
	CHECK(peeks(s[1], 99, "abcde") && peeks(s[1], 99, "abcde") && off(s[1]) == -1);
	set(s[1], 0);
	CHECK(peeks(s[1], 2, "ab") && off(s[1]) == 2);
	CHECK(peeks(s[1], 99, "cde") && off(s[1]) == 5);
	CHECK(peeks(s[1], 99, "fgh") && off(s[1]) == 8);
	CHECK(peeks(s[1], 4, "ijkl") && off(s[1]) == 12);
	CHECK(peeks(s[1], 99, "mn") && off(s[1]) == 14);
	FAILS(recv(s[1], b, 99, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	CHECK(readable(s[1]) && queued(s[1]) == 5);
	CHECK(send(s[0], "op", 2, 0) == 2 && peeks(s[1], 99, "op") && off(s[1]) == 16);
	// A read takes the first, and the offset goes back by what it gave.
	CHECK(reads(s[1], 99, "abcde") && off(s[1]) == 11 && queued(s[1]) == 3);
	CHECK(reads(s[1], 2, "fg") && off(s[1]) == 9);
	set(s[1], 3);
	CHECK(peeks(s[1], 99, "lmn") && off(s[1]) == 6);
	set(s[1], -1);
	CHECK(peeks(s[1], 99, "ijklmn") && off(s[1]) == -1);
	CHECK(reads(s[1], 99, "ijklmn") && off(s[1]) == -1 && reads(s[1], 99, "op") && !readable(s[1]));
	FAILS(recv(s[1], b, 99, MSG_DONTWAIT), EAGAIN);
	set(s[1], 100);
	CHECK(send(s[0], "abcde", 5, 0) == 5 && reads(s[1], 99, "abcde") && off(s[1]) == 95);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

// empty is datagrams of no bytes: each is seen once.
static void empty(void) {
	int s[2];
	pair(AF_INET, SOCK_DGRAM, s);
	set(s[1], 0);
	CHECK(send(s[0], "", 0, 0) == 0 && send(s[0], "ab", 2, 0) == 2 && send(s[0], "", 0, 0) == 0);
	CHECK(recv(s[1], b, 99, MSG_PEEK | MSG_DONTWAIT) == 0 && peeks(s[1], 99, "ab") && recv(s[1], b, 99, MSG_PEEK | MSG_DONTWAIT) == 0);
	FAILS(recv(s[1], b, 99, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	CHECK(recv(s[1], b, 99, MSG_DONTWAIT) == 0 && reads(s[1], 99, "ab") && recv(s[1], b, 99, MSG_DONTWAIT) == 0 && !readable(s[1]));
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

// messages is what recvmsg(2) tells of a datagram that is peeked at.
static void messages(void) {
	int s[2], on = 1;
	struct sockaddr_in me, from = {0};
	socklen_t n = sizeof me;
	pair(AF_INET, SOCK_DGRAM, s);
	CHECK(getsockname(s[0], (void *)&me, &n) == 0);
	CHECK(setsockopt(s[1], SOL_IP, IP_RECVTTL, &on, sizeof on) == 0);
	CHECK(send(s[0], "abc", 3, 0) == 3 && send(s[0], "defgh", 5, 0) == 5);
	set(s[1], 5);
	for (int flags = MSG_PEEK; flags >= 0; flags -= MSG_PEEK) {
		char control[200];
		struct iovec v = {b, 2};
		struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
		CHECK(recvmsg(s[1], &m, flags | MSG_TRUNC) == (flags ? 5 : 3) && m.msg_flags == MSG_TRUNC);
		CHECK(!memcmp(b, flags ? "fg" : "ab", 2) && from.sin_port == me.sin_port);
		CHECK(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == IP_TTL);
		CHECK(off(s[1]) == (flags ? 10 : 7));
	}
	CHECK(reads(s[1], 99, "defgh"));
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

static void stream(int family) {
	int s[2];
	pair(family, SOCK_STREAM, s);
	CHECK(off(s[1]) == -1);
	CHECK(send(s[0], "abcde", 5, 0) == 5 && send(s[0], "fghij", 5, 0) == 5);
	set(s[1], 0);
	CHECK(peeks(s[1], 3, "abc") && off(s[1]) == 3);
	CHECK(peeks(s[1], 4, "defg") && off(s[1]) == 7);
	CHECK(peeks(s[1], 99, "hij") && off(s[1]) == 10);
	FAILS(recv(s[1], b, 99, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	CHECK(readable(s[1]));
	CHECK(reads(s[1], 4, "abcd") && off(s[1]) == 6);
	CHECK(send(s[0], "kl", 2, 0) == 2 && peeks(s[1], 99, "kl") && off(s[1]) == 8);
	CHECK(recv(s[1], NULL, 1, MSG_TRUNC) == 1 && off(s[1]) == 7);
	set(s[1], 2);
	CHECK(peeks(s[1], 2, "hi"));
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	CHECK(peeks(s[1], 99, "jkl") && recv(s[1], b, 99, MSG_PEEK) == 0 && off(s[1]) == 7);
	CHECK(reads(s[1], 99, "fghijkl") && off(s[1]) == 0 && recv(s[1], b, 99, 0) == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

// waits is a peek behind what is there: it waits for more, and can be killed.
static void waits(int type) {
	int s[2], st;
	struct timespec t = {0, 50000000};
	pair(AF_INET, type, s);
	CHECK(send(s[0], "abc", 3, 0) == 3);
	set(s[1], 3);
	pid_t killed = fork();
	if (killed == 0) {
		recv(s[1], b, sizeof b, MSG_PEEK);
		_exit(1);
	}
	nanosleep(&t, NULL);
	CHECK(kill(killed, SIGKILL) == 0 && waitpid(killed, &st, 0) == killed && WIFSIGNALED(st));
	pid_t gets = fork();
	if (gets == 0)
		_exit(recv(s[1], b, sizeof b, MSG_PEEK) == 5 && !memcmp(b, "defgh", 5) ? 7 : 1);
	nanosleep(&t, NULL);
	CHECK(send(s[0], "defgh", 5, 0) == 5);
	CHECK(waitpid(gets, &st, 0) == gets && WIFEXITED(st) && WEXITSTATUS(st) == 7);
	CHECK(off(s[1]) == 8);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

// inherited is a connection of a socket that has an offset.
static void inherited(void) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	set(l, 2);
	CHECK(bind(l, (void *)&a, n) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&a, &n) == 0 && connect(c, (void *)&a, n) == 0);
	int s = accept(l, NULL, NULL);
	CHECK(off(s) == 2 && send(c, "abcd", 4, 0) == 4 && recv(s, b, 99, MSG_PEEK) == 2 && b[0] == 'c');
	CHECK(close(l) == 0 && close(c) == 0 && close(s) == 0);
}

int main(void) {
	CASE(datagrams(AF_INET));
	CASE(datagrams(AF_INET6));
	CASE(empty());
	CASE(messages());
	CASE(stream(AF_INET));
	CASE(stream(AF_INET6));
	CASE(waits(SOCK_DGRAM));
	CASE(waits(SOCK_STREAM));
	CASE(inherited());
	return 0;
}
