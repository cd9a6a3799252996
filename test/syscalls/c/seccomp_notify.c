// seccomp_unotify(2): a listener decides on the calls of another process.
// covers: seccomp ioctl poll
#include "seccomp.h"
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND 2
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#define CALL SYS_getpriority
#define GO_ON SECCOMP_USER_NOTIF_FLAG_CONTINUE
static struct seccomp_notif req;
static volatile int handled;
static pid_t target;
static long priority; // what CALL gives where nobody decides on it

static void handler(int s) { handled++; }

static short ready(int fd) {
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void await(int fd, short what) {
	struct pollfd p = {.fd = fd, .events = what};
	CHECK(poll(&p, 1, 20000) == 1 && p.revents == what);
}

static void receive(int fd) {
	memset(&req, 0, sizeof req);
	CHECK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) == 0);
}

static int answer(int fd, uint64_t id, int64_t val, int error, unsigned flags) {
	struct seccomp_notif_resp r = {.id = id, .val = val, .error = error, .flags = flags};
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static int valid(int fd, uint64_t id) { return ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id); }

static int addfd(int fd, uint64_t id, unsigned flags, int src, int new, unsigned new_flags) {
	struct seccomp_notif_addfd a = {.id = id, .flags = flags, .srcfd = src, .newfd = new, .newfd_flags = new_flags};
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

// supervised starts a child that runs f, and returns the listener that decides on
// its CALLs: only the caller has it.
static int supervised(unsigned flags, void (*f)(void)) {
	int up[2], down[2], theirs;
	char c = 0;
	CHECK(pipe(up) == 0 && pipe(down) == 0);
	fflush(stdout);
	target = fork();
	CHECK(target >= 0);
	if (target == 0) {
		int l = on_flags(CALL, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
		CHECK(l >= 0 && fcntl(l, F_GETFD) == FD_CLOEXEC && fcntl(l, F_GETFL) == O_RDWR);
		write(up[1], &l, sizeof l);
		read(down[0], &c, 1);
		close(l), close(up[0]), close(up[1]), close(down[0]), close(down[1]);
		f();
		_exit(0);
	}
	CHECK(read(up[0], &theirs, sizeof theirs) == sizeof theirs);
	int pidfd = syscall(SYS_pidfd_open, target, 0), listener;
	CHECK(pidfd >= 0 && (listener = syscall(SYS_pidfd_getfd, pidfd, theirs, 0)) >= 0);
	write(down[1], &c, 1);
	close(up[0]), close(up[1]), close(down[0]), close(down[1]), close(pidfd);
	return listener;
}

// over waits for the child, which left it to status whether all was well.
static void over(int fd) {
	CHECK(waitpid(target, &status, 0) == target);
	CHECK(ready(fd) == POLLHUP);
	memset(&req, 0, sizeof req);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req), ENOENT);
	close(fd);
}

static void asks(void) {
	FAILS(syscall(CALL, 1, 2), EXDEV);
	CHECK(syscall(CALL, 3, 4) == 4711);
	CHECK(syscall(CALL, 0, 0) == priority);
	CHECK(syscall(CALL, 5, 6) == -5000);
}

static void decides(void) {
	int fd = supervised(0, asks);
	struct seccomp_notif dirty = {.pid = 1};
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &dirty), EINVAL);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, NULL), EFAULT);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, NULL), EFAULT);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, NULL), EFAULT);
	FAILS(ioctl(fd, 0xc0082177, &dirty), EINVAL);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 2), EINVAL);
	CHECK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 0) == 0);
	FAILS(read(fd, &req, sizeof req), EINVAL);
	char link[64] = "", path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof link - 1) > 0 && !strcmp(link, "anon_inode:seccomp notify"));

	await(fd, POLLIN);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, page), EFAULT); // the call is not lost
	CHECK(ready(fd) == POLLIN);
	receive(fd);
	CHECK(ready(fd) == POLLOUT);
	CHECK(req.pid == target && req.flags == 0 && req.data.nr == CALL && req.data.arch == AUDIT_ARCH_X86_64);
	CHECK(req.data.args[0] == 1 && req.data.args[1] == 2 && req.data.instruction_pointer != 0);
	CHECK(valid(fd, req.id) == 0);
	FAILS(valid(fd, req.id + 1), ENOENT);
	FAILS(answer(fd, req.id + 1, 0, 0, 0), ENOENT);
	FAILS(answer(fd, req.id, 0, 0, 2), EINVAL);
	FAILS(answer(fd, req.id, 1, 0, GO_ON), EINVAL);
	FAILS(answer(fd, req.id, 0, 1, GO_ON), EINVAL);
	CHECK(answer(fd, req.id, 0, -EXDEV, 0) == 0);
	uint64_t first = req.id;
	await(fd, POLLIN);
	FAILS(valid(fd, first), ENOENT);
	FAILS(valid(fd, first + 1), ENOENT); // not received yet
	FAILS(answer(fd, first + 1, 0, 0, 0), EINPROGRESS);
	FAILS(addfd(fd, first + 1, 0, 0, 0, 0), EINPROGRESS);
	receive(fd);
	CHECK(req.id == first + 1 && req.data.args[0] == 3);
	CHECK(answer(fd, req.id, 4711, 0, 0) == 0);
	receive(fd);
	CHECK(answer(fd, req.id, 0, 0, GO_ON) == 0);
	receive(fd);
	CHECK(answer(fd, req.id, 17, -5000, 0) == 0); // the error comes first, whatever it is
	over(fd);
	CHECK(WELL);
}

static void takes(void) {
	char c[8];
	long a = syscall(CALL, 0, 0);
	CHECK(a > 2 && fcntl(a, F_GETFD) == 0 && read(a, c, sizeof c) == 5 && !memcmp(c, "hello", 5));
	CHECK(syscall(CALL, 1, 0) == 77 && fcntl(77, F_GETFD) == FD_CLOEXEC && lseek(77, 0, SEEK_CUR) == 5);
	long b = syscall(CALL, 2, 0);
	CHECK(b == a + 1 && lseek(b, 0, SEEK_SET) == 0 && lseek(a, 0, SEEK_CUR) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 3}) == 0);
	CHECK(syscall(CALL, 3, 0) == 5);
}

static void files(void) {
	int fd = supervised(0, takes), m = memfd_create("m", 0);
	write(m, "hello", 5);
	lseek(m, 0, SEEK_SET);
	receive(fd);
	FAILS(addfd(fd, req.id, 4, m, 0, 0), EINVAL);
	FAILS(addfd(fd, req.id, 0, m, 0, O_NONBLOCK), EINVAL);
	FAILS(addfd(fd, req.id, 0, m, 9, 0), EINVAL);
	FAILS(addfd(fd, req.id, 0, 999, 0, 0), EBADF);
	FAILS(addfd(fd, req.id + 1, 0, m, 0, 0), ENOENT);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, NULL), EFAULT);
	struct { struct seccomp_notif_addfd a; uint64_t more; } large = {{.id = req.id, .srcfd = m}, 1};
	FAILS(ioctl(fd, _IOC(_IOC_WRITE, '!', 3, sizeof large), &large), E2BIG);
	FAILS(ioctl(fd, _IOC(_IOC_WRITE, '!', 3, 16), &large), EINVAL);
	FAILS(ioctl(fd, _IOC(_IOC_WRITE, '!', 3, 4096), &large), EINVAL);
	large.more = 0;
	int n = ioctl(fd, _IOC(_IOC_WRITE, '!', 3, sizeof large), &large);
	CHECK(n > 2 && answer(fd, req.id, n, 0, 0) == 0);
	receive(fd);
	CHECK(addfd(fd, req.id, SECCOMP_ADDFD_FLAG_SETFD, m, 77, O_CLOEXEC) == 77);
	FAILS(addfd(fd, req.id, SECCOMP_ADDFD_FLAG_SETFD, m, 1 << 30, 0), EBADF);
	CHECK(answer(fd, req.id, 77, 0, 0) == 0);
	receive(fd);
	CHECK(addfd(fd, req.id, SECCOMP_ADDFD_FLAG_SEND, m, 0, 0) == n + 1); // an answer, too
	receive(fd);
	CHECK(req.data.args[0] == 3);
	FAILS(addfd(fd, req.id, SECCOMP_ADDFD_FLAG_SEND, m, 0, 0), EMFILE); // and none if it fails
	CHECK(valid(fd, req.id) == 0 && answer(fd, req.id, 5, 0, 0) == 0);
	over(fd);
	CHECK(WELL);
}

static void catches(void) {
	struct sigaction sa = {.sa_handler = handler};
	sigaction(SIGUSR1, &sa, NULL);
	FAILS(syscall(CALL, 0, 0), EINTR);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(syscall(CALL, 1, 0) == 8 && handled == 2);
}

static void catches_later(void) {
	signal(SIGUSR1, handler);
	CHECK(syscall(CALL, 0, 0) == 9 && handled == 1);
}

static void waits(void) { syscall(CALL, 0, 0); }

static void signals(void) {
	int fd = supervised(0, catches);
	receive(fd);
	uint64_t first = req.id;
	kill(target, SIGUSR1);
	await(fd, POLLIN); // the call is over, and the next one there
	FAILS(valid(fd, first), ENOENT);
	FAILS(answer(fd, first, 0, 0, 0), ENOENT);
	receive(fd);
	CHECK(req.data.args[0] == 1);
	first = req.id;
	kill(target, SIGUSR1);
	receive(fd); // made anew
	CHECK(req.id > first && req.data.args[0] == 1 && answer(fd, req.id, 8, 0, 0) == 0);
	over(fd);
	CHECK(WELL);

	// Once received, a call is not to be interrupted.
	fd = supervised(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, catches_later);
	receive(fd);
	kill(target, SIGUSR1);
	usleep(50000);
	CHECK(valid(fd, req.id) == 0 && ready(fd) == POLLOUT && answer(fd, req.id, 9, 0, 0) == 0);
	over(fd);
	CHECK(WELL);

	for (int killable = 0; killable < 2; killable++) { // but for good
		fd = supervised(killable ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0, waits);
		receive(fd);
		kill(target, SIGKILL);
		over(fd);
		CHECK(DIED_OF(SIGKILL));
	}

	// The listener itself is interrupted.
	fd = supervised(0, (void (*)(void))pause);
	struct sigaction sa = {.sa_handler = handler};
	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 0);
	memset(&req, 0, sizeof req);
	FAILS(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req), EINTR);
	kill(target, SIGKILL);
	over(fd);
}

static void left_alone(void) {
	FAILS(syscall(CALL, 0, 0), ENOSYS);
	FAILS(syscall(CALL, 0, 0), ENOSYS);
	// There may be another listener now, and but one.
	int l = on_flags(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	CHECK(l >= 0);
	FAILS(on_flags(SYS_getpgrp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER), EBUSY);
	CHECK(status_line("Seccomp_filters") == 2);
}

static void listener_dies(void) {
	int fd = supervised(0, left_alone);
	receive(fd);
	close(fd);
	CHECK(waitpid(target, &status, 0) == target && WELL);
}

int main(void) {
	priority = syscall(CALL, 0, 0);
	CASE(decides());
	CASE(files());
	CASE(signals());
	CASE(listener_dies());
	return 0;
}
