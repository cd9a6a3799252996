// Accesses that mappings do not allow: which signal, which code, which address.
// covers: mmap mprotect munmap ftruncate rt_sigaction sigaltstack
#include "check.h"
#include <setjmp.h>
#include <sys/mman.h>

#define P 4096
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;
static volatile int sig, code;
static void *volatile where;

static void handler(int s, siginfo_t *i, void *u) {
	sig = s, code = i->si_code, where = i->si_addr;
	siglongjmp(back, 1);
}

// touch loads or stores at p; it is true if that got signal s with code c, at p.
static int touch(volatile char *p, int write, int s, int c) {
	sig = code = 0;
	if (sigsetjmp(back, 1) == 0) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return sig == s && (s == 0 || (code == c && where == (void *)p));
}

static int recurse(volatile int *depth) {
	volatile char frame[P];
	frame[0] = 1;
	++*depth;
	return recurse(depth) + frame[0];
}

int main(void) {
	struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	CHECK(sigaction(SIGSEGV, &a, NULL) == 0 && sigaction(SIGBUS, &a, NULL) == 0);
	stack_t ss = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
	CHECK(sigaltstack(&ss, NULL) == 0);

	char *p = mmap(0, 4 * P, RW, ANON, -1, 0);
	CHECK(touch(p, 0, 0, 0) && touch(p + P, 1, 0, 0));
	CHECK(mprotect(p, P, PROT_READ) == 0);
	CHECK(touch(p + 3, 1, SIGSEGV, SEGV_ACCERR) && touch(p, 0, 0, 0));
	CHECK(mprotect(p, P, PROT_NONE) == 0);
	CHECK(touch(p, 0, SIGSEGV, SEGV_ACCERR) && touch(p + 5, 1, SIGSEGV, SEGV_ACCERR));
	CHECK(munmap(p + P, P) == 0);
	CHECK(touch(p + P, 0, SIGSEGV, SEGV_MAPERR) && touch(0, 1, SIGSEGV, SEGV_MAPERR));
	sig = 0;
	if (sigsetjmp(back, 1) == 0)
		((void (*)(void))(p + 2 * P))();
	CHECK(sig == SIGSEGV && code == SEGV_ACCERR && where == p + 2 * P);

	char name[] = "/tmp/faultsXXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, P + 100) == 0);
	char *f = mmap(0, 4 * P, RW, MAP_SHARED, fd, 0);
	char *q = mmap(0, 4 * P, RW, MAP_PRIVATE, fd, 0);
	CHECK(touch(f + P, 1, 0, 0) && touch(f + P + 200, 1, 0, 0));
	CHECK(touch(f + 2 * P, 0, SIGBUS, BUS_ADRERR) && touch(q + 2 * P, 1, SIGBUS, BUS_ADRERR));
	CHECK(touch(q + P, 1, 0, 0) && q[P] == 1);
	CHECK(ftruncate(fd, 10) == 0);
	CHECK(touch(f + P, 0, SIGBUS, BUS_ADRERR) && touch(q + P, 0, SIGBUS, BUS_ADRERR) && touch(f + 5, 0, 0, 0));
	CHECK(ftruncate(fd, 4 * P) == 0);
	CHECK(touch(q + P, 1, 0, 0) && touch(f + 3 * P, 1, 0, 0) && f[P] == 0 && q[3 * P] == 1);

	volatile int depth = 0;
	sig = 0;
	if (sigsetjmp(back, 1) == 0)
		recurse(&depth);
	CHECK(sig == SIGSEGV && depth > 100);
	return 0;
}
