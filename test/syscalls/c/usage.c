// getrusage(2) and its like: page faults and context switches, and that they add up.
// covers: getrusage wait4 waitid
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

enum { PAGE = 4096, MANY = 600 };

static struct rusage of(int who) {
	struct rusage r;
	CHECK(getrusage(who, &r) == 0);
	return r;
}

static long faults(int who) { return of(who).ru_minflt; }

// field is a number of /proc/self/stat, in proc_pid_stat(5)'s numbering.
static long field(int nr) {
	char b[1024];
	int fd = open("/proc/self/stat", O_RDONLY);
	ssize_t n = read(fd, b, sizeof b - 1);
	CHECK(n > 0 && close(fd) == 0);
	b[n] = 0;
	char *p = strrchr(b, ')');
	for (int i = 2; i < nr; i++)
		p = strchr(p + 1, ' ');
	return atol(p + 1);
}

static char *memory(int pages) {
	char *m = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	madvise(m, pages * PAGE, MADV_NOHUGEPAGE);
	return m;
}

static void touch(char *m, int pages) {
	for (int i = 0; i < pages; i++)
		m[i * PAGE] = 1;
}

static void a_first_touch_is_a_fault(void) {
	char *m = memory(MANY);
	long before = faults(RUSAGE_SELF);
	CHECK(faults(RUSAGE_SELF) < before + 50);
	touch(m, MANY);
	long after = faults(RUSAGE_SELF);
	CHECK(after >= before + MANY && after < before + MANY + 50);
	touch(m, MANY);
	CHECK(faults(RUSAGE_SELF) < after + 50);
	CHECK(munmap(m, MANY * PAGE) == 0 && faults(RUSAGE_SELF) >= after);
}

static void stat_and_the_thread_say_so_too(void) {
	touch(memory(MANY), MANY);
	long a = faults(RUSAGE_SELF), b = field(10), c = faults(RUSAGE_THREAD), d = faults(RUSAGE_SELF);
	CHECK(a >= MANY && a <= b && b <= c && c <= d);
	CHECK(of(RUSAGE_SELF).ru_majflt <= field(12));
}

static void *touches(void *m) {
	touch(m, MANY);
	return NULL;
}

static void all_threads_are_counted(void) {
	pthread_t th;
	char *m = memory(MANY);
	long before = faults(RUSAGE_SELF);
	CHECK(pthread_create(&th, NULL, touches, m) == 0 && pthread_join(th, NULL) == 0);
	CHECK(faults(RUSAGE_SELF) >= before + MANY && faults(RUSAGE_THREAD) <= faults(RUSAGE_SELF));
}

static long child_of(void f(void)) {
	struct rusage r;
	int st;
	long before = faults(RUSAGE_CHILDREN), shown = field(11);
	pid_t p = fork();
	if (p == 0) {
		f();
		_exit(0);
	}
	CHECK(wait4(p, &st, 0, &r) == p && st == 0);
	CHECK(faults(RUSAGE_CHILDREN) == before + r.ru_minflt && field(11) == shown + r.ru_minflt);
	return r.ru_minflt;
}

static void nothing(void) {}
static void much(void) { touch(memory(MANY), MANY); }
static void in_a_child(void) { CHECK(child_of(much) >= MANY); }

static char *inherited;
static void writes(void) {
	long before = faults(RUSAGE_SELF);
	touch(inherited, MANY / 2);
	CHECK(faults(RUSAGE_SELF) > before);
}

static void children_have_their_own(void) {
	inherited = memory(MANY);
	touch(inherited, MANY);
	CHECK(child_of(nothing) < MANY / 2);
	CHECK(child_of(much) >= MANY);
	CHECK(child_of(in_a_child) >= MANY);
	CHECK(child_of(writes) > 0);
}

static void becomes(void) {
	much();
	execl("/proc/self/exe", "usage", "again", (char *)0);
	_exit(1);
}

static void the_next_program_goes_on(void) {
	long n = child_of(becomes);
	CHECK(n >= MANY && n < 2 * MANY);
}

// Who looks on does not count what an earlier program had a second time.
static void whoever_looks_on(void) {
	char name[64], b[1024];
	struct rusage r;
	int st;
	for (int i = 0; i < 50; i++) {
		pid_t p = fork();
		if (p == 0)
			becomes();
		sprintf(name, "/proc/%d/stat", p);
		int fd = open(name, O_RDONLY);
		CHECK(fd >= 0);
		while (wait4(p, &st, WNOHANG, &r) == 0)
			CHECK(pread(fd, b, sizeof b, 0) > 0);
		CHECK(st == 0 && close(fd) == 0 && r.ru_minflt >= MANY && r.ru_minflt < 2 * MANY);
	}
}

static void a_borrower_of_memory_has_none(void) {
	struct rusage r;
	int st;
	touch(memory(4 * MANY), 4 * MANY);
	pid_t p = vfork();
	if (p == 0) {
		execl("/proc/self/exe", "usage", "quick", (char *)0);
		_exit(1);
	}
	CHECK(wait4(p, &st, 0, &r) == p && st == 0 && r.ru_minflt < 2 * MANY);
}

static void sleeps(void) {
	for (int i = 0; i < 20; i++)
		nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void a_sleep_is_a_voluntary_switch(void) {
	struct rusage r;
	int st;
	long self = of(RUSAGE_SELF).ru_nvcsw, thread = of(RUSAGE_THREAD).ru_nvcsw, shown = self_status("voluntary_ctxt_switches");
	sleeps();
	CHECK(of(RUSAGE_SELF).ru_nvcsw >= self + 20 && of(RUSAGE_THREAD).ru_nvcsw >= thread + 20);
	CHECK(self_status("voluntary_ctxt_switches") >= shown + 20);
	pid_t p = fork();
	if (p == 0) sleeps(), _exit(0);
	long before = of(RUSAGE_CHILDREN).ru_nvcsw;
	CHECK(wait4(p, &st, 0, &r) == p && r.ru_nvcsw >= 20 && of(RUSAGE_CHILDREN).ru_nvcsw == before + r.ru_nvcsw);
}

int main(int argc, char **argv) {
	if (argc > 1) {
		CHECK(strcmp(argv[1], "quick") == 0 || faults(RUSAGE_SELF) >= MANY);
		_exit(0);
	}
	APART(a_first_touch_is_a_fault());
	APART(stat_and_the_thread_say_so_too());
	APART(all_threads_are_counted());
	APART(children_have_their_own());
	APART(the_next_program_goes_on());
	APART(whoever_looks_on());
	APART(a_borrower_of_memory_has_none());
	APART(a_sleep_is_a_voluntary_switch());
	return 0;
}
