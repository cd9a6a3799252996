// What threads ask for beside futex(2): the split-up futex calls, barriers, comparisons.
// covers: futex_wake futex_wait futex_requeue membarrier kcmp process_mrelease
#include "check.h"
#include <pthread.h>
#include <fcntl.h>
#include <time.h>
#include <sys/epoll.h>

#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

enum { U32 = 2, PRIVATE = 128 };
struct waitv { uint64_t val, addr; uint32_t flags, reserved; };

static uint32_t word, other;
static int woken;
static void *waiter(void *arg) {
	long r = syscall(SYS_futex_wait, &word, 0ul, (unsigned long)(uintptr_t)arg, U32 | PRIVATE, NULL, 0);
	if (r == 0) __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}
static long until(long want, long (*f)(void)) {
	long n = 0;
	for (int i = 0; i < 5000 && n < want; i++) {
		n += f();
		usleep(1000);
	}
	return n;
}
static long wake(void) { return syscall(SYS_futex_wake, &word, 2ul, 1, U32 | PRIVATE); }
static long move(void) {
	struct waitv v[2] = {{0, (uintptr_t)&word, U32 | PRIVATE, 0}, {0, (uintptr_t)&other, U32 | PRIVATE, 0}};
	return syscall(SYS_futex_requeue, v, 0, 0, 1);
}

static void futexes(void) {
	struct timespec past = {0, 1};
	if (absent("futex_wake", syscall(SYS_futex_wake, &word, 1ul, 1, U32 | PRIVATE))) return; // before Linux 6.7
	CHECK(syscall(SYS_futex_wake, &word, 1ul, 1, U32 | PRIVATE) == 0);
	FAILS(syscall(SYS_futex_wake, &word, 0ul, 1, U32 | PRIVATE), EINVAL);
	FAILS(syscall(SYS_futex_wake, &word, 1ul, 1, 64), EINVAL);
	FAILS(syscall(SYS_futex_wait, &word, 1ul, 1ul, U32 | PRIVATE, NULL, 0), EAGAIN);
	FAILS(syscall(SYS_futex_wait, &word, 0ul, 1ul, U32 | PRIVATE, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	FAILS(syscall(SYS_futex_wait, &word, 0ul, 1ul, U32 | PRIVATE, &past, 77), EINVAL);
	pthread_t t[2];
	pthread_create(&t[0], NULL, waiter, (void *)2);
	CHECK(until(1, wake) == 1);
	pthread_join(t[0], NULL);
	pthread_create(&t[1], NULL, waiter, (void *)3);
	CHECK(until(1, move) == 1);
	CHECK(wake() == 0 && syscall(SYS_futex_wake, &other, 1ul, 1, U32 | PRIVATE) == 1);
	pthread_join(t[1], NULL);
	CHECK(woken == 2);
	FAILS(syscall(SYS_futex_requeue, NULL, 0, 0, 1), EINVAL);
}

static int done;
static void *spin(void *arg) {
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) ;
	return arg;
}
static void barriers(void) {
	long can = syscall(SYS_membarrier, 0, 0, 0);
	CHECK(can > 0 && can & 8 && can & 16);
	FAILS(syscall(SYS_membarrier, 8, 0, 0), EPERM); // not registered
	CHECK(syscall(SYS_membarrier, 16, 0, 0) == 0);
	pthread_t t;
	pthread_create(&t, NULL, spin, NULL);
	for (int i = 0; i < 20; i++) CHECK(syscall(SYS_membarrier, 8, 0, 0) == 0);
	done = 1;
	pthread_join(t, NULL);
	FAILS(syscall(SYS_membarrier, 3, 0, 0), EINVAL);
	FAILS(syscall(SYS_membarrier, 0, 77, 0), EINVAL);
}

enum { FILE_, VM, FILES, FS, SIGHAND, IO, SYSVSEM, EPOLL_TFD };

// watched compares files with those that an epoll instance watches: two of one number.
static void watched(pid_t me, pid_t other) {
	int ep = epoll_create1(0), p[2], q[2];
	CHECK(ep >= 0 && pipe(p) == 0 && pipe(q) == 0);
	int first = dup(p[0]), n = dup(p[0]);
	struct epoll_event e = {.events = EPOLLIN};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, n, &e) == 0);
	struct { uint32_t efd, tfd, toff; } slot = {ep, n, 0};
	CHECK(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot) == 0);
	CHECK(syscall(SYS_kcmp, me, me, EPOLL_TFD, q[0], &slot) > 0);
	slot.toff = 1;
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot), ENOENT);
	CHECK(dup2(q[0], n) == n && epoll_ctl(ep, EPOLL_CTL_ADD, n, &e) == 0);
	int at[2];
	for (slot.toff = 0; slot.toff < 2; slot.toff++)
		at[slot.toff] = syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot) == 0;
	CHECK(at[0] + at[1] == 1);
	slot.toff = 2;
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot), ENOENT);
	slot.toff = 0, slot.tfd = q[1];
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot), ENOENT);
	slot.efd = q[1];
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot), EINVAL);
	slot.efd = 999;
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, &slot), EBADF);
	slot.efd = ep;
	FAILS(syscall(SYS_kcmp, me, other, EPOLL_TFD, first, &slot), EBADF); // it has none of that number
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, 999, &slot), EBADF);
	FAILS(syscall(SYS_kcmp, me, me, EPOLL_TFD, first, 8), EFAULT);
}

static void comparisons(void) {
	pid_t me = getpid();
	int fd = dup(2), far = open("/proc/self/maps", 0);
	CHECK(fd >= 0 && far >= 0);
	if (absent("kcmp", syscall(SYS_kcmp, me, me, VM, 0, 0))) return;
	CHECK(syscall(SYS_kcmp, me, me, VM, 0, 0) == 0);
	CHECK(syscall(SYS_kcmp, me, me, FILE_, 2, fd) == 0);
	CHECK(syscall(SYS_kcmp, me, me, FILE_, 2, far) > 0);
	FAILS(syscall(SYS_kcmp, me, me, FILE_, 2, 999), EBADF);
	FAILS(syscall(SYS_kcmp, me, me, 99, 0, 0), EINVAL);
	FAILS(syscall(SYS_kcmp, 4000000, me, VM, 0, 0), ESRCH);
	pid_t p = fork();
	if (p == 0)
		for (;;) pause();
	CHECK(syscall(SYS_kcmp, me, p, VM, 0, 0) > 0 && syscall(SYS_kcmp, me, p, FILES, 0, 0) > 0);
	CHECK(syscall(SYS_kcmp, me, p, FILE_, 2, fd) == 0);
	watched(me, p);
	pid_t other = fork();
	if (other == 0)
		for (;;) pause();
	CHECK(syscall(SYS_kcmp, p, other, SYSVSEM, 0, 0) == 0); // neither has anything to undo
	CHECK(syscall(SYS_kcmp, p, me, SYSVSEM, 0, 0) > 0);     // this one shares it with its threads
	kill(other, SIGKILL);
	CHECK(waitpid(other, NULL, 0) == other);
	int pidfd = syscall(SYS_pidfd_open, p, 0);
	CHECK(pidfd >= 0);
	FAILS(syscall(SYS_process_mrelease, pidfd, 0), EINVAL); // it is not dying
	FAILS(syscall(SYS_process_mrelease, pidfd, 1), EINVAL);
	FAILS(syscall(SYS_process_mrelease, 2, 0), EBADF);
	kill(p, SIGKILL);
	siginfo_t info;
	CHECK(waitid(P_PID, p, &info, WEXITED | WNOWAIT) == 0);
	long r = syscall(SYS_process_mrelease, pidfd, 0);
	CHECK(r == 0 || errno == ESRCH);
	CHECK(waitpid(p, NULL, 0) == p);
	FAILS(syscall(SYS_process_mrelease, pidfd, 0), ESRCH);
}

int main(void) {
	CASE(futexes());
	CASE(barriers());
	CASE(comparisons());
	return 0;
}
