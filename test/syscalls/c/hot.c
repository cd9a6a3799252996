// System calls that are made many times from one place, where a kernel may have
// found a shorter way in: they stay what they are to signals, threads, children
// and debuggers.
// covers: arch_prctl getppid
#include "check.h"
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

enum { MANY = 3000 };

// One call site of this program's own, and its text.
extern char site[], site_end[];
long site_call(void);
__asm__(".balign 64\nsite_call:\nsite:\n\tmov $110, %eax\n\tsyscall\n\tret\nsite_end:\n");

// numbered makes the system call that the low half of nr names.
static long numbered(unsigned long nr) {
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr) : "rcx", "r11", "memory");
	return ret;
}

static void wideNumbers(void) {
	for (int i = 0; i < MANY; i++) {
		CHECK(numbered(0xdeadbeef00000000 | SYS_getpid) == getpid());
		CHECK(numbered(1ul << 32 | SYS_getppid) == getppid());
		CHECK(numbered(0xffffffff) == -ENOSYS && numbered(0xffffffffffffffff) == -ENOSYS);
		CHECK(numbered(0x80000000 | SYS_getpid) == -ENOSYS);
	}
}

static volatile int hits;
static volatile double spoil;
static void count(int s) {
	hits++;
	spoil = spoil * 3.5 + 1; // uses the registers that the loop below keeps a sum in
}
static void handle(int s, int flags) {
	struct sigaction sa = {.sa_handler = count, .sa_flags = flags};
	CHECK(sigaction(s, &sa, NULL) == 0);
	hits = 0;
}
static void every(int usec) {
	struct itimerval it = {{0, usec}, {0, usec}};
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
}

// heat makes every site below one that has been used often.
static void heat(void) {
	int p[2];
	CHECK(pipe(p) == 0);
	long parent = getppid();
	for (int i = 0; i < MANY; i++) {
		char c = i, d = ~c;
		CHECK(write(p[1], &c, 1) == 1 && read(p[0], &d, 1) == 1 && c == d);
		CHECK(site_call() == parent && syscall(SYS_getppid) == parent && getppid() == parent);
	}
	close(p[0]);
	close(p[1]);
}

static void interrupted(void) {
	int zero = open("/dev/zero", O_RDONLY);
	handle(SIGALRM, 0);
	every(500);
	double sum = 0;
	long parent = getppid();
	for (int i = 1; i <= 100 * MANY || hits < 20; i++) {
		char b[8] = "1234567";
		CHECK(pread(zero, b, 4, 0) == 4 && b[0] == 0 && b[3] == 0 && b[4] == '5');
		CHECK(site_call() == parent);
		sum += 0.5;
		CHECK(sum == 0.5 * i);
	}
	every(0);
	close(zero);
}

// A call that waits is restarted, or fails with EINTR, as the handler says.
static void waits(int flags) {
	int p[2];
	CHECK(pipe(p) == 0);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		for (int i = 0; i < 3; i++) {
			usleep(20000);
			kill(parent, SIGUSR1);
		}
		usleep(20000);
		CHECK(write(p[1], "x", 1) == 1);
		_exit(0);
	}
	handle(SIGUSR1, flags);
	char c = 0;
	ssize_t n = read(p[0], &c, 1);
	if (flags & SA_RESTART) CHECK(n == 1 && c == 'x' && hits == 3);
	else CHECK(n == -1 && errno == EINTR && hits == 1);
	while (waitpid(child, NULL, 0) < 0) CHECK(errno == EINTR);
	close(p[0]);
	close(p[1]);
}

static void *loop(void *arg) {
	long parent = getppid();
	for (int i = 0; i < MANY; i++) CHECK(site_call() == parent && syscall(SYS_gettid) == gettid());
	return arg;
}
static void threads(void) {
	pthread_t t[4];
	for (int i = 0; i < 4; i++) CHECK(pthread_create(&t[i], NULL, loop, NULL) == 0);
	for (int i = 0; i < 4; i++) CHECK(pthread_join(t[i], NULL) == 0);
}
static void children(void) {
	for (int i = 0; i < 5; i++) {
		pid_t me = getpid(), p = fork();
		CHECK(p >= 0);
		if (p == 0) {
			for (int k = 0; k < MANY; k++) CHECK(site_call() == me && getppid() == me);
			_exit(7);
		}
		int st;
		CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 7);
	}
}

// The GS register is the program's.
static void segment(void) {
	unsigned long base = 1, word = 0x1234567812345678, got;
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &word) == 0);
	heat();
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	CHECK(got == word);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == (unsigned long)&word);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
	heat();
}

// Nothing of it shows.
static void unseen(const char *was) {
	FILE *f = fopen("/proc/self/maps", "r");
	char line[500], rights[8], name[300];
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%*s %7s %*s %*s %*s %299s", rights, name) == 1) CHECK(rights[2] != 'x');
	fclose(f);
	int mem = open("/proc/self/mem", O_RDWR);
	char b[64];
	ssize_t n = site_end - site;
	CHECK(pread(mem, b, n, (off_t)site) == n && memcmp(b, was, n) == 0);
	// A debugger's breakpoint, and its end.
	CHECK(pwrite(mem, "\xcc", 1, (off_t)site) == 1 && site[0] == '\xcc');
	CHECK(pwrite(mem, was, 1, (off_t)site) == 1 && memcmp(site, was, n) == 0);
	close(mem);
	CHECK(site_call() == getppid());
}

int main(void) {
	char was[64];
	// Not by loads: who sees its text so sees what leads to the gate, too.
	int mem = open("/proc/self/mem", O_RDONLY);
	CHECK(pread(mem, was, site_end - site, (off_t)site) == site_end - site);
	close(mem);
	heat();
	CASE(interrupted());
	CASE(waits(SA_RESTART));
	CASE(waits(0));
	CASE(threads());
	CASE(children());
	pid_t p = fork();
	if (p == 0) {
		segment();
		_exit(0);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	CASE(unseen(was));
	heat();
	CASE(wideNumbers());
	return 0;
}
