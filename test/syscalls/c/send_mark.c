// Control messages of level SOL_SOCKET that a sender gives: which there are, and who may; socket(7).
// covers: sendmsg recvmsg setsockopt
#include "check.h"
#include <arpa/inet.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SO_TXTIME
#define SO_TXTIME 61
#endif

static char payload[8] = "payload";

// marked sends payload with one control message: -1 and errno if that fails.
static int marked(int s, int type, const void *data, int n) {
	char control[CMSG_SPACE(16)] __attribute__((aligned(8))) = {0};
	struct iovec v = {payload, sizeof payload};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = type, c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	return sendmsg(s, &m, 0);
}

static int number(int s, int type, int v) { return marked(s, type, &v, sizeof v); }

// pair is a socket of a type that sends to another.
static int pair(int family, int type, int *to) {
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in *a4 = (void *)&a;
	socklen_t n = sizeof a;
	if (family == AF_INET) {
		*a4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		n = sizeof *a4;
	}
	int s = socket(family, type, 0), r = socket(family, type, 0);
	CHECK(s >= 0 && r >= 0 && bind(r, (void *)&a, n) == 0 && getsockname(r, (void *)&a, &n) == 0);
	CHECK(type == SOCK_DGRAM || listen(r, 1) == 0);
	CHECK(connect(s, (void *)&a, n) == 0);
	if (type != SOCK_DGRAM) {
		int l = r;
		CHECK((r = accept(l, NULL, NULL)) >= 0 && close(l) == 0);
	}
	*to = r;
	return s;
}

// got receives payload and says what of a type came with it: 0 if nothing did.
static int got(int r, int type) {
	char b[sizeof payload], control[256] __attribute__((aligned(8)));
	struct iovec v = {b, sizeof b};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	CHECK(recvmsg(r, &m, 0) == sizeof b && !memcmp(b, payload, sizeof b));
	int n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == type)
			memcpy(&n, CMSG_DATA(c), sizeof n);
	return n;
}

static void of(int family, int type) {
	int r, s = pair(family, type, &r), one = 1;
	CHECK(number(s, SO_MARK, 77) == sizeof payload && got(r, SO_MARK) == 0);
	CHECK(number(s, SO_PRIORITY, 6) == sizeof payload && got(r, SO_PRIORITY) == 0);
	CHECK(number(s, SO_PRIORITY, 100) == sizeof payload && got(r, SO_PRIORITY) == 0);
	FAILS(marked(s, SO_MARK, &one, 2), EINVAL);
	FAILS(marked(s, SO_MARK, "12345678", 8), EINVAL);
	FAILS(marked(s, SO_PRIORITY, &one, 1), EINVAL);
	FAILS(marked(s, SO_TXTIME, "12345678", 8), EINVAL); // the option is not set
	CHECK(number(s, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE) == sizeof payload && got(r, 0) == 0);
	FAILS(number(s, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE), EINVAL);
	FAILS(marked(s, SO_TIMESTAMPING, "12345678", 8), EINVAL);
	struct {
		int clock;
		unsigned flags;
	} txtime = {CLOCK_MONOTONIC, 0};
	CHECK(setsockopt(s, SOL_SOCKET, SO_TXTIME, &txtime, sizeof txtime) == 0);
	FAILS(marked(s, SO_TXTIME, "1234", 4), EINVAL);
	uint64_t now = 1; // which no queue here looks at
	CHECK(marked(s, SO_TXTIME, &now, sizeof now) == sizeof payload && got(r, 0) == 0);
	CHECK(close(s) == 0 && close(r) == 0);
}

static void unprivileged(void) {
	int r, s = pair(AF_INET, SOCK_DGRAM, &r);
	CHECK(setuid(1000) == 0);
	FAILS(number(s, SO_MARK, 1), EPERM);
	FAILS(marked(s, SO_MARK, "1", 1), EPERM);
	FAILS(number(s, SO_PRIORITY, 7), EPERM);
	CHECK(number(s, SO_PRIORITY, 6) == sizeof payload && got(r, 0) == 0);
}

int main(void) {
	CASE(of(AF_INET, SOCK_DGRAM));
	CASE(of(AF_INET6, SOCK_DGRAM));
	CASE(of(AF_INET, SOCK_STREAM));
	APART(unprivileged());
	return 0;
}
