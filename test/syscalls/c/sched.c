// How a thread is scheduled: told back as it was set, and refused as the manual says.
// covers: sched_get_priority_max sched_get_priority_min sched_setscheduler sched_getscheduler sched_setparam sched_getparam
// covers: setpriority getpriority sched_setattr sched_getattr sched_rr_get_interval sched_setaffinity sched_getaffinity ioprio_set ioprio_get
#include "check.h"
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t umin, umax;
};

static void priorities(void) {
	CHECK(syscall(SYS_sched_get_priority_max, SCHED_FIFO) == 99 && syscall(SYS_sched_get_priority_min, SCHED_FIFO) == 1);
	CHECK(syscall(SYS_sched_get_priority_max, SCHED_OTHER) == 0 && syscall(SYS_sched_get_priority_min, SCHED_BATCH) == 0);
	CHECK(syscall(SYS_sched_get_priority_max, 6) == 0 && syscall(SYS_sched_get_priority_max, 7) == 0);
	FAILS(syscall(SYS_sched_get_priority_max, 77), EINVAL);
	FAILS(syscall(SYS_sched_get_priority_min, 77), EINVAL);
}
static void policies(void) {
	struct sched_param p = {0};
	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &p) == 0 && syscall(SYS_sched_getscheduler, 0) == SCHED_BATCH);
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &p) == 0);
	CHECK(syscall(SYS_sched_getscheduler, 0) == (SCHED_OTHER | SCHED_RESET_ON_FORK));
	p.sched_priority = 5;
	FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p), EINVAL);
	FAILS(syscall(SYS_sched_setscheduler, 0, 77, &p), EINVAL);
	FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL);
	FAILS(syscall(SYS_sched_setparam, 0, &p), EINVAL);
	FAILS(syscall(SYS_sched_setparam, 0, NULL), EINVAL);
	p.sched_priority = 7;
	CHECK(syscall(SYS_sched_getparam, 0, &p) == 0 && p.sched_priority == 0);
	CHECK(syscall(SYS_sched_setparam, 0, &p) == 0);
	FAILS(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
	FAILS(syscall(SYS_sched_getscheduler, -1), EINVAL);
	FAILS(syscall(SYS_sched_getscheduler, 4000000), ESRCH);
	struct timespec ts = {9, -9};
	CHECK(syscall(SYS_sched_rr_get_interval, 0, &ts) == 0 && ts.tv_sec == 0 && ts.tv_nsec >= 0);
}
static void attributes(void) {
	struct attr a = {.size = sizeof a, .policy = SCHED_BATCH, .nice = 3}, b = {0};
	CHECK(syscall(SYS_sched_setattr, 0, &a, 0) == 0);
	CHECK(syscall(SYS_sched_getattr, 0, &b, sizeof b, 0) == 0);
	CHECK(b.policy == SCHED_BATCH && b.nice == 3 && b.size >= 48);
	FAILS(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
	FAILS(syscall(SYS_sched_setattr, 0, &a, 1), EINVAL);
	FAILS(syscall(SYS_sched_getattr, 0, &b, 10, 0), EINVAL);
	a.flags = 1 << 20;
	FAILS(syscall(SYS_sched_setattr, 0, &a, 0), EINVAL);
}
static void affinity(void) {
	unsigned long set[16] = {0}, one[16] = {0}, got[16];
	long n = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
	CHECK(n >= 8 && n % 8 == 0 && set[0] != 0);
	one[0] = set[0] & -set[0];
	CHECK(syscall(SYS_sched_setaffinity, 0, sizeof one, one) == 0);
	memset(got, 0, sizeof got);
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof got, got) == n && got[0] == one[0]);
	unsigned cpu = ~0u;
	CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu < 64 && one[0] == 1ul << cpu);
	unsigned long none[16] = {0};
	FAILS(syscall(SYS_sched_setaffinity, 0, sizeof none, none), EINVAL);
	FAILS(syscall(SYS_sched_getaffinity, 0, 3, got), EINVAL);
	FAILS(syscall(SYS_sched_setaffinity, 4000000, sizeof set, set), ESRCH);
	CHECK(syscall(SYS_sched_setaffinity, 0, sizeof set, set) == 0);
}
static void io_priorities(void) {
	CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0);
	CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6));
	FAILS(syscall(SYS_ioprio_set, 1, 0, 7 << 13), EINVAL);
	FAILS(syscall(SYS_ioprio_get, 9, 0), EINVAL);
	FAILS(syscall(SYS_ioprio_get, 1, 4000000), ESRCH);
}

static struct attr now(void) {
	struct attr a;
	CHECK(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0);
	return a;
}
static long ask(struct attr a) {
	if (!a.size) a.size = sizeof a;
	return syscall(SYS_sched_setattr, 0, &a, 0);
}

static void fair_rules(void) {
	CHECK(ask((struct attr){.nice = 25}) == 0 && now().nice == 19);
	CHECK(ask((struct attr){.nice = -25}) == 0 && now().nice == -20);
	CHECK(ask((struct attr){.nice = 3}) == 0);
	CHECK(ask((struct attr){.policy = SCHED_IDLE, .nice = 7}) == 0 && now().nice == 3); // has no use for one
	CHECK(ask((struct attr){.policy = SCHED_BATCH, .flags = 8}) == 0 && now().policy == SCHED_IDLE);
	CHECK(ask((struct attr){.policy = SCHED_BATCH, .nice = 9, .flags = 16}) == 0 && now().policy == SCHED_IDLE && now().nice == 3);
	CHECK(ask((struct attr){.flags = 1}) == 0 && now().flags == 1);
	CHECK(ask((struct attr){.flags = 8}) == 0 && now().flags == 1); // with the policy
	CHECK(ask((struct attr){0}) == 0 && now().flags == 0);
	FAILS(ask((struct attr){.policy = -1}), EINVAL);
	FAILS(ask((struct attr){.policy = -1, .flags = 8}), EINVAL);
	FAILS(ask((struct attr){.priority = 5}), EINVAL);
	FAILS(ask((struct attr){.policy = 4}), EINVAL);
	FAILS(ask((struct attr){.policy = 7}), EINVAL);
	FAILS(ask((struct attr){.policy = SCHED_RESET_ON_FORK}), EINVAL);
	FAILS(ask((struct attr){.size = 48, .flags = 32}), EINVAL);
	FAILS(ask((struct attr){.flags = 0x80}), EINVAL);
	struct attr small = {.size = 47};
	FAILS(syscall(SYS_sched_setattr, 0, &small, 0), E2BIG);
	CHECK(small.size == 56);
	// A slice can be asked for, and is told.
	uint64_t usual = now().runtime;
	CHECK(ask((struct attr){.runtime = 20000000}) == 0 && now().runtime == 20000000);
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &(struct sched_param){0}) == 0 && now().runtime == 20000000);
	CHECK(ask((struct attr){.runtime = 1}) == 0 && now().runtime == 100000);
	CHECK(ask((struct attr){.runtime = 1ul << 40}) == 0 && now().runtime == 100000000);
	CHECK(ask((struct attr){.flags = 16}) == 0 && now().runtime == 100000000);
	CHECK(ask((struct attr){0}) == 0 && now().runtime == usual);
	// More than there is to tell is cleared.
	unsigned char b[80];
	memset(b, 7, sizeof b);
	CHECK(syscall(SYS_sched_getattr, 0, b, 72, 0) == 0 && *(uint32_t *)b == 56 && b[56] == 0 && b[71] == 0 && b[72] == 7);
	memset(b, 7, sizeof b);
	CHECK(syscall(SYS_sched_getattr, 0, b, 48, 0) == 0 && *(uint32_t *)b == 48 && b[48] == 7);
	FAILS(syscall(SYS_sched_getattr, 0, b, 4097, 0), EINVAL);
}

// What SCHED_DEADLINE promises, to the privileged.
static void deadlines(void) {
	struct attr d = {.policy = 6, .runtime = 1000000, .deadline = 10000000}, x;
#define BAD(change, e) (x = d, x.change, ask(x) == -1 && errno == e)
	CHECK(BAD(priority = 5, EINVAL) && BAD(runtime = 100, EINVAL) && BAD(runtime = 20000000, EINVAL));
	CHECK(BAD(period = 5000000, EINVAL) && BAD(deadline = 0, EINVAL) && BAD(deadline = 1000000000000, EINVAL));
	x = d, x.runtime = 2000, x.deadline = 20000;
	FAILS(ask(x), EINVAL); // too short
	CHECK(BAD(deadline |= 1ul << 63, EINVAL) && BAD(period = 1ul << 63, EINVAL));
	FAILS(syscall(SYS_sched_setscheduler, 0, 6, &(struct sched_param){0}), EINVAL);
	pid_t p = fork();
	if (p == 0) { // who may not run everywhere
		unsigned long one = 1;
		CHECK(syscall(SYS_sched_setaffinity, 0, 8, &one) == 0);
		FAILS(ask(d), EPERM);
		_exit(0);
	}
	CHECK(ended_well(p));
	d.flags = 2;
	CHECK(ask(d) == 0);
	x = now();
	CHECK(x.policy == 6 && x.flags == 2 && x.runtime == 1000000 && x.deadline == 10000000 && x.period == 10000000 && x.nice == 0);
	FAILS(fork(), EAGAIN);
	FAILS(syscall(SYS_sched_setaffinity, 0, 8, &(unsigned long){1}), EBUSY);
	FAILS(syscall(SYS_sched_setparam, 0, &(struct sched_param){0}), EINVAL);
	d.flags = 1;
	CHECK(ask(d) == 0);
	if ((p = fork()) == 0) _exit(now().policy || now().flags);
	CHECK(ended_well(p));
	CHECK(ask((struct attr){0}) == 0);
	// Each may be promised a processor, all together no more than 95% of all.
	int ready[2], fails = 0, n = 0, status;
	char b;
	d = (struct attr){.policy = 6, .runtime = 9000000, .deadline = 10000000};
	CHECK(pipe(ready) == 0);
	pid_t all[129];
	for (; !fails && n < 129; n++) {
		if ((all[n] = fork()) == 0) {
			b = ask(d) == 0 ? 0 : errno;
			write(ready[1], &b, 1);
			for (;;) pause();
		}
		CHECK(read(ready[0], &b, 1) == 1);
		fails = b;
	}
	while (n-- > 0) kill(all[n], SIGKILL), waitpid(all[n], &status, 0);
	CHECK(fails == EBUSY);
}

static void unprivileged(void) {
	struct rlimit none = {0, 0};
	pid_t root = getpid(), other = fork();
	if (other == 0) for (;;) pause();
	if (fork() == 0) {
		setrlimit(RLIMIT_NICE, &none), setrlimit(RLIMIT_RTPRIO, &none);
		CHECK(setresuid(65534, 65534, 65534) == 0);
		struct sched_param p = {0};
		struct attr a = {.size = 48};
		FAILS(syscall(SYS_sched_setscheduler, root, SCHED_BATCH, &p), EPERM);
		FAILS(syscall(SYS_sched_setparam, root, &p), EPERM);
		FAILS(syscall(SYS_sched_setattr, root, &a, 0), EPERM);
		FAILS(syscall(SYS_sched_setaffinity, root, 8, &(unsigned long){1}), EPERM);
		CHECK(syscall(SYS_sched_getscheduler, root) >= 0);
		FAILS(ask((struct attr){.policy = 6, .runtime = 1000000, .deadline = 10000000}), EPERM);
		FAILS(ask((struct attr){.policy = SCHED_FIFO, .priority = 1}), EPERM);
		FAILS(ask((struct attr){.nice = -1}), EPERM);
		CHECK(ask((struct attr){.nice = 4}) == 0);
		FAILS(ask((struct attr){.nice = 3}), EPERM);
		CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p) == 0);
		FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &p), EPERM); // not back
		CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_IDLE | SCHED_RESET_ON_FORK, &p) == 0);
		FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &p), EPERM);
		// Of several the last one's error is told, and the oldest of a group is last.
		FAILS(setpriority(PRIO_PROCESS, other, 5), EPERM);
		FAILS(setpriority(PRIO_PGRP, 0, 1), EPERM);
		FAILS(setpriority(PRIO_PROCESS, 0, 1), EACCES);
		FAILS(setpriority(PRIO_USER, 12345, 1), ESRCH);
		FAILS(setpriority(3, 0, 0), EINVAL);
		FAILS(syscall(SYS_ioprio_set, 1, 0, 1 << 13), EPERM);
		FAILS(syscall(SYS_ioprio_set, 1, other, 2 << 13), EPERM);
		_exit(0);
	}
	int st;
	CHECK(waitpid(-1, &st, 0) > 0 && st == 0);
	kill(other, SIGKILL), waitpid(other, 0, 0);
}

static void io_rules(void) {
	CHECK(setpgid(0, 0) == 0);
	CHECK(syscall(SYS_ioprio_set, 1, 0, 0) == 0 && syscall(SYS_ioprio_get, 1, 0) == 0);
	CHECK(syscall(SYS_ioprio_get, 2, 0) == (2 << 13 | 4)); // none: by the nice value
	CHECK(setpriority(PRIO_PROCESS, 0, 19) == 0 && syscall(SYS_ioprio_get, 2, 0) == (2 << 13 | 7));
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &(struct sched_param){0}) == 0 && syscall(SYS_ioprio_get, 2, 0) == (3 << 13 | 7));
	CHECK(syscall(SYS_ioprio_set, 2, 0, 2 << 13 | 3) == 0 && syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 3));
	pid_t p = fork();
	if (p == 0) {
		CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 3));
		CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 1) == 0 && syscall(SYS_ioprio_get, 2, 0) == (2 << 13 | 1)); // the best
		_exit(0);
	}
	CHECK(ended_well(p));
	FAILS(syscall(SYS_ioprio_set, 1, 0, 1), EINVAL);
	FAILS(syscall(SYS_ioprio_set, 1, 0, -1), EINVAL);
	FAILS(syscall(SYS_ioprio_set, 1, 0, 4 << 13), EINVAL);
	CHECK(syscall(SYS_ioprio_set, 1, 0, 1 << 16) == 0 && syscall(SYS_ioprio_get, 1, 0) == 0);
	CHECK(syscall(SYS_ioprio_set, 1, 0, 3 << 13 | 5) == 0 && syscall(SYS_ioprio_get, 1, 0) == (3 << 13 | 5));
	FAILS(syscall(SYS_ioprio_set, 0, 0, 2 << 13), EINVAL);
	FAILS(syscall(SYS_ioprio_set, 2, 4000000, 2 << 13), ESRCH);
	FAILS(syscall(SYS_ioprio_set, 3, 12345, 2 << 13), ESRCH);
	FAILS(syscall(SYS_ioprio_get, 3, 12345), ESRCH);
}

int main(void) {
	CASE(priorities());
	CASE(policies());
	CASE(attributes());
	CASE(affinity());
	CASE(io_priorities());
	APART(fair_rules());
	APART(deadlines());
	APART(unprivileged());
	APART(io_rules());
	return 0;
}
