// SO_ATTACH_FILTER of UDP, raw and TCP sockets: what of a packet gets in; socket(7).
// covers: setsockopt getsockopt recvfrom
#include "check.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#define RET(n) BPF_STMT(BPF_RET | BPF_K, n)
#define BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define IS(v, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, yes, no)
#define ATTACH(s, ...) \
	({ \
		struct sock_filter f_[] = {__VA_ARGS__}; \
		struct sock_fprog p_ = {sizeof f_ / sizeof *f_, f_}; \
		setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p_, sizeof p_); \
	})

static char b[300];
static int zero, one = 1;

// pair is a socket that receives, and one connected to it.
static int pair(int family, int *from) {
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

// got says how many bytes of text get in to s, -1 if none do.
static int got(int from, int s, const char *text) {
	CHECK(send(from, text, strlen(text), 0) == (int)strlen(text));
	int n = recv(s, b, sizeof b, MSG_DONTWAIT | MSG_TRUNC);
	CHECK(n >= 0 || errno == EAGAIN);
	CHECK(n < 0 || !memcmp(b, text, n));
	return n;
}

static void datagrams(int family) {
	int from, s = pair(family, &from);
	CHECK(send(from, "before", 6, 0) == 6);
	CHECK(ATTACH(s, RET(0)) == 0);
	CHECK(recv(s, b, sizeof b, MSG_DONTWAIT) == 6); // it was there
	CHECK(got(from, s, "dropped") == -1);
	struct pollfd f = {.fd = s, .events = POLLIN};
	CHECK(poll(&f, 1, 0) == 0);
	// What a program returns counts UDP's header, which is never cut off.
	CHECK(ATTACH(s, RET(11)) == 0 && got(from, s, "abcdef") == 3 && got(from, s, "ab") == 2);
	CHECK(ATTACH(s, RET(8)) == 0 && got(from, s, "abcdef") == 0);
	CHECK(ATTACH(s, RET(1)) == 0 && got(from, s, "abcdef") == 0);
	CHECK(ATTACH(s, RET(-1)) == 0 && got(from, s, "abcdef") == 6);
	// By length, by what is in it, and by what is known of it.
	CHECK(ATTACH(s, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), IS(8 + 3, 0, 1), RET(-1), RET(0)) == 0);
	CHECK(got(from, s, "abc") == 3 && got(from, s, "abcd") == -1);
	CHECK(ATTACH(s, BYTE(8), IS('x', 0, 1), RET(-1), RET(0)) == 0);
	CHECK(got(from, s, "xyz") == 3 && got(from, s, "yz") == -1 && got(from, s, "") == -1); // too short is dropped
	CHECK(ATTACH(s, BYTE(SKF_NET_OFF + (family == AF_INET ? 9 : 6)), IS(IPPROTO_UDP, 0, 1), RET(-1), RET(0)) == 0 && got(from, s, "abc") == 3);
	CHECK(ATTACH(s, HALF(SKF_AD_OFF + SKF_AD_PROTOCOL), IS(family == AF_INET ? ETH_P_IP : ETH_P_IPV6, 0, 1), RET(-1), RET(0)) == 0 && got(from, s, "abc") == 3);
	CHECK(ATTACH(s, WORD(SKF_AD_OFF + SKF_AD_IFINDEX), IS(1, 0, 1), RET(-1), RET(0)) == 0 && got(from, s, "abc") == 3);
	CHECK(ATTACH(s, HALF(SKF_LL_OFF + 12), IS(family == AF_INET ? ETH_P_IP : ETH_P_IPV6, 0, 1), RET(-1), RET(0)) == 0 && got(from, s, "abc") == 3);
	struct sockaddr_in6 me;
	socklen_t n = sizeof me;
	CHECK(getsockname(s, (void *)&me, &n) == 0);
	CHECK(ATTACH(s, HALF(2), IS(ntohs(me.sin6_port), 0, 1), RET(-1), RET(0)) == 0 && got(from, s, "abc") == 3);
	CHECK(ATTACH(s, HALF(0), IS(ntohs(me.sin6_port), 0, 1), RET(-1), RET(0)) == 0 && got(from, s, "abc") == -1);
	CHECK(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero) == 0 && got(from, s, "abc") == 3);
	FAILS(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero), ENOENT);
	CHECK(close(s) == 0 && close(from) == 0);
}

static void refused(void) {
	int from, s = pair(AF_INET, &from);
	struct sock_filter f[2] = {RET(0), RET(0)};
	struct sock_fprog p = {1, f};
	FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p - 1), EINVAL);
	FAILS(ATTACH(s, BYTE(0)), EINVAL);
	FAILS(ATTACH(s, IS(0, 1, 1), RET(0)), EINVAL);
	p.len = 0;
	FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p), EINVAL);
	p.len = 4097;
	FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p), EINVAL);
	p.len = 1, p.filter = (void *)8;
	FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p), EFAULT);
	CHECK(got(from, s, "abc") == 3);
	CHECK(close(s) == 0 && close(from) == 0);
}

static void locked(void) {
	int from, s = pair(AF_INET, &from);
	CHECK(ATTACH(s, BYTE(8), IS('x', 0, 1), RET(-1), RET(0)) == 0);
	CHECK(setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &zero, sizeof zero) == 0);
	CHECK(setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one) == 0);
	FAILS(setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &zero, sizeof zero), EPERM);
	CHECK(setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one) == 0);
	FAILS(ATTACH(s, RET(0)), EPERM);
	FAILS(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero), EPERM);
	int v = 0;
	socklen_t n = sizeof v;
	CHECK(getsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &v, &n) == 0 && v == 1);
	CHECK(got(from, s, "xyz") == 3 && got(from, s, "abc") == -1);
	CHECK(close(s) == 0 && close(from) == 0);
}

// fetched is SO_GET_FILTER, which counts instructions.
static void fetched(void) {
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sock_filter f[8] = {0};
	socklen_t n = 8;
	CHECK(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, f, &n) == 0 && n == 0);
	CHECK(ATTACH(s, BYTE(8), IS('x', 0, 1), RET(-1), RET(0)) == 0);
	n = 0;
	CHECK(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, f, &n) == 0 && n == 4 && f[1].k == 0);
	n = 3;
	FAILS(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, f, &n), EINVAL);
	n = 8;
	CHECK(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, f, &n) == 0 && n == 4);
	CHECK(f[0].code == (BPF_LD | BPF_B | BPF_ABS) && f[0].k == 8 && f[1].k == 'x' && f[1].jf == 1 && f[3].code == BPF_RET && f[4].code == 0);
	CHECK(close(s) == 0);
}

// raw is a socket of ICMP, whose programs see IPv4's header and not IPv6's.
static void raw(int family) {
	int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6, s = socket(family, SOCK_RAW, protocol), header = family == AF_INET ? 20 : 0;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr *to = family == AF_INET ? (void *)&a : (void *)&a6;
	socklen_t n = family == AF_INET ? sizeof a : sizeof a6;
	struct { struct icmphdr h; char data[8]; } m = {{.type = 200, .un.echo.id = 0x4711}, "abcdefg"}, other = m;
	other.h.type = 201;
	CHECK(s >= 0);
	CHECK(ATTACH(s, BYTE(header), IS(200, 0, 1), RET(-1), RET(0)) == 0);
	CHECK(sendto(s, &other, sizeof other, 0, to, n) == sizeof m && sendto(s, &m, sizeof m, 0, to, n) == sizeof m);
	struct pollfd f = {.fd = s, .events = POLLIN};
	CHECK(poll(&f, 1, 5000) == 1 && recv(s, b, sizeof b, 0) == header + 16 && (unsigned char)b[header] == 200 && !memcmp(b + header + 8, "abcdefg", 8));
	FAILS(recv(s, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	if (family == AF_INET) {
		CHECK(ATTACH(s, BYTE(9), IS(IPPROTO_ICMP, 0, 1), RET(30), RET(0)) == 0 && sendto(s, &m, sizeof m, 0, to, n) == sizeof m);
		CHECK(poll(&f, 1, 5000) == 1 && recv(s, b, sizeof b, 0) == 30);
	}
	CHECK(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero) == 0 && sendto(s, &other, sizeof other, 0, to, n) == sizeof m);
	CHECK(poll(&f, 1, 5000) == 1 && recv(s, b, sizeof b, 0) == header + 16);
	CHECK(close(s) == 0);
}

// stream is TCP: a connection has what its listener had.
static void stream(void) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a, k = 8;
	struct sock_filter f[8];
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(ATTACH(l, BYTE(SKF_NET_OFF + 9), IS(IPPROTO_TCP, 0, 1), RET(-1), RET(0)) == 0);
	CHECK(setsockopt(l, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one) == 0);
	CHECK(bind(l, (void *)&a, n) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&a, &n) == 0 && connect(c, (void *)&a, n) == 0);
	int s = accept(l, NULL, NULL);
	CHECK(s >= 0 && getsockopt(s, SOL_SOCKET, SO_GET_FILTER, f, &k) == 0 && k == 4);
	FAILS(ATTACH(s, RET(0)), EPERM);
	CHECK(send(c, "abc", 3, 0) == 3 && recv(s, b, sizeof b, 0) == 3);
	CHECK(close(l) == 0 && close(c) == 0 && close(s) == 0);
}

int main(void) {
	CASE(datagrams(AF_INET));
	CASE(datagrams(AF_INET6));
	CASE(refused());
	CASE(locked());
	CASE(fetched());
	CASE(raw(AF_INET));
	CASE(raw(AF_INET6));
	CASE(stream());
	return 0;
}
