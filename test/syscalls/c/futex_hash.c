// PR_FUTEX_HASH of prctl(2): how many slots a process's own futex hash has.
// covers: prctl clone
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

enum { HASH = 78, OTHER = 0, SET_SLOTS = 1, GET_SLOTS = 2, LEAST = 16 };

#define SET(n) prctl(HASH, SET_SLOTS, n, 0, 0)
#define GET() prctl(HASH, GET_SLOTS, 0, 0, 0)

static void *waits(void *a) {
	for (;;) pause();
	return a;
}

static void another_thread(void) {
	pthread_t th;
	CHECK(pthread_create(&th, NULL, waits, NULL) == 0);
}

static int in_a_child(void) {
	int st;
	pid_t p = fork();
	if (p == 0) _exit(GET());
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void what_is_refused(void) {
	FAILS(prctl(HASH, OTHER, 0, 0, 0), EINVAL);
	FAILS(prctl(HASH, 3, 0, 0, 0), EINVAL);
	FAILS(SET(1), EINVAL);
	FAILS(SET(3), EINVAL);
	FAILS(SET(-1L), EINVAL);
	FAILS(prctl(HASH, SET_SLOTS, 4, 1, 0), EINVAL);
	FAILS(prctl(HASH, SET_SLOTS, 4, 1L << 32, 0), EINVAL);
	CHECK(GET() == 0 && prctl(HASH, GET_SLOTS, 1, 1, 1) == 0);
}

static void a_thread_makes_one(void) {
	CHECK(GET() == 0);
	another_thread();
	CHECK(GET() >= LEAST && in_a_child() == 0);
}

static void a_choice_stays(void) {
	CHECK(SET(4) == 0 && GET() == 4);
	another_thread();
	CHECK(GET() == 4 && in_a_child() == 0);
	CHECK(SET(2) == 0 && GET() == 2);
	CHECK(SET((1L << 32) + 64) == 0 && GET() == 64); // an unsigned int
	CHECK(prctl(HASH, SET_SLOTS, 1 << 16, 0, 1) == 0 && GET() == 1 << 16);
	execl("/proc/self/exe", "futex_hash", "again", (char *)0);
	CHECK(0);
}

static void none_is_for_good(void) {
	another_thread();
	CHECK(SET(0) == 0 && GET() == 0);
	FAILS(SET(0), EBUSY);
	FAILS(SET(4), EBUSY);
	FAILS(SET(3), EINVAL);
	another_thread();
	CHECK(GET() == 0);
}

static int sets(void *a) {
	return SET(8);
}

static void it_is_the_memorys(void) {
	static char stack[65536];
	int st;
	pid_t p = clone(sets, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
	CHECK(waitpid(p, &st, 0) == p && st == 0 && GET() == 8);
}

static int ends(void *a) {
	return a != NULL;
}

static void another_process_makes_one_that_stays(void) {
	static char stack[65536];
	int st;
	CHECK(waitpid(clone(ends, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), &st, 0) > 0 && st == 0);
	CHECK(GET() == 0);
	CHECK(waitpid(clone(ends, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL), &st, 0) > 0 && st == 0);
	CHECK(GET() >= LEAST);
}

int main(int argc, char **argv) {
	if (argc > 1) { // after execve
		CHECK(GET() == 0);
		_exit(0);
	}
	APART(what_is_refused());
	APART(a_thread_makes_one());
	APART(a_choice_stays());
	APART(none_is_for_good());
	APART(it_is_the_memorys());
	APART(another_process_makes_one_that_stays());
	return 0;
}
