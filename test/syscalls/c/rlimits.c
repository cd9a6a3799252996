// getrlimit(2): what each limit is a limit of, and what happens there.
// covers: getrlimit setrlimit prlimit64
#include "child.h"
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define P 4096
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void limit(int what, rlim_t cur, rlim_t max) {
	struct rlimit l = {cur, max};
	CHECK(setrlimit(what, &l) == 0);
}

static struct rlimit limited(int what) {
	struct rlimit l;
	CHECK(getrlimit(what, &l) == 0);
	return l;
}

static void soft(int what, rlim_t cur) { limit(what, cur, limited(what).rlim_max); }

static volatile int *counts; // of signals, shared with children
static void count(int sig) { counts[sig]++; }

// ended is how a child that runs f ends.
static int ended(void (*f)(void)) {
	int st;
	pid_t p = fork();
	if (p == 0) f(), _exit(0);
	CHECK(p > 0 && waitpid(p, &st, 0) == p);
	return st;
}

static void *file_map(void) { return mmap(0, P, PROT_READ, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0); }

static void address_space(void) {
	long vm = self_status("VmSize:") << 10;
	char *had = mmap(0, 4 * P, RW, ANON, -1, 0);
	soft(RLIMIT_AS, vm + 8 * P);
	FAILS(mmap(0, 64 * P, PROT_NONE, ANON, -1, 0), ENOMEM);
	FAILS(mremap(had, 4 * P, 64 * P, MREMAP_MAYMOVE), ENOMEM);
	CHECK(mmap(had, 4 * P, RW, ANON | MAP_FIXED, -1, 0) == had); // in place of what is there
	char *now = sbrk(0);
	CHECK(syscall(SYS_brk, now + 64 * P) == (long)now);
	CHECK(mmap(0, P, PROT_NONE, ANON, -1, 0) != MAP_FAILED);
}

static void data(void) {
	void *file = file_map();
	long n = self_status("VmData:") << 10;
	char *none = mmap(0, 64 * P, PROT_READ, ANON, -1, 0);
	soft(RLIMIT_DATA, n + 4 * P);
	FAILS(mmap(0, 64 * P, RW, ANON, -1, 0), ENOMEM);
	CHECK(mmap(0, 64 * P, PROT_READ, ANON, -1, 0) != MAP_FAILED); // can't be written
	CHECK(mmap(0, 64 * P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	FAILS(mprotect(none, 64 * P, RW), ENOMEM);
	CHECK(mprotect(none, P, RW) == 0 && file != MAP_FAILED);
	char *now = sbrk(0);
	CHECK(syscall(SYS_brk, now + 1024 * P) == (long)now);
	soft(RLIMIT_DATA, 0); // is as much as the hard limit
	CHECK(mmap(0, P, RW, ANON, -1, 0) != MAP_FAILED && mprotect(none, 2 * P, RW) == 0);
	CHECK(syscall(SYS_brk, now + P) == (long)now);
}

static void file_size(void) {
	char b[100] = {0};
	signal(SIGXFSZ, count);
	soft(RLIMIT_FSIZE, 60);
	int fd = open("size", O_CREAT | O_RDWR | O_TRUNC, 0600), src = open("/proc/self/exe", O_RDONLY), p[2];
	CHECK(write(fd, b, 100) == 60 && counts[SIGXFSZ] == 0);
	FAILS(write(fd, b, 1), EFBIG);
	CHECK(counts[SIGXFSZ] == 1);
	FAILS(pwrite(fd, b, 10, 60), EFBIG);
	CHECK(pwrite(fd, b, 10, 55) == 5 && counts[SIGXFSZ] == 2);
	FAILS(pwrite(fd, b, 10, 1000), EFBIG);
	CHECK(write(fd, b, 0) == 0 && counts[SIGXFSZ] == 3);
	FAILS(ftruncate(fd, 61), EFBIG);
	FAILS(truncate("size", 1000), EFBIG);
	CHECK(counts[SIGXFSZ] == 5 && ftruncate(fd, 60) == 0 && ftruncate(fd, 20) == 0);
	FAILS(fallocate(fd, 0, 0, 61), EFBIG);
	CHECK(counts[SIGXFSZ] == 6);
	CHECK(lseek(fd, 50, SEEK_SET) == 50 && sendfile(fd, src, 0, 10) == 10);
	FAILS(sendfile(fd, src, 0, 100), EFBIG);
	CHECK(counts[SIGXFSZ] == 7);
	struct iovec v[2] = {{b, 40}, {b, 40}};
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && writev(fd, v, 2) == 60 && counts[SIGXFSZ] == 7);
	fcntl(fd, F_SETFL, O_APPEND);
	FAILS(write(fd, b, 1), EFBIG);
	CHECK(pipe(p) == 0 && write(p[1], b, 100) == 100 && counts[SIGXFSZ] == 8); // no regular file
	CHECK(write(open("/dev/null", O_WRONLY), b, 100) == 100);
	int mem = memfd_create("m", 0);
	CHECK(write(mem, b, 100) == 60);
	soft(RLIMIT_FSIZE, 0);
	CHECK(open("size2", O_CREAT | O_WRONLY, 0600) >= 0);
	FAILS(write(open("size2", O_WRONLY), b, 1), EFBIG);
	CHECK(counts[SIGXFSZ] == 9);
	signal(SIGXFSZ, SIG_IGN);
	FAILS(write(open("size2", O_WRONLY), b, 1), EFBIG);
}

static void spins(void) {
	signal(SIGXCPU, count);
	limit(RLIMIT_CPU, 1, 2);
	while (counts[SIGXCPU] == 0) {}
	counts[0] = limited(RLIMIT_CPU).rlim_cur;
	for (;;) {}
}

static void spins_to_death(void) {
	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_CPU, 0, 5);
	for (;;) {}
}

static void processor_time(void) {
	int st = ended(spins);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	CHECK(counts[SIGXCPU] == 1 && counts[0] == 2); // each signal is for one second more
	st = ended(spins_to_death);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGXCPU);
}

static void locked_memory(void) {
	int seg = shmget(IPC_PRIVATE, 4 * P, 0600), small = shmget(IPC_PRIVATE, P, 0600);
	CHECK(shmctl(seg, IPC_SET, &(struct shmid_ds){.shm_perm = {.uid = 65534, .mode = 0600}}) == 0);
	CHECK(shmctl(small, IPC_SET, &(struct shmid_ds){.shm_perm = {.uid = 65534, .mode = 0600}}) == 0);
	char *m = mmap(0, 16 * P, RW, ANON, -1, 0);
	limit(RLIMIT_MEMLOCK, P, 8 * P);
	CHECK(mlock(m, 16 * P) == 0 && munlock(m, 16 * P) == 0); // by CAP_IPC_LOCK
	CHECK(shmctl(seg, SHM_LOCK, 0) == 0 && shmctl(seg, SHM_UNLOCK, 0) == 0);
	nobody();
	limit(RLIMIT_MEMLOCK, 2 * P, 8 * P);
	FAILS(mlock(m, 3 * P), ENOMEM);
	CHECK(mlock(m, 2 * P) == 0);
	FAILS(mlock(m + 8 * P, P), ENOMEM);
	CHECK(mlock(m, 2 * P) == 0); // it is already
	FAILS(mmap(0, P, RW, ANON | MAP_LOCKED, -1, 0), EAGAIN);
	FAILS(mremap(m, 2 * P, 3 * P, MREMAP_MAYMOVE), EAGAIN);
	FAILS(mlockall(MCL_CURRENT), ENOMEM);
	CHECK(munlock(m, 16 * P) == 0);
	CHECK(mlockall(MCL_FUTURE) == 0);
	FAILS(mmap(0, 3 * P, RW, ANON, -1, 0), EAGAIN);
	char *now = sbrk(0);
	CHECK(syscall(SYS_brk, now + 64 * P) == (long)now);
	CHECK(mmap(0, P, RW, ANON, -1, 0) != MAP_FAILED && munlockall() == 0);
	FAILS(shmctl(seg, SHM_LOCK, 0), ENOMEM);
	CHECK(shmctl(small, SHM_LOCK, 0) == 0 && shmctl(small, SHM_UNLOCK, 0) == 0);
	limit(RLIMIT_MEMLOCK, 0, 8 * P);
	FAILS(mlock(m, P), EPERM);
	FAILS(mlockall(MCL_FUTURE), EPERM);
	FAILS(mmap(0, P, RW, ANON | MAP_LOCKED, -1, 0), EPERM);
	FAILS(shmctl(small, SHM_LOCK, 0), EPERM);
	shmctl(seg, IPC_RMID, 0), shmctl(small, IPC_RMID, 0);
}

static void message_queues(void) {
	struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 100};
	nobody();
	limit(RLIMIT_MSGQUEUE, 2000, 2000);
	mqd_t q = mq_open("/limited", O_CREAT | O_RDWR, 0600, &a);
	CHECK(q >= 0);
	a.mq_maxmsg = 10, a.mq_msgsize = 200;
	FAILS(mq_open("/limited2", O_CREAT | O_RDWR, 0600, &a), EMFILE);
	mq_unlink("/limited"), mq_close(q);
}

static void open_files(void) {
	struct pollfd pf[20] = {{.fd = -1}, {.fd = -1}};
	fd_set set;
	int p[2], sv[2];
	for (int i = 3; i < 1000; i++) close(i);
	FAILS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){10, 2 << 20}), EPERM);
	soft(RLIMIT_NOFILE, 8);
	FAILS(dup2(0, 8), EBADF);
	FAILS(dup3(0, 8, 0), EBADF);
	CHECK(dup2(0, 7) == 7);
	FAILS(fcntl(0, F_DUPFD, 8), EINVAL);
	FAILS(fcntl(0, F_DUPFD, 7), EMFILE);
	FAILS(fcntl(0, F_DUPFD_CLOEXEC, -1), EINVAL);
	for (int i = 0; i < 20; i++) pf[i].fd = -1;
	FAILS(poll(pf, 9, 0), EINVAL);
	CHECK(poll(pf, 8, 0) == 0);
	FD_ZERO(&set);
	CHECK(select(1000, &set, 0, 0, &(struct timeval){0}) == 0);
	for (int i = 3; i < 6; i++) CHECK(dup(0) == i);
	FAILS(pipe(p), EMFILE); // which needs two
	CHECK(dup(0) == 6);
	FAILS(dup(0), EMFILE);
	FAILS(open("/", O_RDONLY), EMFILE);
	FAILS(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), EMFILE);
	FAILS(syscall(SYS_epoll_create1, 0), EMFILE);
	FAILS(syscall(SYS_eventfd2, 0, 0), EMFILE);
	FAILS(syscall(SYS_timerfd_create, 0, 0), EMFILE);
	FAILS(syscall(SYS_inotify_init1, 0), EMFILE);
	FAILS(memfd_create("x", 0), EMFILE);
	FAILS(syscall(SYS_pidfd_open, getpid(), 0), EMFILE);
	close(6), close(7);
	soft(RLIMIT_NOFILE, 5); // those above stay
	CHECK(fcntl(5, F_GETFD) == 0);
	FAILS(dup2(5, 5) == 5 ? dup(5) : 0, EMFILE);
}

static void *nothing(void *x) { return x; }

static void processes(void) {
	pthread_t t;
	nobody();
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	soft(RLIMIT_NPROC, 2);
	pid_t p = pauses();
	FAILS(fork(), EAGAIN);
	CHECK(pthread_create(&t, 0, nothing, 0) == EAGAIN);
	end(p);
	CHECK(pthread_create(&t, 0, nothing, 0) == 0 && pthread_join(t, 0) == 0);
	soft(RLIMIT_NPROC, 0);
	FAILS(fork(), EAGAIN);
	FAILS(vfork(), EAGAIN);
}

// A process that has become a user's who has too many can't execute a program.
static void becomes(void) {
	CHECK(syscall(SYS_setresuid, 54321, 54321, 54321) == 0);
	FAILS(execl("/proc/self/exe", "rlimits", "nothing", (char *)0), EAGAIN);
	FAILS(execl("/nothing", "x", (char *)0), EAGAIN); // first of all
	_exit(7);
}

static void becomes_few(void) {
	CHECK(syscall(SYS_setresuid, 54321, 54321, 54321) == 0);
	execl("/proc/self/exe", "rlimits", "nothing", (char *)0);
	_exit(8);
}

static void sleeper(void) {
	CHECK(syscall(SYS_setresuid, 54321, 54321, 54321) == 0);
	for (;;) pause();
}

static void execve_after_setuid(void) {
	int st;
	pid_t s[3];
	for (int i = 0; i < 3; i++)
		if ((s[i] = fork()) == 0) sleeper();
	for (int i = 0; i < 3; i++) asleep(s[i]);
	soft(RLIMIT_NPROC, 2);
	st = ended(becomes);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
	soft(RLIMIT_NPROC, 6);
	CHECK(ended(becomes_few) == 0);
	for (int i = 0; i < 3; i++) end(s[i]);
}

static void pending_signals(void) {
	union sigval v = {0};
	timer_t t;
	sigset_t all;
	sigfillset(&all), sigprocmask(SIG_BLOCK, &all, 0);
	nobody();
	long queued = self_status("SigQ:");
	soft(RLIMIT_SIGPENDING, queued + 3);
	for (int i = 0; i < 3; i++) CHECK(sigqueue(getpid(), SIGRTMIN, v) == 0);
	FAILS(sigqueue(getpid(), SIGRTMIN + 1, v), EAGAIN);
	FAILS(sigqueue(getpid(), SIGRTMIN, v), EAGAIN);
	FAILS(timer_create(CLOCK_MONOTONIC, 0, &t), EAGAIN);
	CHECK(kill(getpid(), SIGUSR1) == 0); // others are not lost, only what they say is
	CHECK(kill(getpid(), SIGRTMIN + 3) == 0);
	sigset_t got;
	CHECK(sigpending(&got) == 0 && sigismember(&got, SIGUSR1) && sigismember(&got, SIGRTMIN + 3) && !sigismember(&got, SIGRTMIN + 1));
	CHECK(self_status("SigQ:") == queued + 4);
}

static int deep(int n) {
	volatile char frame[P];
	frame[0] = n;
	return n == 0 ? frame[0] : deep(n - 1) + frame[0];
}

static void shallow(void) {
	soft(RLIMIT_STACK, 256 << 10);
	deep(20);
	limit(RLIMIT_CORE, 0, 0);
	deep(100);
}

static void stack(void) {
	int st = ended(shallow);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

// runs executes this program with n bytes of arguments: what execve(2) says.
static int runs(long n) {
	enum { EACH = 1 << 14 };
	static char *args[1000], each[EACH];
	int st, i = 2;
	memset(each, 'x', EACH - 1);
	args[0] = "rlimits", args[1] = "nothing";
	for (; n > 0; n -= EACH) args[i++] = each;
	args[i] = 0;
	pid_t p = fork();
	if (p == 0) {
		execv("/proc/self/exe", args);
		_exit(errno);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void arguments(void) {
	soft(RLIMIT_STACK, 8 << 20);
	CHECK(runs(0) == 0 && runs(1900 << 10) == 0 && runs(2200 << 10) == E2BIG); // a quarter
	soft(RLIMIT_STACK, 100 << 10);
	CHECK(runs(100) == 0 && runs(64 << 10) == 0 && runs(192 << 10) == E2BIG); // but 128 KiB are always to be had
	soft(RLIMIT_STACK, 64 << 20);
	CHECK(runs(5 << 20) == 0 && runs(7 << 20) == E2BIG); // and never more than 6 MiB
}

static void nice_value(void) {
	nobody();
	limit(RLIMIT_NICE, 0, 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
	FAILS(setpriority(PRIO_PROCESS, 0, 4), EACCES);
	CHECK(getpriority(PRIO_PROCESS, 0) == 5);
}

static void nice_within(void) {
	if (setrlimit(RLIMIT_NICE, &(struct rlimit){25, 25})) return; // as the hard limit is
	nobody();
	CHECK(setpriority(PRIO_PROCESS, 0, -5) == 0);
	FAILS(setpriority(PRIO_PROCESS, 0, -6), EACCES);
}

static void locks_are_not_limited(void) {
	limit(RLIMIT_LOCKS, 0, 0);
	int fd = open("lk", O_CREAT | O_RDWR, 0600);
	CHECK(fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK}) == 0);
}

static void changes(void) {
	struct rlimit l = {5, 4};
	FAILS(setrlimit(RLIMIT_CORE, &l), EINVAL);
	FAILS(setrlimit(16, &l), EINVAL);
	FAILS(syscall(SYS_setrlimit, -1, &l), EINVAL);
	FAILS(syscall(SYS_getrlimit, 16, &l), EINVAL);
	FAILS(syscall(SYS_setrlimit, 16, 1), EFAULT);
	FAILS(syscall(SYS_getrlimit, 16, 1), EINVAL);
	FAILS(syscall(SYS_getrlimit, 1, 1), EFAULT);
	FAILS(syscall(SYS_prlimit64, 0, 16, 0, 0), EINVAL);
	FAILS(syscall(SYS_prlimit64, 4000000, 16, 0, 0), ESRCH);
	FAILS(syscall(SYS_prlimit64, 4000000, 16, 1, 0), EFAULT);
	FAILS(syscall(SYS_prlimit64, -1, 1, 0, 0), ESRCH);
	CHECK(syscall(SYS_prlimit64, 0, 1, 0, 0) == 0);
	limit(RLIMIT_CORE, 7, 9);
	l.rlim_cur = l.rlim_max = 10;
	FAILS(setrlimit(RLIMIT_CORE, &l), EPERM);
	l.rlim_cur = 10, l.rlim_max = 9;
	FAILS(setrlimit(RLIMIT_CORE, &l), EINVAL); // first
	FAILS(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &(struct rlimit){1, 9}, 1), EFAULT);
	CHECK(limited(RLIMIT_CORE).rlim_cur == 1); // it was set all the same
	CHECK(prlimit(0, RLIMIT_CORE, &(struct rlimit){2, 3}, &l) == 0 && l.rlim_cur == 1 && l.rlim_max == 9);
}

static void others(void) {
	struct rlimit l;
	pid_t root = pauses(), other = fork();
	if (other == 0) {
		nobody();
		for (;;) pause();
	}
	asleep(other);
	FAILS(prlimit(other, RLIMIT_CORE, 0, &l), EPERM); // CAP_SYS_RESOURCE would do, not being root
	pid_t c = fork();
	if (c == 0) {
		nobody();
		CHECK(prlimit(other, RLIMIT_CORE, 0, &l) == 0);
		CHECK(prlimit(other, RLIMIT_CORE, &(struct rlimit){0, 0}, &l) == 0);
		FAILS(prlimit(other, RLIMIT_CORE, &(struct rlimit){0, 1}, &l), EPERM);
		FAILS(prlimit(root, RLIMIT_CORE, 0, &l), EPERM);
		FAILS(prlimit(root, RLIMIT_CORE, &(struct rlimit){0, 0}, 0), EPERM);
		_exit(0);
	}
	int st;
	CHECK(waitpid(c, &st, 0) == c && st == 0);
	CHECK(prlimit(root, RLIMIT_CORE, &(struct rlimit){3, 4}, &l) == 0);
	CHECK(prlimit(root, RLIMIT_CORE, 0, &l) == 0 && l.rlim_cur == 3 && l.rlim_max == 4);
	CHECK(limited(RLIMIT_CORE).rlim_max != 4);
	end(root), end(other);
}

static const char *names[][2] = {
	{"Max cpu time", "seconds"}, {"Max file size", "bytes"}, {"Max data size", "bytes"}, {"Max stack size", "bytes"},
	{"Max core file size", "bytes"}, {"Max resident set", "bytes"}, {"Max processes", "processes"}, {"Max open files", "files"},
	{"Max locked memory", "bytes"}, {"Max address space", "bytes"}, {"Max file locks", "locks"}, {"Max pending signals", "signals"},
	{"Max msgqueue size", "bytes"}, {"Max nice priority", ""}, {"Max realtime priority", ""}, {"Max realtime timeout", "us"},
};

static int word(char *b, rlim_t n) { return n == RLIM_INFINITY ? sprintf(b, "%-20s ", "unlimited") : sprintf(b, "%-20lu ", n); }

static void listed(void) {
	char want[4096], got[4096] = {0};
	soft(RLIMIT_CPU, 12345);
	limit(RLIMIT_CORE, 7, 8);
	limit(RLIMIT_RTTIME, 99999999, 999999999);
	int n = sprintf(want, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < 16; i++) {
		struct rlimit l = limited(i);
		n += sprintf(want + n, "%-25s ", names[i][0]);
		n += word(want + n, l.rlim_cur), n += word(want + n, l.rlim_max);
		if (*names[i][1]) n += sprintf(want + n, "%-10s", names[i][1]);
		n += sprintf(want + n, "\n");
	}
	CHECK(read(open("/proc/self/limits", O_RDONLY), got, sizeof got - 1) == n);
	if (strcmp(want, got)) printf("want:\n%sgot:\n%s", want, got);
	CHECK(strcmp(want, got) == 0);
}

int main(int argc, char **argv) {
	if (argc > 1) _exit(0);
	counts = mmap(0, P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	APART(address_space());
	APART(data());
	APART(file_size());
	APART(processor_time());
	APART(locked_memory());
	APART(message_queues());
	APART(open_files());
	APART(processes());
	APART(execve_after_setuid());
	APART(pending_signals());
	APART(stack());
	APART(arguments());
	APART(nice_value());
	APART(nice_within());
	APART(locks_are_not_limited());
	APART(changes());
	APART(others());
	APART(listed());
	return 0;
}
