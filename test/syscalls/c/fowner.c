// fcntl(2), F_SETOWN: by whose right the owner of a file is told, and for how long the
// choice keeps what.
// covers: fcntl unshare
#include "child.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

static int pipes[12][2];

// owned is a pipe whose reader is to be sent SIGIO, as the caller chooses.
static void owned(int *p, pid_t owner) {
	CHECK(fcntl(p[0], F_SETOWN, owner) == 0 && fcntl(p[0], F_SETFL, O_ASYNC) == 0);
}

static void becomes(uid_t uid) {
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresuid, uid, uid, uid) == 0);
}

// listener is a child with the ids uid that ends with 0 once it is told by SIGIO.
static pid_t listener(uid_t uid) {
	int ready[2];
	char c;
	sigset_t io;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	CHECK(pipe(ready) == 0);
	pid_t p = fork();
	if (p == 0) {
		sigprocmask(SIG_BLOCK, &io, NULL);
		becomes(uid);
		CHECK(write(ready[1], "r", 1) == 1);
		struct timespec t = {1, 0};
		_exit(sigtimedwait(&io, NULL, &t) == SIGIO ? 0 : 1);
	}
	CHECK(p > 0 && read(ready[0], &c, 1) == 1);
	return p;
}

static int heard(pid_t p) {
	int st;
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st));
	return WEXITSTATUS(st) == 0;
}

static void by_the_right_of_who_chose(void) {
	pid_t p = listener(1000), chooser = fork();
	if (chooser == 0) {
		owned(pipes[0], p);
		becomes(2000);
		_exit(0);
	}
	CHECK(heard(chooser) && write(pipes[0][1], "x", 1) == 1 && heard(p));
}

static void not_of_who_writes(void) {
	pid_t p = listener(1000), chooser = fork();
	if (chooser == 0) {
		becomes(2000);
		owned(pipes[0], p);
		_exit(0);
	}
	CHECK(heard(chooser) && write(pipes[0][1], "x", 1) == 1 && !heard(p));
}

static void an_equal_may(void) {
	pid_t p = listener(1000), chooser = fork();
	if (chooser == 0) {
		becomes(1000);
		owned(pipes[0], p);
		_exit(0);
	}
	CHECK(heard(chooser) && write(pipes[0][1], "x", 1) == 1 && heard(p));
}

static void *is_chosen(void *a) {
	int *p = a;
	sigset_t io;
	struct timespec t = {1, 0};
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	struct f_owner_ex ex = {-1, -1};
	pid_t self = syscall(SYS_gettid);
	owned(p, self);
	CHECK(fcntl(p[0], F_GETOWN) == 0 && fcntl(p[0], F_GETOWN_EX, &ex) == 0 && ex.type == F_OWNER_PID && ex.pid == 0);
	CHECK(write(p[1], "x", 1) == 1 && sigtimedwait(&io, NULL, &t) == SIGIO);
	ex = (struct f_owner_ex){F_OWNER_TID, self};
	CHECK(fcntl(p[0], F_SETOWN_EX, &ex) == 0 && fcntl(p[0], F_GETOWN_EX, &ex) == 0 && ex.type == F_OWNER_TID && ex.pid == self);
	return NULL;
}

// A thread that is chosen as a process is told, and shown as nobody.
static void a_thread_is_no_process(void) {
	pthread_t th;
	sigset_t io;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	CHECK(pthread_create(&th, NULL, is_chosen, pipes[0]) == 0 && pthread_join(th, NULL) == 0);
}

static void choose(int fd, int type, pid_t pid) {
	struct f_owner_ex ex = {type, pid};
	CHECK(fcntl(fd, F_SETOWN_EX, &ex) == 0);
}

static void shown(int fd, int type, pid_t pid) {
	struct f_owner_ex ex = {-1, -1};
	CHECK(fcntl(fd, F_GETOWN_EX, &ex) == 0 && ex.type == type && ex.pid == pid);
	CHECK(fcntl(fd, F_GETOWN) == (type == F_OWNER_PGRP ? -pid : pid));
}

// Who chooses nobody says what kind of nobody.
static void nobody_has_a_kind(void) {
	int fd = pipes[1][0], leased = open("leased", O_CREAT | O_RDWR, 0600);
	shown(fd, F_OWNER_TID, 0);
	for (int type = F_OWNER_TID; type <= F_OWNER_PGRP; type++) {
		choose(fd, type, 0), shown(fd, type, 0);
		choose(fd, type, getpgrp()), shown(fd, type, getpgrp());
		choose(fd, type, 0), shown(fd, type, 0);
	}
	CHECK(fcntl(fd, F_SETOWN, 0) == 0);
	shown(fd, F_OWNER_PID, 0);
	FAILS(fcntl(fd, F_SETOWN_EX, &((struct f_owner_ex){F_OWNER_PGRP, -5})), ESRCH);
	FAILS(fcntl(fd, F_SETOWN_EX, &((struct f_owner_ex){F_OWNER_PGRP + 1, 0})), EINVAL);
	shown(fd, F_OWNER_PID, 0);

	choose(leased, F_OWNER_PGRP, 0); // is nobody, so the lease chooses
	CHECK(fcntl(leased, F_SETLEASE, F_WRLCK) == 0);
	shown(leased, F_OWNER_PID, getpid());
	CHECK(fcntl(leased, F_SETLEASE, F_UNLCK) == 0);
	shown(leased, F_OWNER_PID, 0);
	choose(leased, F_OWNER_PGRP, getpgrp());
	CHECK(fcntl(leased, F_SETLEASE, F_WRLCK) == 0);
	shown(leased, F_OWNER_PGRP, getpgrp());
	CHECK(fcntl(leased, F_SETLEASE, F_UNLCK) == 0);
	shown(leased, F_OWNER_PID, 0);
}

// breaks has somebody else open the leased file, and says whether the process is told.
static int breaks(int leased) {
	sigset_t io;
	struct timespec t = {0, 300000000};
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	pid_t p = fork();
	if (p == 0) {
		close(leased);
		_exit(open("leased", O_RDONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK ? 0 : 1);
	}
	CHECK(heard(p));
	return sigtimedwait(&io, NULL, &t) == SIGIO;
}

static pid_t tid;

static void *takes_lease(void *a) {
	int *leased = a, dir = open(".", O_RDONLY);
	tid = syscall(SYS_gettid);
	CHECK(fcntl(*leased, F_SETLEASE, F_WRLCK) == 0);
	shown(*leased, F_OWNER_PID, 0);
	CHECK(breaks(*leased));
	CHECK(fcntl(*leased, F_SETLEASE, F_UNLCK) == 0 && fcntl(*leased, F_SETLEASE, F_WRLCK) == 0);
	CHECK(fcntl(dir, F_NOTIFY, DN_CREATE) == 0);
	shown(dir, F_OWNER_PID, 0);
	return NULL;
}

// The process is told of the leases that a thread takes, until the thread ends.
static void a_lease_is_the_threads(void) {
	pthread_t th;
	sigset_t io;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	int leased = open("leased", O_CREAT | O_RDWR, 0600);
	CHECK(pthread_create(&th, NULL, takes_lease, &leased) == 0 && pthread_join(th, NULL) == 0);
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
		usleep(1000);
	CHECK(!breaks(leased));
	CHECK(fcntl(leased, F_GETLEASE) == F_RDLCK);
}

// Where there may be few networks, each goes with the process that made it, though its
// pipe names that process for ever.
static void the_owners_network_is_not_kept(void) {
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) == 0);
	pid_t init = fork();
	if (init == 0) {
		CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0 && write_file("/proc/sys/user/max_net_namespaces", "3") == 0);
		for (unsigned i = 0; i < sizeof pipes / sizeof *pipes; i++) {
			pid_t p = fork();
			if (p == 0) {
				int r = unshare(CLONE_NEWNET);
				for (int n = 0; r == -1 && errno == ENOSPC && n < 500; n++) // Linux takes networks down later
					usleep(10000), r = unshare(CLONE_NEWNET);
				CHECK(r == 0);
				owned(pipes[i], getpid());
				_exit(0);
			}
			gone(p);
			CHECK(fcntl(pipes[i][0], F_GETOWN) == p && heard(p) && fcntl(pipes[i][0], F_GETOWN) == 0);
		}
		_exit(0);
	}
	CHECK(heard(init));
}

int main(void) {
	for (unsigned i = 0; i < sizeof pipes / sizeof *pipes; i++)
		CHECK(pipe(pipes[i]) == 0);
	APART(by_the_right_of_who_chose());
	APART(not_of_who_writes());
	APART(an_equal_may());
	APART(a_thread_is_no_process());
	APART(nobody_has_a_kind());
	APART(a_lease_is_the_threads());
	APART(the_owners_network_is_not_kept());
	return 0;
}
