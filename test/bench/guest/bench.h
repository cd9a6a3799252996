// What the operations share. The whole program is static and needs nothing of
// its root but the directories that main.c's table names.
#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;

// An op is one operation and one line of the tables.
struct op {
	const char *part, *name, *means; // means is its line in the glossary
	// run does the operation n times below the directory where, and returns how
	// many nanoseconds that took. What it needs it makes on its first call in a
	// process, and does not count; a process that runs one op runs no other.
	u64 (*run)(long n, const char *where);
	const char *where;
	long n; // how many operations to time; 0: as many as take long enough
};

// now is CLOCK_MONOTONIC in nanoseconds.
u64 now(void);

// fail ends this process, whose op has no number, with the reason; failed adds
// what errno says.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void failed(const char *what);

// try is for calls that give -1, as a number or as a pointer, if they fail.
#define try(call) ({ __auto_type r_ = (call); if ((intptr_t)r_ == -1) failed(#call); r_; })

// say writes one line of results: what the driver reads.
void say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

// path is name below the directory where; it lives until the next call.
const char *path(const char *where, const char *name);

// await waits for pid, which must exit with 0.
void await(int pid);

// storm makes a system call over and over, getpgid or pread, for so many seconds;
// nothing is a busy loop.
_Noreturn void storm(const char *call, int seconds);

// serve answers at a port what the operations of network.c ask.
_Noreturn void serve(void);

// attempt has body(arg) say the result of name, in a process group of its own
// that is killed afterwards, and says FAILED for it if it does not end within
// limit seconds or ends badly.
void attempt(const char *name, int limit, void (*body)(const void *), const void *arg);

// jobs times the shell jobs that are named, each for limit seconds at most. A
// job is a directory of /bench/jobs with scripts: prepare, run and check, of
// which run alone is timed. What run and check print is the job's check.
void jobs(int limit, char **names);

enum { COMPUTED = 120000 }; // how often op_compute is done

typedef u64 run(long n, const char *where);
run op_compute;
run op_getpid, op_getppid, op_read_zero, op_pread, op_pwrite, op_fstat, op_stat, op_open, op_signal, op_yield, op_clock;
run op_mmap, op_touch, op_cow;
run op_fork, op_vfork_exec, op_thread;
run op_pipe, op_pipe_pingpong, op_futex_pingpong, op_unix_pingpong, op_epoll;
run op_tcp_pingpong, op_udp_pingpong, op_tcp_connect;
run op_write_4k, op_write_1m, op_read_4k, op_read_1m, op_fsync;
run op_random_write_4k, op_random_write_1m, op_random_read_4k, op_random_read_1m;
run op_small_create, op_small_read, op_small_remove;

#endif
