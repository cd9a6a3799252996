// sigaction(2), sigprocmask(2), sigpending(2): flags, masks, siginfo.
// covers: rt_sigaction rt_sigprocmask rt_sigpending rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn kill tgkill tkill
#include "check.h"

static volatile int hits, code, val, pid_, nested, depth;

static void info(int s, siginfo_t *si, void *u) {
	hits++;
	code = si->si_code;
	val = si->si_value.sival_int;
	pid_ = si->si_pid;
}
static void nest(int s) {
	static int raised;
	if (++depth == 1 && !(raised++ & 1)) raise(SIGUSR1);
	nested = depth > nested ? depth : nested;
	depth--;
}

int main(void) {
	struct sigaction sa = {.sa_sigaction = info, .sa_flags = SA_SIGINFO}, old;
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0);
	CHECK(old.sa_sigaction == info && (old.sa_flags & SA_SIGINFO));
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(hits == 1 && code == SI_USER && pid_ == getpid());
	CHECK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1) == 0);
	CHECK(hits == 2 && code == SI_TKILL);
	CHECK(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1) == 0);
	CHECK(hits == 3 && code == SI_TKILL);
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 99}) == 0);
	CHECK(hits == 4 && code == SI_QUEUE && val == 99);
	siginfo_t si = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	si.si_value.sival_int = 55;
	CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGUSR1, &si) == 0);
	CHECK(hits == 5 && val == 55);

	sigset_t set, pend, was;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &was) == 0);
	CHECK(!sigismember(&was, SIGUSR1));
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	CHECK(hits == 5);
	CHECK(sigpending(&pend) == 0 && sigismember(&pend, SIGUSR1));
	CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
	CHECK(hits == 6); // a standard signal is pending once
	CHECK(sigpending(&pend) == 0 && !sigismember(&pend, SIGUSR1));

	int rt = SIGRTMIN + 2;
	CHECK(sigaction(rt, &sa, NULL) == 0);
	sigaddset(&set, rt);
	sigprocmask(SIG_BLOCK, &set, NULL);
	hits = 0;
	for (int i = 1; i <= 3; i++) CHECK(sigqueue(getpid(), rt, (union sigval){.sival_int = i}) == 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK(hits == 3 && val == 3); // a real-time signal is queued

	struct sigaction sn = {.sa_handler = nest};
	sigaction(SIGUSR1, &sn, NULL);
	raise(SIGUSR1);
	CHECK(nested == 1); // blocked while its handler runs
	sn.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &sn, NULL);
	nested = 0;
	raise(SIGUSR1);
	CHECK(nested == 2);
	sn.sa_flags = SA_RESETHAND;
	sigaction(SIGUSR2, &sn, NULL);
	raise(SIGUSR2);
	sigaction(SIGUSR2, NULL, &old);
	CHECK(old.sa_handler == SIG_DFL);

	FAILS(sigaction(SIGKILL, &sn, NULL), EINVAL);
	FAILS(syscall(SYS_rt_sigaction, SIGUSR1, &sn, NULL, 4), EINVAL);
	FAILS(syscall(SYS_rt_sigaction, 99, NULL, NULL, 8), EINVAL);
	FAILS(syscall(SYS_rt_sigprocmask, 9, &set, NULL, 8), EINVAL);
	FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
	FAILS(syscall(SYS_rt_sigpending, 8, 8), EFAULT);
	FAILS(kill(getpid(), 99), EINVAL);
	FAILS(kill(1 << 22, 0), ESRCH);
	CHECK(kill(getpid(), 0) == 0);
	FAILS(syscall(SYS_tgkill, getpid(), 1 << 22, 0), ESRCH);
	FAILS(syscall(SYS_tgkill, -1, 1, 0), EINVAL);
	FAILS(syscall(SYS_tkill, 0, 0), EINVAL);
	si.si_code = SI_USER;
	FAILS(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &si), EPERM);
	sigfillset(&set);
	CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	CHECK(sigprocmask(SIG_SETMASK, NULL, &was) == 0);
	CHECK(!sigismember(&was, SIGKILL) && !sigismember(&was, SIGSTOP));
	return 0;
}
