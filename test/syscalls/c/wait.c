// wait4(2), waitid(2): states, options, zombies, orphans.
// covers: wait4 waitid kill prctl pidfd_open pidfd_send_signal pidfd_getfd
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int main(void) {
	int st;
	siginfo_t si;
	struct rusage ru;
	pid_t pid = fork();
	if (pid == 0) _exit(5);
	memset(&si, 0, sizeof si);
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0);
	CHECK(si.si_pid == pid && si.si_code == CLD_EXITED && si.si_status == 5 && si.si_signo == SIGCHLD);
	CHECK(wait4(pid, &st, 0, &ru) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 5);

	pid = fork();
	if (pid == 0) for (;;) pause();
	CHECK(waitpid(pid, &st, WNOHANG) == 0);
	memset(&si, 0, sizeof si);
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	kill(pid, SIGCONT);
	CHECK(waitid(P_PID, pid, &si, WCONTINUED) == 0 && si.si_code == CLD_CONTINUED);
	kill(pid, SIGKILL);
	CHECK(waitpid(-1, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL && !WCOREDUMP(st));
	FAILS(waitpid(-1, &st, 0), ECHILD);
	FAILS(waitpid(pid, &st, 0x8000), EINVAL);
	FAILS(waitid(P_PID, pid, &si, 0), EINVAL);
	FAILS(waitid(9, pid, &si, WEXITED), EINVAL);

	// By process group.
	pid = fork();
	if (pid == 0) { setpgid(0, 0); _exit(1); }
	setpgid(pid, pid);
	CHECK(waitpid(-pid, &st, 0) == pid);

	// Ignored SIGCHLD: no zombies.
	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0) _exit(0);
	FAILS(waitpid(pid, &st, 0), ECHILD);
	signal(SIGCHLD, SIG_DFL);

	// An orphan becomes the child of the nearest subreaper.
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			pid_t self = getpid();
			while (getppid() != *(volatile pid_t *)&self && getppid() == 1) break;
			usleep(20000);
			pid_t pp = getppid();
			write(fd[1], &pp, sizeof pp);
			_exit(9);
		}
		_exit(0);
	}
	CHECK(waitpid(pid, &st, 0) == pid);
	pid_t pp;
	CHECK(read(fd[0], &pp, sizeof pp) == sizeof pp && pp == getpid());
	CHECK(wait(&st) > 0 && WEXITSTATUS(st) == 9);

	// The death signal of a parent's thread.
	pid = fork();
	if (pid == 0) {
		pid_t c = fork();
		if (c == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			write(fd[1], "r", 1);
			for (;;) pause();
		}
		char r;
		read(fd[0], &r, 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &st, 0) == pid);
	CHECK(wait(&st) > 0 && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);

	// pidfds.
	pid = fork();
	if (pid == 0) for (;;) pause();
	int pfd = syscall(SYS_pidfd_open, pid, 0);
	CHECK(pfd >= 0);
	struct pollfd p = {.fd = pfd, .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 0);
	int dup = syscall(SYS_pidfd_getfd, pfd, fd[0], 0);
	CHECK(dup >= 0);
	close(dup);
	FAILS(syscall(SYS_pidfd_getfd, pfd, 999, 0), EBADF);
	CHECK(syscall(SYS_pidfd_send_signal, pfd, SIGTERM, NULL, 0) == 0);
	CHECK(poll(&p, 1, 5000) == 1);
	CHECK(waitid(P_PIDFD, pfd, &si, WEXITED) == 0 && si.si_status == SIGTERM && si.si_code == CLD_KILLED);
	FAILS(syscall(SYS_pidfd_send_signal, pfd, SIGTERM, NULL, 0), ESRCH);
	// A process's directory serves, too, for signals; others don't.
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY), path = open("/proc/self", O_PATH);
	int task = open("/proc/self/task", O_RDONLY), thread = open("/proc/thread-self", O_RDONLY);
	CHECK(self >= 0 && path >= 0 && task >= 0 && thread >= 0);
	CHECK(syscall(SYS_pidfd_send_signal, self, 0, NULL, 0) == 0);
	FAILS(syscall(SYS_pidfd_send_signal, path, 0, NULL, 0), EBADF);
	FAILS(syscall(SYS_pidfd_send_signal, task, 0, NULL, 0), EBADF);
	FAILS(syscall(SYS_pidfd_send_signal, thread, 0, NULL, 0), EBADF);
	FAILS(syscall(SYS_pidfd_getfd, self, 0, 0), EBADF);
	close(self), close(path), close(task), close(thread);
	FAILS(syscall(SYS_pidfd_open, 1 << 22, 0), ESRCH);
	FAILS(syscall(SYS_pidfd_open, -1, 0), EINVAL);
	FAILS(syscall(SYS_pidfd_open, getpid(), 1), EINVAL);
	return 0;
}
