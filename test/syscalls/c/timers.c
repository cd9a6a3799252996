// POSIX timers: timer_create(2) and what follows.
// covers: timer_create timer_settime timer_gettime timer_getoverrun timer_delete
#include "check.h"
#include <time.h>

static volatile int hits, val, code;
static void h(int s, siginfo_t *si, void *u) { hits++; val = si->si_value.sival_int; code = si->si_code; }

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	ev.sigev_value.sival_int = 77;
	timer_t t;
	CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
	struct itimerspec it = {.it_value = {0, 5000000}, .it_interval = {0, 5000000}}, cur;
	CHECK(timer_settime(t, 0, &it, NULL) == 0);
	while (hits < 3) pause();
	CHECK(val == 77 && code == SI_TIMER);
	CHECK(timer_gettime(t, &cur) == 0 && cur.it_interval.tv_nsec == 5000000);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	struct timespec ts = {0, 40000000};
	nanosleep(&ts, NULL);
	siginfo_t si;
	CHECK(sigwaitinfo(&m, &si) == SIGUSR1 && si.si_overrun >= 3);
	CHECK(timer_getoverrun(t) >= 3);
	it = (struct itimerspec){{0, 0}, {0, 0}};
	CHECK(timer_settime(t, 0, &it, NULL) == 0);
	CHECK(timer_gettime(t, &cur) == 0 && cur.it_value.tv_sec == 0 && cur.it_value.tv_nsec == 0);
	it.it_value.tv_nsec = -1;
	FAILS(timer_settime(t, 0, &it, NULL), EINVAL);
	CHECK(timer_delete(t) == 0);
	FAILS(syscall(SYS_timer_delete, 9999), EINVAL);
	FAILS(syscall(SYS_timer_gettime, 9999, &cur), EINVAL);
	FAILS(syscall(SYS_timer_getoverrun, 9999), EINVAL);
	FAILS(syscall(SYS_timer_create, 99, &ev, &t), EINVAL);
	ev.sigev_signo = 99;
	FAILS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &t), EINVAL);
	return 0;
}
