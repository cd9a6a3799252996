// PR_TIMER_CREATE_RESTORE_IDS of prctl(2).
// covers: prctl timer_create timer_delete
#include "check.h"
#include <sys/prctl.h>
#include <time.h>

enum { IDS = 77, OFF = 0, ON = 1, GET = 2 };

static int create(int *id) {
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	return syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, id);
}

int main(int argc, char **argv) {
	int id = 77, st;
	long r = prctl(IDS, GET, 0, 0, 0);
	if (argc > 1)
		_exit(r != 0);
	if (r == -1 && errno == EINVAL)
		return 0; // an older Linux
	CHECK(r == 0 && create(&id) == 0 && id == 0);
	FAILS(prctl(IDS, 3, 0, 0, 0), EINVAL);
	FAILS(prctl(IDS, ON, 1, 0, 0), EINVAL);
	FAILS(prctl(IDS, ON, 0, 1, 0), EINVAL);
	FAILS(prctl(IDS, GET, 0, 0, 1), EINVAL);
	CHECK(prctl(IDS, ON, 0, 0, 0) == 0 && prctl(IDS, GET, 0, 0, 0) == 1);
	FAILS(create(&id), EBUSY); // 0 is there
	CHECK((id = 7, create(&id)) == 0 && id == 7);
	FAILS(create(&id), EBUSY);
	CHECK(syscall(SYS_timer_delete, 7) == 0 && create(&id) == 0 && id == 7);
	FAILS((id = -1, create(&id)), EINVAL);
	FAILS(create((int *)8), EFAULT);
	CHECK((id = 0x7fffffff, create(&id)) == 0 && id == 0x7fffffff);
	pid_t p = fork();
	if (p == 0) {
		CHECK(prctl(IDS, GET, 0, 0, 0) == 0);
		CHECK(prctl(IDS, ON, 0, 0, 0) == 0);
		execl("/proc/self/exe", "timer_ids", "again", (char *)0);
		_exit(1);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	CHECK(prctl(IDS, OFF, 0, 0, 0) == 0 && prctl(IDS, GET, 0, 0, 0) == 0);
	CHECK((id = 99, create(&id)) == 0 && id == 1);
	CHECK((id = 99, create(&id)) == 0 && id == 2);
	return 0;
}
