// What options of sockets do, besides being kept: ip(7), ipv6(7), udp(7), socket(7).
// covers: setsockopt getsockopt sendmsg recvmsg bind connect
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static void set(int s, int level, int name, int v) { CHECK(setsockopt(s, level, name, &v, sizeof v) == 0); }

// udp_pair is a socket that receives, and one connected to it.
static int udp_pair(int family, int *from) {
	union { struct sockaddr_in a; struct sockaddr_in6 b; struct sockaddr s; } u = {0};
	socklen_t n = family == AF_INET ? sizeof u.a : sizeof u.b;
	u.s.sa_family = family;
	if (family == AF_INET)
		u.a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		u.b.sin6_addr = in6addr_loopback;
	int s = socket(family, SOCK_DGRAM, 0);
	CHECK(s >= 0 && bind(s, &u.s, n) == 0 && getsockname(s, &u.s, &n) == 0);
	*from = socket(family, SOCK_DGRAM, 0);
	CHECK(*from >= 0 && connect(*from, &u.s, n) == 0);
	return s;
}

// receive receives one message and leaves its control messages in control.
static int receive(int s, char *control, struct msghdr *m) {
	static char data[2000];
	static struct iovec v;
	v.iov_base = data, v.iov_len = sizeof data;
	*m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 512};
	struct pollfd f = {.fd = s, .events = POLLIN};
	CHECK(poll(&f, 1, 5000) == 1);
	return recvmsg(s, m, 0);
}

// count is how many control messages of that kind m has; data becomes the last one's.
static int count(struct msghdr *m, int level, int type, void *data, size_t size) {
	int n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type) {
			CHECK(c->cmsg_len == CMSG_LEN(size));
			memcpy(data, CMSG_DATA(c), size), n++;
		}
	return n;
}

static void segments(void) {
	int from, s = udp_pair(AF_INET, &from);
	char b[2500] = {1}, control[512];
	struct msghdr m;
	set(from, IPPROTO_UDP, UDP_SEGMENT, 1000);
	CHECK(send(from, b, sizeof b, 0) == sizeof b);
	CHECK(receive(s, control, &m) == 1000 && receive(s, control, &m) == 1000 && receive(s, control, &m) == 500);
	CHECK(send(from, b, 700, 0) == 700 && receive(s, control, &m) == 700);
	set(from, IPPROTO_UDP, UDP_SEGMENT, 0);

	// For one call, by a control message.
	union { char room[CMSG_SPACE(2)]; struct cmsghdr h; } c = {0};
	struct iovec v = {b, 900};
	struct msghdr one = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	c.h.cmsg_level = IPPROTO_UDP, c.h.cmsg_type = UDP_SEGMENT, c.h.cmsg_len = CMSG_LEN(2);
	*(uint16_t *)CMSG_DATA(&c.h) = 300;
	CHECK(sendmsg(from, &one, 0) == 900);
	CHECK(receive(s, control, &m) == 300 && receive(s, control, &m) == 300 && receive(s, control, &m) == 300);
	*(uint16_t *)CMSG_DATA(&c.h) = 1;
	FAILS(sendmsg(from, &one, 0), EINVAL); // too many
	CHECK(close(s) == 0 && close(from) == 0);
}

static int port_of(int s) {
	struct sockaddr_in a = {0};
	socklen_t n = sizeof a;
	CHECK(getsockname(s, (void *)&a, &n) == 0);
	return ntohs(a.sin_port);
}

static void port_range(void) {
	struct sockaddr_in any = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		int a = socket(AF_INET, type, 0), b = socket(AF_INET, type, 0), c = socket(AF_INET, type, 0);
		uint32_t range = 40000 | 40001u << 16;
		set(a, SOL_IP, IP_LOCAL_PORT_RANGE, range), set(b, SOL_IP, IP_LOCAL_PORT_RANGE, range), set(c, SOL_IP, IP_LOCAL_PORT_RANGE, range);
		CHECK(bind(a, (void *)&any, sizeof any) == 0 && bind(b, (void *)&any, sizeof any) == 0);
		CHECK((port_of(a) == 40000 && port_of(b) == 40001) || (port_of(a) == 40001 && port_of(b) == 40000));
		FAILS(bind(c, (void *)&any, sizeof any), EADDRINUSE);
		CHECK(close(a) == 0 && close(b) == 0 && close(c) == 0);
	}
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	set(s, SOL_IP, IP_LOCAL_PORT_RANGE, 40010 | 40012u << 16);
	CHECK(connect(s, (void *)&to, sizeof to) == 0 && port_of(s) >= 40010 && port_of(s) <= 40012);
	CHECK(close(s) == 0);
}

// recent says whether t is of the last minute.
static int recent(struct timespec t) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return t.tv_sec <= now.tv_sec && t.tv_sec > now.tv_sec - 60;
}

static void timestamps(void) {
	int from, s = udp_pair(AF_INET, &from);
	char control[512];
	struct msghdr m;
	struct timespec ts, three[3];
	struct timeval tv;
	set(s, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	CHECK(send(from, "x", 1, 0) == 1 && receive(s, control, &m) == 1);
	CHECK(count(&m, SOL_SOCKET, SO_TIMESTAMPNS, &ts, sizeof ts) == 1 && recent(ts));
	set(s, SOL_SOCKET, SO_TIMESTAMP, 1); // instead
	CHECK(send(from, "x", 1, 0) == 1 && receive(s, control, &m) == 1);
	CHECK(count(&m, SOL_SOCKET, SO_TIMESTAMPNS, &ts, sizeof ts) == 0);
	CHECK(count(&m, SOL_SOCKET, SO_TIMESTAMP, &tv, sizeof tv) == 1);
	set(s, SOL_SOCKET, SO_TIMESTAMPNS, 0); // all of them
	CHECK(send(from, "x", 1, 0) == 1 && receive(s, control, &m) == 1);
	CHECK(count(&m, SOL_SOCKET, SO_TIMESTAMP, &tv, sizeof tv) == 0);
	set(s, SOL_SOCKET, SO_TIMESTAMPING, 1 << 3 | 1 << 4); // of received packets, by software
	int stamped = 0;
	for (int i = 0; i < 1000 && !stamped; i++, usleep(1000)) { // Linux begins a moment later
		CHECK(send(from, "x", 1, 0) == 1 && receive(s, control, &m) == 1);
		stamped = count(&m, SOL_SOCKET, SO_TIMESTAMPING, three, sizeof three);
	}
	CHECK(stamped == 1 && recent(three[0]) && three[2].tv_sec == 0);
	CHECK(close(s) == 0 && close(from) == 0);
}

static void old_and_new_forms(void) {
	int from, s = udp_pair(AF_INET6, &from);
	char control[512];
	struct msghdr m;
	struct in6_pktinfo i;
	int hops;
	set(s, SOL_IPV6, IPV6_RECVPKTINFO, 1), set(s, SOL_IPV6, IPV6_2292HOPLIMIT, 1);
	CHECK(send(from, "x", 1, 0) == 1 && receive(s, control, &m) == 1);
	CHECK(count(&m, SOL_IPV6, IPV6_PKTINFO, &i, sizeof i) == 1 && IN6_IS_ADDR_LOOPBACK(&i.ipi6_addr) && i.ipi6_ifindex == 1);
	CHECK(count(&m, SOL_IPV6, IPV6_2292PKTINFO, &i, sizeof i) == 0);
	CHECK(count(&m, SOL_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops) == 0);
	CHECK(count(&m, SOL_IPV6, IPV6_2292HOPLIMIT, &hops, sizeof hops) == 1 && hops == 64);
	set(s, SOL_IPV6, IPV6_2292PKTINFO, 1), set(s, SOL_IPV6, IPV6_RECVPKTINFO, 0);
	CHECK(send(from, "x", 1, 0) == 1 && receive(s, control, &m) == 1);
	CHECK(count(&m, SOL_IPV6, IPV6_PKTINFO, &i, sizeof i) == 0);
	CHECK(count(&m, SOL_IPV6, IPV6_2292PKTINFO, &i, sizeof i) == 1 && IN6_IS_ADDR_LOOPBACK(&i.ipi6_addr));
	CHECK(close(s) == 0 && close(from) == 0);
}

static void group(void) {
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct group_req r = {.gr_interface = 1};
	struct sockaddr_in *a = (void *)&r.gr_group;
	a->sin_family = AF_INET, a->sin_addr.s_addr = inet_addr("239.1.2.3");
	CHECK(setsockopt(s, SOL_IP, MCAST_JOIN_GROUP, &r, sizeof r) == 0);
	FAILS(setsockopt(s, SOL_IP, MCAST_JOIN_GROUP, &r, sizeof r), EADDRINUSE);
	CHECK(setsockopt(s, SOL_IP, MCAST_LEAVE_GROUP, &r, sizeof r) == 0);
	FAILS(setsockopt(s, SOL_IP, MCAST_LEAVE_GROUP, &r, sizeof r), EADDRNOTAVAIL);
	CHECK(close(s) == 0);
}

static int send_rights(int s) {
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr h; } c = {0};
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	c.h.cmsg_level = SOL_SOCKET, c.h.cmsg_type = SCM_RIGHTS, c.h.cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(&c.h) = 0;
	return sendmsg(s, &m, 0);
}

static void no_rights(void) {
	int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}, off = 0;
	for (int i = 0; i < 3; i++) {
		int s[2];
		CHECK(socketpair(AF_UNIX, types[i], 0, s) == 0 && send_rights(s[0]) == 1);
		if (setsockopt(s[1], SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) == -1 && errno == ENOPROTOOPT)
			return; // before Linux 6.16
		FAILS(send_rights(s[0]), EPERM);
		CHECK(send(s[0], "x", 1, 0) == 1);
		CHECK(close(s[0]) == 0 && close(s[1]) == 0);
	}
}

int main(void) {
	CASE(segments());
	CASE(port_range());
	CASE(timestamps());
	CASE(old_and_new_forms());
	CASE(group());
	CASE(no_rights());
	return 0;
}
