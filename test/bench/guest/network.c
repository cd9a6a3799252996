// What it costs to talk to another machine: this program's servers are at the other end
// of a link, and where is the address they have.
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 7007, PATIENCE = 5 }; // seconds that an answer may take

// end is a socket of this program, of a type that is SOCK_STREAM or SOCK_DGRAM.
static int end(int type) {
	int s = try(socket(AF_INET, type, 0)), on = 1;
	if (type == SOCK_STREAM) try(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
	struct timeval t = {PATIENCE, 0};
	try(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	return s;
}

// reach is an end that is connected to the server at an address.
static int reach(int type, const char *where) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	if (inet_pton(AF_INET, where, &a.sin_addr) != 1) fail("%s is no address", where);
	int s = end(type);
	try(connect(s, (struct sockaddr *)&a, sizeof a));
	return s;
}

// turn sends a byte that changes each time, and takes back the next one.
static void turn(int s, long i) {
	char c = i & 63;
	if (try(send(s, &c, 1, 0)) != 1) fail("nothing was sent");
	if (try(recv(s, &c, 1, 0)) != 1) fail("the server has gone");
	if (c != (i & 63) + 1) fail("received %d, not %ld", c, (i & 63) + 1);
}

static u64 turns(long n, int s) {
	u64 begin = now();
	for (long i = 0; i < n; i++) turn(s, i);
	return now() - begin;
}

u64 op_tcp_pingpong(long n, const char *where) {
	static int s = -1;
	if (s < 0) s = reach(SOCK_STREAM, where);
	return turns(n, s);
}

u64 op_udp_pingpong(long n, const char *where) {
	static int s = -1;
	if (s < 0) s = reach(SOCK_DGRAM, where);
	return turns(n, s);
}

u64 op_tcp_connect(long n, const char *where) {
	struct linger reset = {1, 0}; // so that no port is in TIME_WAIT
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		int s = reach(SOCK_STREAM, where);
		turn(s, i);
		try(setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
		close(s);
	}
	return now() - begin;
}

// answer sends back the next byte of each that comes, until the sender has gone.
static void answer(int s) {
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	char c;
	while (recvfrom(s, &c, 1, 0, (struct sockaddr *)&a, &len) == 1) {
		c++;
		if (len) sendto(s, &c, 1, MSG_NOSIGNAL, (struct sockaddr *)&a, len);
		else send(s, &c, 1, MSG_NOSIGNAL);
		len = sizeof a;
	}
}

static int listening(int type) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int s = try(socket(AF_INET, type, 0)), on = 1;
	try(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
	try(bind(s, (struct sockaddr *)&a, sizeof a));
	return s;
}

void serve(void) {
	int udp = listening(SOCK_DGRAM);
	if (try(fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		answer(udp);
		_exit(1);
	}
	int tcp = listening(SOCK_STREAM), on = 1;
	try(listen(tcp, 128));
	for (;;) {
		int s = try(accept(tcp, NULL, NULL));
		try(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
		answer(s);
		close(s);
	}
}
