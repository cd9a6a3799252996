// kill(2), tgkill(2), rt_sigqueueinfo(2): who may send what to whom, and what arrives.
// covers: kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal rt_sigtimedwait
#include "child.h"

static siginfo_t si;
static sigset_t set;

static pid_t tid(void) { return syscall(SYS_gettid); }

// unused returns a process id that no process has.
static pid_t unused(void) {
	pid_t p = exits(0);
	CHECK(waitpid(p, NULL, 0) == p);
	return p;
}

static void block(int sig) {
	sigemptyset(&set), sigaddset(&set, sig);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static int take(void) {
	struct timespec ts = {5, 0};
	return syscall(SYS_rt_sigtimedwait, &set, &si, &ts, 8); // the library's changes SI_TKILL
}

static int none(void) {
	struct timespec ts = {0, 0};
	return sigtimedwait(&set, &si, &ts) == -1 && errno == EAGAIN;
}

static void kill_0_finds_a_process(void) { CHECK(kill(getpid(), 0) == 0 && kill(0, 0) == 0); }

static void kill_of_no_process_is_esrch(void) { FAILS(kill(unused(), 0), ESRCH); }

static void kill_of_no_group_is_esrch(void) { FAILS(kill(-unused(), SIGTERM), ESRCH); }

static void kill_65_is_einval(void) { FAILS(syscall(SYS_kill, getpid(), 65), EINVAL); }

static void kill_negative_is_einval(void) { FAILS(syscall(SYS_kill, getpid(), -1), EINVAL); }

static void kill_says_user_pid_uid(void) {
	block(SIGUSR1);
	CHECK(kill(getpid(), SIGUSR1) == 0 && take() == SIGUSR1);
	CHECK(si.si_signo == SIGUSR1 && si.si_errno == 0 && si.si_code == SI_USER && si.si_pid == getpid() && si.si_uid == getuid());
}

static void kill_says_the_sender_s_real_uid(void) {
	block(SIGUSR1);
	pid_t me = getpid(), p = fork();
	if (p == 0) _exit(syscall(SYS_setresuid, 777, 0, 0) || kill(me, SIGUSR1));
	CHECK(take() == SIGUSR1 && si.si_uid == 777 && si.si_pid == p);
}

static void kill_zero_reaches_the_own_group(void) {
	int st;
	CHECK(setpgid(0, 0) == 0);
	pid_t in = pauses(), out = pauses();
	CHECK(setpgid(out, out) == 0);
	signal(SIGUSR1, SIG_IGN);
	CHECK(kill(0, SIGUSR1) == 0);
	CHECK(waitpid(in, &st, 0) == in && WTERMSIG(st) == SIGUSR1 && waitpid(out, &st, WNOHANG) == 0);
	end(out);
}

static void kill_of_a_group_reaches_its_members(void) {
	pid_t a = pauses(), b = pauses(), c = pauses();
	int st;
	CHECK(setpgid(a, a) == 0 && setpgid(b, a) == 0 && kill(-a, SIGTERM) == 0);
	CHECK(waitpid(a, &st, 0) == a && WTERMSIG(st) == SIGTERM && waitpid(b, &st, 0) == b && WTERMSIG(st) == SIGTERM);
	CHECK(waitpid(c, &st, WNOHANG) == 0);
	end(c);
}

static void kill_of_another_user_is_eperm(void) {
	pid_t p = pauses(), q = fork();
	if (q == 0) {
		nobody();
		FAILS(kill(p, SIGTERM), EPERM);
		FAILS(kill(p, 0), EPERM);
		_exit(0);
	}
	int st;
	CHECK(waitpid(q, &st, 0) == q && st == 0);
	end(p);
}

static void kill_of_the_own_user_is_allowed(void) {
	nobody();
	pid_t p = fork();
	if (p == 0)
		for (;;) pause();
	CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, 0) == p);
}

static void sigcont_is_allowed_in_the_session(void) {
	pid_t p = pauses(), q = fork();
	if (q == 0) {
		nobody();
		_exit(kill(p, SIGCONT));
	}
	int st;
	CHECK(waitpid(q, &st, 0) == q && st == 0);
	end(p);
}

static void sigcont_is_eperm_across_sessions(void) {
	pid_t p = pauses(), q = fork();
	if (q == 0) {
		CHECK(setsid() > 0);
		nobody();
		FAILS(kill(p, SIGCONT), EPERM);
		_exit(0);
	}
	int st;
	CHECK(waitpid(q, &st, 0) == q && st == 0);
	end(p);
}

static void the_saved_uid_can_be_killed(void) {
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid_t p = fork();
	if (p == 0) {
		CHECK(syscall(SYS_setresuid, 5, 5, 65534) == 0 && write(fd[1], "x", 1) == 1);
		for (;;) pause();
	}
	char c;
	CHECK(read(fd[0], &c, 1) == 1);
	nobody();
	CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, 0) == p);
}

static void the_effective_uid_can_not_be_killed(void) {
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid_t p = fork();
	if (p == 0) {
		CHECK(syscall(SYS_setresuid, 5, 65534, 5) == 0 && write(fd[1], "x", 1) == 1);
		alarm(20);
		for (;;) pause();
	}
	char c;
	CHECK(read(fd[0], &c, 1) == 1);
	pid_t q = fork();
	if (q == 0) {
		nobody();
		FAILS(kill(p, SIGKILL), EPERM);
		_exit(0);
	}
	int st;
	CHECK(waitpid(q, &st, 0) == q && st == 0 && kill(p, SIGKILL) == 0);
}

static void tkill_zero_is_einval(void) { FAILS(syscall(SYS_tkill, 0, SIGUSR1), EINVAL); }

static void tkill_65_is_einval(void) { FAILS(syscall(SYS_tkill, tid(), 65), EINVAL); }

static void tkill_of_no_thread_is_esrch(void) { FAILS(syscall(SYS_tkill, unused(), 0), ESRCH); }

static void tgkill_of_another_s_thread_is_esrch(void) { FAILS(syscall(SYS_tgkill, getppid(), tid(), 0), ESRCH); }

static void tgkill_of_group_zero_is_einval(void) { FAILS(syscall(SYS_tgkill, 0, tid(), 0), EINVAL); }

static void tgkill_of_thread_zero_is_einval(void) { FAILS(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL); }

static void tgkill_0_finds_a_thread(void) { CHECK(syscall(SYS_tgkill, getpid(), tid(), 0) == 0); }

static void tgkill_says_tkill(void) {
	block(SIGUSR1);
	CHECK(syscall(SYS_tgkill, getpid(), tid(), SIGUSR1) == 0 && take() == SIGUSR1);
	CHECK(si.si_code == SI_TKILL && si.si_pid == getpid() && si.si_uid == getuid());
}

static void queued_info_arrives_whole(void) {
	block(SIGUSR1);
	siginfo_t s = {.si_code = -77, .si_errno = 66};
	s.si_pid = 11, s.si_uid = 22, s.si_value.sival_ptr = (void *)0x1122334455667788;
	CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &s) == 0 && take() == SIGUSR1);
	CHECK(si.si_signo == SIGUSR1 && si.si_code == -77 && si.si_errno == 66 && si.si_pid == 11 && si.si_uid == 22);
	CHECK(si.si_value.sival_ptr == (void *)0x1122334455667788);
}

static void queued_signo_is_the_argument_s(void) {
	block(SIGUSR1);
	siginfo_t s = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
	CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &s) == 0 && take() == SIGUSR1 && si.si_signo == SIGUSR1);
}

static void the_kernel_s_codes_to_others_are_eperm(void) {
	pid_t p = pauses();
	siginfo_t s = {.si_code = SI_USER};
	FAILS(syscall(SYS_rt_sigqueueinfo, p, SIGUSR1, &s), EPERM);
	FAILS(syscall(SYS_rt_tgsigqueueinfo, p, p, SIGUSR1, &s), EPERM);
	s.si_code = SI_KERNEL;
	FAILS(syscall(SYS_rt_sigqueueinfo, p, SIGUSR1, &s), EPERM);
	end(p);
}

static void tkill_s_code_to_others_is_eperm(void) {
	pid_t p = pauses();
	siginfo_t s = {.si_code = SI_TKILL};
	FAILS(syscall(SYS_rt_sigqueueinfo, p, SIGUSR1, &s), EPERM);
	end(p);
}

static void the_kernel_s_codes_to_itself_are_allowed(void) {
	block(SIGUSR1);
	siginfo_t s = {.si_code = SI_KERNEL};
	CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &s) == 0 && take() == SIGUSR1 && si.si_code == SI_KERNEL);
}

static void queueing_to_no_process_is_esrch(void) {
	siginfo_t s = {.si_code = SI_QUEUE};
	FAILS(syscall(SYS_rt_sigqueueinfo, unused(), SIGUSR1, &s), ESRCH);
}

static void queueing_65_is_einval(void) {
	siginfo_t s = {.si_code = SI_QUEUE};
	FAILS(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &s), EINVAL);
}

static void queueing_from_nowhere_is_efault(void) { FAILS(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8), EFAULT); }

static void queueing_to_group_zero_is_einval(void) {
	siginfo_t s = {.si_code = SI_QUEUE};
	FAILS(syscall(SYS_rt_tgsigqueueinfo, 0, tid(), SIGUSR1, &s), EINVAL);
}

static void queueing_to_another_s_thread_is_esrch(void) {
	siginfo_t s = {.si_code = SI_QUEUE};
	FAILS(syscall(SYS_rt_tgsigqueueinfo, getppid(), tid(), SIGUSR1, &s), ESRCH);
}

static void standard_signals_keep_the_first_info(void) {
	block(SIGUSR1);
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1}) == 0);
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 2}) == 0);
	CHECK(take() == SIGUSR1 && si.si_value.sival_int == 1 && none());
}

static void real_time_signals_queue_in_order(void) {
	block(SIGRTMIN + 1);
	for (int i = 0; i < 5; i++)
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}) == 0);
	for (int i = 0; i < 5; i++)
		CHECK(take() == SIGRTMIN + 1 && si.si_value.sival_int == i);
	CHECK(none());
}

static void lower_signals_come_first(void) {
	block(SIGRTMIN + 5);
	sigaddset(&set, SIGRTMIN + 2), sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGRTMIN + 5), kill(getpid(), SIGRTMIN + 2), kill(getpid(), SIGUSR2);
	CHECK(take() == SIGUSR2 && take() == SIGRTMIN + 2 && take() == SIGRTMIN + 5);
}

static void the_thread_s_come_before_the_process_s(void) {
	block(SIGUSR1);
	CHECK(kill(getpid(), SIGUSR1) == 0 && syscall(SYS_tgkill, getpid(), tid(), SIGUSR1) == 0);
	CHECK(take() == SIGUSR1 && si.si_code == SI_TKILL);
	CHECK(take() == SIGUSR1 && si.si_code == SI_USER);
}

static void sigcont_discards_pending_stops(void) {
	block(SIGTSTP);
	CHECK(kill(getpid(), SIGTSTP) == 0 && kill(getpid(), SIGCONT) == 0 && none());
}

static void a_stop_discards_pending_sigcont(void) {
	block(SIGCONT);
	sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(kill(getpid(), SIGCONT) == 0 && kill(getpid(), SIGTSTP) == 0);
	CHECK(take() == SIGTSTP && none());
}

static void a_blocked_sigcont_still_continues(void) {
	pid_t p = fork();
	if (p == 0) {
		block(SIGCONT);
		raise(SIGSTOP);
		_exit(take() != SIGCONT);
	}
	int st;
	CHECK(waitpid(p, &st, WUNTRACED) == p && kill(p, SIGCONT) == 0);
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

int main(void) {
	APART(kill_0_finds_a_process());
	APART(kill_of_no_process_is_esrch());
	APART(kill_of_no_group_is_esrch());
	APART(kill_65_is_einval());
	APART(kill_negative_is_einval());
	APART(kill_says_user_pid_uid());
	APART(kill_says_the_sender_s_real_uid());
	APART(kill_zero_reaches_the_own_group());
	APART(kill_of_a_group_reaches_its_members());
	APART(kill_of_another_user_is_eperm());
	APART(kill_of_the_own_user_is_allowed());
	APART(sigcont_is_allowed_in_the_session());
	APART(sigcont_is_eperm_across_sessions());
	APART(the_saved_uid_can_be_killed());
	APART(the_effective_uid_can_not_be_killed());
	APART(tkill_zero_is_einval());
	APART(tkill_65_is_einval());
	APART(tkill_of_no_thread_is_esrch());
	APART(tgkill_of_another_s_thread_is_esrch());
	APART(tgkill_of_group_zero_is_einval());
	APART(tgkill_of_thread_zero_is_einval());
	APART(tgkill_0_finds_a_thread());
	APART(tgkill_says_tkill());
	APART(queued_info_arrives_whole());
	APART(queued_signo_is_the_argument_s());
	APART(the_kernel_s_codes_to_others_are_eperm());
	APART(tkill_s_code_to_others_is_eperm());
	APART(the_kernel_s_codes_to_itself_are_allowed());
	APART(queueing_to_no_process_is_esrch());
	APART(queueing_65_is_einval());
	APART(queueing_from_nowhere_is_efault());
	APART(queueing_to_group_zero_is_einval());
	APART(queueing_to_another_s_thread_is_esrch());
	APART(standard_signals_keep_the_first_info());
	APART(real_time_signals_queue_in_order());
	APART(lower_signals_come_first());
	APART(the_thread_s_come_before_the_process_s());
	APART(sigcont_discards_pending_stops());
	APART(a_stop_discards_pending_sigcont());
	APART(a_blocked_sigcont_still_continues());
	return 0;
}
