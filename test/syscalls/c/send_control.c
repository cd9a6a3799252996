// Control messages of a sender: what they do to one packet, and to no other; ip(7), ipv6(7), udp(7).
// covers: sendmsg sendmmsg setsockopt
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void set(int s, int level, int name, int v) { CHECK(setsockopt(s, level, name, &v, sizeof v) == 0); }

// A control is control messages of a sender.
struct control {
	size_t len;
	_Alignas(struct cmsghdr) char room[256];
};

static struct control *put(struct control *c, int level, int type, const void *data, size_t n) {
	struct cmsghdr *h = (void *)(c->room + c->len);
	h->cmsg_level = level, h->cmsg_type = type, h->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(h), data, n);
	c->len += CMSG_SPACE(n);
	return c;
}

// control is one message of n bytes.
static struct control *control(int level, int type, const void *data, size_t n) {
	static struct control c;
	c.len = 0;
	return put(&c, level, type, data, n);
}

static struct control *number(int level, int type, int v) { return control(level, type, &v, sizeof v); }

static char payload[3000] = "payload";

// sends sends n bytes with control messages; to may be NULL.
static int sends(int s, struct sockaddr *to, socklen_t size, size_t n, struct control *c) {
	struct iovec v = {payload, n};
	struct msghdr m = {.msg_name = to, .msg_namelen = to ? size : 0, .msg_iov = &v, .msg_iovlen = 1, .msg_control = c->room, .msg_controllen = c->len};
	return sendmsg(s, &m, 0);
}

// A got is a datagram and what is told of it; -1 is what is not.
struct got {
	int len, tos, ttl, link;
	struct sockaddr_in6 from;
	struct in_addr to;
};

static struct got receive(int s) {
	static char data[4000];
	char room[512];
	struct got g = {.tos = -1, .ttl = -1, .link = -1};
	struct iovec v = {data, sizeof data};
	struct msghdr m = {.msg_name = &g.from, .msg_namelen = sizeof g.from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	struct pollfd f = {.fd = s, .events = POLLIN};
	CHECK(poll(&f, 1, 5000) == 1);
	g.len = recvmsg(s, &m, 0);
	CHECK(g.len >= 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS)
			g.tos = *(unsigned char *)CMSG_DATA(c);
		else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO)
			g.link = ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex, g.to = ((struct in_pktinfo *)CMSG_DATA(c))->ipi_addr;
		else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) || (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
			g.ttl = *(int *)CMSG_DATA(c);
		else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_TCLASS)
			g.tos = *(int *)CMSG_DATA(c);
	return g;
}

static in_addr_t from4(struct got *g) { return ((struct sockaddr_in *)&g->from)->sin_addr.s_addr; }

static struct sockaddr_in loopback(const char *ip) {
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(ip)};
}

// receiver is a socket that is told all, and its address.
static int receiver(struct sockaddr_in *a) {
	socklen_t n = sizeof *a;
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	*a = loopback("127.0.0.1");
	CHECK(s >= 0 && bind(s, (void *)a, n) == 0 && getsockname(s, (void *)a, &n) == 0);
	set(s, SOL_IP, IP_RECVTOS, 1), set(s, SOL_IP, IP_RECVTTL, 1), set(s, SOL_IP, IP_PKTINFO, 1);
	return s;
}

static void of_ipv4(void) {
	struct sockaddr_in a;
	int s = receiver(&a), from = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr *to = (void *)&a;
	struct got g;
	set(from, SOL_IP, IP_TOS, 0x20), set(from, SOL_IP, IP_TTL, 50);
	CHECK(sends(from, to, sizeof a, 7, number(SOL_IP, IP_TOS, 0x88)) == 7);
	g = receive(s); CHECK(g.len == 7 && g.tos == 0x88 && g.ttl == 50);
	unsigned char tos = 0x10;
	CHECK(sends(from, to, sizeof a, 7, control(SOL_IP, IP_TOS, &tos, 1)) == 7);
	g = receive(s); CHECK(g.tos == 0x10);
	CHECK(sends(from, to, sizeof a, 7, number(SOL_IP, IP_TOS, 0)) == 7);
	g = receive(s); CHECK(g.tos == 0);
	CHECK(sends(from, to, sizeof a, 7, number(SOL_IP, IP_TTL, 3)) == 7);
	g = receive(s); CHECK(g.tos == 0x20 && g.ttl == 3);
	struct control *c = number(SOL_IP, IP_TTL, 4);
	int v = 0x40;
	CHECK(sends(from, to, sizeof a, 0, put(c, SOL_IP, IP_TOS, &v, sizeof v)) == 0);
	g = receive(s); CHECK(g.len == 0 && g.tos == 0x40 && g.ttl == 4);
	// Of one packet only; and of a socket that is connected.
	CHECK(connect(from, to, sizeof a) == 0 && send(from, payload, 7, 0) == 7);
	g = receive(s); CHECK(g.tos == 0x20 && g.ttl == 50);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IP, IP_TOS, 0x88)) == 7);
	g = receive(s); CHECK(g.tos == 0x88 && g.ttl == 50);
	CHECK(close(s) == 0 && close(from) == 0);
}

static void refused(void) {
	struct sockaddr_in a;
	int s = receiver(&a), from = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr *to = (void *)&a;
	CHECK(connect(from, to, sizeof a) == 0);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_TOS, 256)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_TOS, -1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, control(SOL_IP, IP_TOS, "\0", 2)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, control(SOL_IP, IP_TOS, "\0\0\0\0\0\0\0", 8)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_TTL, 0)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_TTL, -1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_TTL, 256)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, control(SOL_IP, IP_TTL, "\1", 1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, control(SOL_IP, IP_TTL, "\1\0\0\0\0\0\0", 8)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_PKTINFO, 1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IP, IP_RECVTTL, 1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_UDP, UDP_CORK, 1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_UDP, UDP_SEGMENT, 1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_SOCKET, SO_SNDBUF, 1)), EINVAL);
	// Of other levels.
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, 256)) == 7 && receive(s).len == 7);
	CHECK(sends(from, NULL, 0, 7, number(IPPROTO_TCP, 1, 1)) == 7 && receive(s).len == 7);
	CHECK(sends(from, NULL, 0, 7, number(SOL_SOCKET, SCM_RIGHTS, 0)) == 7 && receive(s).len == 7);
	struct pollfd f = {.fd = s, .events = POLLIN};
	CHECK(poll(&f, 1, 0) == 0);
	CHECK(close(s) == 0 && close(from) == 0);
}

static void source_of_ipv4(void) {
	struct sockaddr_in a, b = loopback("127.0.0.3");
	int s = receiver(&a), from = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr *to = (void *)&a;
	struct in_pktinfo i = {.ipi_spec_dst.s_addr = inet_addr("127.0.0.2"), .ipi_addr.s_addr = inet_addr("192.0.2.9")};
	struct got g;
	CHECK(sends(from, to, sizeof a, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)) == 7);
	g = receive(s); CHECK(from4(&g) == inet_addr("127.0.0.2") && g.to.s_addr == inet_addr("127.0.0.1"));
	i.ipi_ifindex = 1;
	CHECK(sends(from, to, sizeof a, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)) == 7);
	g = receive(s); CHECK(from4(&g) == inet_addr("127.0.0.2") && g.link == 1);
	i.ipi_ifindex = 4711;
	FAILS(sends(from, to, sizeof a, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)), ENODEV);
	i.ipi_ifindex = 0, i.ipi_spec_dst.s_addr = inet_addr("192.0.2.1");
	FAILS(sends(from, to, sizeof a, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)), ENETUNREACH);
	i.ipi_spec_dst.s_addr = inet_addr("239.0.0.1");
	FAILS(sends(from, to, sizeof a, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)), EINVAL);
	CHECK(close(from) == 0);

	// Of a socket that has an address: another, for this one; or what the routes say.
	from = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(from, (void *)&b, sizeof b) == 0 && connect(from, to, sizeof a) == 0);
	i.ipi_spec_dst.s_addr = inet_addr("127.0.0.2");
	CHECK(sends(from, NULL, 0, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)) == 7);
	g = receive(s); CHECK(from4(&g) == inet_addr("127.0.0.2"));
	i.ipi_spec_dst.s_addr = 0;
	CHECK(sends(from, NULL, 0, 7, control(SOL_IP, IP_PKTINFO, &i, sizeof i)) == 7);
	g = receive(s); CHECK(from4(&g) == inet_addr("127.0.0.1"));
	CHECK(sends(from, NULL, 0, 7, number(SOL_IP, IP_TOS, 0x88)) == 7);
	g = receive(s); CHECK(from4(&g) == inet_addr("127.0.0.3") && g.tos == 0x88);
	CHECK(close(s) == 0 && close(from) == 0);
}

// receiver6 is receiver of IPv6.
static int receiver6(struct sockaddr_in6 *a) {
	socklen_t n = sizeof *a;
	int s = socket(AF_INET6, SOCK_DGRAM, 0);
	*a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	CHECK(s >= 0 && bind(s, (void *)a, n) == 0 && getsockname(s, (void *)a, &n) == 0);
	set(s, SOL_IPV6, IPV6_RECVTCLASS, 1), set(s, SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
	return s;
}

static void of_ipv6(void) {
	struct sockaddr_in6 a;
	int s = receiver6(&a), from = socket(AF_INET6, SOCK_DGRAM, 0);
	struct got g;
	set(from, SOL_IPV6, IPV6_TCLASS, 0x20), set(from, SOL_IPV6, IPV6_UNICAST_HOPS, 50);
	CHECK(connect(from, (void *)&a, sizeof a) == 0);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, 0x88)) == 7);
	g = receive(s); CHECK(g.len == 7 && g.tos == 0x88 && g.ttl == 50);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, 0)) == 7);
	g = receive(s); CHECK(g.tos == 0);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, -1)) == 7);
	g = receive(s); CHECK(g.tos == 0xff);
	CHECK(sends(from, (void *)&a, sizeof a, 7, number(SOL_IPV6, IPV6_HOPLIMIT, 9)) == 7);
	g = receive(s); CHECK(g.tos == 0x20 && g.ttl == 9);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_2292HOPLIMIT, 8)) == 7);
	g = receive(s); CHECK(g.ttl == 8);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_HOPLIMIT, -1)) == 7);
	g = receive(s); CHECK(g.ttl == 50);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, 256)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, -2)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, control(SOL_IPV6, IPV6_TCLASS, "\0", 1)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_HOPLIMIT, 256)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, control(SOL_IPV6, IPV6_HOPLIMIT, "\0\0\0\0\0\0\0", 8)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_DONTFRAG, 2)), EINVAL);
	FAILS(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_V6ONLY, 1)), EINVAL);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IPV6, IPV6_DONTFRAG, 1)) == 7 && receive(s).len == 7);
	CHECK(sends(from, NULL, 0, 7, number(SOL_IP, IP_TTL, 0)) == 7 && receive(s).len == 7); // another level
	CHECK(close(s) == 0 && close(from) == 0);
}

static void source_of_ipv6(void) {
	struct sockaddr_in6 a;
	int s = receiver6(&a), from = socket(AF_INET6, SOCK_DGRAM, 0);
	struct in6_pktinfo i = {.ipi6_addr = in6addr_loopback, .ipi6_ifindex = 1}, none = {0};
	struct got g;
	CHECK(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)) == 7);
	g = receive(s); CHECK(IN6_IS_ADDR_LOOPBACK(&g.from.sin6_addr));
	CHECK(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_2292PKTINFO, &none, sizeof none)) == 7);
	g = receive(s); CHECK(IN6_IS_ADDR_LOOPBACK(&g.from.sin6_addr));
	FAILS(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, 16)), EINVAL);
	i.ipi6_ifindex = 4711;
	FAILS(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)), ENODEV);
	i.ipi6_ifindex = 0;
	CHECK(inet_pton(AF_INET6, "2001:db8::1", &i.ipi6_addr) == 1);
	FAILS(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)), EINVAL);
	CHECK(inet_pton(AF_INET6, "fe80::1", &i.ipi6_addr) == 1);
	FAILS(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)), EINVAL); // by which link?

	// For all packets: the link, and with another one in a message it is refused.
	i = (struct in6_pktinfo){.ipi6_addr = in6addr_loopback, .ipi6_ifindex = 1};
	CHECK(setsockopt(from, SOL_IPV6, IPV6_PKTINFO, &i, sizeof i) == 0);
	CHECK(sendto(from, payload, 7, 0, (void *)&a, sizeof a) == 7 && receive(s).len == 7);
	i.ipi6_ifindex = 4711;
	FAILS(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)), EINVAL);
	CHECK(setsockopt(from, SOL_IPV6, IPV6_PKTINFO, &none, sizeof none) == 0);
	FAILS(sends(from, (void *)&a, sizeof a, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)), ENODEV);
	FAILS(setsockopt(from, SOL_IPV6, IPV6_PKTINFO, &none, 19), EINVAL);
	FAILS(setsockopt(from, SOL_IPV6, IPV6_PKTINFO, &none, 0), EINVAL);
	CHECK(close(s) == 0 && close(from) == 0);
}

// mapped is IPv4 by a socket of IPv6: the messages of the protocol in use count.
static void mapped(void) {
	struct sockaddr_in a;
	int s = receiver(&a), from = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = a.sin_port};
	struct in6_pktinfo i = {0};
	struct got g;
	CHECK(inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr) == 1);
	CHECK(sends(from, (void *)&to, sizeof to, 7, number(SOL_IP, IP_TOS, 0x88)) == 7);
	g = receive(s); CHECK(g.tos == 0x88);
	CHECK(sends(from, (void *)&to, sizeof to, 7, number(SOL_IPV6, IPV6_TCLASS, 256)) == 7);
	g = receive(s); CHECK(g.tos == 0);
	FAILS(sends(from, (void *)&to, sizeof to, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)), EINVAL);
	CHECK(inet_pton(AF_INET6, "::ffff:127.0.0.2", &i.ipi6_addr) == 1);
	CHECK(sends(from, (void *)&to, sizeof to, 7, control(SOL_IPV6, IPV6_PKTINFO, &i, sizeof i)) == 7);
	g = receive(s); CHECK(from4(&g) == inet_addr("127.0.0.2"));
	CHECK(close(s) == 0 && close(from) == 0);
}

static void segments(void) {
	struct sockaddr_in a;
	int s = receiver(&a), from = socket(AF_INET, SOCK_DGRAM, 0);
	uint16_t size = 1000;
	int tos = 0x88;
	struct control *c = control(SOL_UDP, UDP_SEGMENT, &size, sizeof size);
	CHECK(sends(from, (void *)&a, sizeof a, 2500, put(c, SOL_IP, IP_TOS, &tos, sizeof tos)) == 2500);
	for (int i = 0; i < 3; i++) {
		struct got g = receive(s);
		CHECK(g.len == (i < 2 ? 1000 : 500) && g.tos == 0x88);
	}
	CHECK(close(s) == 0 && close(from) == 0);
}

static void many(void) {
	struct sockaddr_in a;
	int s = receiver(&a), from = socket(AF_INET, SOCK_DGRAM, 0);
	struct control c[4] = {0};
	struct iovec v = {payload, 5};
	struct mmsghdr m[4] = {0};
	for (int i = 0; i < 4; i++) {
		int ttl = i < 3 ? 10 + i : 0;
		put(&c[i], SOL_IP, IP_TTL, &ttl, sizeof ttl);
		m[i].msg_hdr = (struct msghdr){.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = c[i].room, .msg_controllen = c[i].len};
	}
	CHECK(sendmmsg(from, m, 4, 0) == 3); // the last is refused
	for (int i = 0; i < 3; i++) {
		struct got g = receive(s);
		CHECK(m[i].msg_len == 5 && g.ttl == 10 + i);
	}
	CHECK(close(s) == 0 && close(from) == 0);
}

static void raw(void) {
	struct sockaddr_in a = loopback("127.0.0.1");
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct icmphdr echo = {.type = ICMP_ECHOREPLY, .un.echo.id = htons(0x4711)};
	struct in_pktinfo i = {.ipi_spec_dst.s_addr = inet_addr("127.0.0.2")};
	int tos = 0x88, ttl = 7;
	char b[200];
	CHECK(s >= 0);
	memcpy(payload, &echo, sizeof echo);
	struct control *c = put(put(control(SOL_IP, IP_TOS, &tos, sizeof tos), SOL_IP, IP_TTL, &ttl, sizeof ttl), SOL_IP, IP_PKTINFO, &i, sizeof i);
	CHECK(sends(s, (void *)&a, sizeof a, sizeof echo, c) == sizeof echo);
	struct iphdr *ip = (void *)b;
	do {
		struct pollfd f = {.fd = s, .events = POLLIN};
		CHECK(poll(&f, 1, 5000) == 1 && recv(s, b, sizeof b, 0) >= 28);
	} while (memcmp(b + 20, &echo, 1) || memcmp(b + 24, (char *)&echo + 4, 2));
	CHECK(ip->tos == 0x88 && ip->ttl == 7 && ip->saddr == inet_addr("127.0.0.2"));
	FAILS(sends(s, (void *)&a, sizeof a, sizeof echo, number(SOL_IP, IP_TOS, 256)), EINVAL);
	CHECK(close(s) == 0);
}

// stream is TCP, which has no messages of one packet.
static void stream(void) {
	struct sockaddr_in a = loopback("127.0.0.1");
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(l, (void *)&a, n) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&a, &n) == 0);
	CHECK(connect(s, (void *)&a, n) == 0);
	CHECK(sends(s, NULL, 0, 7, number(SOL_IP, IP_TTL, 0)) == 7);
	CHECK(sends(s, NULL, 0, 7, number(SOL_IPV6, IPV6_TCLASS, 256)) == 7);
	FAILS(sends(s, NULL, 0, 7, number(SOL_SOCKET, SO_SNDBUF, 1)), EINVAL);
	CHECK(close(s) == 0 && close(l) == 0);
}

int main(void) {
	CASE(of_ipv4());
	CASE(refused());
	CASE(source_of_ipv4());
	CASE(of_ipv6());
	CASE(source_of_ipv6());
	CASE(mapped());
	CASE(segments());
	CASE(many());
	CASE(stream());
	CASE(raw());
	return 0;
}
