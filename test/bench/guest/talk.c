// What it costs two tasks to talk. The partner of a ping-pong lives until its
// process group is killed, after the op.
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void pass(int to, char c) {
	if (write(to, &c, 1) != 1) failed("write");
}

static void take(int from, char want) {
	char c = 0;
	if (read(from, &c, 1) != 1) failed("read");
	if (c != want) fail("read %d, not %d", c, want);
}

// pingpong sends a byte that changes each time, and takes back the next one.
static u64 pingpong(long n, int to, int from) {
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		pass(to, i & 63);
		take(from, (i & 63) + 1);
	}
	return now() - begin;
}

// echo is the partner.
static void echo(int from, int to) {
	char c;
	while (read(from, &c, 1) == 1) pass(to, c + 1);
	_exit(0);
}

u64 op_pipe(long n, const char *where) {
	static int fd[2];
	if (!fd[1]) try(pipe(fd));
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		pass(fd[1], i & 63);
		take(fd[0], i & 63);
	}
	return now() - begin;
}

u64 op_pipe_pingpong(long n, const char *where) {
	static int there[2], back[2];
	if (!there[1]) {
		try(pipe(there));
		try(pipe(back));
		if (try(fork()) == 0) echo(there[0], back[1]);
	}
	return pingpong(n, there[1], back[0]);
}

u64 op_unix_pingpong(long n, const char *where) {
	static int fd[2];
	if (!fd[1]) {
		try(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
		if (try(fork()) == 0) echo(fd[1], fd[1]);
	}
	return pingpong(n, fd[0], fd[0]);
}

u64 op_epoll(long n, const char *where) {
	static int fd[2], ep;
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 42};
	if (!ep) {
		try(pipe(fd));
		ep = try(epoll_create1(0));
		try(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &event));
	}
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		pass(fd[1], i & 63);
		event.data.u32 = 0;
		if (epoll_wait(ep, &event, 1, -1) != 1 || event.data.u32 != 42) failed("epoll_wait");
		take(fd[0], i & 63);
	}
	return now() - begin;
}

// turn says whose it is: 0 the op's, 1 the partner's.
static int turn;

static void give(int to) {
	__atomic_store_n(&turn, to, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_for(int mine) {
	int seen;
	while ((seen = __atomic_load_n(&turn, __ATOMIC_SEQ_CST)) != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static _Noreturn void *partner(void *arg) {
	for (;;) {
		wait_for(1);
		give(0);
	}
}

u64 op_futex_pingpong(long n, const char *where) {
	static pthread_t other;
	if (!other && pthread_create(&other, NULL, partner, NULL) != 0) fail("pthread_create");
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		give(1);
		wait_for(0);
	}
	return now() - begin;
}
