// Work that needs no kernel, and work that needs little but the kernel.
#include "bench.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// op_compute takes 1,000 steps of arithmetic, each of which needs the one before.
u64 op_compute(long n, const char *where) {
	u64 x = 88172645463325252, sum = 0;
	u64 begin = now();
	for (long i = 0; i < 1000 * n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17; // xorshift64
		sum += x % 1000003;
	}
	u64 took = now() - begin;
	if (n == COMPUTED && sum != 59997097544663) fail("the sum is %llu", (unsigned long long)sum);
	return took;
}

static void over(int sig) { _exit(0); }

void storm(const char *call, int seconds) {
	signal(SIGALRM, over); // without a handler, an init would not hear of it
	alarm(seconds);        // whatever becomes of the driver
	if (strcmp(call, "nothing") == 0)
		for (;;) __asm__ volatile("");
	long pgid = getpgid(0);
	if (strcmp(call, "getpgid") == 0)
		while (syscall(SYS_getpgid, 0) == pgid) continue;
	char page[4096] = "";
	int fd = try(open("/tmp/subject", O_RDWR | O_CREAT, 0644));
	try(write(fd, page, sizeof page));
	if (strcmp(call, "pread") == 0)
		while (pread(fd, page, sizeof page, 0) == sizeof page) continue;
	fail("no storm of %s", call);
}
