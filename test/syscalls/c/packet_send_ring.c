// packet(7)'s PACKET_TX_RING: frames to be sent lie in memory that is shared with the kernel.
// covers: setsockopt getsockopt mmap munmap sendto
#include "check.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { FRAMES = 8, SIZE = 2048, RING = FRAMES * SIZE };
static const struct tpacket_req plain = {4096, 4, SIZE, FRAMES}, none;
static const struct tpacket_req3 plain3 = {.tp_block_size = 4096, .tp_block_nr = 4, .tp_frame_size = SIZE, .tp_frame_nr = FRAMES}, none3;
static int lo, protocol = 0x88b5; // for experiments

static int option(int s, int name, int v) { return setsockopt(s, SOL_PACKET, name, &v, sizeof v); }

static int value(int s, int name) {
	int v = -1;
	socklen_t n = sizeof v;
	CHECK(getsockopt(s, SOL_PACKET, name, &v, &n) == 0 && n == sizeof v);
	return v;
}

static struct sockaddr_ll on(int protocol) {
	return (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = lo, .sll_halen = 6};
}

// sender is a socket that sends by lo.
static int sender(int type, int version) {
	int s = socket(AF_PACKET, type, 0);
	CHECK(s >= 0 && option(s, PACKET_VERSION, version) == 0);
	struct sockaddr_ll a = on(0);
	CHECK(bind(s, (void *)&a, sizeof a) == 0);
	return s;
}

static int ring(int s, int name, int version, int there) {
	if (version == TPACKET_V3)
		return setsockopt(s, SOL_PACKET, name, there ? &plain3 : &none3, sizeof plain3);
	return setsockopt(s, SOL_PACKET, name, there ? &plain : &none, sizeof plain);
}

static char *mapped(int s, long len) {
	char *m = mmap(0, len, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
	CHECK(m != MAP_FAILED);
	return m;
}

static int receiver(void) {
	int s = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct sockaddr_ll a = on(protocol);
	CHECK(s >= 0 && bind(s, (void *)&a, sizeof a) == 0 && option(s, PACKET_IGNORE_OUTGOING, one) == 0);
	return s;
}

// comes checks that text is what s receives next.
static void comes(int s, const char *text) {
	char b[4096];
	struct pollfd p = {s, POLLIN, 0};
	CHECK(poll(&p, 1, 2000) == 1);
	long n = recv(s, b, sizeof b, 0);
	CHECK(n == ETH_HLEN + (long)strlen(text) && memcmp(b + ETH_HLEN, text, strlen(text)) == 0);
	CHECK(((struct ethhdr *)b)->h_proto == htons(protocol));
}

static void silence(int s) {
	char b[100];
	usleep(20000);
	FAILS(recv(s, b, sizeof b, MSG_DONTWAIT), EAGAIN);
}

// status is where frame i of a version's ring says whose it is.
static volatile unsigned *status(int version, char *ring, int i) {
	char *f = ring + i * SIZE;
	return (void *)(version == TPACKET_V3 ? f + offsetof(struct tpacket3_hdr, tp_status) : f);
}

static int header(int version) { return version == TPACKET_V3 ? 48 : 32; }

// length has frame i be sent with n bytes.
static void length(int version, char *ring, int i, unsigned n) {
	char *f = ring + i * SIZE;
	if (version == TPACKET_V1)
		((struct tpacket_hdr *)f)->tp_len = n;
	else if (version == TPACKET_V2)
		((struct tpacket2_hdr *)f)->tp_len = n;
	else
		((struct tpacket3_hdr *)f)->tp_len = n, ((struct tpacket3_hdr *)f)->tp_next_offset = 0;
	*status(version, ring, i) = TP_STATUS_SEND_REQUEST;
}

// place puts a whole frame at off of frame i, and returns its length.
static int place(char *ring, int i, int off, const char *text) {
	struct ethhdr *h = (void *)(ring + i * SIZE + off);
	memset(h, 0, ETH_HLEN);
	h->h_proto = htons(protocol);
	memcpy(h + 1, text, strlen(text));
	return ETH_HLEN + strlen(text);
}

static void frames(int version) {
	int r = receiver(), s = sender(SOCK_RAW, version);
	CHECK(ring(s, PACKET_TX_RING, version, 1) == 0);
	FAILS(ring(s, PACKET_TX_RING, version, 1), EBUSY);
	FAILS(option(s, PACKET_VERSION, TPACKET_V2), EBUSY);
	FAILS(option(s, PACKET_LOSS, 1), EBUSY);
	char *m = mapped(s, RING);
	FAILS(ring(s, PACKET_TX_RING, version, 0), EBUSY);
	FAILS(ring(s, PACKET_RX_RING, version, 1), EBUSY);
	CHECK(send(s, NULL, 0, 0) == 0);
	CHECK(send(s, "what is given is not sent", 10, 0) == 0);
	for (int i = 0; i < 20; i += 2) { // two at a time, around the ring
		char a[32], b[32];
		sprintf(a, "frame %d", i), sprintf(b, "and frame %d", i);
		int n = place(m, i % FRAMES, header(version), a), k = place(m, (i + 1) % FRAMES, header(version), b);
		length(version, m, i % FRAMES, n), length(version, m, (i + 1) % FRAMES, k);
		CHECK(send(s, NULL, 0, 0) == n + k);
		CHECK(*status(version, m, i % FRAMES) == TP_STATUS_AVAILABLE && *status(version, m, (i + 1) % FRAMES) == TP_STATUS_AVAILABLE);
		comes(r, a), comes(r, b);
	}
	// A frame that is not next waits for its turn.
	length(version, m, 6, place(m, 6, header(version), "later"));
	CHECK(send(s, NULL, 0, 0) == 0);
	silence(r);
	length(version, m, 4, place(m, 4, header(version), "first")), length(version, m, 5, place(m, 5, header(version), "second"));
	CHECK(send(s, NULL, 0, MSG_DONTWAIT) == 3 * ETH_HLEN + 5 + 6 + 5);
	comes(r, "first"), comes(r, "second"), comes(r, "later");
	struct pollfd p = {s, POLLOUT, 0};
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	CHECK(munmap(m, RING) == 0 && ring(s, PACKET_TX_RING, version, 0) == 0);
	struct sockaddr_ll to = on(protocol);
	int n = place(memset(m = calloc(1, SIZE), 0, SIZE), 0, 0, "without the ring");
	CHECK(sendto(s, m, n, 0, (void *)&to, sizeof to) == n);
	comes(r, "without the ring");
	close(s), close(r);
}

// wrong frames stay where they are, and end the call, unless PACKET_LOSS is set.
static void wrong(int loss) {
	int r = receiver(), s = sender(SOCK_RAW, TPACKET_V2);
	CHECK(value(s, PACKET_LOSS) == 0 && option(s, PACKET_LOSS, loss) == 0 && value(s, PACKET_LOSS) == loss);
	CHECK(ring(s, PACKET_TX_RING, TPACKET_V2, 1) == 0);
	char *m = mapped(s, RING);
	static const struct { unsigned len; int err; } bad[] = {{SIZE - 31, EMSGSIZE}, {1U << 30, EMSGSIZE}, {ETH_HLEN - 1, EINVAL}, {0, EINVAL}};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		int n = place(m, i, 32, "good");
		length(TPACKET_V2, m, i, bad[i].len);
		if (loss) {
			CHECK(send(s, NULL, 0, 0) == 0 && *status(TPACKET_V2, m, i) == TP_STATUS_AVAILABLE);
			continue;
		}
		FAILS(send(s, NULL, 0, 0), bad[i].err);
		CHECK(*status(TPACKET_V2, m, i) == TP_STATUS_WRONG_FORMAT);
		CHECK(send(s, NULL, 0, 0) == 0);
		silence(r);
		length(TPACKET_V2, m, i, n);
		CHECK(send(s, NULL, 0, 0) == n);
		comes(r, "good");
	}
	close(s), close(r);
}

// cooked frames get their header of the address.
static void cooked(void) {
	int r = receiver(), s = sender(SOCK_DGRAM, TPACKET_V2);
	CHECK(ring(s, PACKET_TX_RING, TPACKET_V2, 1) == 0);
	char *m = mapped(s, RING);
	struct sockaddr_ll to = on(protocol);
	memcpy(m + 32, "cooked", 6);
	length(TPACKET_V2, m, 0, 6);
	FAILS(sendto(s, NULL, 0, 0, (void *)&to, sizeof to - 1), EINVAL);
	to.sll_ifindex = 12345;
	FAILS(sendto(s, NULL, 0, 0, (void *)&to, sizeof to), ENXIO);
	to.sll_ifindex = lo;
	CHECK(*status(TPACKET_V2, m, 0) == TP_STATUS_SEND_REQUEST);
	CHECK(sendto(s, NULL, 0, 0, (void *)&to, sizeof to) == 6);
	comes(r, "cooked");
	close(s), close(r);
}

// placed: with PACKET_TX_HAS_OFF each frame says where it begins.
static void placed(void) {
	int r = receiver(), s = sender(SOCK_RAW, TPACKET_V2);
	CHECK(option(s, PACKET_TX_HAS_OFF, 1) == 0 && value(s, PACKET_TX_HAS_OFF) == 1);
	CHECK(ring(s, PACKET_TX_RING, TPACKET_V2, 1) == 0);
	CHECK(option(s, PACKET_TX_HAS_OFF, 0) == 0 && value(s, PACKET_TX_HAS_OFF) == 1);
	char *m = mapped(s, RING);
	struct tpacket2_hdr *h = (void *)m;
	int n = place(m, 0, 1000, "placed");
	h->tp_mac = 1000;
	length(TPACKET_V2, m, 0, n);
	CHECK(send(s, NULL, 0, 0) == n);
	comes(r, "placed");
	static const int bad[] = {31, 0, SIZE - 19, 65535};
	for (int i = 0; i < 4; i++) {
		h = (void *)(m + SIZE);
		h->tp_mac = bad[i];
		length(TPACKET_V2, m, 1, n);
		FAILS(send(s, NULL, 0, 0), EINVAL);
		CHECK(h->tp_status == TP_STATUS_WRONG_FORMAT);
	}
	h->tp_mac = SIZE - n;
	place(m, 1, SIZE - n, "placed");
	length(TPACKET_V2, m, 1, n);
	CHECK(send(s, NULL, 0, 0) == n);
	comes(r, "placed");
	close(s), close(r);
}

// both rings are mapped at once, that for receiving first.
static void both(void) {
	int s = sender(SOCK_RAW, TPACKET_V2);
	CHECK(ring(s, PACKET_TX_RING, TPACKET_V2, 1) == 0 && ring(s, PACKET_RX_RING, TPACKET_V2, 1) == 0);
	struct sockaddr_ll a = on(protocol);
	CHECK(bind(s, (void *)&a, sizeof a) == 0 && option(s, PACKET_IGNORE_OUTGOING, 1) == 0);
	CHECK(mmap(0, RING, PROT_READ, MAP_SHARED, s, 0) == MAP_FAILED && errno == EINVAL);
	char *in = mapped(s, 2 * RING), *out = in + RING;
	int n = place(out, 0, 32, "to and from");
	length(TPACKET_V2, out, 0, n);
	int other = sender(SOCK_RAW, TPACKET_V2); // as nobody hears what it sends
	CHECK(send(s, NULL, 0, 0) == n && send(other, out + 32, n, 0) == n);
	struct pollfd p = {s, POLLIN, 0};
	CHECK(poll(&p, 1, 2000) == 1);
	struct tpacket2_hdr *h = (void *)in;
	CHECK(h->tp_status & TP_STATUS_USER && (int)h->tp_len == n && memcmp(in + h->tp_mac, out + 32, n) == 0);
	FAILS(ring(s, PACKET_RX_RING, TPACKET_V2, 0), EBUSY);
	CHECK(munmap(in, 2 * RING) == 0 && ring(s, PACKET_RX_RING, TPACKET_V2, 0) == 0);
	out = mapped(s, RING);
	CHECK(!memcmp(out + 32 + ETH_HLEN, "to and from", 11));
	close(s), close(other);
}

static void refused(void) {
	int s = sender(SOCK_RAW, TPACKET_V3);
	static const struct tpacket_req3 bad[] = {
		{4096, 4, SIZE, FRAMES, .tp_retire_blk_tov = 1}, {4096, 4, SIZE, FRAMES, .tp_sizeof_priv = 1},
		{4096, 4, SIZE, FRAMES, .tp_feature_req_word = 1}, {4096, 4, SIZE, FRAMES + 1}, {4096, 4, 48, 4 * 85},
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		FAILS(setsockopt(s, SOL_PACKET, PACKET_TX_RING, &bad[i], sizeof *bad), EINVAL);
	CHECK(ring(s, PACKET_TX_RING, TPACKET_V3, 1) == 0);
	char *m = mapped(s, RING);
	length(TPACKET_V3, m, 0, place(m, 0, 48, "more"));
	((struct tpacket3_hdr *)m)->tp_next_offset = SIZE;
	FAILS(send(s, NULL, 0, 0), EINVAL);
	CHECK(*status(TPACKET_V3, m, 0) == TP_STATUS_WRONG_FORMAT);
	int v = 1;
	FAILS(setsockopt(s, SOL_PACKET, PACKET_LOSS, &v, 3), EINVAL);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_TX_HAS_OFF, &v, 3), EINVAL);
	FAILS(setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &v, 3), EINVAL);
	CHECK(value(s, PACKET_QDISC_BYPASS) == 0 && option(s, PACKET_QDISC_BYPASS, 5) == 0 && value(s, PACKET_QDISC_BYPASS) == 1);
	close(s);
}

int main(void) {
	lo = if_nametoindex("lo");
	CASE(frames(TPACKET_V1));
	CASE(frames(TPACKET_V2));
	CASE(frames(TPACKET_V3));
	CASE(wrong(0));
	CASE(wrong(1));
	CASE(cooked());
	CASE(placed());
	CASE(both());
	CASE(refused());
	return 0;
}
