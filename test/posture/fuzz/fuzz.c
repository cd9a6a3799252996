// fuzz makes system calls at random, with arguments of the right kind as often as
// not: fuzz CALLS SEED SECONDS. CALLS is a file with a line "number name kinds"
// for each call; see KINDS below. A supervisor starts workers, each with threads
// and for a second or so, half of them as root in namespaces of their own, and a
// quarter as root of a user namespace; kills those that don't end by themselves, and
// says "stuck" if one survives even that.
// What kills a worker is its own business; the kernel under it must live.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 512, THREADS = 4, WORKERS = 3, ARENA = 1 << 20, SLOT = 512, PATIENCE = 20 };

// What the calls are, and how often each was made and went well.
static struct { int nr; char name[32], kinds[8]; } call[CALLS];
static int calls;
static struct counts { uint64_t made[CALLS], well[CALLS]; } *counts;

static char *arena; // what pointers mostly point to
static struct timespec until;

// A thread's own generator (xorshift64*), and how deep in forks it is.
struct rnd { uint64_t state; int depth; };

static uint64_t next(struct rnd *r) {
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1d;
}
static uint64_t below(struct rnd *r, uint64_t n) { return next(r) % n; }
#define ONE_OF(r, list) (list)[below(r, sizeof(list) / sizeof *(list))]

static const char *const paths[] = {
	"/tmp/f0", "/tmp/f1", "/tmp/f2", "f3", "d0", "d0/f4", "d0/d1", "d0/d1/f5", "d2", "link", "loop", "fifo", "sock", ".", "..", "/",
	"", "/tmp", "/tmp/", "/proc/self/maps", "/proc/self/fd/3", "/proc/self/task", "/proc/self/status", "/proc/thread-self/ns/uts",
	"/proc/self/ns/pid", "/proc/sys/kernel/hostname", "/proc/mounts", "/proc/1/stat", "/proc/self/mem", "/proc/self/exe", "/dev/null",
	"/dev/zero", "/dev/ptmx", "/dev/pts/0", "/dev/tty", "/dev/shm/x", "/dev/urandom", "/sys", "/sys/fs/cgroup", "/bin/true", "/nonexistent",
};
static const uint32_t requests[] = {
	0x5401, 0x5402, 0x5403, 0x5405, 0x5409, 0x540b, 0x540e, 0x540f, 0x5410, 0x5411, 0x5412, 0x5413, 0x5414, 0x541b, 0x5420, 0x5421,
	0x5422, 0x5423, 0x5429, 0x5430, 0x5431, 0x5441, 0x5450, 0x5451, 0x5452, 0x5460, 0x80045430, 0x40045431, 0x40045436, 0x8901, 0x8903,
	0x8905, 0x8906, 0x8907, 0x8910, 0x8912, 0x8913, 0x8914, 0x8915, 0x8921, 0x8927, 0x8933, 0xb701, 0xb702, 0xb703, 0xb704, 0x40049409,
	0x80086601, 0x40086602, 0xc020660b, 0x5201, 0x80045200, 0x1277, 0x80081272, 0xc0502100, 0xc0182101, 0x40082102, 0x40182103,
};

// any is a number of any size.
static uint64_t any(struct rnd *r) {
	static const uint64_t edges[] = {0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 4096, 4095, 65536};
	switch (below(r, 8)) {
	case 0: return 0;
	case 1: case 2: return below(r, 16);
	case 3: return below(r, 80);
	case 4: return -below(r, 5);
	case 5: return 1ull << below(r, 64);
	case 6: return ONE_OF(r, edges);
	default: return next(r) >> below(r, 64);
	}
}

static uint64_t address(struct rnd *r) {
	switch (below(r, 24)) {
	case 0: return 0;
	case 1: return any(r);
	case 2: return (uint64_t)arena + ARENA - below(r, 64); // runs off the end
	case 3: return (uint64_t)arena + below(r, ARENA);
	default: return (uint64_t)arena + (below(r, ARENA / 4096) << 12);
	}
}

// structure writes something that a call may take for what it expects into the
// slot, and returns where it is.
static uint64_t structure(struct rnd *r) {
	switch (below(r, 24)) {
	case 0: case 1: return address(r);
	case 2: case 3: case 4: return 0;
	}
	char *slot = arena + below(r, ARENA / 2 / SLOT) * SLOT;
	uint64_t *word = (uint64_t *)slot;
	switch (below(r, 12)) {
	case 0: // timespec, timeval, itimerval and the like: short times
		for (int i = 0; i < 4; i++)
			word[i] = i % 2 ? below(r, 3000000) : below(r, 8) == 0;
		break;
	case 1: // iovec
		for (int i = 0; i < 16; i += 2)
			word[i] = address(r), word[i + 1] = below(r, 9000);
		break;
	case 2: { // msghdr
		char *name = arena + below(r, ARENA / 2 / SLOT) * SLOT;
		word[0] = (uint64_t)name, word[1] = below(r, 120), word[2] = (uint64_t)(slot + 128), word[3] = below(r, 4);
		word[4] = (uint64_t)(slot + 256), word[5] = below(r, 2) * 24, word[6] = 0;
		for (int i = 16; i < 24; i += 2)
			word[i] = address(r), word[i + 1] = below(r, 5000);
		word[32] = 20, word[33] = SOL_SOCKET | (1 + below(r, 2)) << 32, word[34] = below(r, 24);
		break;
	}
	case 3: { // sockaddr
		struct sockaddr_un *un = (void *)slot;
		struct sockaddr_in *in = (void *)slot;
		if (below(r, 2)) {
			un->sun_family = AF_UNIX;
			strcpy(un->sun_path, below(r, 2) ? "sock" : "\0abstract");
		} else {
			*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(7000 + below(r, 4)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
		}
		break;
	}
	case 4: // pollfd, epoll_event, descriptors
		for (int i = 0; i < 8; i++)
			((uint32_t *)slot)[2 * i] = below(r, 24), ((uint32_t *)slot)[2 * i + 1] = next(r) & 0x1f;
		break;
	case 5: // bit sets
		for (int i = 0; i < 16; i++)
			word[i] = next(r) & next(r) & next(r);
		break;
	case 6: // open_how, clone_args, sched_attr, mount_attr: few bits and small numbers
		for (int i = 0; i < 16; i++)
			word[i] = below(r, 3) ? 0 : any(r);
		break;
	case 7: // numbers
		for (int i = 0; i < 32; i++)
			((uint32_t *)slot)[i] = any(r);
		break;
	case 8: // addresses
		for (int i = 0; i < 32; i++)
			word[i] = address(r);
		break;
	case 9:
		strcpy(slot, ONE_OF(r, paths));
		break;
	case 10: // flock, sembuf: 16-bit halves
		for (int i = 0; i < 64; i++)
			((uint16_t *)slot)[i] = below(r, 4);
		break;
	default: // as it was
		break;
	}
	return (uint64_t)slot;
}

static uint64_t path(struct rnd *r) {
	if (below(r, 16) == 0)
		return address(r);
	char *slot = arena + ARENA / 2 + below(r, ARENA / 4 / SLOT) * SLOT;
	strcpy(slot, ONE_OF(r, paths));
	if (below(r, 12) == 0)
		sprintf(slot, "/proc/self/fd/%d", (int)below(r, 28));
	if (below(r, 64) == 0)
		memset(slot, 'n', SLOT - 1); // of more than NAME_MAX
	return (uint64_t)slot;
}

// name is that of an extended attribute.
static uint64_t name(struct rnd *r) {
	static const char *const names[] = {"user.a", "user.b", "trusted.c", "security.capability", "system.posix_acl_access", "user.", "x"};
	char *slot = arena + ARENA * 3 / 4 + below(r, ARENA / 4 / SLOT) * SLOT;
	return (uint64_t)strcpy(slot, ONE_OF(r, names));
}

// flags is few bits of many.
static uint64_t flags(struct rnd *r) {
	uint64_t f = 0;
	for (uint64_t n = below(r, 4); n > 0; n--)
		f |= 1ull << below(r, below(r, 8) ? below(r, 2) ? 4 : 24 : 64);
	return f;
}

#include "typed.h"

// KINDS: f descriptor, p path, n name of an attribute, b structure, a address,
// s size, g signal, x flags, m flags of mmap, u user, group or process, r request
// of ioctl, k key, t type of keys, d description of a key, q permissions of one,
// l lock of fcntl, c attributes of scheduling, i number.
static uint64_t argument(struct rnd *r, char kind) {
	if (below(r, 32) == 0)
		return any(r);
	switch (kind) {
	case 'f': return below(r, 16) ? below(r, 28) : (uint64_t)AT_FDCWD;
	case 'p': return path(r);
	case 'b': return structure(r);
	case 'a': return below(r, 2) ? address(r) : structure(r);
	case 's': return below(r, 8) ? below(r, 3) ? below(r, 128) : below(r, 9000) : below(r, 4) ? 4096 * below(r, 64) : any(r);
	case 'g': return below(r, 66);
	case 'x': return flags(r);
	case 'u': return below(r, 3) ? (uint64_t[]){0, getpid(), syscall(SYS_gettid), getppid()}[below(r, 4)] : any(r);
	case 'r': return below(r, 8) ? ONE_OF(r, requests) : any(r);
	case 'm': return (uint64_t[]){MAP_PRIVATE, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED, MAP_SHARED | MAP_ANONYMOUS}[below(r, 4)] | (below(r, 4) ? 0 : flags(r));
	case 'n': return name(r);
	case 'k': return serial(r);
	case 't': return key_type(r);
	case 'd': return description(r);
	case 'q': return permissions(r);
	case 'l': return lock(r);
	case 'c': return scheduling(r);
	case 'i':
		switch (below(r, 8)) {
		case 0: return structure(r);
		case 1: return any(r);
		case 2: case 3: return below(r, 48);
		default: return below(r, 8);
		}
	default: return any(r);
	}
}

static int over(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec > until.tv_nsec);
}

static void ignore(int s) { (void)s; }

// restore undoes what would keep a thread from getting on.
static void restore(void) {
	struct sigaction sa = {.sa_handler = ignore};
	sigaction(SIGALRM, &sa, NULL); // without SA_RESTART: it ends every wait
	sigset_t s;
	sigemptyset(&s);
	pthread_sigmask(SIG_SETMASK, &s, NULL);
	struct itimerval it = {{0, 400}, {0, 400}};
	setitimer(ITIMER_REAL, &it, NULL);
}

// files gives the low descriptors something to be.
static void files(void) {
	int p[2];
	open("/dev/zero", O_RDWR), open("/tmp", O_RDONLY | O_DIRECTORY), open("/tmp/f0", O_RDWR | O_CREAT, 0600), open("/tmp/f1", O_RDWR | O_CREAT | O_APPEND, 0644);
	pipe(p), socketpair(AF_UNIX, SOCK_STREAM, 0, p), socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, p);
	socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0), socket(AF_NETLINK, SOCK_RAW, 0), epoll_create1(0), eventfd(1, 0);
	open("/dev/ptmx", O_RDWR | O_NOCTTY), memfd_create("m", MFD_ALLOW_SEALING), open("/proc/self", O_PATH), open("/proc/self/status", O_RDONLY);
	mkdir("d0", 0755), mkdir("d0/d1", 0755), symlink("f0", "link"), symlink("loop", "loop"), mkfifo("fifo", 0644);
}

static int forks(int nr) { return nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3; }
static int ends(int nr) { return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn || nr == SYS_execve || nr == SYS_execveat; }

static void once(struct rnd *r) {
	int i = below(r, calls), nr = call[i].nr;
	if (ends(nr) && below(r, 200))
		return;
	if (forks(nr) && (r->depth > 1 || below(r, 20)))
		return;
	uint64_t a[6];
	for (int k = 0; k < 6; k++)
		a[k] = call[i].kinds[k] ? argument(r, call[i].kinds[k]) : any(r);
	typed(r, nr, a);
	if (nr == SYS_close && a[0] < 3)
		return;
	int depth = r->depth;
	long ret = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	remember_key(r, nr, ret);
	__atomic_add_fetch(&counts->made[i], 1, __ATOMIC_RELAXED);
	if (ret != -1)
		__atomic_add_fetch(&counts->well[i], 1, __ATOMIC_RELAXED);
	if (forks(nr) && ret == 0) { // the child does a few more
		struct rnd own = {next(r) ^ getpid(), depth + 1};
		for (int n = 0; n < 30; n++)
			once(&own);
		_exit(0);
	}
}

static void *work(void *arg) {
	struct rnd r = *(struct rnd *)arg;
	for (int n = 0; !over(); n++) {
		if (n % 256 == 0)
			restore();
		if (n % 4096 == 0)
			files();
		once(&r);
	}
	return NULL;
}

static void put(const char *file, const char *text) {
	int fd = open(file, O_WRONLY);
	write(fd, text, strlen(text)), close(fd);
}

// own_users makes the caller root of a user namespace, and of others there.
static void own_users(void) {
	char map[32];
	unsigned uid = getuid(), gid = getgid();
	prctl(PR_SET_DUMPABLE, 1); // or the maps are another's
	unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
	put("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", uid), put("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1", gid), put("/proc/self/gid_map", map);
	mount("tmpfs", "/tmp", "tmpfs", 0, "size=16m,mode=1777");
	chdir("/tmp");
}

// worker does not return.
static void worker(uint64_t seed, int root) {
	struct rnd r = {seed * 0x9e3779b97f4a7c15 | 1, 0};
	setsid(); // kill(0, …) is for the worker
	int null = open("/dev/null", O_RDWR);
	if (null < 0) // another worker has removed it
		null = eventfd(0, EFD_NONBLOCK);
	dup2(null, 0), dup2(null, 1), dup2(null, 2), close(null);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (below(&r, 2) ? CLONE_NEWNET : 0));
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, "size=16m,mode=1777");
	chdir("/tmp");
	if (root) { // it may kill whom it sees: that is its own children
		unshare(CLONE_NEWPID);
		pid_t p = fork();
		if (p != 0) {
			int st;
			while (waitpid(p, &st, 0) != p) {}
			_exit(0);
		}
	} else {
		setgid(1000 + seed % 3), setuid(1000 + seed % 3);
		struct rlimit few = {40, 40};
		setrlimit(RLIMIT_NPROC, &few);
		if (below(&r, 2))
			own_users();
	}
	struct rlimit small = {64 << 20, 64 << 20};
	setrlimit(RLIMIT_FSIZE, &small);
	// What runs off its ends finds nothing.
	arena = mmap(NULL, 3 * ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	arena += ARENA;
	mprotect(arena, ARENA, PROT_READ | PROT_WRITE);
	struct rnd own[THREADS];
	for (int i = 0; i < THREADS; i++) {
		pthread_t t;
		own[i] = (struct rnd){next(&r) | 1, 0};
		if (i > 0)
			pthread_create(&t, NULL, work, &own[i]);
	}
	work(&own[0]);
	_exit(0);
}

static void read_calls(const char *file) {
	FILE *f = fopen(file, "r");
	if (!f)
		perror(file), exit(2);
	while (calls < CALLS && fscanf(f, "%d %31s %7s", &call[calls].nr, call[calls].name, call[calls].kinds) == 3) {
		if (strcmp(call[calls].kinds, "-") == 0)
			call[calls].kinds[0] = 0;
		calls++;
	}
	fclose(f);
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	read_calls(argv[1]);
	uint64_t seed = strtoull(argv[2], NULL, 0), started = 0;
	time_t end = time(NULL) + atoi(argv[3]);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct { pid_t pid; time_t since; } at[WORKERS] = {0};
	int left = 1;
	for (time_t turn = time(NULL); left; turn = time(NULL)) {
		left = time(NULL) < end;
		// Threads that have asked to be traced, too, want to be waited for.
		int st;
		for (pid_t p; (p = waitpid(-1, &st, WNOHANG | __WALL)) > 0;)
			for (int i = 0; i < WORKERS; i++)
				if (at[i].pid == p && (WIFEXITED(st) || WIFSIGNALED(st)))
					at[i].pid = 0;
		for (int i = 0; i < WORKERS; i++) {
			if (!at[i].pid && time(NULL) < end) {
				started++;
				at[i].since = time(NULL);
				if ((at[i].pid = fork()) == 0)
					worker(seed * 1000003 + started, started % 2);
			}
			if (!at[i].pid)
				continue;
			left = 1;
			if (time(NULL) > turn + PATIENCE / 2) { // or it would blame a worker that it has not looked for
				printf("stuck: the supervisor itself, for %ld s\n", (long)(time(NULL) - turn));
				return 3;
			}
			if (time(NULL) > at[i].since + 2)
				kill(at[i].pid, SIGKILL);
			if (time(NULL) > at[i].since + 2 + PATIENCE) {
				printf("stuck: process %d\n", at[i].pid);
				return 3;
			}
		}
		usleep(5000);
	}
	// What workers have left behind is the supervisor's by now.
	kill(-1, SIGKILL);
	for (time_t since = time(NULL); waitpid(-1, NULL, WNOHANG | __WALL) >= 0 || errno != ECHILD; usleep(5000))
		if (time(NULL) > since + PATIENCE) {
			puts("stuck: what workers have left behind");
			return 3;
		}
	uint64_t made = 0, some = 0;
	for (int i = 0; i < calls; i++)
		made += counts->made[i], some += counts->well[i] > 0;
	printf("%lu workers, %lu calls, %lu of %d went well at least once\n", started, made, some, calls);
	for (int i = 0; i < calls; i++)
		if (!counts->well[i])
			printf("%s ", call[i].name);
	puts("\nwell");
	return 0;
}
