# Compile and run a C program with threads and signals.
cd "$(mktemp -d)"
cat >p.c <<'EOF'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t bar;
static long count;
static int turn;
static __thread int tls = 7;
static sigjmp_buf jb;
static volatile sig_atomic_t hits, value;

static void *adder(void *a) {
	pthread_barrier_wait(&bar);
	for (int i = 0; i < 20000; i++) { pthread_mutex_lock(&mu); count++; pthread_mutex_unlock(&mu); }
	tls += (int)(long)a;
	return (void *)(long)tls;
}
static void *pingpong(void *a) {
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mu);
		while (turn != (int)(long)a) pthread_cond_wait(&cv, &mu);
		turn = !turn;
		pthread_cond_broadcast(&cv);
		pthread_mutex_unlock(&mu);
	}
	return NULL;
}
static void onsegv(int s, siginfo_t *si, void *u) { value = si->si_code; siglongjmp(jb, 1); }
static void onrt(int s, siginfo_t *si, void *u) { hits++; value = si->si_value.sival_int; }
static void onalt(int s) { char c; stack_t ss; sigaltstack(NULL, &ss); hits = (ss.ss_flags & SS_ONSTACK) != 0 && &c >= (char *)ss.ss_sp; }
static void *sleeper(void *a) { for (;;) pause(); }

int main(void) {
	pthread_t t[8]; void *r; long sum = 0;
	pthread_barrier_init(&bar, NULL, 8);
	for (long i = 0; i < 8; i++) pthread_create(&t[i], NULL, adder, (void *)i);
	for (int i = 0; i < 8; i++) { pthread_join(t[i], &r); sum += (long)r; }
	printf("count %ld tls %ld\n", count, sum);
	pthread_create(&t[0], NULL, pingpong, (void *)0);
	pthread_create(&t[1], NULL, pingpong, (void *)1);
	pthread_join(t[0], NULL); pthread_join(t[1], NULL);
	printf("ping pong done %d\n", turn);
	pthread_create(&t[0], NULL, sleeper, NULL);
	pthread_cancel(t[0]); pthread_join(t[0], &r);
	printf("cancelled %d\n", r == PTHREAD_CANCELED);

	struct sigaction sa = {.sa_sigaction = onsegv, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL); sigaction(SIGBUS, &sa, NULL);
	if (sigsetjmp(jb, 1) == 0) *(volatile int *)8 = 1;
	printf("segv code %d\n", value);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sigsetjmp(jb, 1) == 0) *ro = 1;
	printf("segv code %d\n", value);
	mprotect(ro, 4096, PROT_READ | PROT_WRITE); *ro = 5; printf("now %d\n", *ro);

	struct sigaction rt = {.sa_sigaction = onrt, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGRTMIN + 3, &rt, NULL);
	sigset_t set, old; sigemptyset(&set); sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 1; i <= 5; i++) sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("queued %d last %d\n", hits, value);
	stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536}; sigaltstack(&ss, NULL);
	struct sigaction alt = {.sa_handler = onalt, .sa_flags = SA_ONSTACK}; sigaction(SIGUSR1, &alt, NULL);
	hits = 0; raise(SIGUSR1); printf("altstack %d\n", hits);

	int fd[2]; pipe(fd);
	pid_t pid = fork();
	if (pid == 0) { close(fd[0]); write(fd[1], "from child", 10); abort(); }
	close(fd[1]);
	char buf[32] = {0}; int st; read(fd[0], buf, sizeof buf); waitpid(pid, &st, 0);
	printf("%s, signal %d\n", buf, WTERMSIG(st));
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), priv = 1;
	if (fork() == 0) { *shared = 99; priv = 2; _exit(priv); }
	wait(&st); printf("shared %d private %d exit %d\n", *shared, priv, WEXITSTATUS(st));
	struct timespec ts = {0, 5000000}; printf("nanosleep %d\n", nanosleep(&ts, NULL));
	double d = 0; for (int i = 1; i < 1000; i++) d += 1.0 / i; printf("%.10f\n", d);
	signal(SIGPIPE, SIG_IGN); pipe(fd); close(fd[0]); printf("epipe %d\n", write(fd[1], "x", 1) < 0 && errno == EPIPE);
	signal(SIGSEGV, SIG_DFL); fflush(stdout); *(volatile int *)0 = 0;
}
EOF
exec 2>&1
gcc -O1 -Wno-unused-result -pthread -o p p.c
(./p; echo "gave $?") 2>/dev/null

gcc -static -O2 -Wno-unused-result -pthread -o ps p.c
(./ps | md5sum) 2>/dev/null
gcc -c nosuch.c 2>&1 | head -n 1
