// packet(7): what goes by the loopback is seen twice, and what is sent to it comes back.
// covers: socket bind setsockopt getsockopt recvfrom recvmsg sendto getsockname ioctl
#include "check.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int lo;

static struct sockaddr_ll ll(int protocol, int index) {
	return (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = index};
}

static int packet(int type, int protocol, int bound) {
	int s = socket(AF_PACKET, type, bound ? 0 : htons(protocol));
	struct sockaddr_ll a = ll(protocol, lo);
	CHECK(s >= 0);
	if (bound)
		CHECK(bind(s, (void *)&a, sizeof a) == 0);
	return s;
}

// udp sends a datagram to port 9 of the loopback.
static void udp(const char *text) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(sendto(s, text, strlen(text), 0, (void *)&to, sizeof to) == (long)strlen(text));
	close(s);
}

static int ready(int s, int wait) {
	struct pollfd p = {s, POLLIN, 0};
	return poll(&p, 1, wait) == 1 && p.revents & POLLIN;
}

// next receives the next frame with text at its end, within a second.
static long next(int s, char *b, struct sockaddr_ll *from, const char *text) {
	for (;;) {
		socklen_t n = sizeof *from;
		CHECK(ready(s, 1000));
		long k = recvfrom(s, b, 2048, 0, (void *)from, &n);
		CHECK(k >= 0 && n == sizeof *from);
		if (k >= (long)strlen(text) && memcmp(b + k - strlen(text), text, strlen(text)) == 0)
			return k;
	}
}

static void drain(int s) {
	char b[2048];
	while (ready(s, 50))
		recv(s, b, sizeof b, 0);
}

static void frames(void) {
	char b[2048];
	struct sockaddr_ll from;
	int all = packet(SOCK_RAW, ETH_P_ALL, 1), ip = packet(SOCK_DGRAM, ETH_P_IP, 0), arp = packet(SOCK_RAW, ETH_P_ARP, 1);
	udp("one frame");
	const int headers = 20 + 8;
	for (int i = 0; i < 2; i++) {
		CHECK(next(all, b, &from, "one frame") == 14 + headers + 9);
		CHECK(from.sll_family == AF_PACKET && from.sll_protocol == htons(ETH_P_IP) && from.sll_ifindex == lo);
		CHECK(from.sll_hatype == ARPHRD_LOOPBACK && from.sll_halen == 6);
		CHECK(from.sll_pkttype == (i == 0 ? PACKET_OUTGOING : PACKET_HOST));
		CHECK(b[12] == 8 && b[13] == 0 && (b[14] & 0xff) == 0x45 && b[14 + 9] == IPPROTO_UDP);
	}
	// One protocol is seen as it comes; without Ethernet's header if so wanted.
	CHECK(next(ip, b, &from, "one frame") == headers + 9 && from.sll_pkttype == PACKET_HOST && (b[0] & 0xff) == 0x45);
	drain(ip);
	udp("more");
	CHECK(next(ip, b, &from, "more") == headers + 4);
	CHECK(!ready(arp, 0));
	// As long as it was, or as much as there is room for.
	drain(all);
	udp("a longer one");
	CHECK(recv(all, b, 16, MSG_PEEK) == 16);
	CHECK(recv(all, b, 16, MSG_TRUNC) == 14 + headers + 12);
	close(all), close(ip), close(arp);
}

static void sends(void) {
	char b[2048], frame[64] = {0};
	struct sockaddr_ll from, to = ll(0x88b5, lo);
	int s = packet(SOCK_RAW, ETH_P_ALL, 1), other = packet(SOCK_DGRAM, 0x88b5, 1), cooked = socket(AF_PACKET, SOCK_DGRAM, 0);
	frame[12] = 0x88, frame[13] = 0xb5;
	strcpy(frame + 60, "raw");
	CHECK(send(s, frame, 63, 0) == 63);
	CHECK(next(other, b, &from, "raw") == 63 - 14 && from.sll_protocol == htons(0x88b5));
	// Who sends sees it only as it comes back.
	CHECK(next(s, b, &from, "raw") == 63 && from.sll_pkttype == PACKET_HOST);
	to.sll_halen = 6;
	CHECK(sendto(cooked, "cooked", 6, 0, (void *)&to, sizeof to) == 6);
	CHECK(next(other, b, &from, "cooked") == 6);
	CHECK(next(s, b, &from, "cooked") == 20 && from.sll_pkttype == PACKET_OUTGOING);
	FAILS(send(s, frame, 13, 0), EINVAL);
	FAILS(send(cooked, "x", 1, 0), ENXIO);
	to.sll_ifindex = 99;
	FAILS(sendto(s, frame, 63, 0, (void *)&to, sizeof to), ENXIO);
	FAILS(sendto(s, frame, 63, 0, (void *)&to, sizeof to - 1), EINVAL);
	static char large[70000];
	FAILS(send(s, large, sizeof large, 0), EMSGSIZE);
	close(s), close(other), close(cooked);
}

static void filters(void) {
	char b[2048];
	struct sockaddr_ll from;
	int s = packet(SOCK_RAW, ETH_P_ALL, 1), dgram = packet(SOCK_DGRAM, ETH_P_ALL, 1);
	// UDP to port 9 that comes, of which 14 + 20 + 8 + 3 bytes are wanted.
	struct sock_filter raw[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 14 + 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 9, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 45),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	// The same of what has no header, by what is known and by scratch memory.
	struct sock_filter known[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PROTOCOL),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_MEM, 3),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, ETH_P_IP),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 5, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, SKF_LL_OFF + 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_NET_OFF + 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog p = {sizeof raw / sizeof *raw, raw}, q = {sizeof known / sizeof *known, known};
	CHECK(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p) == 0);
	CHECK(setsockopt(dgram, SOL_SOCKET, SO_ATTACH_FILTER, &q, sizeof q) == 0);
	drain(s), drain(dgram);
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int u = socket(AF_INET6, SOCK_DGRAM, 0);
	sendto(u, "other", 5, 0, (void *)&v6, sizeof v6);
	close(u);
	udp("wanted");
	CHECK(next(s, b, &from, "wan") == 45 && from.sll_pkttype == PACKET_HOST);
	CHECK(next(dgram, b, &from, "wanted") == 34);
	drain(dgram);
	// None goes further than its end, or reads what it has not written.
	struct sock_filter bad[][2] = {
		{BPF_STMT(BPF_LD | BPF_MEM, 1), BPF_STMT(BPF_RET | BPF_A, 0)},
		{BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_A, 0)},
		{BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), BPF_STMT(BPF_RET | BPF_A, 0)},
		{BPF_STMT(BPF_RET | BPF_A, 0), BPF_STMT(BPF_LD | BPF_IMM, 1)},
		{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + 2), BPF_STMT(BPF_RET | BPF_A, 0)},
		{BPF_STMT(0x99, 0), BPF_STMT(BPF_RET | BPF_A, 0)},
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sock_fprog f = {2, bad[i]};
		FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof f), EINVAL);
	}
	p.filter = 0;
	FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p), EINVAL);
	p.filter = (void *)8;
	FAILS(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p), EFAULT);
	int zero = 0;
	CHECK(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero) == 0);
	FAILS(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero), ENOENT);
	close(s), close(dgram);
}

static void options(void) {
	char b[2048], control[256];
	int on = 1, s = packet(SOCK_RAW, ETH_P_IP, 1), none = socket(AF_PACKET, SOCK_RAW, 0);
	struct iovec v = {b, 20};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct tpacket_stats st;
	socklen_t n = sizeof st;
	CHECK(setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) == 0);
	udp("aux");
	CHECK(ready(s, 1000));
	int left;
	CHECK(ioctl(s, FIONREAD, &left) == 0 && left == 45);
	CHECK(recvmsg(s, &m, 0) == 20 && m.msg_flags & MSG_TRUNC);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA && c->cmsg_len == CMSG_LEN(sizeof(struct tpacket_auxdata)));
	struct tpacket_auxdata *aux = (void *)CMSG_DATA(c);
	CHECK(aux->tp_len == 45 && aux->tp_snaplen == 45 && aux->tp_mac == 0 && aux->tp_net == 14 && aux->tp_status & TP_STATUS_USER);
	CHECK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && n == sizeof st && st.tp_packets >= 1 && st.tp_drops == 0);
	CHECK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && st.tp_packets == 0);
	struct packet_mreq r = {lo, PACKET_MR_PROMISC, 0, {0}};
	CHECK(setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &r, sizeof r) == 0);
	CHECK(setsockopt(s, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &r, sizeof r) == 0);
	CHECK(setsockopt(s, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &r, sizeof r) == 0); // though it was not there
	r.mr_ifindex = 99;
	FAILS(setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &r, sizeof r), ENODEV);
	n = sizeof on;
	CHECK(getsockopt(s, SOL_SOCKET, SO_BPF_EXTENSIONS, &on, &n) == 0 && on == SKF_AD_MAX);
	CHECK(getsockopt(s, SOL_SOCKET, SO_TYPE, &on, &n) == 0 && on == SOCK_RAW);
	FAILS(setsockopt(s, SOL_PACKET, 999, &on, sizeof on), ENOPROTOOPT);
	// A name says where, and of which kind that is.
	struct sockaddr_ll a;
	n = sizeof a;
	CHECK(getsockname(s, (void *)&a, &n) == 0 && n == 18 && a.sll_protocol == htons(ETH_P_IP) && a.sll_ifindex == lo && a.sll_hatype == ARPHRD_LOOPBACK && a.sll_halen == 6);
	n = sizeof a;
	CHECK(getsockname(none, (void *)&a, &n) == 0 && n == 12 && a.sll_ifindex == 0 && a.sll_protocol == 0);
	FAILS(getpeername(s, (void *)&a, &n), EOPNOTSUPP);
	a = ll(ETH_P_IP, 99);
	FAILS(bind(s, (void *)&a, sizeof a), ENODEV);
	FAILS(bind(s, (void *)&a, sizeof a - 1), EINVAL);
	a.sll_family = AF_INET;
	FAILS(bind(s, (void *)&a, sizeof a), EINVAL);
	FAILS(connect(s, (void *)&a, sizeof a), EOPNOTSUPP);
	FAILS(listen(s, 1), EOPNOTSUPP);
	FAILS(shutdown(s, SHUT_RD), EOPNOTSUPP);
	udp("not for none");
	CHECK(!ready(none, 50)); // of no protocol, nothing
	FAILS(recv(none, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	FAILS(recv(none, b, sizeof b, MSG_OOB), EINVAL);
	// What goes is left out if so wanted.
	int all = packet(SOCK_RAW, ETH_P_ALL, 1);
	on = 1;
	CHECK(setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0);
	drain(all);
	udp("in alone");
	CHECK(next(all, b, &a, "in alone") > 0 && a.sll_pkttype == PACKET_HOST);
	close(s), close(none), close(all);
}

int main(void) {
	lo = if_nametoindex("lo");
	frames();
	sends();
	filters();
	options();
	FAILS(socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	CHECK(setuid(65534) == 0);
	FAILS(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
	FAILS(socket(AF_PACKET, SOCK_STREAM, 0), EPERM);
	return 0;
}
