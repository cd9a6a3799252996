// waitid(2) and the SIGCHLD that goes with it: whom, which states, each field.
// covers: waitid rt_sigaction pidfd_open
#include "child.h"
#include <fcntl.h>
#include <sys/resource.h>

static siginfo_t si;

static pid_t stopped(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitid(P_PID, p, &si, WSTOPPED | WNOWAIT) == 0);
	return p;
}

static void exited_fields(void) {
	pid_t p = exits(77);
	memset(&si, -1, sizeof si);
	CHECK(waitid(P_PID, p, &si, WEXITED) == 0);
	CHECK(si.si_signo == SIGCHLD && si.si_errno == 0 && si.si_code == CLD_EXITED);
	CHECK(si.si_pid == p && si.si_uid == getuid() && si.si_status == 77);
}

static void killed_fields(void) {
	pid_t p = pauses();
	kill(p, SIGUSR1);
	CHECK(waitid(P_PID, p, &si, WEXITED) == 0);
	CHECK(si.si_pid == p && si.si_code == CLD_KILLED && si.si_status == SIGUSR1);
}

static void abort_without_a_core_is_killed(void) {
	struct rlimit none = {0, 0};
	CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
	pid_t p = pauses();
	kill(p, SIGABRT);
	CHECK(waitid(P_PID, p, &si, WEXITED) == 0);
	CHECK((si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED) && si.si_status == SIGABRT);
}

static void stopped_fields(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitid(P_PID, p, &si, WSTOPPED) == 0);
	CHECK(si.si_signo == SIGCHLD && si.si_pid == p && si.si_code == CLD_STOPPED && si.si_status == SIGSTOP);
	end(p);
}

static void continued_fields(void) {
	pid_t p = stopped();
	kill(p, SIGCONT);
	CHECK(waitid(P_PID, p, &si, WCONTINUED) == 0);
	CHECK(si.si_signo == SIGCHLD && si.si_pid == p && si.si_code == CLD_CONTINUED && si.si_status == SIGCONT);
	end(p);
}

static void uid_is_the_child_s(void) {
	pid_t p = fork();
	if (p == 0) _exit(syscall(SYS_setresuid, 321, 322, 323));
	CHECK(waitid(P_PID, p, &si, WEXITED) == 0 && si.si_uid == 321 && si.si_status == 0);
}

static void any_child(void) {
	pid_t p = exits(1);
	CHECK(waitid(P_ALL, 12345, &si, WEXITED) == 0 && si.si_pid == p);
}

static void by_group(void) {
	pid_t other = exits(1), p = pauses();
	CHECK(setpgid(p, p) == 0 && kill(p, SIGTERM) == 0);
	CHECK(waitid(P_PGID, p, &si, WEXITED) == 0 && si.si_pid == p);
	CHECK(waitpid(other, NULL, 0) == other);
}

static void group_zero_is_the_own(void) {
	pid_t other = pauses();
	CHECK(setpgid(other, other) == 0);
	FAILS(waitid(P_PGID, 0, &si, WEXITED | WNOHANG), ECHILD);
	pid_t p = exits(1);
	CHECK(waitid(P_PGID, 0, &si, WEXITED) == 0 && si.si_pid == p);
	end(other);
}

static void pid_zero_is_einval(void) { FAILS(waitid(P_PID, 0, &si, WEXITED), EINVAL); }

static void a_negative_group_is_einval(void) { FAILS(waitid(P_PGID, -5, &si, WEXITED), EINVAL); }

static void no_states_is_einval(void) { FAILS(waitid(P_ALL, 0, &si, WNOHANG | WNOWAIT), EINVAL); }

static void an_unknown_option_is_einval(void) { FAILS(waitid(P_ALL, 0, &si, WEXITED | 0x10), EINVAL); }

static void no_children_is_echild(void) { FAILS(waitid(P_ALL, 0, &si, WEXITED), ECHILD); }

static void a_descriptor_that_is_none_is_ebadf(void) { FAILS(waitid(P_PIDFD, 99, &si, WEXITED), EBADF); }

static void a_descriptor_of_a_file_is_ebadf(void) {
	int fd = open("/dev/null", O_RDONLY);
	FAILS(waitid(P_PIDFD, fd, &si, WEXITED), EBADF);
}

static void a_negative_descriptor_is_einval(void) { FAILS(waitid(P_PIDFD, -1, &si, WEXITED), EINVAL); }

static void a_pidfd_of_no_child_is_echild(void) {
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	FAILS(waitid(P_PIDFD, fd, &si, WEXITED), ECHILD);
}

static void a_nonblocking_pidfd_is_eagain(void) {
	pid_t p = pauses();
	int fd = syscall(SYS_pidfd_open, p, O_NONBLOCK);
	CHECK(fd >= 0);
	FAILS(waitid(P_PIDFD, fd, &si, WEXITED), EAGAIN);
	kill(p, SIGKILL);
	gone(p);
	CHECK(waitid(P_PIDFD, fd, &si, WEXITED) == 0 && si.si_pid == p);
}

static void nothing_yet_clears_pid_and_signo(void) {
	pid_t p = pauses();
	memset(&si, -1, sizeof si);
	CHECK(waitid(P_PID, p, &si, WEXITED | WNOHANG) == 0);
	CHECK(si.si_pid == 0 && si.si_signo == 0 && si.si_status == 0 && si.si_code == 0);
	end(p);
}

static void no_info_wanted(void) {
	pid_t p = exits(0);
	CHECK(syscall(SYS_waitid, P_PID, p, NULL, WEXITED, NULL) == 0);
	FAILS(waitpid(p, NULL, 0), ECHILD);
}

static void a_bad_info_address_is_efault(void) {
	pid_t p = exits(0);
	FAILS(syscall(SYS_waitid, P_PID, p, 8, WEXITED, NULL), EFAULT);
}

static void usage_of_the_child(void) {
	struct rusage ru;
	memset(&ru, -1, sizeof ru);
	pid_t p = exits(0);
	CHECK(syscall(SYS_waitid, P_PID, p, &si, WEXITED, &ru) == 0);
	CHECK(ru.ru_utime.tv_sec == 0 && ru.ru_stime.tv_sec == 0 && ru.ru_nswap == 0);
}

static void wnowait_leaves_the_dead(void) {
	pid_t p = exits(7);
	for (int i = 0; i < 3; i++)
		CHECK(waitid(P_PID, p, &si, WEXITED | WNOWAIT) == 0 && si.si_pid == p && si.si_status == 7);
	CHECK(waitpid(p, NULL, 0) == p);
}

static void wnowait_leaves_the_stop(void) {
	pid_t p = stopped();
	CHECK(waitid(P_PID, p, &si, WSTOPPED | WNOHANG) == 0 && si.si_pid == p);
	CHECK(waitid(P_PID, p, &si, WSTOPPED | WNOHANG) == 0 && si.si_pid == 0);
	end(p);
}

static void wexited_does_not_see_stops(void) {
	pid_t p = stopped();
	CHECK(waitid(P_PID, p, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
	end(p);
}

static void wstopped_does_not_see_the_dead(void) {
	pid_t p = exits(0);
	gone(p);
	FAILS(waitid(P_PID, p, &si, WSTOPPED | WCONTINUED | WNOHANG), ECHILD);
}

// What SIGCHLD says, taken with sigtimedwait.
static sigset_t chld;

static void block(int flags) {
	struct sigaction a = {.sa_handler = SIG_DFL, .sa_flags = flags};
	if (flags == SA_NOCLDWAIT) a.sa_handler = (void (*)(int))block;
	CHECK(sigaction(SIGCHLD, &a, NULL) == 0);
	sigemptyset(&chld), sigaddset(&chld, SIGCHLD);
	CHECK(sigprocmask(SIG_BLOCK, &chld, NULL) == 0);
}

static int signalled(int ms) {
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
	memset(&si, 0, sizeof si);
	return sigtimedwait(&chld, &si, &ts) == SIGCHLD;
}

static void sigchld_of_an_exit(void) {
	block(0);
	pid_t p = exits(5);
	CHECK(signalled(5000) && si.si_code == CLD_EXITED && si.si_pid == p && si.si_status == 5 && si.si_uid == getuid());
	CHECK(waitpid(p, NULL, WNOHANG) == p);
}

static void sigchld_of_a_kill(void) {
	block(0);
	pid_t p = pauses();
	kill(p, SIGKILL);
	CHECK(signalled(5000) && si.si_code == CLD_KILLED && si.si_pid == p && si.si_status == SIGKILL);
}

static void sigchld_of_a_stop(void) {
	block(0);
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(signalled(5000) && si.si_code == CLD_STOPPED && si.si_pid == p && si.si_status == SIGSTOP);
	end(p);
}

static void sigchld_of_a_continue(void) {
	block(0);
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(signalled(5000));
	kill(p, SIGCONT);
	CHECK(signalled(5000) && si.si_code == CLD_CONTINUED && si.si_pid == p && si.si_status == SIGCONT);
	end(p);
}

static void nocldstop_is_silent_on_stops(void) {
	block(SA_NOCLDSTOP);
	pid_t p = stopped();
	CHECK(!signalled(20));
	kill(p, SIGCONT);
	CHECK(waitid(P_PID, p, &si, WCONTINUED) == 0 && !signalled(20));
	kill(p, SIGKILL);
	CHECK(signalled(5000) && si.si_code == CLD_KILLED);
}

static void nocldwait_leaves_no_zombie_but_signals(void) {
	block(SA_NOCLDWAIT);
	pid_t p = exits(0);
	CHECK(signalled(5000) && si.si_pid == p && si.si_code == CLD_EXITED);
	FAILS(waitpid(p, NULL, 0), ECHILD);
}

static volatile int hits;
static void hit(int s) { hits++; }

static void a_signal_interrupts(void) {
	struct sigaction a = {.sa_handler = hit};
	sigaction(SIGUSR1, &a, NULL);
	pid_t me = getpid(), p = fork();
	if (p == 0) {
		usleep(20000);
		kill(me, SIGUSR1);
		for (;;) pause();
	}
	FAILS(waitid(P_PID, p, &si, WEXITED), EINTR);
	end(p);
}

static void sa_restart_goes_on(void) {
	struct sigaction a = {.sa_handler = hit, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &a, NULL);
	pid_t me = getpid(), p = fork();
	if (p == 0) {
		usleep(20000);
		kill(me, SIGUSR1);
		usleep(20000);
		_exit(3);
	}
	CHECK(waitid(P_PID, p, &si, WEXITED) == 0 && si.si_status == 3 && hits == 1);
}

int main(void) {
	APART(exited_fields());
	APART(killed_fields());
	APART(abort_without_a_core_is_killed());
	APART(stopped_fields());
	APART(continued_fields());
	APART(uid_is_the_child_s());
	APART(any_child());
	APART(by_group());
	APART(group_zero_is_the_own());
	APART(pid_zero_is_einval());
	APART(a_negative_group_is_einval());
	APART(no_states_is_einval());
	APART(an_unknown_option_is_einval());
	APART(no_children_is_echild());
	APART(a_descriptor_that_is_none_is_ebadf());
	APART(a_descriptor_of_a_file_is_ebadf());
	APART(a_negative_descriptor_is_einval());
	APART(a_pidfd_of_no_child_is_echild());
	APART(a_nonblocking_pidfd_is_eagain());
	APART(nothing_yet_clears_pid_and_signo());
	APART(no_info_wanted());
	APART(a_bad_info_address_is_efault());
	APART(usage_of_the_child());
	APART(wnowait_leaves_the_dead());
	APART(wnowait_leaves_the_stop());
	APART(wexited_does_not_see_stops());
	APART(wstopped_does_not_see_the_dead());
	APART(sigchld_of_an_exit());
	APART(sigchld_of_a_kill());
	APART(sigchld_of_a_stop());
	APART(sigchld_of_a_continue());
	APART(nocldstop_is_silent_on_stops());
	APART(nocldwait_leaves_no_zombie_but_signals());
	APART(a_signal_interrupts());
	APART(sa_restart_goes_on());
	return 0;
}
