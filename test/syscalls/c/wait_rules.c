// wait4(2): which children, which states, what is said of them.
// covers: wait4 exit exit_group setpgid kill getrusage
#include "child.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

static int st;

static void no_status_wanted(void) {
	pid_t p = exits(3);
	CHECK(wait4(p, NULL, 0, NULL) == p);
}

static void code_is_low_byte(void) {
	pid_t p = exits(0x1fe);
	CHECK(waitpid(p, &st, 0) == p && st == 0xfe00);
}

static void killed_status_is_the_signal(void) {
	pid_t p = pauses();
	kill(p, SIGTERM);
	CHECK(waitpid(p, &st, 0) == p && st == SIGTERM);
}

static void stopped_status_is_0x7f(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p && st == ((SIGSTOP << 8) | 0x7f));
	end(p);
}

static void continued_status_is_0xffff(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	kill(p, SIGCONT);
	CHECK(waitpid(p, &st, WCONTINUED) == p && st == 0xffff);
	end(p);
}

static void a_stop_is_reported_once(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	CHECK(waitpid(p, &st, WUNTRACED | WNOHANG) == 0);
	end(p);
}

static void a_continue_is_reported_once(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	kill(p, SIGCONT);
	CHECK(waitpid(p, &st, WCONTINUED) == p);
	CHECK(waitpid(p, &st, WCONTINUED | WNOHANG) == 0);
	end(p);
}

static void a_stop_unasked_for_is_not_reported(void) {
	pid_t p = pauses();
	siginfo_t si;
	kill(p, SIGSTOP);
	CHECK(waitid(P_PID, p, &si, WSTOPPED | WNOWAIT) == 0);
	CHECK(waitpid(p, &st, WNOHANG) == 0);
	end(p);
}

static void continuing_takes_back_the_stop(void) {
	pid_t p = pauses();
	siginfo_t si;
	kill(p, SIGSTOP);
	CHECK(waitid(P_PID, p, &si, WSTOPPED | WNOWAIT) == 0);
	kill(p, SIGCONT);
	CHECK(waitid(P_PID, p, &si, WCONTINUED | WNOWAIT) == 0);
	CHECK(waitpid(p, &st, WUNTRACED | WNOHANG) == 0);
	end(p);
}

static void stopping_again_takes_back_the_continue(void) {
	pid_t p = pauses();
	siginfo_t si;
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	kill(p, SIGCONT);
	CHECK(waitid(P_PID, p, &si, WCONTINUED | WNOWAIT) == 0);
	kill(p, SIGSTOP);
	CHECK(waitid(P_PID, p, &si, WSTOPPED | WNOWAIT) == 0);
	CHECK(waitpid(p, &st, WCONTINUED | WNOHANG) == 0);
	end(p);
}

static void a_killed_stopped_child_is_dead(void) {
	pid_t p = pauses();
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	kill(p, SIGKILL);
	CHECK(waitpid(p, &st, WUNTRACED) == p && st == SIGKILL);
}

static void zero_is_the_own_group(void) {
	pid_t other = pauses();
	CHECK(setpgid(other, other) == 0);
	FAILS(waitpid(0, &st, WNOHANG), ECHILD);
	pid_t own = exits(1);
	CHECK(waitpid(0, &st, 0) == own);
	end(other);
}

static void a_group_without_children_is_echild(void) {
	pid_t p = pauses();
	FAILS(waitpid(-p, &st, WNOHANG), ECHILD);
	end(p);
}

static void the_group_may_change_under_the_wait(void) {
	pid_t p = exits(2);
	gone(p);
	CHECK(waitpid(-getpgrp(), &st, 0) == p);
}

static void another_s_child_is_echild(void) {
	FAILS(waitpid(getppid(), &st, 0), ECHILD);
	FAILS(waitpid(getpid(), &st, 0), ECHILD);
}

static void grandchildren_are_echild(void) {
	int fd[2];
	pid_t grand;
	CHECK(pipe(fd) == 0);
	pid_t p = fork();
	if (p == 0) {
		pid_t g = pauses();
		write(fd[1], &g, sizeof g);
		pause();
	}
	CHECK(read(fd[0], &grand, sizeof grand) == sizeof grand);
	FAILS(waitpid(grand, &st, 0), ECHILD);
	end(p);
}

static void int_min_is_esrch(void) { FAILS(waitpid(INT_MIN, &st, 0), ESRCH); }

static void a_bad_status_address_still_reaps(void) {
	pid_t p = exits(0);
	FAILS(syscall(SYS_wait4, p, 8, 0, NULL), EFAULT);
	FAILS(waitpid(p, &st, 0), ECHILD);
}

static void a_bad_rusage_address_is_efault(void) {
	pid_t p = exits(0);
	FAILS(syscall(SYS_wait4, p, &st, 0, 8), EFAULT);
}

static void a_zombie_can_be_signalled(void) {
	pid_t p = exits(0);
	gone(p);
	CHECK(kill(p, SIGTERM) == 0 && getpgid(p) == getpgrp());
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	FAILS(kill(p, 0), ESRCH);
	FAILS(getpgid(p), ESRCH);
}

static int clone_exits(void *arg) { _exit(4); }

static pid_t silent(void) {
	static char stack[65536] __attribute__((aligned(16)));
	pid_t p = clone(clone_exits, stack + sizeof stack, 0, NULL);
	CHECK(p > 0);
	return p;
}

static void a_silent_child_needs_wclone(void) {
	pid_t p = silent();
	FAILS(waitpid(p, &st, 0), ECHILD);
	CHECK(waitpid(p, &st, __WCLONE) == p && WEXITSTATUS(st) == 4);
}

static void wall_takes_the_silent_child(void) {
	pid_t p = silent();
	CHECK(waitpid(-1, &st, __WALL) == p);
}

static void wclone_leaves_usual_children(void) {
	pid_t p = exits(0);
	FAILS(waitpid(p, &st, __WCLONE), ECHILD);
	CHECK(waitpid(p, &st, 0) == p);
}

static void *forks(void *arg) {
	*(pid_t *)arg = exits(6);
	return NULL;
}

static void a_thread_s_child_is_everybody_s(void) {
	pid_t p;
	pthread_t t;
	CHECK(pthread_create(&t, NULL, forks, &p) == 0 && pthread_join(t, NULL) == 0);
	CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 6);
}

static void *waits_own(void *arg) {
	errno = 0;
	int r = waitpid(*(pid_t *)arg, NULL, __WNOTHREAD);
	return (void *)(long)(r == -1 ? errno : 0);
}

static void wnothread_leaves_other_threads_children(void) {
	pid_t p = exits(0);
	pthread_t t;
	void *err;
	CHECK(pthread_create(&t, NULL, waits_own, &p) == 0 && pthread_join(t, &err) == 0);
	CHECK(err == (void *)ECHILD);
	CHECK(waitpid(p, NULL, __WNOTHREAD) == p);
}

static void *lingers(void *arg) {
	char c;
	read(*(int *)arg, &c, 1);
	return NULL;
}

static void the_leader_s_end_is_not_the_process_s(void) {
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid_t p = fork();
	if (p == 0) {
		pthread_t t;
		pthread_create(&t, NULL, lingers, fd);
		syscall(SYS_exit, 9);
	}
	usleep(20000);
	CHECK(waitpid(p, &st, WNOHANG) == 0 && kill(p, 0) == 0);
	CHECK(write(fd[1], "x", 1) == 1);
	CHECK(waitpid(p, &st, 0) == p);
}

static void *ends_all(void *arg) { syscall(SYS_exit_group, 12); return NULL; }

static void exit_group_ends_every_thread(void) {
	pid_t p = fork();
	if (p == 0) {
		pthread_t t;
		pthread_create(&t, NULL, ends_all, NULL);
		for (;;) pause();
	}
	CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 12);
}

static void children_count_when_waited_for(void) {
	struct rusage before, during, after, own;
	getrusage(RUSAGE_CHILDREN, &before);
	pid_t p = fork();
	if (p == 0) {
		struct rusage r;
		do getrusage(RUSAGE_SELF, &r);
		while (r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_sec * 1000000 + r.ru_stime.tv_usec < 30000);
		_exit(0);
	}
	gone(p);
	getrusage(RUSAGE_CHILDREN, &during);
	CHECK(memcmp(&before.ru_utime, &during.ru_utime, sizeof(struct timeval)) == 0);
	CHECK(wait4(p, &st, 0, &own) == p);
	getrusage(RUSAGE_CHILDREN, &after);
	CHECK(own.ru_utime.tv_sec * 1000000 + own.ru_utime.tv_usec + own.ru_stime.tv_sec * 1000000 + own.ru_stime.tv_usec >= 20000);
	CHECK(after.ru_utime.tv_usec + after.ru_stime.tv_usec + 1000000 * (after.ru_utime.tv_sec + after.ru_stime.tv_sec) >= 20000);
}

static void stops_by(int sig) {
	pid_t p = pauses();
	CHECK(setpgid(p, p) == 0 && kill(p, sig) == 0);
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st) && WSTOPSIG(st) == sig);
	end(p);
}

static void in_an_orphaned_group_passes(int sig) {
	pid_t p = fork();
	if (p == 0) {
		CHECK(setsid() > 0 && raise(sig) == 0);
		_exit(8);
	}
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFEXITED(st) && WEXITSTATUS(st) == 8);
}

int main(void) {
	APART(no_status_wanted());
	APART(code_is_low_byte());
	APART(killed_status_is_the_signal());
	APART(stopped_status_is_0x7f());
	APART(continued_status_is_0xffff());
	APART(a_stop_is_reported_once());
	APART(a_continue_is_reported_once());
	APART(a_stop_unasked_for_is_not_reported());
	APART(continuing_takes_back_the_stop());
	APART(stopping_again_takes_back_the_continue());
	APART(a_killed_stopped_child_is_dead());
	APART(zero_is_the_own_group());
	APART(a_group_without_children_is_echild());
	APART(the_group_may_change_under_the_wait());
	APART(another_s_child_is_echild());
	APART(grandchildren_are_echild());
	APART(int_min_is_esrch());
	APART(a_bad_status_address_still_reaps());
	APART(a_bad_rusage_address_is_efault());
	APART(a_zombie_can_be_signalled());
	APART(a_silent_child_needs_wclone());
	APART(wall_takes_the_silent_child());
	APART(wclone_leaves_usual_children());
	APART(a_thread_s_child_is_everybody_s());
	APART(wnothread_leaves_other_threads_children());
	APART(the_leader_s_end_is_not_the_process_s());
	APART(exit_group_ends_every_thread());
	APART(children_count_when_waited_for());
	APART(stops_by(SIGTSTP));
	APART(stops_by(SIGTTIN));
	APART(stops_by(SIGTTOU));
	APART(in_an_orphaned_group_passes(SIGTSTP));
	APART(in_an_orphaned_group_passes(SIGTTIN));
	APART(in_an_orphaned_group_passes(SIGTTOU));
	return 0;
}
