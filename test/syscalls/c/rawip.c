// raw(7): a socket of IPPROTO_RAW sends packets that have their header; which types of ICMP
// one receives is for ICMP_FILTER to say.
// covers: socket sendto recvfrom setsockopt
#include "check.h"
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sys/socket.h>

struct packet {
	struct iphdr ip;
	struct icmphdr icmp;
	char data[16];
};

static uint16_t sum(void *p, int n) {
	uint32_t s = 0;
	for (uint16_t *w = p; n > 1; n -= 2)
		s += *w++;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s;
}

// made is an echo request from this host to itself.
static struct packet made(void) {
	struct packet p = {0};
	p.ip.version = 4, p.ip.ihl = 5, p.ip.ttl = 64, p.ip.protocol = IPPROTO_ICMP;
	p.ip.tot_len = htons(sizeof p);
	p.ip.saddr = p.ip.daddr = htonl(INADDR_LOOPBACK);
	p.icmp.type = ICMP_ECHO, p.icmp.un.echo.id = htons(77);
	memcpy(p.data, "in a raw packet", 16);
	p.icmp.checksum = sum(&p.icmp, sizeof p - sizeof p.ip);
	return p;
}

static void sends_packets(void) {
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), r = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	CHECK(s >= 0 && r >= 0);
	int on = 0;
	socklen_t n = sizeof on;
	CHECK(getsockopt(s, IPPROTO_IP, IP_HDRINCL, &on, &n) == 0 && on == 1);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct packet p = made(), got;
	CHECK(sendto(s, &p, sizeof p, 0, (void *)&to, sizeof to) == sizeof p);
	CHECK(recv(r, &got, sizeof got, 0) == sizeof got && got.icmp.type == ICMP_ECHO && !memcmp(got.data, p.data, 16));
	CHECK(recv(r, &got, sizeof got, 0) == sizeof got && got.icmp.type == ICMP_ECHOREPLY && !memcmp(got.data, p.data, 16));
	struct pollfd f = {.fd = s, .events = POLLIN | POLLOUT};
	CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLOUT);
	FAILS(recv(s, &got, sizeof got, MSG_DONTWAIT), EAGAIN); // it gets no other protocol's
	CHECK(close(s) == 0 && close(r) == 0);
}

// types is which echo messages s has been given since: 1 the request, 2 the answer.
static int types(int s) {
	struct packet p;
	int n = 0;
	while (recv(s, &p, sizeof p, MSG_DONTWAIT) == sizeof p)
		n |= p.icmp.type == ICMP_ECHO ? 1 : p.icmp.type == ICMP_ECHOREPLY ? 2 : 4;
	CHECK(errno == EAGAIN);
	return n;
}

// ICMP_FILTER has a bit for each type that is not wanted, of the first 32.
static void filters_types(void) {
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), r = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int all = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct packet p = made();
	const struct { unsigned filter; int want; } of[] = {
		{0, 3}, {1 << ICMP_ECHO, 2}, {~(1u << ICMP_ECHO), 1}, {1 << ICMP_ECHOREPLY, 1}, {1 << ICMP_ECHO | 1 << ICMP_ECHOREPLY, 0}, {-1u, 0}, {1 << 9, 3}, {0, 3},
	};
	for (unsigned i = 0; i < sizeof of / sizeof *of; i++) {
		struct icmp_filter f = {of[i].filter};
		CHECK(setsockopt(r, SOL_RAW, ICMP_FILTER, &f, sizeof f) == 0);
		CHECK(sendto(s, &p, sizeof p, 0, (void *)&to, sizeof to) == sizeof p);
		struct pollfd w = {.fd = all, .events = POLLIN};
		for (int n = 0, seen = 0; n < 2; n++) { // both have come by now
			CHECK(poll(&w, 1, 2000) == 1 && recv(all, &p, sizeof p, 0) == sizeof p);
			seen |= p.icmp.type == ICMP_ECHO ? 1 : 2;
			CHECK(n == 0 || seen == 3);
		}
		p = made();
		CHECK(types(r) == of[i].want);
	}
	CHECK(close(s) == 0 && close(r) == 0 && close(all) == 0);
}

int main(void) {
	CASE(sends_packets());
	CASE(filters_types());
	return 0;
}
