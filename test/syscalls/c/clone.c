// clone(2), clone3(2), vfork(2): what is shared and what is not.
// covers: clone clone3 vfork set_tid_address futex exit execve unshare setns
#include "check.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>

static volatile int shared_word;
static volatile int tid_word = 1;

static int set(void *a) { shared_word = 7; return 3; }
static int closefd(void *a) { close((int)(long)a); return 0; }
static int thread(void *a) {
	shared_word = syscall(SYS_gettid);
	syscall(SYS_exit, 0);
	return 0;
}
static char *newstack(void) { return (char *)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 65536; }

int main(void) {
	int st, fd = open("/dev/null", O_RDONLY);
	pid_t pid = clone(set, newstack(), SIGCHLD, NULL);
	CHECK(pid > 0 && waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 3);
	CHECK(shared_word == 0);
	pid = clone(set, newstack(), CLONE_VM | SIGCHLD, NULL);
	CHECK(waitpid(pid, &st, 0) == pid && shared_word == 7);
	pid = clone(closefd, newstack(), SIGCHLD, (void *)(long)fd);
	waitpid(pid, &st, 0);
	CHECK(fcntl(fd, F_GETFD) >= 0);
	pid = clone(closefd, newstack(), CLONE_FILES | SIGCHLD, (void *)(long)fd);
	waitpid(pid, &st, 0);
	FAILS(fcntl(fd, F_GETFD), EBADF);

	// A thread, and the word that its end clears.
	pid_t tid = 0;
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	int r = clone(thread, newstack(), flags, NULL, &tid, NULL, &tid_word);
	CHECK(r > 0 && tid == r);
	while (tid_word) syscall(SYS_futex, &tid_word, FUTEX_WAIT, tid_word, NULL, NULL, 0);
	CHECK(shared_word == r);
	FAILS(waitpid(r, &st, __WALL), ECHILD);

	FAILS(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0), EINVAL);

	int pidfd = -1;
	struct clone_args ca = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
	pid = syscall(SYS_clone3, &ca, sizeof ca);
	if (pid == 0) _exit(21);
	CHECK(pid > 0 && pidfd >= 0);
	CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	siginfo_t si;
	CHECK(waitid(P_PIDFD, pidfd, &si, WEXITED) == 0 && si.si_status == 21);
	FAILS(syscall(SYS_clone3, &ca, 8), EINVAL);
	ca.exit_signal = 99;
	FAILS(syscall(SYS_clone3, &ca, sizeof ca), EINVAL);

	// vfork: the parent sleeps until the child execs or ends, in one memory.
	volatile int order = 0;
	pid_t me = getpid();
	pid = vfork();
	if (pid == 0) { CHECK(getpid() != me); order = 1; usleep(20000); order = 2; _exit(0); }
	CHECK(order == 2);
	waitpid(pid, &st, 0);
	pid = vfork();
	if (pid == 0) { execl("/nonexistent", "x", NULL); order = errno; _exit(127); }
	CHECK(order == ENOENT && waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 127);
	CHECK(syscall(SYS_set_tid_address, &tid_word) == syscall(SYS_gettid));

	// A new pid namespace: its first process is 1.
	pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) _exit(syscall(SYS_getpid) == 1 ? 44 : 1);
	CHECK(pid > 0 && waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 44);
	int uts = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(uts >= 0);
	CHECK(unshare(CLONE_NEWUTS) == 0 && sethostname("other", 5) == 0);
	CHECK(setns(uts, CLONE_NEWUTS) == 0);
	char name[65];
	CHECK(gethostname(name, sizeof name) == 0 && strcmp(name, "other") != 0);
	FAILS(setns(uts, CLONE_NEWNET), EINVAL);
	return 0;
}
