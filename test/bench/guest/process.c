// What processes and threads cost to make.
#include "bench.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

u64 op_fork(long n, const char *where) {
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		pid_t pid = try(fork());
		if (pid == 0) _exit(0);
		await(pid);
	}
	return now() - begin;
}

u64 op_vfork_exec(long n, const char *where) {
	char *argv[] = {"guest", "exit", NULL}, *envp[] = {NULL};
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		pid_t pid = try(vfork());
		if (pid == 0) {
			execve("/proc/self/exe", argv, envp);
			_exit(9);
		}
		await(pid);
	}
	return now() - begin;
}

static void *returns(void *arg) { return arg; }

u64 op_thread(long n, const char *where) {
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		pthread_t t;
		void *got = NULL;
		if (pthread_create(&t, NULL, returns, &got) != 0 || pthread_join(t, &got) != 0) fail("pthread_create or pthread_join");
		if (got != &got) fail("the thread returned something else");
	}
	return now() - begin;
}
