// reboot(2) in a pid namespace, and who a signal from outside of it is from.
// covers: reboot kill rt_sigtimedwait clone
#include "check.h"
#include <linux/reboot.h>
#include <sched.h>

static long boot(unsigned magic, unsigned again, unsigned cmd) { return syscall(SYS_reboot, magic, again, cmd, 0); }

#define OTHER LINUX_REBOOT_MAGIC2A

// inside is how f ends as pid 1 of namespaces of its own.
static int inside(void f(void)) {
	int st;
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		CHECK(unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0);
		CHECK((p = fork()) >= 0);
		if (p == 0) {
			f();
			_exit(77);
		}
		CHECK(waitpid(p, &st, 0) == p);
		_exit(WIFSIGNALED(st) ? WTERMSIG(st) : 100 + WEXITSTATUS(st));
	}
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void judged(void) {
	FAILS(boot(1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART), EINVAL);
	FAILS(boot(LINUX_REBOOT_MAGIC1, 1, LINUX_REBOOT_CMD_RESTART), EINVAL);
	FAILS(boot(LINUX_REBOOT_MAGIC1, OTHER, LINUX_REBOOT_CMD_CAD_ON), EINVAL);
	FAILS(boot(LINUX_REBOOT_MAGIC1, OTHER, LINUX_REBOOT_CMD_SW_SUSPEND), EINVAL);
	FAILS(boot(LINUX_REBOOT_MAGIC1, OTHER, 5), EINVAL);
}

static void restart(void) { boot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART); }
static void restart2(void) { boot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_RESTART2); }
static void halt(void) { boot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2C, LINUX_REBOOT_CMD_HALT); }
static void by_child(void) {
	if (fork() == 0)
		boot(LINUX_REBOOT_MAGIC1, OTHER, LINUX_REBOOT_CMD_POWER_OFF), _exit(1);
	for (;;)
		pause();
}

// outsider is a member of the first pid namespace with rights in the other user's only.
static void outsider(void) {
	CHECK(unshare(CLONE_NEWUSER) == 0);
	FAILS(boot(1, 1, 1), EPERM);
}

static void a_namespace_reboots(void) {
	FAILS(boot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_ON), EPERM);
	FAILS(boot(1, 1, 1), EPERM);
	CHECK(inside(judged) == 177);
	CHECK(inside(restart) == SIGHUP && inside(restart2) == SIGHUP);
	CHECK(inside(halt) == SIGINT && inside(by_child) == SIGINT);
	outsider();
}

static void waits_for_usr1(void) {
	siginfo_t si;
	sigset_t s;
	sigemptyset(&s), sigaddset(&s, SIGUSR1);
	CHECK(sigwaitinfo(&s, &si) == SIGUSR1);
	CHECK(si.si_code == SI_USER && si.si_pid == 0 && si.si_uid == 65534);
	CHECK(kill(getpid(), SIGUSR1) == 0 && sigwaitinfo(&s, &si) == SIGUSR1);
	CHECK(si.si_pid == 1 && si.si_uid == 65534);
}

static void a_stranger_has_no_name(void) {
	int st;
	sigset_t s;
	sigemptyset(&s), sigaddset(&s, SIGUSR1), sigprocmask(SIG_BLOCK, &s, NULL);
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0);
	pid_t p = fork();
	if (p == 0) {
		waits_for_usr1();
		_exit(0);
	}
	CHECK(kill(p, SIGUSR1) == 0);
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

int main(void) {
	APART(a_namespace_reboots());
	APART(a_stranger_has_no_name());
	return 0;
}
