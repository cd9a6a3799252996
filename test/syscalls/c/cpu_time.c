// Processor time adds up: however many want to run, together they use no more than
// the processors there are.
// covers: getrusage wait4 clock_gettime times
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>

enum { LASTS = 300000000, SLACK = 50000000 };

static int64_t now(clockid_t c) {
	struct timespec t;
	CHECK(clock_gettime(c, &t) == 0);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t ns(struct timeval t) { return t.tv_sec * 1000000000LL + t.tv_usec * 1000LL; }

static int64_t used(const struct rusage *r) { return ns(r->ru_utime) + ns(r->ru_stime); }

static int64_t used_by(int who) {
	struct rusage r;
	CHECK(getrusage(who, &r) == 0);
	return used(&r);
}

static long processors(void) {
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	CHECK(n > 0);
	return n;
}

static int64_t most(int64_t wall, long cpus) { return wall * cpus * 11 / 10 + SLACK; }

static void computes(void) {
	for (int64_t until = now(CLOCK_MONOTONIC) + LASTS; now(CLOCK_MONOTONIC) < until;)
		for (volatile int i = 0; i < 100000; i++)
			;
}

static void calls(void) {
	for (int64_t until = now(CLOCK_MONOTONIC) + LASTS; now(CLOCK_MONOTONIC) < until;)
		for (int i = 0; i < 100; i++)
			syscall(SYS_getppid);
}

static void forks(void) {
	for (int64_t until = now(CLOCK_MONOTONIC) + LASTS; now(CLOCK_MONOTONIC) < until;) {
		pid_t p = fork();
		if (p == 0) _exit(0);
		CHECK(p > 0 && waitpid(p, NULL, 0) == p);
	}
}

static void *a_thread(void *work) {
	((void (*)(void))work)();
	return NULL;
}

static void threads(void (*work)(void)) {
	long n = 2 * processors();
	pthread_t t[n];
	for (int i = 0; i < n; i++)
		CHECK(pthread_create(&t[i], NULL, a_thread, work) == 0);
	for (int i = 0; i < n; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

static void computing_threads(void) { threads(computes); }

// Three times as many processes as processors, that all do work.
static void processes(void (*work)(void)) {
	long cpus = processors();
	int64_t began = now(CLOCK_MONOTONIC), sum = 0;
	for (int i = 0; i < 3 * cpus; i++) {
		pid_t p = fork();
		if (p == 0) {
			work();
			_exit(0);
		}
		CHECK(p > 0);
	}
	for (int i = 0; i < 3 * cpus; i++) {
		struct rusage r;
		int status;
		CHECK(wait4(-1, &status, 0, &r) > 0 && status == 0);
		sum += used(&r);
	}
	int64_t wall = now(CLOCK_MONOTONIC) - began;
	CHECK(sum > 0 && sum <= most(wall, cpus));
	int64_t children = used_by(RUSAGE_CHILDREN);
	CHECK(children <= most(wall, cpus) && children + SLACK >= sum);
	struct tms t;
	CHECK(times(&t) != -1);
	CHECK((t.tms_cutime + t.tms_cstime) * (1000000000LL / sysconf(_SC_CLK_TCK)) <= most(wall, cpus));
}

// While others run, too, a process has at most what there is.
static void threads_of_one(void (*work)(void)) {
	int64_t began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	threads(work);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	CHECK(cpu > 0 && cpu <= most(now(CLOCK_MONOTONIC) - began, processors()));
	CHECK(used_by(RUSAGE_SELF) + SLACK >= cpu);
}

static void *asks(void *arg) {
	int64_t own = 0, all = 0;
	for (int64_t until = now(CLOCK_MONOTONIC) + LASTS; now(CLOCK_MONOTONIC) < until;) {
		int64_t t = now(CLOCK_THREAD_CPUTIME_ID), g = now(CLOCK_PROCESS_CPUTIME_ID);
		CHECK(t >= own && g >= all);
		own = t, all = g;
	}
	return NULL;
}

static void time_never_goes_back(void) {
	long n = 2 * processors();
	pthread_t t[n];
	for (int i = 0; i < n; i++)
		CHECK(pthread_create(&t[i], NULL, asks, NULL) == 0);
	for (int i = 0; i < n; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

static void a_thread_has_at_most_one_processor(void) {
	int64_t began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
	computes();
	cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	CHECK(cpu > 0 && cpu <= most(now(CLOCK_MONOTONIC) - began, 1));
}

int main(void) {
	APART(processes(computes));
	APART(processes(calls));
	APART(processes(forks));
	APART(processes(computing_threads));
	APART(threads_of_one(computes));
	APART(threads_of_one(calls));
	APART(time_never_goes_back());
	APART(a_thread_has_at_most_one_processor());
	return 0;
}
