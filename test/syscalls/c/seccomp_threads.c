// seccomp(2) with several threads: who is killed, SECCOMP_FILTER_FLAG_TSYNC.
// covers: seccomp exit
#include "seccomp.h"

static volatile int stage, stop;
static volatile pid_t other;
static volatile long seen;

static void await(int s) {
	while (stage < s) usleep(100);
}

static void *offender(void *arg) {
	syscall(SYS_getpgrp);
	stage = 99; // not reached
	return NULL;
}

static void kill_thread(void) {
	IN_CHILD { // the thread ends, the process does not
		pthread_t t;
		CHECK(on(SYS_getpgrp, SECCOMP_RET_KILL_THREAD) == 0);
		CHECK(pthread_create(&t, NULL, offender, NULL) == 0);
		CHECK(pthread_join(t, NULL) == 0);
		CHECK(stage == 0);
		_exit(0);
	}
	CHECK(WELL);
	IN_CHILD { // all of it does
		pthread_t t;
		CHECK(on(SYS_getpgrp, SECCOMP_RET_KILL_PROCESS) == 0);
		CHECK(pthread_create(&t, NULL, offender, NULL) == 0);
		for (;;) pause();
	}
	CHECK(DIED_OF(SIGSYS));
}

static void *leaves(void *arg) {
	usleep(20000);
	syscall(SYS_exit, 3);
	return NULL;
}

static void *offends_later(void *strict) {
	usleep(20000);
	if (strict) prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	syscall(SYS_getpgrp);
	return NULL;
}

// How the last thread ended is how the process did.
static void last(void) {
	pthread_t t;
	IN_CHILD {
		CHECK(pthread_create(&t, NULL, leaves, NULL) == 0);
		syscall(SYS_exit, 5);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	IN_CHILD {
		CHECK(on(SYS_getpgrp, SECCOMP_RET_KILL_THREAD) == 0);
		CHECK(pthread_create(&t, NULL, leaves, NULL) == 0);
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	IN_CHILD {
		CHECK(on(SYS_getpgrp, SECCOMP_RET_KILL_THREAD) == 0);
		CHECK(pthread_create(&t, NULL, offends_later, NULL) == 0);
		syscall(SYS_exit, 5);
	}
	CHECK(DIED_OF(SIGSYS));
	IN_CHILD { // the strict mode kills one thread, with another signal
		CHECK(pthread_create(&t, NULL, leaves, NULL) == 0);
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	IN_CHILD {
		CHECK(pthread_create(&t, NULL, offends_later, (void *)1) == 0);
		syscall(SYS_exit, 5);
	}
	CHECK(DIED_OF(SIGKILL));
}

static void *spinner(void *arg) {
	other = syscall(SYS_gettid);
	pid_t self = getpid();
	int own = arg != NULL;
	if (own) CHECK(on(SYS_getuid, SECCOMP_RET_ERRNO | EXDEV) == 0);
	stage = 1;
	while (stage < 2) { // the call is answered often, and from one place
		long r = syscall(SYS_getpid);
		CHECK(r == self || (r == -1 && errno == EXDEV));
	}
	for (int i = 0; i < 100; i++) {
		errno = 0;
		long r = syscall(SYS_getpid);
		seen = r == -1 && errno == EXDEV;
		if (seen == own) {
			fprintf(stderr, "call %d after stage 2 gave %ld\n", i, r);
			_exit(1);
		}
	}
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == !own);
	CHECK(status_line("Seccomp_filters") == 1 && status_line("NoNewPrivs") == !own);
	stage = 3;
	return NULL;
}

static void tsync(void) {
	IN_CHILD {
		pthread_t t;
		CHECK(pthread_create(&t, NULL, spinner, NULL) == 0);
		await(1);
		usleep(20000);
		CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		CHECK(on_flags(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC) == 0);
		stage = 2; // whoever sees this is filtered
		CHECK(pthread_join(t, NULL) == 0);
		FAILS(syscall(SYS_getpid), EXDEV);
		_exit(0);
	}
	CHECK(WELL);
	IN_CHILD { // a thread with filters of its own
		pthread_t t;
		CHECK(pthread_create(&t, NULL, spinner, (void *)1) == 0);
		await(1);
		CHECK(on_flags(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC) == other);
		FAILS(on_flags(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH), ESRCH);
		CHECK(prctl(PR_GET_SECCOMP) == 0); // and nothing was done
		stage = 2;
		CHECK(pthread_join(t, NULL) == 0);
		CHECK(on_flags(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC) == 0);
		_exit(0);
	}
	CHECK(WELL);
	IN_CHILD { // one with fewer of the same is brought up
		pthread_t t;
		CHECK(on(SYS_getuid, SECCOMP_RET_ALLOW) == 0);
		stage = 0;
		int fd = -1, fds[2];
		CHECK(pipe(fds) == 0);
		CHECK(pthread_create(&t, NULL, leaves, NULL) == 0);
		CHECK((fd = on_flags(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV,
			SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_NEW_LISTENER)) > fds[1]);
		CHECK(pthread_join(t, NULL) == 0);
		_exit(0);
	}
	CHECK(WELL);
}

int main(void) {
	CASE(kill_thread());
	CASE(last());
	CASE(tsync());
	return 0;
}
