// sigaltstack(2), and handlers for faults.
// covers: sigaltstack rt_sigreturn
#include "check.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf jb;
static volatile int on, code, trap;
static void *volatile addr;
static char *stack;

static void handler(int s, siginfo_t *si, void *u) {
	char here;
	ucontext_t *uc = u;
	on = &here >= stack && &here < stack + 65536;
	code = si->si_code;
	addr = si->si_addr;
	trap = uc->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(jb, s);
}
static void skip(int s, siginfo_t *si, void *u) {
	ucontext_t *uc = u;
	uc->uc_mcontext.gregs[REG_RIP] += 2; // over the ud2
	uc->uc_mcontext.gregs[REG_RAX] = 1234;
}
static int deep(int n) {
	volatile char pad[4096];
	pad[0] = n;
	return deep(n + 1) + pad[0];
}

int main(void) {
	stack_t ss = {0}, old;
	CHECK(sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE));
	stack = malloc(65536);
	ss.ss_sp = stack;
	ss.ss_size = 65536;
	CHECK(sigaltstack(&ss, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == stack && old.ss_size == 65536 && old.ss_flags == 0);
	ss.ss_size = 100;
	FAILS(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_size = 65536;
	ss.ss_flags = 77;
	FAILS(sigaltstack(&ss, NULL), EINVAL);

	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	if (!sigsetjmp(jb, 1)) *(volatile char *)16 = 1;
	CHECK(on && code == SEGV_MAPERR && addr == (void *)16 && trap == 14);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sigsetjmp(jb, 1)) ro[5] = 1;
	CHECK(code == SEGV_ACCERR && addr == ro + 5);
	if (!sigsetjmp(jb, 1)) ((void (*)(void))ro)();
	CHECK(code == SEGV_ACCERR && addr == ro);
	if (sigsetjmp(jb, 1) == 0) deep(0); // the stack's end, found on the alternate one
	CHECK(on);
	volatile int zero = 0;
	int sig = sigsetjmp(jb, 1);
	if (!sig) zero = 100 / zero;
	CHECK(sig == SIGFPE && code == FPE_INTDIV);
	FILE *f = tmpfile();
	char *m = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fileno(f), 0);
	CHECK(m != MAP_FAILED);
	sig = sigsetjmp(jb, 1);
	if (!sig) (void)*(volatile char *)m;
	CHECK(sig == SIGBUS && code == BUS_ADRERR && addr == m);
	sig = sigsetjmp(jb, 1);
	if (!sig) (void)*(volatile char *)(1UL << 63); // not canonical
	CHECK(sig == SIGSEGV && code == SI_KERNEL);

	struct sigaction sk = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &sk, NULL);
	long rax;
	asm volatile("ud2" : "=a"(rax) : "0"(1L) : "memory");
	CHECK(rax == 1234);
	ss.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&ss, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
	return 0;
}
