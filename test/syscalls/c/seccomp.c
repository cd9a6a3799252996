// seccomp(2) and prctl(2): what may be installed by whom, what each action does,
// which of several filters counts, and what is inherited.
// covers: seccomp prctl
#include "seccomp.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile siginfo_t got;
static volatile long got_rax, got_rip, hits;

static void sigsys(int s, siginfo_t *si, void *u) {
	ucontext_t *uc = u;
	*(siginfo_t *)&got = *si;
	got_rax = uc->uc_mcontext.gregs[REG_RAX];
	got_rip = uc->uc_mcontext.gregs[REG_RIP];
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
	hits++;
}

static void nobody(void) { CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0); }

static void errors(void) {
	struct sock_filter allow = RET(SECCOMP_RET_ALLOW);
	struct sock_fprog ok = {1, &allow}, none = {0, &allow}, null = {1, NULL}, bad = {1, (void *)8}, many = {4097, &allow};
	FAILS(seccomp(99, 0, NULL), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_STRICT, 0, &ok), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 1 << 6, &ok), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER, &ok), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &ok), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL), EFAULT);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &none), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &null), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &bad), EFAULT);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &many), EINVAL);
	FAILS(prctl(PR_SET_SECCOMP, 0, NULL), EINVAL);
	FAILS(prctl(PR_SET_SECCOMP, 3, &ok), EINVAL);
	FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL), EFAULT);

	unsigned known[] = {0x80000000, 0, 0x30000, 0x50000, 0x7fc00000, 0x7ff00000, 0x7ffc0000, 0x7fff0000};
	for (int i = 0; i < 8; i++) CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &known[i]) == 0);
	unsigned strange = 0x7ffe0000;
	FAILS(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &strange), EOPNOTSUPP);
	FAILS(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &strange), EINVAL);
	FAILS(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
	struct seccomp_notif_sizes sizes;
	CHECK(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0);
	CHECK(sizes.seccomp_notif == 80 && sizes.seccomp_notif_resp == 24 && sizes.seccomp_data == 64);
	FAILS(seccomp(SECCOMP_GET_NOTIF_SIZES, 1, &sizes), EINVAL);
	FAILS(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, NULL), EFAULT);

	CHECK(prctl(PR_GET_SECCOMP) == 0 && status_line("Seccomp") == 0 && status_line("Seccomp_filters") == 0);
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	FAILS(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
}

// Who may install: no_new_privs or CAP_SYS_ADMIN.
static void rights(void) {
	IN_CHILD {
		nobody();
		CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
		FAILS(on(SYS_getppid, SECCOMP_RET_ERRNO), EACCES);
		FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, PROG(BPF_STMT(0xff, 0))), EACCES);
		FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &(struct sock_fprog){0, NULL}), EINVAL);
		CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
		CHECK(status_line("NoNewPrivs") == 1);
		CHECK(on(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV) == 0);
		FAILS(syscall(SYS_getppid), EXDEV);
		CHECK(prctl(PR_GET_SECCOMP) == 2 && status_line("Seccomp") == 2 && status_line("Seccomp_filters") == 1);
		FAILS(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL), EINVAL);
		_exit(0);
	}
	CHECK(WELL);
}

// Programs that are none, and what seccomp does not take of the rest.
static void checker(void) {
	static const struct sock_filter bad[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2), BPF_STMT(BPF_ALU | BPF_MOD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_LD | BPF_MEM, 0), BPF_STMT(BPF_ST, 16),
		BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET | BPF_X, 0), BPF_STMT(0xffff, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_CPU),
	};
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct sock_filter f[] = {bad[i], RET(SECCOMP_RET_ALLOW)};
		errno = 0;
		if (seccomp(SECCOMP_SET_MODE_FILTER, 0, &(struct sock_fprog){2, f}) != -1 || errno != EINVAL) {
			fprintf(stderr, "instruction %u is taken (errno %d)\n", i, errno);
			_exit(1);
		}
	}
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, PROG(LOAD(nr))), EINVAL);
	FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 0, PROG(IF(0, 0, 1), BPF_STMT(BPF_ST, 1), BPF_STMT(BPF_LD | BPF_MEM, 1), RET(0))), EINVAL);
	// Every code by itself, in a child: those taken stay.
	IN_CHILD {
		static const unsigned char taken[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24,
			0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84,
			0x87, 0xa4, 0xac};
		for (int code = 0; code < 256; code++) {
			struct sock_filter f[] = {RET(SECCOMP_RET_ALLOW), BPF_STMT(BPF_ST, 0), BPF_STMT(code, code == 0x34), RET(SECCOMP_RET_ALLOW)};
			struct sock_filter m[] = {BPF_STMT(BPF_ST, 0), BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), BPF_STMT(code, code == 0x34), RET(SECCOMP_RET_ALLOW)};
			struct sock_fprog p = {4, code == 0x60 || code == 0x61 ? m : f};
			int r = seccomp(SECCOMP_SET_MODE_FILTER, 0, &p);
			if ((r == 0) != (memchr(taken, code, sizeof taken) != NULL)) {
				fprintf(stderr, "code %#x: %d, errno %d\n", code, r, errno);
				_exit(1);
			}
		}
		_exit(0);
	}
	CHECK(WELL);
	// What a program computes: the result is an errno.
	IN_CHILD {
		CHECK(seccomp(SECCOMP_SET_MODE_FILTER, 0, PROG(
			LOAD(nr), IF(SYS_getpriority, 1, 0), RET(SECCOMP_RET_ALLOW),
			LOAD(args[0]), BPF_STMT(BPF_MISC | BPF_TAX, 0), LOAD(args[1]), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), BPF_STMT(BPF_ST, 7),
			LOAD(args[0]), BPF_STMT(BPF_LDX | BPF_MEM, 7), BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_NEG, 0), BPF_STMT(BPF_ALU | BPF_NEG, 0),
			BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0))) == 0);
		FAILS(syscall(SYS_getpriority, 3, 7), 3 << 2);
		FAILS(syscall(SYS_getpriority, 5, 5 * 33), 5 << 1); // shifts count modulo 32
		syscall(SYS_getpriority, 0, 1);                     // and a division by zero kills
		_exit(0);
	}
	CHECK(DIED_OF(SIGSYS));
}

static void errno_and_order(void) {
	IN_CHILD {
		CHECK(on(SYS_getppid, SECCOMP_RET_ERRNO | 5000) == 0);
		FAILS(syscall(SYS_getppid), 4095);
		CHECK(on(SYS_getppid, SECCOMP_RET_ERRNO | 3) == 0); // of equals, the later one
		FAILS(syscall(SYS_getppid), 3);
		CHECK(on(SYS_getppid, SECCOMP_RET_ERRNO | 0) == 0);
		CHECK(getppid() == 0);
		CHECK(on(SYS_getppid, SECCOMP_RET_LOG) == 0); // the stricter one counts
		CHECK(getppid() == 0);
		CHECK(on(SYS_getppid, SECCOMP_RET_TRACE | 9) == 0);
		CHECK(getppid() == 0);
		CHECK(status_line("Seccomp_filters") == 5);
		CHECK(on(SYS_getuid, SECCOMP_RET_TRACE | 9) == 0); // nobody traces
		FAILS(syscall(SYS_getuid), ENOSYS);
		CHECK(on_flags(SYS_geteuid, SECCOMP_RET_LOG, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW) == 0);
		CHECK(geteuid() == 0);
		CHECK(on(SYS_getegid, SECCOMP_RET_USER_NOTIF) == 0); // nobody listens
		FAILS(syscall(SYS_getegid), ENOSYS);
		// A call that is none, and numbers of more than 32 bits.
		CHECK(on(7777, SECCOMP_RET_ERRNO | EXDEV) == 0);
		FAILS(syscall(7777), EXDEV);
		CHECK(on(-1, SECCOMP_RET_ERRNO | EXDEV) == 0);
		FAILS(syscall(-1), EXDEV);
		CHECK(syscall(0x100000000 | SYS_getppid) == 0 && syscall(0x100000000 | SYS_getgid) == 0);
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PROG(RET(SECCOMP_RET_ALLOW))) == 0);
		_exit(0);
	}
	CHECK(WELL);
	IN_CHILD { // an unknown action kills, whatever the other filter says
		CHECK(on(SYS_getppid, 0x00010000) == 0);
		CHECK(on(SYS_getppid, SECCOMP_RET_ALLOW) == 0);
		getppid();
		_exit(0);
	}
	CHECK(DIED_OF(SIGSYS));
	IN_CHILD { // a limit on all programs together
		static struct sock_filter f[4096];
		for (int i = 0; i < 4096; i++) f[i] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
		struct sock_fprog p = {4096, f};
		int n = 0;
		while (seccomp(SECCOMP_SET_MODE_FILTER, 0, &p) == 0) CHECK(++n < 10);
		CHECK(errno == ENOMEM && n > 0);
		_exit(0);
	}
	CHECK(WELL);
}

// What a filter sees.
static long __attribute__((noinline)) call6(long nr, long a, long b, long c, long d, long e, long f, void **after) {
	register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
	long r;
	asm volatile("syscall\n\tlea 0(%%rip), %%rcx\n\tmov %%rcx, %1" : "=a"(r), "=m"(*after) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	*after = (char *)*after - 7; // the length of lea
	return r;
}

static void data(void) {
	void *after, *wrong;
	IN_CHILD {
		call6(SYS_getppid, 0, 0, 0, 0, 0, 0, &after);
		uint64_t ip = (uintptr_t)after;
		CHECK(seccomp(SECCOMP_SET_MODE_FILTER, 0, PROG(
			LOAD(nr), IF(SYS_getpgrp, 1, 0), RET(SECCOMP_RET_ALLOW),
			LOAD(arch), IF(AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_ERRNO | 1),
			LOAD(args[0]), IF(0x55667788, 1, 0), RET(SECCOMP_RET_ERRNO | 2),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20), IF(0x11223344, 1, 0), RET(SECCOMP_RET_ERRNO | 3),
			LOAD(args[3]), IF(44, 1, 0), RET(SECCOMP_RET_ERRNO | 4),
			LOAD(args[5]), IF(66, 1, 0), RET(SECCOMP_RET_ERRNO | 5),
			LOAD(instruction_pointer), IF((uint32_t)ip, 1, 0), RET(SECCOMP_RET_ERRNO | 6),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12), IF((uint32_t)(ip >> 32), 1, 0), RET(SECCOMP_RET_ERRNO | 7),
			RET(SECCOMP_RET_ERRNO | 100))) == 0);
		for (int i = 0; i < 300; i++) // often: a call may come to be made in another way
			CHECK(call6(SYS_getpgrp, 0x1122334455667788, 0, 0, 44, 0, 66, &wrong) == -100);
		CHECK(call6(SYS_getpgrp, 0x1122334455667788, 0, 0, 44, 0, 65, &wrong) == -5);
		CHECK(syscall(SYS_getpgrp, 0x1122334455667788, 0, 0, 44, 0, 66) == -1 && (errno == 6 || errno == 7));
		_exit(0);
	}
	CHECK(WELL);
}

// A call that was often answered, and often from one place, still meets a filter
// that comes later.
static void answered(void) {
	IN_CHILD {
		pid_t self = getpid();
		for (int i = 0; i < 2000; i++) CHECK(syscall(SYS_getpid) == self && getuid() == 0);
		CHECK(on(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV) == 0);
		for (int i = 0; i < 2000; i++) FAILS(syscall(SYS_getpid), EXDEV);
		for (int i = 0; i < 2000; i++) CHECK(getuid() == 0);
		pid_t p = fork();
		if (p == 0) {
			for (int i = 0; i < 200; i++) FAILS(syscall(SYS_getpid), EXDEV);
			CHECK(getppid() == self);
			_exit(0);
		}
		CHECK(waitpid(p, &status, 0) == p && WELL);
		_exit(0);
	}
	CHECK(WELL);
}

static void trap(void) {
	void *after;
	struct sigaction sa = {.sa_sigaction = sigsys, .sa_flags = SA_SIGINFO};
	IN_CHILD {
		CHECK(sigaction(SIGSYS, &sa, NULL) == 0);
		CHECK(on(SYS_getpgrp, SECCOMP_RET_TRAP | 0x1234) == 0);
		CHECK(call6(SYS_getpgrp, 0, 0, 0, 0, 0, 0, &after) == 4711);
		CHECK(hits == 1 && got.si_signo == SIGSYS && got.si_code == 1 && got.si_errno == 0x1234);
		CHECK(got.si_call_addr == after && got.si_syscall == SYS_getpgrp && got.si_arch == AUDIT_ARCH_X86_64);
		CHECK(got_rax == SYS_getpgrp && got_rip == (long)after);
		for (int i = 0; i < 300; i++) CHECK(call6(SYS_getpgrp, 0, 0, 0, 0, 0, 0, &after) == 4711);
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGSYS);
		sigprocmask(SIG_BLOCK, &set, NULL); // it can't be put off
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK(DIED_OF(SIGSYS));
	IN_CHILD {
		signal(SIGSYS, SIG_IGN);
		CHECK(on(SYS_getpgrp, SECCOMP_RET_TRAP) == 0);
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK(DIED_OF(SIGSYS));
	IN_CHILD { // nothing catches what kills
		CHECK(sigaction(SIGSYS, &sa, NULL) == 0);
		CHECK(on(SYS_getpgrp, SECCOMP_RET_KILL_PROCESS) == 0);
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK(DIED_OF(SIGSYS));
	IN_CHILD { // the last thread takes the process along
		CHECK(sigaction(SIGSYS, &sa, NULL) == 0);
		CHECK(on(SYS_getpgrp, SECCOMP_RET_KILL_THREAD) == 0);
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK(DIED_OF(SIGSYS));
}

static void strict(void) {
	int fds[2];
	CHECK(pipe(fds) == 0);
	IN_CHILD {
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 1234) == 0);
		char c;
		write(fds[1], "x", 1);
		read(fds[0], &c, 1);
		syscall(SYS_exit, 7);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	IN_CHILD {
		CHECK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
		syscall(SYS_getppid);
		syscall(SYS_exit, 7);
	}
	CHECK(DIED_OF(SIGKILL));
	IN_CHILD {
		for (int i = 0; i < 500; i++) syscall(SYS_getpid);
		CHECK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
		syscall(SYS_getpid);
		syscall(SYS_exit, 7);
	}
	CHECK(DIED_OF(SIGKILL));
}

static int inherited(void *arg) {
	// The first thing it does is filtered.
	long r = syscall(SYS_getpgrp);
	_exit(r == -1 && errno == EXDEV && prctl(PR_GET_SECCOMP) == 2 ? 0 : 1);
}

static void inheritance(char *self) {
	IN_CHILD {
		CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		CHECK(on(SYS_getpgrp, SECCOMP_RET_ERRNO | EXDEV) == 0);
		pid_t p = fork();
		if (p == 0) inherited(NULL);
		CHECK(waitpid(p, &status, 0) == p && WELL);
		p = vfork();
		if (p == 0) _exit(syscall(SYS_getpgrp) == -1 && errno == EXDEV ? 0 : 1);
		CHECK(waitpid(p, &status, 0) == p && WELL);
		static char stack[65536];
		p = clone(inherited, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
		CHECK(waitpid(p, &status, 0) == p && WELL);
		struct { uint64_t w[8]; } args = {{[4] = SIGCHLD}};
		p = syscall(SYS_clone3, &args, sizeof args);
		if (p == 0) inherited(NULL);
		CHECK(p > 0 && waitpid(p, &status, 0) == p && WELL);
		execl(self, self, "inherited", NULL);
		_exit(1);
	}
	CHECK(WELL);
}

// What the vDSO answers is no system call.
static void vdso(void) {
	IN_CHILD {
		struct timespec ts;
		struct timeval tv;
		unsigned cpu;
		CHECK(on(SYS_clock_gettime, SECCOMP_RET_KILL_PROCESS) == 0 && on(SYS_gettimeofday, SECCOMP_RET_KILL_PROCESS) == 0);
		CHECK(on(SYS_time, SECCOMP_RET_KILL_PROCESS) == 0 && on(SYS_getcpu, SECCOMP_RET_KILL_PROCESS) == 0);
		CHECK(clock_gettime(CLOCK_REALTIME, &ts) == 0 && clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
		CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &ts) == 0 && clock_gettime(CLOCK_BOOTTIME, &ts) == 0);
		CHECK(gettimeofday(&tv, NULL) == 0 && time(NULL) > 0 && getcpu(&cpu, NULL) == 0);
		_exit(0);
	}
	CHECK(WELL);
}

// A call by the vsyscall page, where there is one.
static void vsyscall(void) {
	long (*const old_time)(long *) = (void *)0xffffffffff600400;
	IN_CHILD { _exit(old_time(NULL) > 0 ? 0 : 1); }
	if (!WELL) return;
	IN_CHILD {
		CHECK(seccomp(SECCOMP_SET_MODE_FILTER, 0, PROG(
			LOAD(nr), IF(SYS_time, 1, 0), RET(SECCOMP_RET_ALLOW),
			LOAD(instruction_pointer), IF(0xff600400, 1, 0), RET(SECCOMP_RET_ERRNO | 5), RET(SECCOMP_RET_ERRNO | 6))) == 0);
		CHECK(old_time(NULL) == -6);
		CHECK(syscall(SYS_time, NULL) == -1 && errno == 5);
		_exit(0);
	}
	CHECK(WELL);
	IN_CHILD {
		struct sigaction sa = {.sa_sigaction = sigsys, .sa_flags = SA_SIGINFO};
		CHECK(sigaction(SIGSYS, &sa, NULL) == 0);
		CHECK(on(SYS_time, SECCOMP_RET_TRAP) == 0);
		CHECK(old_time(NULL) == 4711);
		CHECK(hits == 1 && got.si_call_addr == (void *)old_time && got_rax == SYS_time);
		_exit(0);
	}
	CHECK(WELL);
}

int main(int argc, char **argv) {
	if (argc > 1) { // a program that inherits
		CHECK(syscall(SYS_getpgrp) == -1 && errno == EXDEV && status_line("Seccomp") == 2 && status_line("NoNewPrivs") == 1);
		_exit(0);
	}
	CASE(errors());
	CASE(rights());
	CASE(checker());
	CASE(errno_and_order());
	CASE(data());
	CASE(answered());
	CASE(trap());
	CASE(strict());
	CASE(inheritance(argv[0]));
	CASE(vdso());
	CASE(vsyscall());
	return 0;
}
