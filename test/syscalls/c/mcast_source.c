// Groups of which a socket wants, or does not want, what some sources send: ip(7), ipv6(7), RFC 3678.
// covers: setsockopt getsockopt
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define GROUP "239.1.2.3"

static int one = 1, zero;

// sender sends to the group by the loopback from an address of it.
static int sender(const char *ip) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(ip)};
	struct ip_mreqn m = {.imr_ifindex = 1};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s >= 0 && bind(s, (void *)&a, sizeof a) == 0);
	CHECK(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &m, sizeof m) == 0);
	return s;
}

static int a, b, port; // senders from 127.0.0.2 and 127.0.0.3, and where they send to

static int receiver(void) {
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t n = sizeof any;
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 && bind(s, (void *)&any, n) == 0);
	CHECK(getsockname(s, (void *)&any, &n) == 0);
	port = ntohs(any.sin_port);
	return s;
}

// gets is whose datagrams s gets: 1 for a, 2 for b.
static int gets(int s) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(GROUP)};
	struct { int s; char text[2]; } senders[] = {{a, "1"}, {b, "2"}};
	int got = 0;
	char text[9];
	for (int i = 0; i < 2; i++)
		CHECK(sendto(senders[i].s, senders[i].text, 1, 0, (void *)&to, sizeof to) == 1);
	for (int i = 0; i < 2; i++)
		if (recv(s, text, sizeof text, MSG_DONTWAIT) == 1)
			got |= text[0] - '0';
	FAILS(recv(s, text, sizeof text, MSG_DONTWAIT), EAGAIN); // each once
	return got;
}

static int source(int s, int option, const char *group, const char *from) {
	struct ip_mreq_source m = {.imr_multiaddr.s_addr = inet_addr(group), .imr_interface.s_addr = htonl(INADDR_LOOPBACK), .imr_sourceaddr.s_addr = inet_addr(from)};
	return setsockopt(s, SOL_IP, option, &m, sizeof m);
}

static int membership(int s, int option) {
	struct ip_mreqn m = {.imr_multiaddr.s_addr = inet_addr(GROUP), .imr_ifindex = 1};
	return setsockopt(s, SOL_IP, option, &m, sizeof m);
}

static void included(void) {
	int s = receiver();
	FAILS(source(s, IP_DROP_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2"), EINVAL); // no group
	FAILS(source(s, IP_ADD_SOURCE_MEMBERSHIP, "10.0.0.1", "127.0.0.2"), EINVAL);
	CHECK(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2") == 0 && gets(s) == 1);
	FAILS(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2"), EADDRNOTAVAIL);
	FAILS(source(s, IP_BLOCK_SOURCE, GROUP, "127.0.0.3"), EINVAL); // another mode
	FAILS(membership(s, IP_ADD_MEMBERSHIP), EADDRINUSE);
	CHECK(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.3") == 0 && gets(s) == 3);
	CHECK(source(s, IP_DROP_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2") == 0 && gets(s) == 2);
	FAILS(source(s, IP_DROP_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2"), EADDRNOTAVAIL);
	CHECK(source(s, IP_DROP_SOURCE_MEMBERSHIP, GROUP, "127.0.0.3") == 0); // the last leaves the group
	FAILS(membership(s, IP_DROP_MEMBERSHIP), EADDRNOTAVAIL);
	CHECK(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2") == 0 && membership(s, IP_DROP_MEMBERSHIP) == 0);
	FAILS(source(s, IP_DROP_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2"), EINVAL);
	for (int i = 0; i < 11; i++) {
		char ip[20];
		sprintf(ip, "192.0.2.%d", i + 1);
		if (i < 10)
			CHECK(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, ip) == 0);
		else
			FAILS(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, ip), ENOBUFS);
	}
	CHECK(gets(s) == 0 && close(s) == 0);
}

static void excluded(void) {
	int s = receiver();
	FAILS(source(s, IP_BLOCK_SOURCE, GROUP, "127.0.0.2"), EINVAL);
	CHECK(membership(s, IP_ADD_MEMBERSHIP) == 0 && gets(s) == 3);
	FAILS(source(s, IP_UNBLOCK_SOURCE, GROUP, "127.0.0.2"), EADDRNOTAVAIL);
	CHECK(source(s, IP_BLOCK_SOURCE, GROUP, "127.0.0.2") == 0 && gets(s) == 2);
	FAILS(source(s, IP_BLOCK_SOURCE, GROUP, "127.0.0.2"), EADDRNOTAVAIL);
	FAILS(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.3"), EINVAL);
	CHECK(source(s, IP_BLOCK_SOURCE, GROUP, "127.0.0.3") == 0 && gets(s) == 0);
	CHECK(source(s, IP_UNBLOCK_SOURCE, GROUP, "127.0.0.2") == 0 && gets(s) == 1);
	CHECK(source(s, IP_UNBLOCK_SOURCE, GROUP, "127.0.0.3") == 0 && gets(s) == 3);
	CHECK(source(s, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.3") == 0 || errno == EINVAL);
	CHECK(close(s) == 0);
}

// others is sockets that are in no such group: IP_MULTICAST_ALL.
static void others(void) {
	int s = receiver(), joined = receiver();
	CHECK(source(joined, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.2") == 0);
	CHECK(gets(s) == 1); // what anybody wants comes to this host
	CHECK(setsockopt(s, SOL_IP, IP_MULTICAST_ALL, &zero, sizeof zero) == 0 && gets(s) == 0);
	CHECK(setsockopt(s, SOL_IP, IP_MULTICAST_ALL, &one, sizeof one) == 0 && gets(s) == 1);
	CHECK(source(joined, IP_ADD_SOURCE_MEMBERSHIP, GROUP, "127.0.0.3") == 0 && gets(s) == 3);
	CHECK(close(s) == 0 && close(joined) == 0);
}

struct filter { struct ip_msfilter f; struct in_addr more[20]; };

static int msfilter(int s, unsigned mode, int n, ...) {
	struct filter f = {.f = {.imsf_multiaddr.s_addr = inet_addr(GROUP), .imsf_interface.s_addr = htonl(INADDR_LOOPBACK), .imsf_fmode = mode, .imsf_numsrc = n}};
	for (int i = 0; i < n; i++)
		(&f.f.imsf_slist[0])[i].s_addr = htonl(INADDR_LOOPBACK + 1 + i);
	return setsockopt(s, SOL_IP, IP_MSFILTER, &f, IP_MSFILTER_SIZE(n));
}

static void whole_filters(void) {
	int s = receiver();
	struct filter f = {.f = {.imsf_multiaddr.s_addr = inet_addr(GROUP), .imsf_interface.s_addr = htonl(INADDR_LOOPBACK), .imsf_numsrc = 9}};
	socklen_t n = sizeof f;
	FAILS(msfilter(s, MCAST_EXCLUDE, 1), EINVAL); // no group
	FAILS(getsockopt(s, SOL_IP, IP_MSFILTER, &f, &n), EADDRNOTAVAIL);
	CHECK(membership(s, IP_ADD_MEMBERSHIP) == 0);
	CHECK(msfilter(s, MCAST_INCLUDE, 1) == 0 && gets(s) == 1);
	CHECK(msfilter(s, MCAST_EXCLUDE, 1) == 0 && gets(s) == 2);
	CHECK(msfilter(s, MCAST_EXCLUDE, 2) == 0 && gets(s) == 0);
	CHECK(getsockopt(s, SOL_IP, IP_MSFILTER, &f, &n) == 0 && n == IP_MSFILTER_SIZE(2));
	CHECK(f.f.imsf_fmode == MCAST_EXCLUDE && f.f.imsf_numsrc == 2 && f.f.imsf_slist[0].s_addr == inet_addr("127.0.0.2"));
	f.f.imsf_numsrc = 1, n = sizeof f;
	CHECK(getsockopt(s, SOL_IP, IP_MSFILTER, &f, &n) == 0 && n == IP_MSFILTER_SIZE(1) && f.f.imsf_numsrc == 2);
	CHECK(msfilter(s, MCAST_EXCLUDE, 0) == 0 && gets(s) == 3);
	FAILS(msfilter(s, 2, 0), EINVAL);
	FAILS(msfilter(s, MCAST_EXCLUDE, 11), ENOBUFS);
	f.f.imsf_numsrc = 3;
	FAILS(setsockopt(s, SOL_IP, IP_MSFILTER, &f, IP_MSFILTER_SIZE(2)), EINVAL);
	FAILS(setsockopt(s, SOL_IP, IP_MSFILTER, &f, 15), EINVAL);
	CHECK(msfilter(s, MCAST_INCLUDE, 0) == 0); // leaves
	FAILS(membership(s, IP_DROP_MEMBERSHIP), EADDRNOTAVAIL);
	FAILS(msfilter(s, MCAST_INCLUDE, 0), EADDRNOTAVAIL);
	CHECK(close(s) == 0);
}

// by_link is the form that is for both protocols; v6 is what has no sources to send from.
static int by_link(int s, int option, int family, const char *group, const char *from) {
	struct group_source_req r = {.gsr_interface = 1};
	r.gsr_group.ss_family = r.gsr_source.ss_family = family;
	if (family == AF_INET) {
		((struct sockaddr_in *)&r.gsr_group)->sin_addr.s_addr = inet_addr(group);
		((struct sockaddr_in *)&r.gsr_source)->sin_addr.s_addr = inet_addr(from);
		return setsockopt(s, SOL_IP, option, &r, sizeof r);
	}
	inet_pton(family, group, &((struct sockaddr_in6 *)&r.gsr_group)->sin6_addr);
	inet_pton(family, from, &((struct sockaddr_in6 *)&r.gsr_source)->sin6_addr);
	return setsockopt(s, SOL_IPV6, option, &r, sizeof r);
}

static void of_both(void) {
	int s = receiver();
	CHECK(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET, GROUP, "127.0.0.2") == 0 && gets(s) == 1);
	FAILS(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET, GROUP, "127.0.0.2"), EADDRNOTAVAIL);
	CHECK(by_link(s, MCAST_LEAVE_SOURCE_GROUP, AF_INET, GROUP, "127.0.0.2") == 0);
	CHECK(membership(s, IP_ADD_MEMBERSHIP) == 0);
	CHECK(by_link(s, MCAST_BLOCK_SOURCE, AF_INET, GROUP, "127.0.0.2") == 0 && gets(s) == 2);
	CHECK(by_link(s, MCAST_UNBLOCK_SOURCE, AF_INET, GROUP, "127.0.0.2") == 0 && gets(s) == 3);
	struct group_source_req r = {.gsr_interface = 1};
	FAILS(setsockopt(s, SOL_IP, MCAST_BLOCK_SOURCE, &r, sizeof r), EADDRNOTAVAIL);
	FAILS(setsockopt(s, SOL_IP, MCAST_BLOCK_SOURCE, &r, sizeof r - 1), EINVAL);
	struct group_filter f = {.gf_interface = 1, .gf_fmode = MCAST_EXCLUDE, .gf_numsrc = 1};
	struct sockaddr_in *at = (void *)&f.gf_group, *from = (void *)&f.gf_slist[0];
	at->sin_family = from->sin_family = AF_INET;
	at->sin_addr.s_addr = inet_addr(GROUP), from->sin_addr.s_addr = inet_addr("127.0.0.3");
	CHECK(setsockopt(s, SOL_IP, MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(1)) == 0 && gets(s) == 1);
	from->sin_addr.s_addr = 0, f.gf_fmode = 7;
	socklen_t n = sizeof f;
	CHECK(getsockopt(s, SOL_IP, MCAST_MSFILTER, &f, &n) == 0 && n == GROUP_FILTER_SIZE(1));
	CHECK(f.gf_numsrc == 1 && f.gf_fmode == MCAST_EXCLUDE && from->sin_family == AF_INET && from->sin_addr.s_addr == inet_addr("127.0.0.3"));
	from->sin_family = AF_INET6;
	FAILS(setsockopt(s, SOL_IP, MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(1)), EADDRNOTAVAIL);
	CHECK(close(s) == 0);
}

// of_ipv6 only sets: the loopback has no route for groups of IPv6.
static void of_ipv6(void) {
	struct group_filter f = {.gf_interface = 1, .gf_numsrc = 1};
	socklen_t n = sizeof f;
	int s = socket(AF_INET6, SOCK_DGRAM, 0);
	FAILS(by_link(s, MCAST_BLOCK_SOURCE, AF_INET6, "ff01::4711", "::1"), EINVAL);
	FAILS(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET6, "::1", "::1"), EINVAL);
	CHECK(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET6, "ff01::4711", "::1") == 0);
	FAILS(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET6, "ff01::4711", "::1"), EADDRNOTAVAIL);
	CHECK(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET6, "ff01::4711", "2001:db8::1") == 0);
	CHECK(by_link(s, MCAST_LEAVE_SOURCE_GROUP, AF_INET6, "ff01::4711", "::1") == 0);
	((struct sockaddr_in6 *)&f.gf_group)->sin6_family = AF_INET6;
	inet_pton(AF_INET6, "ff01::4711", &((struct sockaddr_in6 *)&f.gf_group)->sin6_addr);
	CHECK(getsockopt(s, SOL_IPV6, MCAST_MSFILTER, &f, &n) == 0 && n == GROUP_FILTER_SIZE(1) && f.gf_numsrc == 1 && f.gf_fmode == MCAST_INCLUDE);
	CHECK(((struct sockaddr_in6 *)&f.gf_slist[0])->sin6_addr.s6_addr[1] == 1);
	f.gf_fmode = MCAST_EXCLUDE;
	CHECK(setsockopt(s, SOL_IPV6, MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(1)) == 0);
	FAILS(by_link(s, MCAST_JOIN_SOURCE_GROUP, AF_INET6, "ff01::4711", "::1"), EINVAL); // another mode
	f.gf_fmode = MCAST_INCLUDE, f.gf_numsrc = 0;
	CHECK(setsockopt(s, SOL_IPV6, MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(0)) == 0); // leaves the group
	FAILS(by_link(s, MCAST_LEAVE_SOURCE_GROUP, AF_INET6, "ff01::4711", "::1"), EINVAL);
	CHECK(close(s) == 0);
}

int main(void) {
	a = sender("127.0.0.2"), b = sender("127.0.0.3");
	CASE(included());
	CASE(excluded());
	CASE(others());
	CASE(whole_filters());
	CASE(of_both());
	CASE(of_ipv6());
	return 0;
}
