// packet(7)'s rings: packets lie in memory that is shared with the kernel.
// covers: setsockopt getsockopt mmap munmap poll
#include "check.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int lo;

static int packet(int version) {
	int s = socket(AF_PACKET, SOCK_RAW, 0);
	CHECK(s >= 0 && setsockopt(s, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0);
	return s;
}

static void start(int s) {
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = lo};
	CHECK(bind(s, (void *)&a, sizeof a) == 0);
}

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

static int ends(const char *b, unsigned n, const char *text) {
	return n >= strlen(text) && memcmp(b + n - strlen(text), text, strlen(text)) == 0;
}

static int length(int version) {
	socklen_t n = sizeof version;
	int s = socket(AF_PACKET, SOCK_RAW, 0);
	CHECK(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &version, &n) == 0 && n == sizeof version);
	close(s);
	return version;
}

static void sizes(void) {
	CHECK(length(TPACKET_V1) == sizeof(struct tpacket_hdr));
	CHECK(length(TPACKET_V2) == sizeof(struct tpacket2_hdr));
	CHECK(length(TPACKET_V3) == sizeof(struct tpacket3_hdr));
	int s = packet(TPACKET_V2), version = 3;
	socklen_t n = sizeof version;
	FAILS(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &version, &n), EINVAL);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_VERSION, &version, sizeof version), EINVAL);
	static const struct tpacket_req bad[] = {
		{1000, 4, 500, 8}, {4096, 4, 2048, 9}, {4096, 4, 50, 4 * 81}, {4096, 4, 2040, 8}, {4096, 0, 2048, 8}, {4096, 4, 8192, 4},
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		FAILS(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &bad[i], sizeof *bad), EINVAL);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &bad[0], sizeof *bad - 1), EINVAL);
	CHECK(mmap(0, 4096, PROT_READ, MAP_SHARED, s, 0) == MAP_FAILED && errno == EINVAL);
	close(s);
}

// frames is TPACKET_V1 and V2: a packet a frame.
static void frames(int version) {
	struct tpacket_req q = {4096, 4, 2048, 8}, none = {0};
	int s = packet(version);
	CHECK(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &q, sizeof q), EBUSY);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_VERSION, &version, sizeof version), EBUSY);
	CHECK(mmap(0, 4096, PROT_READ, MAP_SHARED, s, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(0, 4 * 4096, PROT_READ, MAP_SHARED, s, 4096) == MAP_FAILED && errno == EINVAL);
	char *ring = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
	CHECK(ring != MAP_FAILED);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &none, sizeof none), EBUSY);
	start(s);
	CHECK(!ready(s, 0));
	for (int i = 0; i < 20; i++) {
		char text[32], *f = ring + i % 8 * 2048;
		sprintf(text, "packet %d", i);
		udp(text);
		CHECK(ready(s, 1000));
		struct sockaddr_ll *a = (void *)(f + 32);
		CHECK(a->sll_family == AF_PACKET && a->sll_ifindex == lo && a->sll_protocol == htons(ETH_P_IP) && a->sll_pkttype == PACKET_HOST);
		if (version == TPACKET_V1) {
			struct tpacket_hdr *h = (void *)f;
			CHECK(h->tp_status & TP_STATUS_USER && h->tp_len == 42 + strlen(text) && h->tp_snaplen == h->tp_len);
			CHECK(h->tp_mac == 66 && h->tp_net == 80 && h->tp_sec > 1000000000 && h->tp_usec < 1000000 && ends(f + h->tp_mac, h->tp_len, text));
			h->tp_status = TP_STATUS_KERNEL;
		} else {
			struct tpacket2_hdr *h = (void *)f;
			CHECK(h->tp_status & TP_STATUS_USER && h->tp_len == 42 + strlen(text) && h->tp_snaplen == h->tp_len);
			CHECK(h->tp_mac == 66 && h->tp_net == 80 && h->tp_sec > 1000000000 && h->tp_nsec < 1000000000 && ends(f + h->tp_mac, h->tp_len, text));
			h->tp_status = TP_STATUS_KERNEL;
		}
	}
	// What there is no room for is lost, and counted.
	struct tpacket_stats st;
	socklen_t n = sizeof st;
	CHECK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && st.tp_packets == 20 && st.tp_drops == 0);
	for (int i = 0; i < 10; i++)
		udp("too many");
	CHECK(ready(s, 1000));
	usleep(50000);
	CHECK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && st.tp_packets == 10 && st.tp_drops == 2);
	char b[100];
	FAILS(recv(s, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	CHECK(munmap(ring, 4 * 4096) == 0);
	CHECK(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &none, sizeof none) == 0);
	close(s);
}

// blocks is TPACKET_V3: as many packets in a block as there is room or time for.
static void blocks(void) {
	struct tpacket_req3 q = {.tp_block_size = 8192, .tp_block_nr = 3, .tp_frame_size = 2048, .tp_frame_nr = 12, .tp_retire_blk_tov = 200, .tp_sizeof_priv = 5};
	int s = packet(TPACKET_V3);
	CHECK(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0);
	char *ring = mmap(0, 3 * 8192, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0), large[1000];
	CHECK(ring != MAP_FAILED);
	start(s);
	udp("first"), udp("second");
	CHECK(ready(s, 2000));
	struct tpacket_block_desc *d = (void *)ring;
	CHECK(d->version == TPACKET_V3 && d->offset_to_priv == 48 && d->hdr.bh1.block_status & TP_STATUS_USER && d->hdr.bh1.block_status & TP_STATUS_BLK_TMO);
	CHECK(d->hdr.bh1.num_pkts == 2 && d->hdr.bh1.offset_to_first_pkt == 56 && d->hdr.bh1.seq_num == 1);
	struct tpacket3_hdr *h = (void *)(ring + 56);
	CHECK(h->tp_status & TP_STATUS_USER && h->tp_mac == 82 && h->tp_net == 96 && h->tp_len == 42 + 5 && h->tp_snaplen == h->tp_len);
	CHECK(ends((char *)h + h->tp_mac, h->tp_len, "first") && h->tp_next_offset == 136 && h->tp_nsec < 1000000000);
	h = (void *)((char *)h + h->tp_next_offset);
	CHECK(ends((char *)h + h->tp_mac, h->tp_len, "second") && h->tp_next_offset == 0);
	CHECK(d->hdr.bh1.blk_len == 56 + 2 * 136 && d->hdr.bh1.ts_last_pkt.ts_sec == h->tp_sec);
	d->hdr.bh1.block_status = TP_STATUS_KERNEL;
	// Seven of these fill a block.
	memset(large, 'x', sizeof large);
	large[999] = 0;
	for (int i = 0; i < 8; i++)
		udp(large);
	CHECK(ready(s, 1000));
	d = (void *)(ring + 8192);
	CHECK(d->hdr.bh1.num_pkts == 7 && d->hdr.bh1.block_status == TP_STATUS_USER && d->hdr.bh1.seq_num == 2);
	for (int i = 0; i < 40; i++)
		udp(large);
	usleep(300000);
	struct tpacket_stats_v3 st;
	socklen_t n = sizeof st;
	CHECK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && n == sizeof st && st.tp_packets == 50 && st.tp_drops == 27 && st.tp_freeze_q_cnt == 1);
	CHECK(munmap(ring, 3 * 8192) == 0);
	close(s);
}

int main(void) {
	lo = if_nametoindex("lo");
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(9)};
	CHECK(bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&any, sizeof any) == 0); // or ICMP would answer
	sizes();
	frames(TPACKET_V1);
	frames(TPACKET_V2);
	blocks();
	return 0;
}
