// covers: semop semctl semget
// semop(2) that waits: woken, undone at exit, and when the set goes away.
#include "check.h"
#include <sys/sem.h>
#include <time.h>

static int id;

static int op(int num, int n, int flags) {
	struct sembuf b = {num, n, flags};
	return semop(id, &b, 1);
}

// waiters waits until cmd (GETNCNT, GETZCNT) says n.
static void waiters(int cmd, int n) {
	struct timespec ms = {0, 1000000};
	for (int i = 0; semctl(id, 0, cmd) != n; i++) {
		CHECK(i < 8000);
		nanosleep(&ms, NULL);
	}
}

static void reap(pid_t child) {
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
}

int main(void) {
	id = semget(IPC_PRIVATE, 1, 0600);
	CHECK(id >= 0);
	pid_t child = fork();
	if (child == 0)
		_exit(op(0, -2, 0));
	waiters(GETNCNT, 1);
	CHECK(op(0, 1, 0) == 0); // not enough
	CHECK(semctl(id, 0, GETNCNT) == 1);
	CHECK(op(0, 1, 0) == 0);
	reap(child);
	CHECK(semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETPID) == child);

	CHECK(op(0, 1, 0) == 0);
	child = fork();
	if (child == 0)
		_exit(op(0, 0, 0));
	waiters(GETZCNT, 1);
	CHECK(semctl(id, 0, SETVAL, 0) == 0); // this wakes too
	reap(child);

	child = fork();
	if (child == 0)
		_exit(op(0, 5, SEM_UNDO) || semctl(id, 0, GETVAL) != 5 || op(0, -2, SEM_UNDO));
	reap(child);
	CHECK(semctl(id, 0, GETVAL) == 0);

	child = fork();
	if (child == 0) {
		FAILS(op(0, -1, 0), EIDRM);
		_exit(0);
	}
	waiters(GETNCNT, 1);
	CHECK(semctl(id, 0, IPC_RMID) == 0);
	reap(child);
	FAILS(semctl(id, 0, GETVAL), EINVAL);
	return 0;
}
