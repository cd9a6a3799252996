// The guest of the benchmarks: a static program that times operations of the
// kernel it runs on, and jobs of a shell.
//
//	guest list                          the operations: part, name, meaning
//	guest run MICROS REPEATS LIMIT OP…  times operations
//	guest jobs LIMIT JOB…               times shell jobs
//	guest hello | idle | exit           says hello; waits for ever; ends
//
// A result is a line of its own: "result", name, nanoseconds, check; or
// "result", name, "FAILED", reason; with tabs between them.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// FILES are the lines of reads and writes on one filesystem.
#define FILES(on, where) \
	{"io", "write 4 KiB in order, " on, op_write_4k, where, "write(2) of 4 KiB, one after the other through a file of 32 MiB that exists"}, \
	{"io", "write 1 MiB in order, " on, op_write_1m, where, "the same in steps of 1 MiB"}, \
	{"io", "write 4 KiB at random, " on, op_random_write_4k, where, "pwrite(2) of 4 KiB at random places of such a file"}, \
	{"io", "write 1 MiB at random, " on, op_random_write_1m, where, "the same in steps of 1 MiB"}, \
	{"io", "read 4 KiB in order, " on, op_read_4k, where, "read(2) of 4 KiB, one after the other, of a file of 32 MiB that the host caches"}, \
	{"io", "read 1 MiB in order, " on, op_read_1m, where, "the same in steps of 1 MiB"}, \
	{"io", "read 4 KiB at random, " on, op_random_read_4k, where, "pread(2) of 4 KiB at random places of such a file"}, \
	{"io", "read 1 MiB at random, " on, op_random_read_1m, where, "the same in steps of 1 MiB"}, \
	{"io", "write 4 KiB and fsync, " on, op_fsync, where, "a write of 4 KiB and fsync(2), which waits for the disk"}, \
	{"io", "make a small file, " on, op_small_create, where, "open(2) with O_CREAT, a write of 1 KiB and close(2), of a new file"}, \
	{"io", "read a small file, " on, op_small_read, where, "stat(2), open(2), a read of 1 KiB and close(2), of one file after the other"}, \
	{"io", "remove a small file, " on, op_small_remove, where, "unlink(2) of a file of 1 KiB"}

static const struct op ops[] = {
	{"micro", "getpid", op_getpid, "", "getpid(2): into the kernel and back, and nothing else"},
	{"micro", "getppid", op_getppid, "", "getppid(2): the same, for a value that no library could keep"},
	{"micro", "read /dev/zero", op_read_zero, "/dev", "read(2) of one byte of /dev/zero"},
	{"micro", "pread 4 KiB, tmpfs", op_pread, "/tmp", "pread(2) of the same 4 KiB of a file"},
	{"micro", "pread 4 KiB, root", op_pread, "/work", "the same on the root"},
	{"micro", "pwrite 4 KiB, tmpfs", op_pwrite, "/tmp", "pwrite(2) over the same 4 KiB of a file"},
	{"micro", "pwrite 4 KiB, root", op_pwrite, "/work", "the same on the root"},
	{"micro", "fstat, tmpfs", op_fstat, "/tmp", "fstat(2) of an open file"},
	{"micro", "fstat, root", op_fstat, "/work", "the same on the root"},
	{"micro", "stat, tmpfs", op_stat, "/tmp", "stat(2) of a path of two names"},
	{"micro", "stat, root", op_stat, "/work", "the same on the root"},
	{"micro", "open and close, tmpfs", op_open, "/tmp", "open(2) of an existing file for reading, and close(2)"},
	{"micro", "open and close, root", op_open, "/work", "the same on the root"},
	{"micro", "pipe, one task", op_pipe, "", "a write(2) of one byte to a pipe and a read(2) of it, by the same task"},
	{"micro", "pipe ping-pong", op_pipe_pingpong, "", "a byte to another process and one back, over two pipes: both sleep and are woken once"},
	{"micro", "futex ping-pong", op_futex_pingpong, "", "two threads wake each other with futex(2): one round trip"},
	{"micro", "unix socket ping-pong", op_unix_pingpong, "", "a byte to another process and one back, over a socketpair(2)"},
	{"micro", "epoll and pipe", op_epoll, "", "write(2) to a pipe, epoll_wait(2) that finds it ready, read(2)"},
	{"micro", "mmap and munmap 64 KiB", op_mmap, "", "mmap(2) of 64 KiB of private memory and munmap(2), untouched"},
	{"micro", "first touch of a page", op_touch, "", "the first write to each 4 KiB page of 64 MiB of fresh private memory (no huge pages)"},
	{"micro", "copy on write of a page", op_cow, "", "a child's first write to a page that it has from its parent"},
	{"micro", "fork, exit and wait", op_fork, "", "fork(2) of this small program, _exit(2) of the child, waitpid(2)"},
	{"micro", "vfork and exec", op_vfork_exec, "", "vfork(2), execve(2) of this static program, which ends at once, waitpid(2)"},
	{"micro", "thread create and join", op_thread, "", "pthread_create(3) of a thread that returns at once, and pthread_join(3)"},
	{"micro", "signal to self", op_signal, "", "kill(2) of this process, the handler's run and its return"},
	{"micro", "sched_yield", op_yield, "", "sched_yield(2) with nobody else to run"},
	{"micro", "clock_gettime", op_clock, "", "clock_gettime(3) of CLOCK_MONOTONIC by the vDSO"},
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

// measure finds how many operations take as long as the plan aims at, does as
// many several times over, and says the median.
static void measure(const void *plan) {
	const struct plan *p = plan;
	const struct op *o = p->op;
	double each[15];
	long n = 1;
	u64 took = o->run(n, o->where);
	while (took < p->aim / 2) {
		u64 more = p->aim / (took + 1);
		n *= more < 2 ? 2 : more > 10 ? 10 : (long)more;
		took = o->run(n, o->where);
	}
	n = n * (double)p->aim / (double)took + 1;
	for (int i = 0; i < p->repeats; i++) each[i] = (double)o->run(n, o->where) / (double)n;
	qsort(each, p->repeats, sizeof each[0], ascending);
	say(o->name, "%.2f\tok", each[p->repeats / 2]);
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
	if (strcmp(mode, "jobs") == 0 && argc > 3) {
		jobs(atoi(argv[2]), argv + 3);
		return 0;
	}
	fprintf(stderr, "usage: guest list | run MICROS REPEATS LIMIT OP... | jobs LIMIT JOB... | hello | idle | exit\n");
	return 2;
}
