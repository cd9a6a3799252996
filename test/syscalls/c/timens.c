// covers: unshare setns clone3 clock_gettime clock_nanosleep timerfd_settime sysinfo
// time_namespaces(7): offsets, as the clocks, absolute sleeps and timers have them.
#include "check.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static int64_t libc(clockid_t c) { // by the vDSO, if there is one
	struct timespec t;
	CHECK(clock_gettime(c, &t) == 0);
	return t.tv_sec;
}

static int64_t kernel(clockid_t c) {
	struct timespec t;
	CHECK(syscall(SYS_clock_gettime, c, &t) == 0);
	return t.tv_sec;
}

static int near(int64_t a, int64_t b) { return a - b < 100 && b - a < 100; }

static int64_t mono, boot;

static void inside(void) {
	CHECK(near(libc(CLOCK_MONOTONIC), mono + 1000000) && near(kernel(CLOCK_MONOTONIC), mono + 1000000));
	CHECK(near(libc(CLOCK_MONOTONIC_COARSE), mono + 1000000) && near(libc(CLOCK_MONOTONIC_RAW), mono + 1000000));
	CHECK(near(libc(CLOCK_BOOTTIME), boot + 5000000) && near(kernel(CLOCK_BOOTTIME), boot + 5000000));
	CHECK(near(libc(CLOCK_REALTIME), kernel(CLOCK_REALTIME)));
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0); // has come already
	int fd = timerfd_create(CLOCK_BOOTTIME, 0);
	CHECK(fd >= 0);
	struct itimerspec it = {{0, 0}, {0, 0}}, got;
	clock_gettime(CLOCK_BOOTTIME, &it.it_value);
	it.it_value.tv_sec += 500;
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL) == 0 && timerfd_gettime(fd, &got) == 0);
	CHECK(got.it_value.tv_sec > 300 && got.it_value.tv_sec <= 500);
	FAILS(write_file("/proc/self/timens_offsets", "monotonic 1 0"), EACCES); // somebody is in it
}

// work is what the first task of a time namespace without offsets does.
static void work(char *self) {
	int plain = open("/proc/self/ns/time", O_RDONLY);
	CHECK(plain >= 0);
	FAILS(write_file("/proc/self/timens_offsets", "monotonic 1 0"), EACCES); // it is in there
	CHECK(unshare(CLONE_NEWTIME) == 0);
	FAILS(write_file("/proc/self/timens_offsets", "monotonic 1"), EINVAL);
	FAILS(write_file("/proc/self/timens_offsets", "realtime 1 0"), EINVAL);
	FAILS(write_file("/proc/self/timens_offsets", "monotonic 1 1000000000"), EINVAL);
	FAILS(write_file("/proc/self/timens_offsets", "monotonic -9000000000 0"), ERANGE);
	CHECK(write_file("/proc/self/timens_offsets", "monotonic 1000000 0\nboottime 5000000 0\n") == 0);
	CHECK(near(libc(CLOCK_MONOTONIC), mono)); // for children
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		inside();
		pid_t q = fork();
		CHECK(q >= 0);
		if (q == 0) {
			char m[32], b[32];
			snprintf(m, sizeof m, "%lld", (long long)mono);
			snprintf(b, sizeof b, "%lld", (long long)boot);
			execl("/proc/self/exe", self, m, b, NULL);
			_exit(1);
		}
		int status;
		CHECK(waitpid(q, &status, 0) == q && status == 0);
		CHECK(setns(plain, CLONE_NEWTIME) == 0);
		CHECK(near(libc(CLOCK_MONOTONIC), mono) && near(kernel(CLOCK_BOOTTIME), boot));
		_exit(0);
	}
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	struct clone_args a = {.flags = CLONE_NEWTIME, .exit_signal = SIGCHLD};
	p = syscall(SYS_clone3, &a, sizeof a);
	CHECK(p >= 0);
	if (p == 0) {
		FAILS(write_file("/proc/self/timens_offsets", "monotonic 1 0"), EACCES);
		_exit(near(libc(CLOCK_MONOTONIC), mono + 1000000) ? 0 : 1);
	}
	CHECK(waitpid(p, &status, 0) == p && status == 0);
}

int main(int argc, char **argv) {
	if (argc == 3) { // after an execve in the namespace
		mono = atoll(argv[1]), boot = atoll(argv[2]);
		inside();
		_exit(0);
	}
	mono = kernel(CLOCK_MONOTONIC), boot = kernel(CLOCK_BOOTTIME);
	libc(CLOCK_MONOTONIC);
	int outer = open("/proc/self/ns/time", O_RDONLY);
	CHECK(outer >= 0);
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWTIME) == 0); // who makes it has CAP_SYS_TIME there
	CHECK(write_file("/proc/self/uid_map", "0 0 1") == 0);
	FAILS(setns(outer, CLONE_NEWTIME), EPERM);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		work(argv[0]);
		_exit(0);
	}
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	return 0;
}
