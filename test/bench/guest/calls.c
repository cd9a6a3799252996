// System calls that one task makes for itself.
#include "bench.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// TIMES does what follows n times, and returns how long that took.
#define TIMES(n, what) do { \
	u64 begin = now(); \
	for (long i_ = 0; i_ < (n); i_++) { what; } \
	return now() - begin; \
} while (0)

enum { PAGE = 4096 };

// subject is a file of one page below where, open for both.
static int subject(const char *where) {
	static int fd = -1;
	if (fd == -1) {
		char page[PAGE];
		memset(page, 's', PAGE);
		fd = try(open(path(where, "subject"), O_RDWR | O_CREAT, 0644));
		if (pwrite(fd, page, PAGE, 0) != PAGE) failed("pwrite");
	}
	return fd;
}

u64 op_getpid(long n, const char *where) {
	long pid = getpid();
	TIMES(n, if (syscall(SYS_getpid) != pid) fail("the pid is another"));
}

u64 op_getppid(long n, const char *where) {
	long ppid = getppid();
	TIMES(n, if (syscall(SYS_getppid) != ppid) fail("the parent is another"));
}

u64 op_read_zero(long n, const char *where) {
	static int fd = -1;
	if (fd == -1) fd = try(open(path(where, "zero"), O_RDONLY));
	char c = 1;
	TIMES(n, if (read(fd, &c, 1) != 1 || c != 0) failed("read"));
}

u64 op_pread(long n, const char *where) {
	int fd = subject(where);
	char page[PAGE] = {0};
	TIMES(n, if (pread(fd, page, PAGE, 0) != PAGE || page[PAGE - 1] != 's') failed("pread"));
}

u64 op_pwrite(long n, const char *where) {
	int fd = subject(where);
	char page[PAGE], back[PAGE];
	memset(page, 'w', PAGE);
	u64 begin = now();
	for (long i = 0; i < n; i++)
		if (pwrite(fd, page, PAGE, 0) != PAGE) failed("pwrite");
	u64 took = now() - begin;
	if (pread(fd, back, PAGE, 0) != PAGE || memcmp(page, back, PAGE) != 0) fail("what was written is not there");
	return took;
}

u64 op_fstat(long n, const char *where) {
	int fd = subject(where);
	struct stat st;
	TIMES(n, if (fstat(fd, &st) != 0 || st.st_size != PAGE) failed("fstat"));
}

u64 op_stat(long n, const char *where) {
	subject(where);
	struct stat st;
	const char *p = path(where, "subject");
	TIMES(n, if (stat(p, &st) != 0 || st.st_size != PAGE) failed("stat"));
}

u64 op_open(long n, const char *where) {
	subject(where);
	const char *p = path(where, "subject");
	TIMES(n, int fd = open(p, O_RDONLY); if (fd == -1 || close(fd) != 0) failed("open or close"));
}

static volatile sig_atomic_t handled;

static void handler(int sig) { handled++; }

u64 op_signal(long n, const char *where) {
	struct sigaction action = {.sa_handler = handler};
	try(sigaction(SIGUSR1, &action, NULL));
	pid_t self = getpid();
	handled = 0;
	u64 begin = now();
	for (long i = 0; i < n; i++) kill(self, SIGUSR1);
	u64 took = now() - begin;
	if (handled != (sig_atomic_t)n) fail("%ld signals, the handler ran %d times", n, (int)handled);
	return took;
}

u64 op_yield(long n, const char *where) { TIMES(n, if (sched_yield() != 0) failed("sched_yield")); }

u64 op_clock(long n, const char *where) {
	struct timespec t = {0};
	struct timespec last = {0};
	TIMES(n, clock_gettime(CLOCK_MONOTONIC, &t);
		if (t.tv_sec < last.tv_sec || (t.tv_sec == last.tv_sec && t.tv_nsec < last.tv_nsec)) fail("time went back");
		last = t);
}
