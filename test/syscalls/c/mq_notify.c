// covers: mq_notify mq_timedreceive
// mq_notify(2): told once, of a message in an empty queue for which none waits.
#include "check.h"
#include <fcntl.h>
#include <mqueue.h>
#include <time.h>

int main(void) {
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 8};
	mqd_t q = mq_open("/notify", O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	CHECK(q >= 0 && mq_unlink("/notify") == 0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	ev.sigev_value.sival_int = 4711;
	CHECK(mq_notify(q, &ev) == 0);
	FAILS(mq_notify(q, &ev), EBUSY);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		FAILS(syscall(SYS_mq_notify, q, &ev), EBUSY);
		CHECK(syscall(SYS_mq_notify, q, NULL) == 0); // not its own: nothing happens
		CHECK(mq_send(q, "one", 3, 0) == 0);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	struct timespec second = {10, 0}, none = {0, 0};
	siginfo_t si;
	CHECK(sigtimedwait(&set, &si, &second) == SIGUSR1);
	CHECK(si.si_code == SI_MESGQ && si.si_pid == child && si.si_value.sival_int == 4711);
	char b[8];
	CHECK(mq_receive(q, b, sizeof b, NULL) == 3);
	CHECK(mq_send(q, "two", 3, 0) == 0); // none is registered any more
	FAILS(sigtimedwait(&set, &si, &none), EAGAIN);
	CHECK(mq_notify(q, &ev) == 0); // the queue is not empty
	CHECK(mq_send(q, "three", 5, 0) == 0);
	FAILS(sigtimedwait(&set, &si, &none), EAGAIN);
	CHECK(mq_notify(q, NULL) == 0);
	CHECK(mq_receive(q, b, sizeof b, NULL) == 3 && mq_receive(q, b, sizeof b, NULL) == 5);
	CHECK(mq_send(q, "four", 4, 0) == 0);
	FAILS(sigtimedwait(&set, &si, &none), EAGAIN);
	FAILS(mq_notify(-1, &ev), EBADF);
	ev.sigev_notify = 99;
	FAILS(syscall(SYS_mq_notify, q, &ev), EINVAL);
	ev.sigev_notify = SIGEV_SIGNAL, ev.sigev_signo = 65;
	FAILS(syscall(SYS_mq_notify, q, &ev), EINVAL);
	FAILS(syscall(SYS_mq_notify, q, (void *)8), EFAULT);
	return 0;
}
