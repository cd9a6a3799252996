// fork(2): the child has its own memory and descriptors, and its parent's.
// covers: fork wait4 exit_group getppid
#include "check.h"

static int value = 1;

int main(void) {
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid_t me = getpid();
	pid_t pid = syscall(SYS_fork);
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(getppid() == me);
		CHECK(getpid() != me);
		value = 2;
		CHECK(write(fd[1], &value, sizeof value) == sizeof value);
		close(fd[1]);
		_exit(37);
	}
	int got = 0, status = 0;
	CHECK(read(fd[0], &got, sizeof got) == sizeof got);
	CHECK(got == 2 && value == 1);
	CHECK(syscall(SYS_wait4, pid, &status, 0, NULL) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 37);
	FAILS(syscall(SYS_wait4, pid, &status, 0, NULL), ECHILD);
	return 0;
}
