// vfork(2): the child has its parent's memory and nothing else of its, whoever of the two
// is killed, makes threads, or has children meanwhile.
// covers: vfork clone execve exit exit_group kill wait4 arch_prctl getpid
#include "check.h"
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>

static const char *self;
static atomic_int word;
static atomic_long count;

static char *stack(void) {
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p + 65536;
}

// spawn is vfork(2) of a child on a stack of its own.
static pid_t spawn(int (*f)(void *), void *arg) { return clone(f, stack(), CLONE_VM | CLONE_VFORK | SIGCHLD, arg); }

static int status(pid_t pid) {
	int st = -1;
	CHECK(pid > 0 && waitpid(pid, &st, 0) == pid);
	return st;
}

// many asks often enough for the call to be made another way.
static void many(pid_t me) {
	for (int i = 0; i < 100; i++)
		CHECK(getpid() == me);
}

static double vector(void) {
	double v;
	asm volatile("movsd %%xmm15, %0" : "=m"(v));
	return v;
}

static void setvector(double v) { asm volatile("movsd %0, %%xmm15" : : "m"(v) : "xmm15"); }

static int with_base;

static int registers(void *arg) {
	CHECK(getpid() != *(pid_t *)arg);
	many(getpid());
	if (with_base)
		CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1234000) == 0);
	setvector(2);
	many(getpid());
	return 5;
}

static void own_registers(void) {
	pid_t me = getpid();
	unsigned long gs = 0;
	many(me);
	for (int i = 0; i < 20; i++) {
		if (i == 10) {
			with_base = 1;
			CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x77000) == 0);
		}
		int control = 0x1f80 | 0x2000, now = 0;
		asm volatile("ldmxcsr %0" : : "m"(control));
		setvector(1);
		pid_t p = spawn(registers, &me);
		CHECK(vector() == 1);
		asm volatile("stmxcsr %0" : "=m"(now));
		CHECK((now & 0xffc0) == control);
		many(me);
		CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == (with_base ? 0x77000 : 0));
		CHECK(WEXITSTATUS(status(p)) == 5);
	}
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
}

static int dies(void *sig) {
	word = 1;
	if (sig)
		kill(getpid(), (int)(long)sig);
	else
		*(volatile int *)0 = 0;
	return 0;
}

static int program(void *arg) {
	execl(self, self, arg, NULL);
	return 99;
}

static int fails_first(void *arg) {
	CHECK(execl("/nonexistent", "x", NULL) == -1);
	return program(arg);
}

static int forks(void *arg) {
	pid_t p = fork();
	if (p == 0)
		_exit(3);
	CHECK(WEXITSTATUS(status(p)) == 3);
	return WEXITSTATUS(status(spawn(program, arg)));
}

static int thread(void *arg) {
	while (word != 2)
		sched_yield();
	word = 3;
	syscall(SYS_exit, 0);
	return 0;
}

static int threads(void *arg) {
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	CHECK(clone(thread, stack(), flags, NULL) > 0);
	word = 1;
	syscall(SYS_exit, 6); // the thread goes on
	return 0;
}

// orphan goes on in the memory of a parent that it kills.
static int orphan(void *fd) {
	pid_t parent = getppid();
	kill(parent, SIGKILL);
	while (getppid() == parent)
		usleep(1000);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p[4096] = 'o';
	CHECK(write((int)(long)fd, p + 4096, 1) == 1);
	return program("8");
}

static void parent_killed(void) {
	int fd[2], st;
	char c = 0;
	CHECK(pipe(fd) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid_t p = fork();
	if (p == 0) {
		spawn(orphan, (void *)(long)fd[1]);
		_exit(1);
	}
	CHECK(WTERMSIG(status(p)) == SIGKILL);
	CHECK(read(fd[0], &c, 1) == 1 && c == 'o');
	CHECK(wait(&st) > 0 && WEXITSTATUS(st) == 8);
	close(fd[0]);
	close(fd[1]);
}

// The child in the middle is killed by its own child, which the parent then runs beside.
static int below(void *arg) {
	kill(getppid(), SIGKILL);
	while (word != 1)
		sched_yield();
	word = 2;
	return 4;
}

static int middle(void *arg) {
	spawn(below, NULL);
	return 1;
}

static void middle_killed(void) {
	int st;
	word = 0;
	pid_t p = spawn(middle, NULL);
	CHECK(WTERMSIG(status(p)) == SIGKILL);
	CHECK(word == 0);
	word = 1;
	CHECK(wait(&st) > 0 && WEXITSTATUS(st) == 4 && word == 2);
}

static void alarmed(int sig) { word = 1; }

static int sleeps(void *arg) {
	usleep(30000);
	return word;
}

// A signal for the parent waits for the child.
static void signalled(void) {
	struct itimerval soon = {.it_value = {0, 5000}};
	word = 0;
	signal(SIGALRM, alarmed);
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK(WEXITSTATUS(status(spawn(sleeps, NULL))) == 0);
	CHECK(word == 1);
}

static void *counts(void *arg) {
	while (word != 9) {
		count++;
		getppid();
	}
	return NULL;
}

static void *spawns(void *arg) {
	for (int i = 0; i < 20; i++) {
		CHECK(WEXITSTATUS(status(spawn(program, arg))) == atoi(arg));
		CHECK(WTERMSIG(status(spawn(dies, (void *)SIGKILL))) == SIGKILL);
	}
	return NULL;
}

static void beside_threads(void) {
	pthread_t t[3];
	CHECK(pthread_create(&t[0], NULL, counts, NULL) == 0);
	CHECK(pthread_create(&t[1], NULL, spawns, "41") == 0);
	CHECK(pthread_create(&t[2], NULL, spawns, "42") == 0);
	CHECK(pthread_join(t[1], NULL) == 0 && pthread_join(t[2], NULL) == 0);
	word = 9;
	CHECK(pthread_join(t[0], NULL) == 0 && count > 0);
}

int main(int argc, char **argv) {
	if (argc > 1)
		return atoi(argv[1]);
	self = "/proc/self/exe";
	own_registers();
	for (long sig = 0; sig <= SIGKILL; sig += SIGKILL) {
		word = 0;
		CHECK(WTERMSIG(status(spawn(dies, (void *)sig))) == (sig ? sig : SIGSEGV) && word == 1);
	}
	for (int i = 0; i < 10; i++) {
		CHECK(WEXITSTATUS(status(spawn(program, "7"))) == 7);
		CHECK(WEXITSTATUS(status(spawn(fails_first, "11"))) == 11);
		CHECK(WEXITSTATUS(status(spawn(forks, "12"))) == 12);
	}
	word = 0;
	pid_t p = spawn(threads, NULL);
	CHECK(word == 1);
	word = 2;
	CHECK(WIFEXITED(status(p)) && word == 3);
	parent_killed();
	middle_killed();
	signalled();
	beside_threads();
	return 0;
}
