// netdevice(7) and rtnetlink(7): the loopback is there and up, and who may say so.
// covers: ioctl sendto recvfrom
#include "check.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int flags(int s, const char *name) {
	struct ifreq r = {0};
	strcpy(r.ifr_name, name);
	CHECK(ioctl(s, SIOCGIFFLAGS, &r) == 0);
	return r.ifr_flags;
}

static int set(int s, const char *name, int flags) {
	struct ifreq r = {0};
	strcpy(r.ifr_name, name);
	r.ifr_flags = flags;
	return ioctl(s, SIOCSIFFLAGS, &r);
}

// ask changes a link by netlink, and returns the errno it is answered.
static int ask(int index, unsigned flags, unsigned change) {
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} q = {{sizeof q, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0}, {.ifi_index = index, .ifi_flags = flags, .ifi_change = change}};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[512];
	} a;
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	CHECK(s >= 0 && send(s, &q, sizeof q, 0) == sizeof q);
	CHECK(recv(s, &a, sizeof a, 0) >= (long)(sizeof a.h + sizeof a.e) && a.h.nlmsg_type == NLMSG_ERROR);
	close(s);
	return -a.e.error;
}

int main(void) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), lo = if_nametoindex("lo");
	CHECK(s >= 0 && lo == 1);
	CHECK((flags(s, "lo") & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING)) == (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
	CHECK(set(s, "lo", flags(s, "lo")) == 0); // ifconfig lo up
	CHECK(ask(lo, IFF_UP, IFF_UP) == 0);      // ip link set lo up
	CHECK(flags(s, "lo") & IFF_UP);
	FAILS(set(s, "none0", IFF_UP), ENODEV);
	CHECK(ask(99, IFF_UP, IFF_UP) == ENODEV);
	CHECK(setuid(65534) == 0);
	FAILS(set(s, "lo", flags(s, "lo")), EPERM);
	CHECK(ask(lo, IFF_UP, IFF_UP) == EPERM);
	return 0;
}
