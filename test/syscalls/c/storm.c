// Signals, threads, forks and timers all at once: what must hold when much happens.
// covers: rt_sigqueueinfo futex clone fork execve wait4 kill setitimer nanosleep clock_gettime
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

static atomic_int hits, reaped, stop;
static pid_t self;

static void count(int s, siginfo_t *i, void *c) { hits++; }
static void reap(int s) {
	int e = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0) reaped++;
	errno = e;
}
static void *spin(void *arg) {
	while (!stop) ;
	return arg;
}
static void *sender(void *arg) {
	union sigval v = {.sival_int = 1};
	for (int i = 0; i < 500; i++)
		while (sigqueue(self, SIGRTMIN + 1, v) < 0) {
			CHECK(errno == EAGAIN);
			sched_yield();
		}
	return arg;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long turn;
static void *player(void *arg) {
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != (long)arg) pthread_cond_wait(&cond, &mutex);
		turn = (turn + 1) % 3;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}
static void *execer(void *arg) {
	usleep(1000);
	execl("/proc/self/exe", "storm", "again", (char *)NULL);
	_exit(99);
}
static void *forker(void *arg) {
	for (int i = 0; i < 10; i++) {
		pid_t p = fork();
		CHECK(p >= 0);
		if (p == 0) {
			usleep(500);
			_exit(i);
		}
		int st;
		CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == i);
	}
	return arg;
}
static void all(int n, void *(*f)(void *)) {
	pthread_t t[8];
	for (long i = 0; i < n; i++) CHECK(pthread_create(&t[i], NULL, f, (void *)i) == 0);
	for (int i = 0; i < n; i++) pthread_join(t[i], NULL);
}
static void handle(int s, int flags) {
	struct sigaction sa = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | flags};
	CHECK(sigaction(s, &sa, NULL) == 0);
	hits = 0;
}

static void queued_signals(void) {
	handle(SIGRTMIN + 1, SA_RESTART);
	pthread_t t;
	CHECK(pthread_create(&t, NULL, spin, NULL) == 0);
	all(3, sender);
	for (int i = 0; i < 5000 && hits < 1500; i++) usleep(1000);
	CHECK(hits == 1500);
	stop = 1;
	pthread_join(t, NULL);
	stop = 0;
}
static void exec_among_threads(void) {
	for (int i = 0; i < 5; i++) {
		pid_t p = fork();
		if (p == 0) {
			pthread_t t;
			for (int j = 0; j < 4; j++) pthread_create(&t, NULL, j == 2 ? execer : spin, NULL);
			for (;;) pause();
		}
		int st;
		CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 42);
	}
}
static void children_by_signal(void) {
	struct sigaction sa = {.sa_handler = reap, .sa_flags = SA_RESTART};
	CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
	for (int i = 0; i < 40; i++) {
		pid_t p = fork();
		CHECK(p >= 0);
		if (p == 0) _exit(0);
	}
	for (int i = 0; i < 5000 && reaped < 40; i++) usleep(1000);
	CHECK(reaped == 40);
	signal(SIGCHLD, SIG_DFL);
}
static void stops(void) {
	pid_t p = fork();
	if (p == 0)
		for (;;) ;
	for (int i = 0; i < 50; i++) {
		int st;
		kill(p, SIGSTOP);
		CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st));
		kill(p, SIGCONT);
		CHECK(waitpid(p, &st, WCONTINUED) == p && WIFCONTINUED(st));
	}
	kill(p, SIGKILL);
	CHECK(waitpid(p, NULL, 0) == p);
}
static void interval(void) {
	handle(SIGALRM, 0);
	struct itimerval it = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	int interrupted = 0;
	for (int i = 0; i < 30; i++) {
		struct timespec ts = {0, 10000000};
		if (nanosleep(&ts, NULL) < 0) {
			CHECK(errno == EINTR);
			interrupted++;
		}
	}
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(interrupted > 5 && hits >= interrupted);
}
static pthread_mutex_t held;
static void *keeper(void *arg) {
	pthread_mutex_lock(&held);
	return arg;
}
static int shared_count;
static void *adder(void *arg) {
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&held);
		shared_count++;
		pthread_mutex_unlock(&held);
	}
	return arg;
}
static void mutexes(void) {
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&held, &a);
	all(1, keeper);
	CHECK(pthread_mutex_lock(&held) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(&held) == 0 && pthread_mutex_unlock(&held) == 0);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&held, &a);
	all(4, adder);
	CHECK(shared_count == 800);
}

int main(int argc, char **argv) {
	if (argc > 1) {
		CHECK(getpid() == syscall(SYS_gettid));
		return 42;
	}
	self = getpid();
	CASE(queued_signals());
	CASE(all(3, player));
	CASE(exec_among_threads());
	CASE(all(3, forker));
	CASE(children_by_signal());
	CASE(stops());
	CASE(interval());
	CASE(mutexes());
	return 0;
}
