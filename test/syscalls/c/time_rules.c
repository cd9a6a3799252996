// clock_*(2), nanosleep(2), timer_*(2), setitimer(2), alarm(2), times(2).
// covers: clock_gettime clock_getres clock_settime clock_nanosleep nanosleep timer_create timer_settime timer_gettime timer_delete setitimer getitimer alarm times getrusage
#include "child.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

static struct timespec ts, got;
static volatile int hits;
static void hit(int s) { hits++; }

static void on(int sig) {
	struct sigaction a = {.sa_handler = hit};
	CHECK(sigaction(sig, &a, NULL) == 0);
}

static int64_t now(clockid_t c) {
	struct timespec t;
	CHECK(clock_gettime(c, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void spin(int ms) {
	int64_t until = now(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000LL;
	while (now(CLOCK_PROCESS_CPUTIME_ID) < until)
		;
}

static void goes_on(int clock) {
	int64_t a = now(clock);
	spin(1);
	usleep(10000);
	CHECK(now(clock) > a);
}

static void has_a_resolution(int clock) { CHECK(clock_getres(clock, &ts) == 0 && ts.tv_sec == 0 && ts.tv_nsec > 0); }

static void cpu_clocks_stand_still_asleep(void) {
	int64_t a = now(CLOCK_THREAD_CPUTIME_ID), b = now(CLOCK_MONOTONIC);
	usleep(100000);
	CHECK(now(CLOCK_THREAD_CPUTIME_ID) - a < now(CLOCK_MONOTONIC) - b);
}

static void another_process_s_clock_can_be_read(void) {
	clockid_t c;
	pid_t p = pauses();
	CHECK(clock_getcpuclockid(p, &c) == 0 && clock_gettime(c, &ts) == 0 && ts.tv_sec == 0);
	end(p);
	FAILS(syscall(SYS_clock_gettime, c, &ts), EINVAL);
}

static void an_unknown_clock_is_einval(void) {
	FAILS(syscall(SYS_clock_gettime, 77, &ts), EINVAL);
	FAILS(syscall(SYS_clock_getres, 77, &ts), EINVAL);
	FAILS(syscall(SYS_clock_settime, 77, &ts), EINVAL);
	FAILS(syscall(SYS_clock_nanosleep, 77, 0, &ts, NULL), EINVAL);
}

static void resolution_may_go_nowhere(void) { CHECK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL) == 0); }

static void a_clock_to_nowhere_is_efault(void) { FAILS(syscall(SYS_clock_gettime, CLOCK_TAI, 8), EFAULT); }

static void monotonic_can_not_be_set(void) { FAILS(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL); }

static void realtime_is_not_set_without_right(void) {
	ts.tv_sec = 1;
	nobody();
	FAILS(clock_settime(CLOCK_REALTIME, &ts), EPERM);
}

static void nanosleep_lasts(void) {
	int64_t a = now(CLOCK_MONOTONIC);
	ts.tv_nsec = 20000000;
	CHECK(nanosleep(&ts, NULL) == 0 && now(CLOCK_MONOTONIC) - a >= 20000000);
}

static void nanosleep_of_a_billion_is_einval(void) {
	ts.tv_nsec = 1000000000;
	FAILS(nanosleep(&ts, NULL), EINVAL);
	ts = (struct timespec){-1, 0};
	FAILS(nanosleep(&ts, NULL), EINVAL);
}

static void nanosleep_from_nowhere_is_efault(void) { FAILS(syscall(SYS_nanosleep, 8, NULL), EFAULT); }

static void a_signal_leaves_the_rest(void) {
	on(SIGALRM);
	struct itimerval it = {.it_value = {0, 20000}};
	setitimer(ITIMER_REAL, &it, NULL);
	ts.tv_sec = 100;
	FAILS(nanosleep(&ts, &got), EINTR);
	CHECK(hits == 1 && got.tv_sec >= 50 && got.tv_sec < 100);
}

static void an_absolute_sleep_has_no_rest(void) {
	on(SIGALRM);
	struct itimerval it = {.it_value = {0, 20000}};
	setitimer(ITIMER_REAL, &it, NULL);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += 100, got.tv_sec = 4711;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &got) == EINTR && got.tv_sec == 4711);
}

static void a_time_that_has_passed_is_at_once(void) {
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec -= 10;
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == 0);
}

static void sleep_by_the_thread_s_clock_is_eopnotsupp(void) {
	FAILS(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
}

static void alarm_answers_what_was_left(void) { CHECK(alarm(100) == 0 && alarm(50) >= 99 && alarm(0) >= 49 && alarm(0) == 0); }

static void alarm_is_the_real_interval_timer(void) {
	struct itimerval it;
	alarm(100);
	CHECK(getitimer(ITIMER_REAL, &it) == 0 && it.it_value.tv_sec >= 98 && it.it_interval.tv_sec == 0 && it.it_interval.tv_usec == 0);
}

static void fork_does_not_inherit_alarms(void) {
	alarm(100);
	pid_t p = fork();
	if (p == 0) _exit(alarm(0));
	CHECK(ended_well(p));
}

static void an_interval_repeats(void) {
	on(SIGALRM);
	struct itimerval it = {{0, 5000}, {0, 5000}};
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (hits < 3) usleep(1000);
}

static void the_virtual_timer_counts_user_time(void) {
	on(SIGVTALRM);
	struct itimerval it = {.it_value = {0, 10000}};
	CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
	usleep(30000);
	CHECK(hits == 0);
	for (volatile long i = 0; hits == 0; i++)
		;
}

static void the_profiling_timer_counts_both(void) {
	on(SIGPROF);
	struct itimerval it = {.it_value = {0, 10000}};
	CHECK(setitimer(ITIMER_PROF, &it, NULL) == 0);
	usleep(30000);
	CHECK(hits == 0);
	while (hits == 0) getppid();
}

static void setitimer_answers_the_old(void) {
	struct itimerval it = {{3, 0}, {100, 0}}, old;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0 && setitimer(ITIMER_REAL, &it, &old) == 0);
	CHECK(old.it_interval.tv_sec == 3 && old.it_value.tv_sec >= 98);
}

static void setitimer_errors(int which, long sec, long usec, int want) {
	struct itimerval it = {.it_value = {sec, usec}};
	FAILS(syscall(SYS_setitimer, which, &it, NULL), want);
}

static void getitimer_of_an_unknown_is_einval(void) {
	struct itimerval it;
	FAILS(syscall(SYS_getitimer, 3, &it), EINVAL);
	FAILS(syscall(SYS_getitimer, ITIMER_REAL, 8), EFAULT);
}

static timer_t timer(int clock, int notify) {
	timer_t t;
	struct sigevent ev = {.sigev_notify = notify, .sigev_signo = SIGUSR1};
	CHECK(timer_create(clock, &ev, &t) == 0);
	return t;
}

static void a_timer_that_notifies_nobody_counts_down(void) {
	timer_t t = timer(CLOCK_MONOTONIC, SIGEV_NONE);
	struct itimerspec it = {.it_value = {100, 0}}, cur;
	CHECK(timer_settime(t, 0, &it, NULL) == 0 && timer_gettime(t, &cur) == 0 && cur.it_value.tv_sec >= 98);
}

static void an_absolute_timer_fires_at_once_when_late(void) {
	on(SIGUSR1);
	timer_t t = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL);
	struct itimerspec it = {.it_value = {0, 1}};
	CHECK(timer_settime(t, TIMER_ABSTIME, &it, NULL) == 0);
	while (hits == 0) usleep(1000);
}

static void settime_answers_the_old(void) {
	timer_t t = timer(CLOCK_REALTIME, SIGEV_NONE);
	struct itimerspec it = {{2, 0}, {100, 0}}, old;
	CHECK(timer_settime(t, 0, &it, NULL) == 0 && timer_settime(t, 0, &it, &old) == 0);
	CHECK(old.it_interval.tv_sec == 2 && old.it_value.tv_sec >= 98);
}

static void the_default_event_is_sigalrm_of_the_id(void) {
	sigset_t s;
	siginfo_t si;
	sigemptyset(&s), sigaddset(&s, SIGALRM), sigprocmask(SIG_BLOCK, &s, NULL);
	int id = -1;
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) == 0);
	struct itimerspec it = {.it_value = {0, 1000}};
	CHECK(syscall(SYS_timer_settime, id, 0, &it, NULL) == 0);
	CHECK(sigwaitinfo(&s, &si) == SIGALRM && si.si_code == SI_TIMER && si.si_value.sival_int == id && si.si_timerid == id);
}

static void fork_does_not_inherit_timers(void) {
	timer_t t = timer(CLOCK_MONOTONIC, SIGEV_NONE);
	struct itimerspec cur;
	pid_t p = fork();
	if (p == 0) {
		FAILS(timer_gettime(t, &cur), EINVAL);
		_exit(0);
	}
	CHECK(ended_well(p) && timer_gettime(t, &cur) == 0);
}

static void a_deleted_timer_is_einval(void) {
	timer_t t = timer(CLOCK_MONOTONIC, SIGEV_NONE);
	CHECK(timer_delete(t) == 0);
	FAILS(timer_delete(t), EINVAL);
}

static void an_unknown_notification_is_einval(void) {
	struct sigevent ev = {.sigev_notify = 77, .sigev_signo = SIGUSR1};
	int id;
	FAILS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
}

static void times_ticks_are_hundredths(void) {
	struct tms t;
	clock_t a = times(&t);
	usleep(60000);
	clock_t b = times(NULL);
	CHECK(a != (clock_t)-1 && b - a >= 5 && sysconf(_SC_CLK_TCK) == 100);
}

static void rusage_of_nobody_is_einval(void) {
	struct rusage ru;
	FAILS(syscall(SYS_getrusage, 7, &ru), EINVAL);
	FAILS(syscall(SYS_getrusage, RUSAGE_SELF, 8), EFAULT);
}

static void rusage_of_the_thread_grows(void) {
	struct rusage a, b;
	getrusage(RUSAGE_THREAD, &a);
	spin(30);
	getrusage(RUSAGE_THREAD, &b);
	CHECK(timercmp(&b.ru_utime, &a.ru_utime, >) || timercmp(&b.ru_stime, &a.ru_stime, >));
}

int main(void) {
	APART(cpu_clocks_stand_still_asleep());
	APART(another_process_s_clock_can_be_read());
	APART(an_unknown_clock_is_einval());
	APART(resolution_may_go_nowhere());
	APART(a_clock_to_nowhere_is_efault());
	APART(monotonic_can_not_be_set());
	APART(realtime_is_not_set_without_right());
	APART(nanosleep_lasts());
	APART(nanosleep_of_a_billion_is_einval());
	APART(nanosleep_from_nowhere_is_efault());
	APART(a_signal_leaves_the_rest());
	APART(an_absolute_sleep_has_no_rest());
	APART(a_time_that_has_passed_is_at_once());
	APART(sleep_by_the_thread_s_clock_is_eopnotsupp());
	APART(alarm_answers_what_was_left());
	APART(alarm_is_the_real_interval_timer());
	APART(fork_does_not_inherit_alarms());
	APART(an_interval_repeats());
	APART(the_virtual_timer_counts_user_time());
	APART(the_profiling_timer_counts_both());
	APART(setitimer_answers_the_old());
	APART(getitimer_of_an_unknown_is_einval());
	APART(a_timer_that_notifies_nobody_counts_down());
	APART(an_absolute_timer_fires_at_once_when_late());
	APART(settime_answers_the_old());
	APART(the_default_event_is_sigalrm_of_the_id());
	APART(fork_does_not_inherit_timers());
	APART(a_deleted_timer_is_einval());
	APART(an_unknown_notification_is_einval());
	APART(times_ticks_are_hundredths());
	APART(rusage_of_nobody_is_einval());
	APART(rusage_of_the_thread_grows());
	APART(goes_on(CLOCK_REALTIME));
	APART(goes_on(CLOCK_MONOTONIC));
	APART(goes_on(CLOCK_PROCESS_CPUTIME_ID));
	APART(goes_on(CLOCK_THREAD_CPUTIME_ID));
	APART(goes_on(CLOCK_MONOTONIC_RAW));
	APART(goes_on(CLOCK_REALTIME_COARSE));
	APART(goes_on(CLOCK_MONOTONIC_COARSE));
	APART(goes_on(CLOCK_BOOTTIME));
	APART(goes_on(CLOCK_TAI));
	APART(has_a_resolution(CLOCK_REALTIME));
	APART(has_a_resolution(CLOCK_PROCESS_CPUTIME_ID));
	APART(has_a_resolution(CLOCK_MONOTONIC_COARSE));
	APART(setitimer_errors(3, 1, 0, EINVAL));
	APART(setitimer_errors(ITIMER_REAL, -1, 0, EINVAL));
	APART(setitimer_errors(ITIMER_REAL, 0, 1000000, EINVAL));
	return 0;
}
