// rtnetlink(7): who is in a group hears of changes, and what can be changed.
// covers: socket bind setsockopt getsockopt recvfrom sendto
#include "check.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// namespace gives the caller a network whose loopback is up.
static void namespace(void) {
	CHECK(unshare(CLONE_NEWNET) == 0);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = {.ifr_name = "lo"};
	CHECK(ioctl(s, SIOCGIFFLAGS, &r) == 0);
	r.ifr_flags |= IFF_UP;
	CHECK(ioctl(s, SIOCSIFFLAGS, &r) == 0 && close(s) == 0);
}

static int rtnl(unsigned groups) {
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = groups};
	CHECK(s >= 0 && bind(s, (void *)&a, sizeof a) == 0);
	return s;
}

struct ask {
	struct nlmsghdr h;
	char body[256];
};

static void put(struct ask *q, int type, const void *data, int n) {
	struct rtattr *a = (void *)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len));
	a->rta_type = type, a->rta_len = RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	q->h.nlmsg_len = NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

// errs sends a request and returns the errno that answers it.
static int errs(int s, struct ask *q) {
	q->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	CHECK(send(s, q, q->h.nlmsg_len, 0) == q->h.nlmsg_len);
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char more[512];
	} r;
	CHECK(recv(s, &r, sizeof r, 0) > 0 && r.h.nlmsg_type == NLMSG_ERROR);
	return -r.e.error;
}

static int change_address(int s, int type, const char *addr, int flags) {
	struct ask q = {.h = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};
	struct ifaddrmsg *m = NLMSG_DATA(&q.h);
	m->ifa_family = AF_INET, m->ifa_prefixlen = 24, m->ifa_index = 1;
	struct in_addr a;
	inet_aton(addr, &a);
	put(&q, IFA_LOCAL, &a, 4);
	put(&q, IFA_ADDRESS, &a, 4);
	return errs(s, &q);
}

static int change_route(int s, int type, const char *dst, int metric, int flags) {
	struct ask q = {.h = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))}};
	struct rtmsg *m = NLMSG_DATA(&q.h);
	m->rtm_family = AF_INET, m->rtm_dst_len = 16, m->rtm_table = RT_TABLE_MAIN, m->rtm_type = RTN_UNICAST;
	m->rtm_protocol = RTPROT_STATIC, m->rtm_scope = RT_SCOPE_LINK;
	struct in_addr a;
	inet_aton(dst, &a);
	int lo = 1;
	put(&q, RTA_DST, &a, 4);
	put(&q, RTA_OIF, &lo, 4);
	if (metric)
		put(&q, RTA_PRIORITY, &metric, 4);
	return errs(s, &q);
}

static int set_mtu(int s, int mtu) {
	struct ask q = {.h = {.nlmsg_type = RTM_NEWLINK, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg))}};
	struct ifinfomsg *m = NLMSG_DATA(&q.h);
	m->ifi_index = 1;
	put(&q, IFLA_MTU, &mtu, 4);
	return errs(s, &q);
}

// hears says whether the next news, of those that there are, is of a type.
static int hears(int s, int type) {
	char b[4096];
	struct nlmsghdr *h = (void *)b;
	struct sockaddr_nl from;
	socklen_t n = sizeof from;
	while (recvfrom(s, b, sizeof b, MSG_DONTWAIT, (void *)&from, &n) > 0) {
		CHECK(from.nl_pid == 0 && from.nl_groups != 0);
		if (h->nlmsg_type == type)
			return 1;
	}
	CHECK(errno == EAGAIN);
	return 0;
}

static void addresses_and_their_news(void) {
	namespace();
	int s = rtnl(0), a = rtnl(RTMGRP_IPV4_IFADDR), r = rtnl(RTMGRP_IPV4_ROUTE), six = rtnl(RTMGRP_IPV6_IFADDR);
	CHECK(change_address(s, RTM_NEWADDR, "10.1.2.3", NLM_F_CREATE | NLM_F_EXCL) == 0);
	CHECK(hears(a, RTM_NEWADDR) && !hears(a, RTM_NEWADDR));
	CHECK(hears(r, RTM_NEWROUTE) && !hears(r, RTM_DELROUTE));
	CHECK(change_address(s, RTM_NEWADDR, "10.1.2.3", NLM_F_CREATE | NLM_F_EXCL) == EEXIST);
	CHECK(!hears(a, RTM_NEWADDR));
	struct sockaddr_in at = {.sin_family = AF_INET};
	inet_aton("10.1.2.3", &at.sin_addr);
	CHECK(bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&at, sizeof at) == 0);
	CHECK(change_address(s, RTM_DELADDR, "10.1.2.3", 0) == 0);
	CHECK(hears(a, RTM_DELADDR) && hears(r, RTM_DELROUTE));
	CHECK(change_address(s, RTM_DELADDR, "10.1.2.3", 0) == EADDRNOTAVAIL);
	FAILS(bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&at, sizeof at), EADDRNOTAVAIL);
	CHECK(!hears(six, 0) && !hears(s, 0));
}

static void routes_and_their_news(void) {
	namespace();
	int s = rtnl(0), r = rtnl(RTMGRP_IPV4_ROUTE);
	CHECK(change_route(s, RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_REPLACE) == ENOENT);
	CHECK(change_route(s, RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_CREATE | NLM_F_EXCL) == 0);
	CHECK(hears(r, RTM_NEWROUTE) && !hears(r, RTM_NEWROUTE));
	CHECK(change_route(s, RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_CREATE | NLM_F_EXCL) == EEXIST);
	CHECK(change_route(s, RTM_NEWROUTE, "10.5.0.0", 7, NLM_F_CREATE | NLM_F_EXCL) == 0 && hears(r, RTM_NEWROUTE));
	CHECK(change_route(s, RTM_NEWROUTE, "10.5.0.1", 0, NLM_F_CREATE) == EINVAL);
	CHECK(change_route(s, RTM_DELROUTE, "10.5.0.0", 7, 0) == 0 && hears(r, RTM_DELROUTE));
	CHECK(change_route(s, RTM_DELROUTE, "10.5.0.0", 7, 0) == ESRCH);
	CHECK(change_route(s, RTM_DELROUTE, "10.5.0.0", 0, 0) == 0 && hears(r, RTM_DELROUTE));
	CHECK(change_route(s, RTM_DELROUTE, "10.5.0.0", 0, 0) == ESRCH);
}

static void links_and_their_news(void) {
	namespace();
	int s = rtnl(0), l = rtnl(RTMGRP_LINK);
	CHECK(set_mtu(s, 9000) == 0 && hears(l, RTM_NEWLINK));
	struct ifreq r = {.ifr_name = "lo"};
	CHECK(ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFMTU, &r) == 0 && r.ifr_mtu == 9000);
}

static void memberships(void) {
	namespace();
	int s = rtnl(RTMGRP_LINK), g = RTNLGRP_IPV4_IFADDR;
	unsigned set[2] = {0};
	socklen_t n = sizeof set;
	CHECK(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &g, sizeof g) == 0);
	CHECK(getsockopt(s, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, set, &n) == 0);
	CHECK(set[0] == (1u << (RTNLGRP_LINK - 1) | 1u << (RTNLGRP_IPV4_IFADDR - 1)));
	int q = rtnl(0);
	CHECK(change_address(q, RTM_NEWADDR, "10.1.2.3", NLM_F_CREATE) == 0 && hears(s, RTM_NEWADDR));
	CHECK(setsockopt(s, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &g, sizeof g) == 0);
	CHECK(change_address(q, RTM_DELADDR, "10.1.2.3", 0) == 0 && !hears(s, RTM_DELADDR));
}

static void too_much_news(void) {
	namespace();
	int q = rtnl(0), s = rtnl(RTMGRP_IPV4_ROUTE), calm = rtnl(RTMGRP_IPV4_ROUTE), small = 1, on = 1;
	CHECK(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0 && setsockopt(calm, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
	CHECK(setsockopt(calm, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) == 0);
	for (int i = 0; i < 100; i++) {
		CHECK(change_route(q, RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_CREATE) == 0);
		CHECK(change_route(q, RTM_DELROUTE, "10.5.0.0", 0, 0) == 0);
	}
	struct pollfd p = {.fd = s, .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLERR));
	char b[4096];
	FAILS(recv(s, b, sizeof b, 0), ENOBUFS);
	CHECK(recv(s, b, sizeof b, 0) > 0); // what there was room for
	while (recv(s, b, sizeof b, MSG_DONTWAIT) > 0)
		;
	CHECK(errno == EAGAIN);
	CHECK(change_route(q, RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_CREATE) == 0 && hears(s, RTM_NEWROUTE));
	CHECK(recv(calm, b, sizeof b, 0) > 0);
}

static void administrators_only(void) {
	namespace();
	int l = rtnl(RTMGRP_IPV4_IFADDR), q = rtnl(0);
	CHECK(setuid(1000) == 0);
	CHECK(change_address(rtnl(0), RTM_NEWADDR, "10.1.2.3", NLM_F_CREATE) == EPERM);
	CHECK(change_route(rtnl(0), RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_CREATE) == EPERM);
	CHECK(change_route(q, RTM_NEWROUTE, "10.5.0.0", 0, NLM_F_CREATE) == EPERM);
	CHECK(!hears(l, RTM_NEWADDR));
	rtnl(RTMGRP_LINK); // everybody may listen
}

int main(void) {
	APART(addresses_and_their_news());
	APART(routes_and_their_news());
	APART(links_and_their_news());
	APART(memberships());
	APART(too_much_news());
	APART(administrators_only());
	return 0;
}
