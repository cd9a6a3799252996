// Restartable sequences: registered as <linux/rseq.h> says, inherited and lost as threads and
// programs are, and sections that nobody else's on the same processor come between.
// covers: rseq membarrier
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/time.h>

#define SIG 0x53053053 // RSEQ_SIG

struct area {
	uint32_t cpu_start, cpu;
	uint64_t cs;
	uint32_t flags, node, mm_cid;
	uint32_t rest;
};

struct section {
	uint32_t version, flags;
	uint64_t start, length, abort;
} __attribute__((aligned(32)));

static char own[256] __attribute__((aligned(64)));

static long reg(void *at, uint32_t size, int flags, uint32_t sig) { return syscall(SYS_rseq, at, size, flags, sig); }

// libc's is the area that libc has registered for this thread.
static volatile struct area *libc(void) { return (void *)((char *)__builtin_thread_pointer() + __rseq_offset); }

// alone unregisters libc's.
static void alone(void) { CHECK(reg((void *)libc(), 32, 1, SIG) == 0); }

static void rules(void) {
	struct area *a = (void *)own;
	CHECK(getauxval(AT_RSEQ_FEATURE_SIZE) >= 28 && getauxval(AT_RSEQ_ALIGN) == 32);
	FAILS(reg((void *)libc(), 32, 0, SIG), EBUSY);
	alone();
	FAILS(reg((void *)libc(), 32, 1, SIG), EINVAL);
	FAILS(reg(own, 31, 0, 1), EINVAL);
	FAILS(reg(own, 28, 0, 1), EINVAL);
	FAILS(reg(own, 32, 2, 1), EINVAL);
	FAILS(reg(own, 32, 1, 1), EINVAL);
	FAILS(reg(own + 8, 32, 0, 1), EINVAL);
	FAILS(reg(own + 16, 48, 0, 1), EINVAL);
	FAILS(reg(NULL, 32, 0, 1), EFAULT);
	FAILS(reg(NULL, 0, 1, 0), EINVAL);
	FAILS(reg((void *)0x7ffffffff000, 32, 0, 1), EFAULT);
	FAILS(reg((void *)-32, 32, 0, 1), EFAULT);
	memset(own, 0xee, 64);
	CHECK(reg(own, 33, 0, 1) == 0 && reg(own, 33, 1, 1) == 0);

	memset(own, 0xee, 64);
	CHECK(reg(own, 32, 0, 1) == 0);
	CHECK(a->cpu < 8192 && a->cpu_start == a->cpu && a->cs == 0 && a->flags == 0xeeeeeeee && a->node < 1024);
	CHECK(a->mm_cid < sysconf(_SC_NPROCESSORS_CONF) && a->rest == 0xeeeeeeee);
	FAILS(reg(own, 32, 0, 1), EBUSY);
	FAILS(reg(own, 32, 0, 2), EPERM);
	FAILS(reg(own, 33, 0, 1), EINVAL);
	FAILS(reg(own + 32, 32, 0, 1), EINVAL);
	FAILS(reg(own, 32, 1, 2), EPERM);
	FAILS(reg(own, 33, 1, 1), EINVAL);
	FAILS(reg(own + 32, 32, 1, 1), EINVAL);
	FAILS(reg(own, 32, 3, 1), EINVAL);
	FAILS(reg(own, 32, 2, 1), EINVAL);
	memset(own, 0xee, 64);
	CHECK(reg(own, 32, 1, 1) == 0);
	CHECK(a->cpu == (uint32_t)-1 && a->cpu_start == 0 && a->cs == 0xeeeeeeeeeeeeeeee && a->node == 0 && a->mm_cid == 0);
	CHECK(reg(own, 64, 0, 1) == 0);
	FAILS(reg(own, 32, 1, 1), EINVAL);
	CHECK(reg(own, 64, 1, 1) == 0);
}

// dies_of returns the signal that ended the child, 0 if none did.
static int dies_of(pid_t child) {
	int status = -1;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// What can't be written can be registered, but is of no use for long.
static void unwritable(void) {
	alone();
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t p = fork();
	if (p == 0) {
		reg(page, 32, 0, SIG);
		_exit(0);
	}
	CHECK(dies_of(p) == SIGSEGV);
}

static void inherited(void) {
	volatile struct area *a = libc();
	pid_t p = fork();
	if (p == 0) {
		FAILS(reg((void *)a, 32, 0, SIG), EBUSY);
		CHECK(a->cpu == a->cpu_start && a->cpu < 8192);
		CHECK(reg((void *)a, 32, 1, SIG) == 0);
		_exit(0);
	}
	CHECK(ended_well(p));
	FAILS(reg((void *)a, 32, 0, SIG), EBUSY); // the child's doing was its own
	p = vfork();
	if (p == 0)
		_exit(reg((void *)a, 32, 1, SIG) == 0 || errno != EINVAL || reg(own, 32, 0, 1) != 0);
	CHECK(ended_well(p));
	FAILS(reg((void *)a, 32, 0, SIG), EBUSY);
	alone();
	CHECK(reg(own, 32, 0, 1) == 0); // which went with the other program
	p = fork();
	if (p == 0) {
		char *argv[] = {"rseq", "exec", NULL}, *env[] = {"GLIBC_TUNABLES=glibc.pthread.rseq=0", NULL};
		execve("/proc/self/exe", argv, env);
		_exit(9);
	}
	CHECK(ended_well(p));
}

static void *thread_has_own(void *main_area) {
	volatile struct area *a = libc();
	CHECK(a != main_area && a->cpu < 8192 && a->cpu_start == a->cpu);
	FAILS(reg((void *)a, 32, 0, SIG), EBUSY);
	FAILS(reg(main_area, 32, 0, SIG), EINVAL);
	CHECK(reg((void *)a, 32, 1, SIG) == 0 && reg(own, 32, 0, 1) == 0 && reg(own, 32, 1, 1) == 0);
	return NULL;
}

static void threads(void) {
	pthread_t t;
	CHECK(pthread_create(&t, NULL, thread_has_own, (void *)libc()) == 0 && pthread_join(t, NULL) == 0);
	FAILS(reg((void *)libc(), 32, 0, SIG), EBUSY);
}

// on goes to one processor after the other: the area says so, and so do the calls.
static void *on(void *arg) {
	volatile struct area *a = libc();
	cpu_set_t all, one;
	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int round = 0; round < 20; round++)
		for (unsigned i = 0; i < CPU_SETSIZE; i++) {
			unsigned got = -1;
			if (!CPU_ISSET(i, &all))
				continue;
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
			CHECK(a->cpu == i && a->cpu_start == i && sched_getcpu() == (int)i);
			CHECK(syscall(SYS_getcpu, &got, NULL, NULL) == 0 && got == i);
			CHECK(a->mm_cid < sysconf(_SC_NPROCESSORS_CONF));
		}
	CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
	return arg;
}

static void processors(void) {
	pthread_t t[4];
	on(NULL);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, on, NULL) == 0);
	on(NULL);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

// Another's affinity is changed by who may, and its area follows while it computes.
static volatile int asked, want = -1;
static void *follows(void *arg) {
	volatile struct area *a = libc();
	asked = syscall(SYS_gettid);
	while (want < 0)
		;
	while (a->cpu != (uint32_t)want)
		;
	return arg;
}

static void moved_by_another(void) {
	cpu_set_t all, one;
	pthread_t t;
	CHECK(pthread_create(&t, NULL, follows, NULL) == 0);
	while (asked == 0)
		usleep(1000);
	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all)) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			CHECK(sched_setaffinity(asked, sizeof one, &one) == 0);
			want = i;
		}
	CHECK(pthread_join(t, NULL) == 0);
}

// add adds 1 to *counter, slowly, in a section on cpu: 0 if that was not to be.
static int add(volatile struct area *a, volatile long *counter, uint32_t cpu) {
	__asm__ goto(".pushsection __rseq_cs, \"aw\"\n"
		     ".balign 32\n"
		     "3: .long 0, 0\n"
		     ".quad 1f, 2f-1f, 4f\n"
		     ".popsection\n"
		     "leaq 3b(%%rip), %%rax\n"
		     "movq %%rax, %[cs]\n"
		     "1: cmpl %[cpu], %[now]\n"
		     "jnz %l[again]\n"
		     "movq (%[counter]), %%rax\n"
		     "movl $300, %%ecx\n"
		     "5: decl %%ecx\n"
		     "jnz 5b\n"
		     "incq %%rax\n"
		     "movq %%rax, (%[counter])\n"
		     "2:\n"
		     ".pushsection __rseq_failure, \"ax\"\n"
		     ".byte 0x0f, 0xb9, 0x3d\n"
		     ".long 0x53053053\n"
		     "4: jmp %l[again]\n"
		     ".popsection\n"
		     :
		     : [cs] "m"(a->cs), [cpu] "r"(cpu), [now] "m"(a->cpu), [counter] "r"(counter)
		     : "rax", "rcx", "cc", "memory"
		     : again);
	return 1;
again:
	return 0;
}

// forever never leaves its section but by its abort.
static void forever(volatile struct area *a) {
	__asm__ goto(".pushsection __rseq_cs, \"aw\"\n"
		     ".balign 32\n"
		     "3: .long 0, 0\n"
		     ".quad 1f, 2f-1f, 4f\n"
		     ".popsection\n"
		     "leaq 3b(%%rip), %%rax\n"
		     "movq %%rax, %[cs]\n"
		     "1: jmp 1b\n"
		     "nop\n"
		     "2: ud2\n"
		     ".pushsection __rseq_failure, \"ax\"\n"
		     ".byte 0x0f, 0xb9, 0x3d\n"
		     ".long 0x53053053\n"
		     "4: jmp %l[out]\n"
		     ".popsection\n"
		     :
		     : [cs] "m"(a->cs)
		     : "rax", "memory"
		     : out);
out:
	return;
}

enum { ADDERS = 12, ADDS = 40000 };
static struct {
	volatile long n;
	char pad[56];
} counters[CPU_SETSIZE];

static void *adder(void *arg) {
	volatile struct area *a = libc();
	for (int i = 0; i < ADDS;) {
		uint32_t cpu = *(volatile uint32_t *)&a->cpu_start;
		i += add(a, &counters[cpu].n, cpu);
		if (arg && i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

// The sum of what threads add to a processor's counter without locks is exact.
static void exact(void) {
	pthread_t t[ADDERS];
	long sum = 0;
	for (long i = 0; i < ADDERS; i++)
		CHECK(pthread_create(&t[i], NULL, adder, (void *)(i % 3)) == 0);
	for (int i = 0; i < ADDERS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		sum += counters[i].n;
	if (sum != (long)ADDERS * ADDS)
		fprintf(stderr, "%ld of %ld\n", sum, (long)ADDERS * ADDS);
	CHECK(sum == (long)ADDERS * ADDS);
}

// The same with signals that come in sections.
static volatile int alarms;
static void count(int sig) { alarms++; }

static void exact_with_signals(void) {
	struct itimerval often = {{0, 500}, {0, 500}}, never = {0};
	signal(SIGALRM, count);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	exact();
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0 && alarms > 0);
}

// A handler that comes in a section returns to its abort, and finds none to be in.
static volatile uint64_t seen_cs, seen_ip;
static void look(int sig, siginfo_t *info, void *u) {
	seen_cs = libc()->cs;
	seen_ip = ((ucontext_t *)u)->uc_mcontext.gregs[16]; // REG_RIP
}

static void aborted(void) {
	struct itimerval soon = {{0, 0}, {0, 20000}};
	struct sigaction sa = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		seen_cs = -1;
		seen_ip = 0;
		CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
		forever(libc());
		CHECK(libc()->cs == 0);
		if (seen_ip == 0) // another thread had the processor first
			pause();
		CHECK(seen_cs == 0 && seen_ip != 0);
	}
	// What is left of a section that is over is cleared, and that is all.
	volatile long n = 0;
	while (!add(libc(), &n, libc()->cpu))
		;
	raise(SIGALRM);
	CHECK(libc()->cs == 0 && n == 1);
}

// spins is ended by what is wrong with s when a signal comes, if not before.
static int spins(struct section *s) {
	pid_t p = fork();
	if (p == 0) {
		struct itimerval often = {{0, 10000}, {0, 10000}};
		signal(SIGALRM, count);
		CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
		while (alarms < 3) {
			if (libc()->cs != (uintptr_t)s)
				libc()->cs = (uintptr_t)s;
		}
		_exit(0);
	}
	return dies_of(p);
}

static uint32_t good[2] = {SIG}, bad[2] = {SIG + 1};

static void nonsense(void) {
	uint64_t text = (uintptr_t)spins;
	struct section s = {0, 0, text, 4096, (uintptr_t)&good[1]};
	struct section elsewhere = {0, 0, (uintptr_t)bad, 4, (uintptr_t)&good[1]};
	CHECK(spins(&elsewhere) == 0); // nobody is there
	s.version = 1;
	CHECK(spins(&s) == SIGSEGV);
	s = (struct section){0, 0, text, 4096, (uintptr_t)&bad[1]};
	CHECK(spins(&s) == SIGSEGV);
	s = (struct section){0, 0, (uintptr_t)good, 8, (uintptr_t)&good[1]};
	CHECK(spins(&s) == SIGSEGV); // would be left for itself
	s = (struct section){0, 0, text, -1, (uintptr_t)&good[1]};
	CHECK(spins(&s) == SIGSEGV);
	s = (struct section){0, 0, text, 4096, 1ul << 63};
	CHECK(spins(&s) == SIGSEGV);
	CHECK(spins((void *)4096) == SIGSEGV);
	CHECK(spins((void *)(1ul << 63)) == SIGSEGV);
}

// What both processes have after fork(2) is written by each for itself.
static void copied(void) {
	pid_t p = fork();
	if (p == 0) {
		on(NULL);
		pthread_t t;
		CHECK(pthread_create(&t, NULL, adder, NULL) == 0);
		adder(NULL);
		CHECK(pthread_join(t, NULL) == 0);
		_exit(0);
	}
	on(NULL);
	adder(NULL);
	CHECK(ended_well(p));
}

enum { GLOBAL = 1, PRIVATE_RSEQ = 128, REGISTER_RSEQ = 256, ON_CPU = 1 };
static volatile int inside, left;
static void *in_section(void *arg) {
	inside = 1;
	forever(libc());
	left = 1;
	return NULL;
}

// A barrier takes threads out of their sections.
static void barriers(void) {
	pthread_t t;
	int all = syscall(SYS_membarrier, 0, 0, 0);
	CHECK((all & (PRIVATE_RSEQ | REGISTER_RSEQ)) == (PRIVATE_RSEQ | REGISTER_RSEQ));
	FAILS(syscall(SYS_membarrier, PRIVATE_RSEQ, 0, 0), EPERM);
	CHECK(syscall(SYS_membarrier, REGISTER_RSEQ, 0, 0) == 0);
	FAILS(syscall(SYS_membarrier, REGISTER_RSEQ, ON_CPU, 0), EINVAL);
	FAILS(syscall(SYS_membarrier, GLOBAL, ON_CPU, 0), EINVAL);
	FAILS(syscall(SYS_membarrier, PRIVATE_RSEQ, 2, 0), EINVAL);
	CHECK(syscall(SYS_membarrier, PRIVATE_RSEQ, ON_CPU, 0) == 0);
	CHECK(pthread_create(&t, NULL, in_section, NULL) == 0);
	while (!inside)
		usleep(1000);
	usleep(5000);
	CHECK(syscall(SYS_membarrier, PRIVATE_RSEQ, 0, 0) == 0);
	CHECK(pthread_join(t, NULL) == 0 && left);
}

// A tracer is told of the registration.
static void traced(void) {
	struct {
		uint64_t at;
		uint32_t size, sig, flags, rest;
	} c;
	int status;
	pid_t p = fork();
	if (p == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		alone();
		raise(SIGSTOP);
		_exit(0);
	}
	CHECK(waitpid(p, &status, 0) == p && WIFSTOPPED(status));
	CHECK(ptrace(0x420f, p, sizeof c, &c) == sizeof c); // PTRACE_GET_RSEQ_CONFIGURATION
	CHECK(c.at == (uintptr_t)libc() && c.size == 32 && c.sig == SIG && c.flags == 0);
	CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0 && waitpid(p, &status, 0) == p && WIFSTOPPED(status));
	CHECK(ptrace(0x420f, p, sizeof c, &c) == sizeof c && c.at == 0 && c.size == 0 && c.sig == 0);
	CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0 && ended_well(p));
}

// A program that another was spawned by goes on with its sections.
static void spawned(void) {
	for (int i = 0; i < 3; i++) {
		CHECK(system("exit 3") != -1);
		volatile long n = 0;
		while (n < 1000)
			add(libc(), &n, libc()->cpu_start);
		CHECK(n == 1000);
	}
	on(NULL);
}

int main(int argc, char **argv) {
	if (argc > 1) {
		CHECK(__rseq_size == 0);
		FAILS(reg(own, 32, 1, 1), EINVAL);
		CHECK(reg(own, 32, 0, 1) == 0);
		_exit(0);
	}
	if (absent("rseq", reg(NULL, 0, 1, 0)))
		return 0;
	CHECK(__rseq_size > 0);
	APART(rules());
	APART(unwritable());
	APART(inherited());
	APART(threads());
	APART(processors());
	APART(moved_by_another());
	APART(exact());
	APART(exact_with_signals());
	APART(aborted());
	APART(nonsense());
	APART(copied());
	APART(barriers());
	APART(traced());
	APART(spawned());
	return 0;
}
