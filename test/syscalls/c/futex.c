// futex(2): wait, wake, bitsets, requeue, wake-op, timeouts, robust lists.
// covers: futex set_robust_list get_robust_list futex_waitv
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

static uint32_t a, b;
static int woken;

static long fut(uint32_t *u, int op, uint32_t v, void *t, uint32_t *u2, uint32_t v3) { return syscall(SYS_futex, u, op, v, t, u2, v3); }
static void *waiter(void *arg) {
	uint32_t *u = arg;
	long r = fut(u, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
	if (r == 0) __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}
static void *bitwaiter(void *arg) {
	fut(&b, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, (uintptr_t)arg);
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(void) {
	struct timespec ts = {0, 5000000};
	FAILS(fut(&a, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	FAILS(fut(&a, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
	ts.tv_nsec = -1;
	FAILS(fut(&a, FUTEX_WAIT, 0, &ts, NULL, 0), EINVAL);
	FAILS(fut((uint32_t *)((char *)&a + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	FAILS(fut((uint32_t *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	FAILS(fut(&a, 77, 0, NULL, NULL, 0), ENOSYS);
	CHECK(fut(&a, FUTEX_WAKE, 10, NULL, NULL, 0) == 0);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec -= 1; // an absolute time that has passed
	FAILS(fut(&a, FUTEX_WAIT_BITSET, 0, &ts, NULL, ~0u), ETIMEDOUT);
	FAILS(fut(&a, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);

	pthread_t t[4];
	for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, waiter, &a);
	asleep(getpid());
	CHECK(fut(&a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0) == 1);
	CHECK(fut(&a, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)2L, &b, 0) == 3); // one woken, two moved
	FAILS(fut(&a, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)2L, &b, 5), EAGAIN);
	CHECK(fut(&a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0) == 0);
	CHECK(fut(&b, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0) == 2);
	for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
	CHECK(woken == 4);

	woken = 0;
	pthread_create(&t[0], NULL, bitwaiter, (void *)1L);
	pthread_create(&t[1], NULL, bitwaiter, (void *)2L);
	asleep(getpid());
	CHECK(fut(&b, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 2) == 1);
	pthread_join(t[1], NULL);
	CHECK(woken == 1);
	CHECK(fut(&b, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 1) == 1);
	pthread_join(t[0], NULL);

	// *b = 9, woken if it was 0: both.
	pthread_create(&t[0], NULL, waiter, &a);
	asleep(getpid());
	b = 0;
	CHECK(fut(&a, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, (void *)1L, &b, FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 0)) == 1);
	CHECK(b == 9);
	pthread_join(t[0], NULL);

	// Across processes.
	uint32_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) _exit(fut(s, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 8 : 1);
	int st, n = 0;
	for (int i = 0; i < 1000 && n == 0; i++, usleep(1000)) n = fut(s, FUTEX_WAKE, 1, NULL, NULL, 0);
	CHECK(n == 1 && waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 8);

	// A robust mutex whose owner dies.
	pthread_mutexattr_t at;
	pthread_mutexattr_init(&at);
	pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
	pthread_mutex_t *mu = (pthread_mutex_t *)(s + 64);
	pthread_mutex_init(mu, &at);
	pid = fork();
	if (pid == 0) { pthread_mutex_lock(mu); _exit(0); }
	waitpid(pid, &st, 0);
	CHECK(pthread_mutex_lock(mu) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(mu) == 0 && pthread_mutex_unlock(mu) == 0);
	void *head;
	size_t len;
	CHECK(syscall(SYS_get_robust_list, 0, &head, &len) == 0 && len == 24);
	FAILS(syscall(SYS_set_robust_list, head, 10), EINVAL);
	CHECK(syscall(SYS_set_robust_list, head, 24) == 0);
	FAILS(syscall(SYS_get_robust_list, 1 << 22, &head, &len), ESRCH);
#ifdef SYS_futex_waitv
	struct { uint64_t val, uaddr; uint32_t flags, r; } wv[2] = {{0, (uintptr_t)&a, 2}, {1, (uintptr_t)&b, 2}};
	a = b = 0;
	FAILS(syscall(SYS_futex_waitv, wv, 2, 0, NULL, CLOCK_MONOTONIC), EAGAIN);
	FAILS(syscall(SYS_futex_waitv, wv, 0, 0, NULL, CLOCK_MONOTONIC), EINVAL);
#endif
	return 0;
}
