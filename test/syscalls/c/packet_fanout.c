// PACKET_FANOUT: sockets that share what comes, each packet being for one of them; packet(7).
// covers: setsockopt getsockopt bind
#include "check.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

// packet is a socket that sees what comes by the loopback of IPv4.
static int packet(int protocol) {
	int s = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = 1};
	CHECK(s >= 0 && bind(s, (void *)&a, sizeof a) == 0);
	return s;
}

static int join(int s, int id, int type) {
	int v = id | type << 16;
	return setsockopt(s, SOL_PACKET, PACKET_FANOUT, &v, sizeof v);
}

static int group(int s) {
	int v = -1;
	socklen_t n = sizeof v;
	CHECK(getsockopt(s, SOL_PACKET, PACKET_FANOUT, &v, &n) == 0 && n == 4);
	return v;
}

// udp sends n datagrams of one flow.
static void udp(int n, int size) {
	static char b[1000];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof to;
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(r, (void *)&to, len) == 0 && getsockname(r, (void *)&to, &len) == 0 && connect(s, (void *)&to, len) == 0);
	for (int i = 0; i < n; i++) {
		CHECK(send(s, b, size, 0) == size && recv(r, b, sizeof b, 0) == size);
	}
	CHECK(close(r) == 0 && close(s) == 0);
}

// count is how many packets a socket has.
static int count(int s) {
	char b[2000];
	int n = 0;
	while (recv(s, b, sizeof b, MSG_DONTWAIT) > 0)
		n++;
	CHECK(errno == EAGAIN);
	return n;
}

static void refused(void) {
	int s = packet(ETH_P_IP), other = packet(ETH_P_ARP), same = packet(ETH_P_IP), idle = socket(AF_PACKET, SOCK_RAW, 0);
	int v[3] = {0};
	CHECK(group(s) == 0);
	FAILS(join(idle, 71, PACKET_FANOUT_LB), EINVAL);
	FAILS(join(s, 71, 8), EINVAL);
	FAILS(join(s, 71, PACKET_FANOUT_ROLLOVER | PACKET_FANOUT_FLAG_ROLLOVER), EINVAL);
	FAILS(join(s, 71, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_UNIQUEID), EINVAL);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_FANOUT, v, 3), EINVAL);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_FANOUT, v, 6), EINVAL);
	CHECK(join(s, 71, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER) == 0);
	CHECK(group(s) == (71 | PACKET_FANOUT_LB << 16 | PACKET_FANOUT_FLAG_ROLLOVER << 16));
	FAILS(join(s, 71, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER), EALREADY);
	FAILS(join(same, 71, PACKET_FANOUT_LB), EINVAL);
	FAILS(join(same, 71, PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER), EINVAL);
	FAILS(join(other, 71, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER), EINVAL);
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = 1};
	FAILS(bind(s, (void *)&a, sizeof a), EINVAL);
	CHECK(close(s) == 0 && join(other, 71, PACKET_FANOUT_LB) == 0); // the group has gone
	CHECK(join(same, 0, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_UNIQUEID) == 0 && (group(same) & 0xffff) != 71);
	CHECK(close(other) == 0 && close(same) == 0 && close(idle) == 0);
}

static void in_turn(void) {
	int a = packet(ETH_P_IP), b = packet(ETH_P_IP), all = packet(ETH_P_IP);
	CHECK(join(a, 72, PACKET_FANOUT_LB) == 0 && join(b, 72, PACKET_FANOUT_LB) == 0);
	udp(6, 10);
	CHECK(count(a) == 3 && count(b) == 3 && count(all) == 6);
	CHECK(close(a) == 0);
	udp(4, 10);
	CHECK(count(b) == 4 && count(all) == 4);
	CHECK(close(b) == 0 && close(all) == 0);
}

static void by_flow(void) {
	int s[3], seen[3] = {0};
	for (int i = 0; i < 3; i++)
		CHECK((s[i] = packet(ETH_P_IP)) >= 0 && join(s[i], 73, PACKET_FANOUT_HASH) == 0);
	for (int k = 0; k < 40; k++) {
		udp(2, 10);
		int total = 0;
		for (int i = 0; i < 3; i++) {
			int n = count(s[i]);
			CHECK(n == 0 || n == 2); // all of a flow or nothing
			total += n, seen[i] += n;
		}
		CHECK(total == 2);
	}
	for (int i = 0; i < 3; i++)
		CHECK(seen[i] > 0 && close(s[i]) == 0);
}

static void rolls_over(int type) {
	int a = packet(ETH_P_IP), b = packet(ETH_P_IP), little = 1;
	CHECK(setsockopt(a, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) == 0);
	CHECK(join(a, 74, type) == 0 && join(b, 74, type) == 0);
	udp(20, 500);
	int first = count(a), second = count(b);
	CHECK(first > 0 && first < 10 && first + second == 20);
	CHECK(close(a) == 0 && close(b) == 0);
}

int main(void) {
	CASE(refused());
	CASE(in_turn());
	CASE(by_flow());
	CASE(rolls_over(PACKET_FANOUT_ROLLOVER));
	CASE(rolls_over(PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER));
	return 0;
}
