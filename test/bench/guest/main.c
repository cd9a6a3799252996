// The guest of the benchmarks: a static program that times operations of the
// kernel it runs on, and jobs of a shell.
//
//	guest list                          the operations: part, name, meaning
//	guest run MICROS REPEATS LIMIT OP…  times operations
//	guest jobs LIMIT JOB…               times shell jobs
//	guest storm CALL SECONDS            makes that call over and over
//	guest serve                         answers what the operations of the network ask
//	guest hello | idle | exit           says hello; waits for ever; ends
//
// A result is a line of its own: "result", name, nanoseconds, check; or
// "result", name, "FAILED", reason; with tabs between them.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// FILES are the lines of reads and writes on one filesystem.
#define FILES(on, where) \
	{"io", "write 4 KiB in order, " on, "write(2) of 4 KiB, one after the other through a file of 32 MiB that exists", op_write_4k, where}, \
	{"io", "write 1 MiB in order, " on, "the same in steps of 1 MiB", op_write_1m, where}, \
	{"io", "write 4 KiB at random, " on, "pwrite(2) of 4 KiB at random places of such a file", op_random_write_4k, where}, \
	{"io", "write 1 MiB at random, " on, "the same in steps of 1 MiB", op_random_write_1m, where}, \
	{"io", "read 4 KiB in order, " on, "read(2) of 4 KiB, one after the other, of a file of 32 MiB that the host caches", op_read_4k, where}, \
	{"io", "read 1 MiB in order, " on, "the same in steps of 1 MiB", op_read_1m, where}, \
	{"io", "read 4 KiB at random, " on, "pread(2) of 4 KiB at random places of such a file", op_random_read_4k, where}, \
	{"io", "read 1 MiB at random, " on, "the same in steps of 1 MiB", op_random_read_1m, where}, \
	{"io", "write 4 KiB and fsync, " on, "a write of 4 KiB and fsync(2), which waits for the disk", op_fsync, where}, \
	{"io", "make a small file, " on, "open(2) with O_CREAT, a write of 1 KiB and close(2), of a new file", op_small_create, where, 200}, \
	{"io", "read a small file, " on, "stat(2), open(2), a read of 1 KiB and close(2), of one file after the other", op_small_read, where}, \
	{"io", "remove a small file, " on, "unlink(2) of a file of 1 KiB", op_small_remove, where, 100}

// The addresses of the container and of the host, as network.go gives them.
#define INSIDE "10.78.0.2"
#define OUTSIDE "10.78.0.1"

static const struct op ops[] = {
	{"micro", "CPU only", "1,000 steps of arithmetic, of 120 million without a system call", op_compute, "", COMPUTED},
	{"micro", "getpid", "getpid(2): nothing to do; a kernel may let the caller keep the answer", op_getpid, ""},
	{"micro", "getppid", "getppid(2): into the kernel and back, and next to nothing else", op_getppid, ""},
	{"micro", "read /dev/zero", "read(2) of one byte of /dev/zero", op_read_zero, "/dev"},
	{"micro", "pread 4 KiB, tmpfs", "pread(2) of the same 4 KiB of a file", op_pread, "/tmp"},
	{"micro", "pread 4 KiB, root", "the same on the root", op_pread, "/work"},
	{"micro", "pwrite 4 KiB, tmpfs", "pwrite(2) over the same 4 KiB of a file", op_pwrite, "/tmp"},
	{"micro", "pwrite 4 KiB, root", "the same on the root", op_pwrite, "/work"},
	{"micro", "fstat, tmpfs", "fstat(2) of an open file", op_fstat, "/tmp"},
	{"micro", "fstat, root", "the same on the root", op_fstat, "/work"},
	{"micro", "stat, tmpfs", "stat(2) of a path of two names", op_stat, "/tmp"},
	{"micro", "stat, root", "the same on the root", op_stat, "/work"},
	{"micro", "open and close, tmpfs", "open(2) of an existing file for reading, and close(2)", op_open, "/tmp"},
	{"micro", "open and close, root", "the same on the root", op_open, "/work"},
	{"micro", "pipe, one task", "a write(2) of one byte to a pipe and a read(2) of it, by the same task", op_pipe, ""},
	{"micro", "pipe ping-pong", "a byte to another process and one back, over two pipes: both sleep and are woken once", op_pipe_pingpong, ""},
	{"micro", "futex ping-pong", "two threads wake each other with futex(2): one round trip", op_futex_pingpong, ""},
	{"micro", "unix socket ping-pong", "a byte to another process and one back, over a socketpair(2)", op_unix_pingpong, ""},
	{"micro", "epoll and pipe", "write(2) to a pipe, epoll_wait(2) that finds it ready, read(2)", op_epoll, ""},
	{"micro", "mmap and munmap 64 KiB", "mmap(2) of 64 KiB of private memory and munmap(2), untouched", op_mmap, ""},
	{"micro", "first touch of a page", "the first write to each 4 KiB page of 64 MiB of fresh private memory (no huge pages)", op_touch, ""},
	{"micro", "copy on write of a page", "a child's first write to a page that it has from its parent", op_cow, ""},
	{"micro", "fork, exit and wait", "fork(2) of this small program, _exit(2) of the child, waitpid(2)", op_fork, ""},
	{"micro", "vfork and exec", "vfork(2), execve(2) of this static program, which ends at once, waitpid(2)", op_vfork_exec, ""},
	{"micro", "thread create and join", "pthread_create(3) of a thread that returns at once, and pthread_join(3)", op_thread, ""},
	{"micro", "signal to self", "kill(2) of this process, the handler's run and its return", op_signal, ""},
	{"micro", "sched_yield", "sched_yield(2) with nobody else to run", op_yield, ""},
	{"micro", "clock_gettime", "clock_gettime(3) of CLOCK_MONOTONIC by the vDSO", op_clock, ""},
	{"network", "TCP ping-pong", "a byte to a server in the container and one back, over one connection", op_tcp_pingpong, INSIDE},
	{"network", "UDP ping-pong", "the same by datagrams", op_udp_pingpong, INSIDE},
	{"network", "TCP connection", "connect(2) to that server, a byte there and one back, and close(2) by a reset", op_tcp_connect, INSIDE},
	{"network", "TCP ping-pong, from inside", "a byte from the container to a server of the host and one back", op_tcp_pingpong, OUTSIDE},
	{"network", "UDP ping-pong, from inside", "the same by datagrams", op_udp_pingpong, OUTSIDE},
	{"network", "TCP connection, from inside", "the container connects to that server, sends a byte, has one back and resets", op_tcp_connect, OUTSIDE},
	FILES("root", "/work"),
	FILES("bind mount", "/bind"),
};

#define COUNT (sizeof ops / sizeof ops[0])

// A plan says how operations are timed.
struct plan {
	const struct op *op;
	u64 aim; // nanoseconds that one repetition should take
	int repeats;
};

static const struct op *lookup(const char *name) {
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(ops[i].name, name) == 0) return &ops[i];
	return NULL;
}

static int ascending(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

// once finds how many operations take as long as the plan aims at, does as
// many, and returns the nanoseconds of one.
static double once(const struct plan *p) {
	const struct op *o = p->op;
	if (o->n) return (double)o->run(o->n, o->where) / (double)o->n;
	long n = 1;
	u64 took = o->run(n, o->where);
	while (took < p->aim / 2) {
		u64 more = p->aim / (took + 1);
		n *= more < 2 ? 2 : more > 10 ? 10 : (long)more;
		took = o->run(n, o->where);
	}
	n = n * (double)p->aim / (double)took + 1;
	return (double)o->run(n, o->where) / (double)n;
}

// measure does it several times, and says the median. Each has a process of its
// own, lest the CPU that the scheduler chose for the first decide for all.
static void measure(const void *plan) {
	const struct plan *p = plan;
	double *each = try(mmap(NULL, p->repeats * sizeof *each, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (int i = 0; i < p->repeats; i++) {
		pid_t pid = try(fork());
		if (pid == 0) {
			each[i] = once(p);
			_exit(0);
		}
		int status;
		try(waitpid(pid, &status, 0));
		if (WIFSIGNALED(status)) fail("it was killed by signal %d", WTERMSIG(status));
		if (status != 0) _exit(WEXITSTATUS(status)); // it has said why
	}
	qsort(each, p->repeats, sizeof each[0], ascending);
	say(p->op->name, "%.2f\tok", each[p->repeats / 2]);
}

int main(int argc, char **argv) {
	const char *mode = argc > 1 ? argv[1] : "";
	if (strcmp(mode, "exit") == 0) return 0;
	if (strcmp(mode, "hello") == 0) return write(1, "hello\n", 6) != 6;
	if (strcmp(mode, "idle") == 0)
		for (;;) pause();
	if (strcmp(mode, "list") == 0) {
		for (size_t i = 0; i < COUNT; i++) printf("%s\t%s\t%s\n", ops[i].part, ops[i].name, ops[i].means);
		return 0;
	}
	if (strcmp(mode, "run") == 0 && argc > 5) {
		struct plan p = {.aim = strtoull(argv[2], NULL, 10) * 1000, .repeats = atoi(argv[3])};
		for (char **name = argv + 5; *name; name++) {
			if ((p.op = lookup(*name)))
				attempt(*name, atoi(argv[4]), measure, &p);
			else
				say(*name, "FAILED\tno such operation");
		}
		return 0;
	}
	if (strcmp(mode, "serve") == 0) serve();
	if (strcmp(mode, "storm") == 0 && argc > 3) storm(argv[2], atoi(argv[3]));
	if (strcmp(mode, "jobs") == 0 && argc > 3) {
		jobs(atoi(argv[2]), argv + 3);
		return 0;
	}
	fprintf(stderr, "usage: guest list | run MICROS REPEATS LIMIT OP... | jobs LIMIT JOB... | storm CALL SECONDS | serve | hello | idle | exit\n");
	return 2;
}
