// PR_SET_SYSCALL_USER_DISPATCH of prctl(2): a program's own handler answers its calls.
// covers: prctl rt_sigreturn getpid
#include "check.h"
#include <linux/audit.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <ucontext.h>

enum { DISPATCH = 59, OFF = 0, EXCLUSIVE = 1, INCLUSIVE = 2, ALLOW = 0, BLOCK = 1, USER_DISPATCH = 2 };

#define SET(mode, start, len, selector) prctl(DISPATCH, mode, start, len, selector)

static volatile char selector;
static volatile int hits;
static siginfo_t last;
static long last_rax, last_rip;

// The text of calls that no library makes.
long one(long nr, long a, long b);
long two(long nr, long a, long b);
extern char one_end[], two_end[];
__asm__(".text\n.globl one\n.globl two\n.globl one_end\n.globl two_end\n"
	"one: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n syscall\none_end: ret\n"
	".skip 64, 0xcc\n"
	"two: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n syscall\ntwo_end: ret\n");

// answers gives a call that was not carried out the result 4711.
static void answers(int sig, siginfo_t *si, void *ctx) {
	ucontext_t *u = ctx;
	selector = ALLOW; // the return from here is a call, too
	last = *si;
	last_rax = u->uc_mcontext.gregs[REG_RAX], last_rip = u->uc_mcontext.gregs[REG_RIP];
	u->uc_mcontext.gregs[REG_RAX] = 4711;
	hits++;
}

static void handle(void) {
	struct sigaction a = {.sa_sigaction = answers, .sa_flags = SA_SIGINFO};
	CHECK(sigaction(SIGSYS, &a, NULL) == 0);
}

static void what_is_refused(void) {
	char *s = (char *)&selector;
	FAILS(SET(OFF, 0, 0, s), EINVAL);
	FAILS(SET(OFF, 0, 1, 0), EINVAL);
	FAILS(SET(OFF, 1, 0, 0), EINVAL);
	FAILS(SET(3, 0, 0, 0), EINVAL);
	FAILS(SET(EXCLUSIVE, 10, 0, s), EINVAL);
	FAILS(SET(EXCLUSIVE, 10, -10L, s), EINVAL);
	FAILS(SET(EXCLUSIVE, 10, 0, -4096L), EINVAL);
	FAILS(SET(EXCLUSIVE, 0, 10, -4096L), EFAULT);
	FAILS(SET(EXCLUSIVE, 0, 10, (1L << 47) - 1), EFAULT);
	FAILS(SET(EXCLUSIVE, 0, 10, 1L << 47), EFAULT);
	CHECK(SET(OFF, 0, 0, 0) == 0);
	CHECK(SET(EXCLUSIVE, 10, -11L, s) == 0 && SET(EXCLUSIVE, 0, 0, s) == 0);
	CHECK(SET(OFF, 0, 0, 0) == 0);
}

static void calls_come_to_the_handler(void) {
	handle();
	CHECK(SET(EXCLUSIVE, 0, 0, &selector) == 0);
	CHECK(one(SYS_getpid, 0, 0) == getpid() && hits == 0);
	selector = BLOCK;
	CHECK(one(SYS_getpid, 0, 0) == 4711);
	CHECK(hits == 1 && last.si_code == USER_DISPATCH && last.si_errno == 0 && last.si_signo == SIGSYS);
	CHECK(last.si_syscall == SYS_getpid && last.si_call_addr == one_end && last.si_arch == AUDIT_ARCH_X86_64);
	CHECK(last_rax == SYS_getpid && last_rip == (long)one_end);
	selector = BLOCK;
	CHECK(one(99999, 0, 0) == 4711 && last.si_syscall == 99999 && hits == 2);
	CHECK(SET(OFF, 0, 0, 0) == 0);
	selector = BLOCK;
	CHECK(one(SYS_getpid, 0, 0) == getpid() && hits == 2);
}

static void some_text_is_free_to_call(void) {
	handle();
	CHECK(SET(EXCLUSIVE, one, one_end - (char *)one + 1, &selector) == 0);
	selector = BLOCK;
	long a = one(SYS_getppid, 0, 0), b = two(SYS_getppid, 0, 0);
	CHECK(a == getppid() && b == 4711 && hits == 1);
	CHECK(SET(EXCLUSIVE, one, one_end - (char *)one, &selector) == 0); // its end is what follows the call
	selector = BLOCK;
	CHECK(one(SYS_getppid, 0, 0) == 4711 && hits == 2);
}

static void or_some_text_is_not(void) {
	handle();
	if (SET(INCLUSIVE, one, one_end - (char *)one + 1, 0) == -1 && errno == EINVAL)
		return; // an older Linux
	long a = one(SYS_getpid, 0, 0);
	CHECK(a == 4711 && hits == 1 && two(SYS_getpid, 0, 0) == getpid());
	FAILS(SET(INCLUSIVE, 0, 0, 0), EINVAL);
	FAILS(SET(INCLUSIVE, 5, -1L, 0), EINVAL);
}

// What a call site has done often before makes no difference.
static void calls_made_often_are_no_exception(void) {
	int fd[2];
	char b;
	CHECK(pipe2(fd, O_NONBLOCK) == 0);
	for (int i = 0; i < 1000; i++)
		CHECK(one(SYS_getuid, 0, 0) == getuid() && two(SYS_close, 1000, 0) == -EBADF && getpid() > 0);
	handle();
	CHECK(SET(EXCLUSIVE, 0, 0, &selector) == 0);
	for (int i = 0; i < 1000; i++) {
		selector = BLOCK;
		long x = one(SYS_getuid, 0, 0);
		selector = BLOCK;
		long y = two(SYS_close, 1000, 0);
		selector = BLOCK;
		long z = getpid(), w = read(fd[0], &b, 1);
		CHECK(x == 4711 && y == 4711 && z == 4711 && w == -1 && last_rip != (long)two_end);
	}
	CHECK(hits == 3000);
}

static int ends(void f(void)) {
	int st;
	pid_t p = fork();
	if (p == 0) {
		f();
		one(SYS_exit_group, 0, 0);
	}
	CHECK(waitpid(p, &st, 0) == p);
	return st & 0x7f;
}

static void unreadable(void) { SET(EXCLUSIVE, 0, 0, 8), one(SYS_getpid, 0, 0); }
static void unknown(void) { SET(EXCLUSIVE, 0, 0, &selector), selector = 2, one(SYS_getpid, 0, 0); }
static void unhandled(void) { signal(SIGSYS, SIG_DFL), SET(EXCLUSIVE, 0, 0, 0), one(SYS_getpid, 0, 0); }
static void ignored(void) { signal(SIGSYS, SIG_IGN), SET(EXCLUSIVE, 0, 0, 0), one(SYS_getpid, 0, 0); }

static void what_can_t_be_dispatched_ends_the_process(void) {
	handle();
	signal(SIGSEGV, _exit);
	CHECK(ends(unreadable) == SIGSEGV);
	CHECK(ends(unknown) == SIGSYS && hits == 0);
	CHECK(ends(unhandled) == SIGSYS);
	CHECK(ends(ignored) == SIGSYS);
}

static void *calls(void *fd) {
	char b;
	CHECK(read(*(int *)fd, &b, 1) == 1);
	return (void *)one(SYS_getppid, 0, 0);
}

static void others_begin_without(void) {
	void *r;
	pthread_t th;
	int st, fd[2];
	handle();
	CHECK(pipe(fd) == 0 && SET(EXCLUSIVE, 0, 0, &selector) == 0);
	CHECK(pthread_create(&th, NULL, calls, &fd[0]) == 0);
	pid_t p = fork();
	if (p == 0) {
		selector = BLOCK;
		_exit(one(SYS_getppid, 0, 0) == 4711);
	}
	CHECK(SET(OFF, 0, 0, 0) == 0);
	selector = BLOCK;
	CHECK(write(fd[1], "x", 1) == 1 && pthread_join(th, &r) == 0 && (long)r == getppid());
	CHECK(waitpid(p, &st, 0) == p && st == 0 && hits == 0);
}

static void programs_begin_without(void) {
	handle();
	CHECK(SET(EXCLUSIVE, 0, 0, &selector) == 0);
	CHECK(execl("/proc/self/exe", "user_dispatch", "again", (char *)0) == 0);
}

int main(int argc, char **argv) {
	if (argc > 1)
		_exit(one(SYS_getpid, 0, 0) != getpid());
	APART(what_is_refused());
	APART(calls_come_to_the_handler());
	APART(some_text_is_free_to_call());
	APART(or_some_text_is_not());
	APART(calls_made_often_are_no_exception());
	APART(what_can_t_be_dispatched_ends_the_process());
	APART(others_begin_without());
	APART(programs_begin_without());
	return 0;
}
