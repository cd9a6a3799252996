// sigsuspend(2), sigtimedwait(2), pause(2), and what a signal does to a call that waits.
// covers: rt_sigsuspend rt_sigtimedwait pause alarm setitimer getitimer read nanosleep restart_syscall signalfd signalfd4
#include "check.h"
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>

static volatile int hits;
static void count(int s) { hits++; }

static void in(int us, int restart) {
	struct sigaction sa = {.sa_handler = count, .sa_flags = restart};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {.it_value = {0, us}};
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
}

int main(void) {
	sigset_t set, none;
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	in(5000, 0);
	FAILS(pause(), EINTR);
	CHECK(hits == 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	in(5000, 0);
	FAILS(sigsuspend(&none), EINTR);
	CHECK(hits == 2);
	in(5000, 0);
	siginfo_t si;
	struct timespec ts = {5, 0};
	CHECK(sigtimedwait(&set, &si, &ts) == SIGALRM);
	CHECK(si.si_signo == SIGALRM && hits == 2);
	ts = (struct timespec){0, 1000000};
	FAILS(sigtimedwait(&set, &si, &ts), EAGAIN);
	ts.tv_nsec = -1;
	FAILS(sigtimedwait(&set, &si, &ts), EINVAL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);

	int fd[2];
	char c;
	CHECK(pipe(fd) == 0);
	in(5000, 0);
	FAILS(read(fd[0], &c, 1), EINTR);
	hits = 0;
	pid_t pid = fork();
	if (pid == 0) {
		usleep(50000);
		write(fd[1], "x", 1);
		_exit(0);
	}
	in(10000, SA_RESTART);
	CHECK(read(fd[0], &c, 1) == 1); // restarted after the handler
	CHECK(hits == 1);
	waitpid(pid, NULL, 0);
	in(5000, SA_RESTART);
	struct pollfd p = {.fd = fd[0], .events = POLLIN};
	FAILS(poll(&p, 1, 2000), EINTR); // never restarted
	in(5000, SA_RESTART);
	struct timespec rem, long_ = {2, 0};
	FAILS(nanosleep(&long_, &rem), EINTR);
	CHECK(rem.tv_sec == 1 && rem.tv_nsec > 900000000);

	// A stop without a handler in between does not shorten a sleep.
	pid = fork();
	if (pid == 0) {
		struct timespec d = {0, 60000000}, a, b;
		clock_gettime(CLOCK_MONOTONIC, &a);
		int r = nanosleep(&d, NULL);
		clock_gettime(CLOCK_MONOTONIC, &b);
		_exit(r != 0 || (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < 60000000);
	}
	asleep(pid);
	kill(pid, SIGSTOP);
	int st;
	CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st));
	kill(pid, SIGCONT);
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);

	struct itimerval it = {.it_value = {10, 0}, .it_interval = {3, 0}}, got;
	CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
	CHECK(getitimer(ITIMER_VIRTUAL, &got) == 0 && got.it_interval.tv_sec == 3 && got.it_value.tv_sec >= 9);
	FAILS(setitimer(9, &it, NULL), EINVAL);
	FAILS(getitimer(9, &got), EINVAL);
	it.it_value.tv_usec = 1000000;
	FAILS(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	CHECK(alarm(100) == 0);
	CHECK(alarm(0) == 100);

	sigprocmask(SIG_BLOCK, &set, NULL);
	int sfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(sfd >= 0);
	struct signalfd_siginfo ssi;
	FAILS(read(sfd, &ssi, sizeof ssi), EAGAIN);
	raise(SIGALRM);
	p = (struct pollfd){.fd = sfd, .events = POLLIN};
	CHECK(poll(&p, 1, 1000) == 1);
	CHECK(read(sfd, &ssi, sizeof ssi) == sizeof ssi && ssi.ssi_signo == SIGALRM && ssi.ssi_pid == getpid());
	FAILS(signalfd(-1, &set, 1), EINVAL);
	FAILS(signalfd(fd[0], &set, 0), EINVAL);
	unsigned long mask = 0;
	int old = syscall(SYS_signalfd, -1, &mask, 8);
	CHECK(old >= 0);
	FAILS(syscall(SYS_signalfd, -1, &mask, 4), EINVAL);
	return 0;
}
