// Parameters below /proc/sys/net are those of the caller's network namespace, and sockets heed them.
// covers: socket bind listen connect getsockopt
#include "check.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static char *path(const char *name) {
	static char b[256];
	snprintf(b, sizeof b, "/proc/sys/net/%s", name);
	return b;
}

static int set(const char *name, const char *value) { return write_file(path(name), value); }

// is says whether the parameter is shown as want.
static int is(const char *name, const char *want) {
	char b[256] = {0};
	int fd = open(path(name), O_RDONLY);
	CHECK(fd >= 0);
	CHECK(read(fd, b, sizeof b - 1) >= 0 && close(fd) == 0);
	b[strcspn(b, "\n")] = 0;
	if (strcmp(b, want))
		fprintf(stderr, "%s: %s\n", name, b);
	return !strcmp(b, want);
}

// namespace gives the caller a network whose loopback is up.
static void namespace(void) {
	CHECK(unshare(CLONE_NEWNET) == 0);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = {.ifr_name = "lo"};
	CHECK(ioctl(s, SIOCGIFFLAGS, &r) == 0);
	r.ifr_flags |= IFF_UP;
	CHECK(ioctl(s, SIOCSIFFLAGS, &r) == 0 && close(s) == 0);
}

static int option(int s, int level, int name) {
	int v = -1;
	socklen_t n = sizeof v;
	CHECK(getsockopt(s, level, name, &v, &n) == 0);
	return v;
}

static struct sockaddr_in here(int port) {
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void each_namespace_has_its_own(void) {
	namespace();
	CHECK(set("core/somaxconn", "77\n") == 0 && is("core/somaxconn", "77"));
	// A new namespace has the machine's, which may be either.
	const char *machines = is("ipv4/conf/lo/forwarding", "1") ? "1" : "0", *other = *machines == '1' ? "0" : "1";
	CHECK(set("ipv4/conf/lo/forwarding", other) == 0 && is("ipv4/conf/lo/forwarding", other));
	int shown = open(path("core/somaxconn"), O_RDONLY);
	namespace();
	CHECK(is("core/somaxconn", "4096") && is("ipv4/conf/lo/forwarding", machines));
	CHECK(set("core/somaxconn", "5") == 0);
	char b[8] = {0};
	CHECK(shown >= 0 && read(shown, b, 7) == 3 && !strcmp(b, "77\n")); // of where it was opened
}

static void bad_values(void) {
	namespace();
	FAILS(set("core/somaxconn", "x"), EINVAL);
	FAILS(set("core/somaxconn", "-1"), EINVAL);
	FAILS(set("ipv4/ip_default_ttl", "0"), EINVAL);
	FAILS(set("ipv4/ip_default_ttl", "256"), EINVAL);
	FAILS(set("ipv4/ip_local_port_range", "100 50"), EINVAL);
	FAILS(set("ipv4/ip_local_port_range", "5000 70000"), EINVAL);
	FAILS(set("ipv4/tcp_congestion_control", "nobody"), ENOENT);
	FAILS(set("ipv4/tcp_syn_retries", "128"), EINVAL);
	FAILS(set("ipv4/tcp_rmem", "0 1 2"), EINVAL);
	FAILS(set("ipv4/nosuch", "1"), ENOENT);
	FAILS(set("core/rmem_max", "1000000"), EACCES); // this one is the whole kernel's
	FAILS(set("ipv4/tcp_available_congestion_control", "reno"), EACCES);
	CHECK(is("ipv4/ip_default_ttl", "64") && is("ipv4/ip_local_port_range", "32768\t60999"));
	CHECK(set("ipv4/ip_local_port_range", "5000") == 0 && is("ipv4/ip_local_port_range", "5000\t60999"));
}

static void administrators_only(void) {
	namespace();
	CHECK(setuid(1000) == 0);
	FAILS(set("core/somaxconn", "1"), EACCES);
	CHECK(is("core/somaxconn", "4096"));
}

static void tcp_sockets_begin_so(void) {
	namespace();
	CHECK(set("ipv4/tcp_keepalive_time", "100") == 0 && set("ipv4/tcp_keepalive_intvl", "7") == 0 && set("ipv4/tcp_keepalive_probes", "3") == 0);
	CHECK(set("ipv4/tcp_syn_retries", "2") == 0 && set("ipv4/tcp_fin_timeout", "11") == 0);
	CHECK(set("ipv4/tcp_congestion_control", "reno\n") == 0 && is("ipv4/tcp_congestion_control", "reno"));
	CHECK(set("ipv4/tcp_rmem", "4096 70000 900000") == 0 && is("ipv4/tcp_rmem", "4096\t70000\t900000"));
	CHECK(set("ipv4/tcp_wmem", "4096\t50000\t800000\n") == 0);
	CHECK(set("ipv4/ip_default_ttl", "33") == 0);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(option(s, IPPROTO_TCP, TCP_KEEPIDLE) == 100 && option(s, IPPROTO_TCP, TCP_KEEPINTVL) == 7 && option(s, IPPROTO_TCP, TCP_KEEPCNT) == 3);
	CHECK(option(s, IPPROTO_TCP, TCP_SYNCNT) == 2);
	CHECK(option(s, IPPROTO_TCP, TCP_LINGER2) == 11);
	CHECK(option(s, SOL_SOCKET, SO_RCVBUF) == 70000 && option(s, SOL_SOCKET, SO_SNDBUF) == 50000);
	CHECK(option(s, IPPROTO_IP, IP_TTL) == 33);
	char cc[16] = {0};
	socklen_t n = sizeof cc;
	CHECK(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, cc, &n) == 0 && !strcmp(cc, "reno"));
	CHECK(close(s) == 0);
	s = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(option(s, IPPROTO_IPV6, IPV6_V6ONLY) == 0 && close(s) == 0);
	CHECK(set("ipv6/bindv6only", "1") == 0);
	s = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(option(s, IPPROTO_IPV6, IPV6_V6ONLY) == 1 && close(s) == 0);
}

static void backlog_is_cut(void) {
	namespace();
	CHECK(set("core/somaxconn", "1") == 0);
	struct sockaddr_in a = here(7777);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(l, (void *)&a, sizeof a) == 0 && listen(l, 100) == 0);
	int full = 0;
	for (int i = 0; i < 5; i++) {
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(connect(s, (void *)&a, sizeof a) == 0 || errno == EINPROGRESS);
		struct pollfd p = {.fd = s, .events = POLLOUT};
		full += poll(&p, 1, 100) == 0;
	}
	CHECK(full == 3); // one more than the backlog are taken
}

static void ports_come_from_the_range(void) {
	namespace();
	CHECK(set("ipv4/ip_local_port_range", "40000 40003") == 0);
	struct sockaddr_in a;
	for (int i = 0; i < 4; i++) {
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		a = here(0);
		socklen_t n = sizeof a;
		CHECK(bind(s, (void *)&a, n) == 0 && getsockname(s, (void *)&a, &n) == 0);
		CHECK(ntohs(a.sin_port) >= 40000 && ntohs(a.sin_port) <= 40003);
	}
	a = here(0);
	FAILS(bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&a, sizeof a), EADDRINUSE);
}

static void low_ports(void) {
	namespace();
	CHECK(set("ipv4/ip_unprivileged_port_start", "80") == 0);
	CHECK(setuid(1000) == 0);
	struct sockaddr_in a = here(79), b = here(80);
	FAILS(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a), EACCES);
	CHECK(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&b, sizeof b) == 0);
}

// echoed says whether the loopback answers an echo request by s.
static int echoed(int s) {
	struct icmphdr h = {.type = ICMP_ECHO};
	struct sockaddr_in a = here(0);
	CHECK(sendto(s, &h, sizeof h, 0, (void *)&a, sizeof a) == sizeof h);
	struct pollfd p = {.fd = s, .events = POLLIN};
	if (poll(&p, 1, 200) == 0)
		return 0;
	CHECK(recv(s, &h, sizeof h, 0) == sizeof h && h.type == ICMP_ECHOREPLY);
	return 1;
}

static void who_may_ping(void) {
	namespace();
	CHECK(is("ipv4/ping_group_range", "1\t0"));
	FAILS(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
	FAILS(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6), EACCES);
	CHECK(set("ipv4/ping_group_range", "5 2147483647") == 0);
	FAILS(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
	CHECK(set("ipv4/ping_group_range", "0 0") == 0);
	int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	CHECK(s >= 0 && echoed(s));
	CHECK(set("ipv4/icmp_echo_ignore_all", "1") == 0);
	CHECK(!echoed(s));
	CHECK(set("ipv4/icmp_echo_ignore_all", "0") == 0 && echoed(s));
}

static void without_ipv6(void) {
	namespace();
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	CHECK(bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&a, sizeof a) == 0);
	CHECK(set("ipv6/conf/all/disable_ipv6", "1") == 0);
	CHECK(is("ipv6/conf/lo/disable_ipv6", "1") && is("ipv6/conf/default/disable_ipv6", "1"));
	FAILS(bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&a, sizeof a), EADDRNOTAVAIL);
	char b[64];
	int fd = open("/proc/thread-self/net/if_inet6", O_RDONLY);
	CHECK(fd >= 0 && read(fd, b, sizeof b) == 0 && close(fd) == 0);
	CHECK(set("ipv6/conf/lo/disable_ipv6", "0") == 0 && is("ipv6/conf/all/disable_ipv6", "1"));
	CHECK(bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&a, sizeof a) == 0);
}

static void forwarding(void) {
	namespace();
	CHECK(set("ipv4/ip_forward", "1") == 0);
	CHECK(is("ipv4/conf/all/forwarding", "1") && is("ipv4/conf/lo/forwarding", "1") && is("ipv4/conf/default/forwarding", "1"));
	CHECK(set("ipv4/conf/all/forwarding", "0") == 0 && is("ipv4/ip_forward", "0") && is("ipv4/conf/lo/forwarding", "0"));
	CHECK(set("ipv6/conf/all/forwarding", "1") == 0 && is("ipv6/conf/lo/forwarding", "1"));
}

int main(void) {
	APART(each_namespace_has_its_own());
	APART(bad_values());
	APART(administrators_only());
	APART(tcp_sockets_begin_so());
	APART(backlog_is_cut());
	APART(ports_come_from_the_range());
	APART(low_ports());
	APART(who_may_ping());
	APART(without_ipv6());
	APART(forwarding());
	return 0;
}
