// /proc/net/packet: the packet sockets of a network namespace; packet(7), proc(5).
// covers: socket bind
#include "check.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

// A line is one of /proc/net/packet.
struct line { unsigned type, protocol, running, user; int link; };

// line finds a socket's line by its inode.
static int line(int s, struct line *l) {
	char text[300];
	unsigned long inode;
	unsigned rmem;
	int refs, found = 0;
	struct stat st;
	CHECK(fstat(s, &st) == 0);
	FILE *f = fopen("/proc/net/packet", "r");
	CHECK(f && fgets(text, sizeof text, f) && !strcmp(text, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"));
	while (!found && fgets(text, sizeof text, f)) {
		CHECK(sscanf(text, "%*s %d %u %x %d %u %u %u %lu", &refs, &l->type, &l->protocol, &l->link, &l->running, &rmem, &l->user, &inode) == 8);
		found = inode == st.st_ino;
	}
	CHECK(fclose(f) == 0);
	return found;
}

static void sockets(void) {
	struct line l;
	int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), none = socket(AF_PACKET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s >= 0 && none >= 0);
	CHECK(line(s, &l) && l.type == SOCK_RAW && l.protocol == ETH_P_ALL && l.link == 0 && l.running == 1 && l.user == geteuid());
	CHECK(line(none, &l) && l.type == SOCK_DGRAM && l.protocol == 0 && l.link == 0 && l.running == 0);
	CHECK(!line(other, &l));
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = 1};
	CHECK(bind(none, (void *)&a, sizeof a) == 0);
	CHECK(line(none, &l) && l.protocol == ETH_P_IP && l.link == 1 && l.running == 1);
	int again = dup(s);
	CHECK(close(s) == 0 && line(again, &l));
	struct stat st;
	CHECK(fstat(again, &st) == 0 && close(again) == 0 && close(none) == 0 && close(other) == 0);
}

int main(void) {
	CASE(sockets());
	return 0;
}
