// How a thread is scheduled: told back as it was set, and refused as the manual says.
// covers: sched_get_priority_max sched_get_priority_min sched_setscheduler sched_getscheduler sched_setparam sched_getparam
// covers: sched_setattr sched_getattr sched_rr_get_interval sched_setaffinity sched_getaffinity ioprio_set ioprio_get
#include "check.h"
#include <sched.h>
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

int main(void) {
	CASE(priorities());
	CASE(policies());
	CASE(attributes());
	CASE(affinity());
	CASE(io_priorities());
	return 0;
}
