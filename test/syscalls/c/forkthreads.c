// Threads write while their process forks: each child has a copy that nobody
// else changes, and no write is lost.
// covers: fork clone mmap munmap mprotect futex
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define P 4096
#define N 64
#define WRITERS 3
#define FORKS 40

static volatile long *m;
static atomic_int stop;
static atomic_long bad;

// writer counts in the first two words of its pages, which must stay equal.
static void *writer(void *x) {
	while (!stop)
		for (long i = (long)x; i < N; i += WRITERS) {
			volatile long *p = m + i * P / 8;
			if (p[0] != p[1] || p[0] < 1)
				bad++;
			long v = p[0] + 1;
			p[0] = v, p[1] = v;
		}
	return NULL;
}

static void *mapper(void *x) {
	while (!stop) {
		char *p = mmap(0, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int i = 0; i < 8; i++) {
			bad += p[i * P] != 0;
			p[i * P] = 1;
		}
		bad += mprotect(p, 4 * P, PROT_READ) != 0 || p[0] != 1;
		bad += munmap(p, 8 * P) != 0;
	}
	return NULL;
}

static void child(void) {
	for (int i = 0; i < N; i++) {
		CHECK(m[i * P / 8] >= 1);
		m[i * P / 8] = -5;
	}
	usleep(200);
	for (int i = 0; i < N; i++)
		CHECK(m[i * P / 8] == -5);
	_exit(0);
}

int main(void) {
	m = mmap(0, N * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < N; i++)
		m[i * P / 8] = m[i * P / 8 + 1] = 1;
	pthread_t t[WRITERS + 1];
	for (long i = 0; i < WRITERS; i++)
		CHECK(pthread_create(t + i, NULL, writer, (void *)i) == 0);
	CHECK(pthread_create(t + WRITERS, NULL, mapper, NULL) == 0);
	for (int k = 0; k < FORKS; k++) {
		int status = 0;
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child();
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	stop = 1;
	for (int i = 0; i <= WRITERS; i++)
		pthread_join(t[i], NULL);
	CHECK(bad == 0);
	return 0;
}
