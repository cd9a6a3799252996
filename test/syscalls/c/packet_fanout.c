// PACKET_FANOUT: sockets that share what comes, each packet being for one of them; packet(7).
// covers: setsockopt getsockopt bind
#include "check.h"
#include <arpa/inet.h>
#include <linux/filter.h>
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

#ifndef PACKET_FANOUT_DATA
#define PACKET_FANOUT_DATA 22
#endif

static int chooses(int s, struct sock_filter *f, int n) {
	struct sock_fprog p = {n, f};
	return setsockopt(s, SOL_PACKET, PACKET_FANOUT_DATA, &p, sizeof p);
}

// A program chooses, by what it returns and how many members there are.
static void by_program(void) {
	int a = packet(ETH_P_IP), b = packet(ETH_P_IP), c = packet(ETH_P_IP), turns = packet(ETH_P_IP), one = 1;
	struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, 1)}, sixth[] = {BPF_STMT(BPF_RET | BPF_K, 5)};
	// What came has its header of the network at 0: the length of a datagram is at 2.
	struct sock_filter length[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 28), BPF_STMT(BPF_RET | BPF_A, 0)};
	struct sock_filter bad[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2)};
	FAILS(chooses(a, second, 1), EINVAL); // in no group
	CHECK(join(turns, 75, PACKET_FANOUT_LB) == 0);
	FAILS(chooses(turns, second, 1), EINVAL); // nor in one of this type
	CHECK(close(turns) == 0);
	CHECK(join(a, 74, PACKET_FANOUT_CBPF) == 0 && join(b, 74, PACKET_FANOUT_CBPF) == 0 && join(c, 74, PACKET_FANOUT_CBPF) == 0);
	CHECK(group(b) == (74 | PACKET_FANOUT_CBPF << 16));
	udp(3, 10);
	CHECK(count(a) == 3 && count(b) == 0 && count(c) == 0); // there is none yet
	CHECK(chooses(b, second, 1) == 0);
	udp(3, 10);
	CHECK(count(a) == 0 && count(b) == 3 && count(c) == 0);
	CHECK(chooses(a, sixth, 1) == 0);
	udp(2, 10);
	CHECK(count(a) == 0 && count(b) == 0 && count(c) == 2);
	CHECK(chooses(c, length, 3) == 0);
	udp(4, 9), udp(3, 10), udp(2, 11);
	CHECK(count(a) == 4 && count(b) == 3 && count(c) == 2);
	FAILS(chooses(a, bad, 1), EINVAL);
	FAILS(chooses(a, second, 0), EINVAL);
	FAILS(chooses(a, NULL, 1), EINVAL);
	FAILS(chooses(a, (void *)8, 1), EFAULT);
	FAILS(setsockopt(a, SOL_PACKET, PACKET_FANOUT_DATA, &one, sizeof one), EINVAL);
	CHECK(setsockopt(a, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one) == 0);
	FAILS(chooses(a, second, 1), EPERM);
	CHECK(chooses(b, second, 1) == 0); // it is of the others, too
	CHECK(close(a) == 0 && close(b) == 0 && close(c) == 0);
}

int main(void) {
	CASE(refused());
	CASE(in_turn());
	CASE(by_flow());
	CASE(by_program());
	CASE(rolls_over(PACKET_FANOUT_ROLLOVER));
	CASE(rolls_over(PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER));
	return 0;
}
