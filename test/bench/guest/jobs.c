// Shell jobs: real programs, timed inside the container so that its start does
// not count.
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// last_line makes text its last line that is not empty.
static char *last_line(char *text) {
	size_t n = strlen(text);
	while (n > 0 && text[n - 1] == '\n') text[--n] = 0;
	char *nl = strrchr(text, '\n');
	return nl ? nl + 1 : text;
}

// text is the first bytes of a file; it lives until the next call.
static char *text(int fd) {
	static char t[4096];
	ssize_t n = pread(fd, t, sizeof t - 1, 0);
	t[n > 0 ? n : 0] = 0;
	return t;
}

// script runs one of a job's scripts, which appends to the files out and err.
// It may be missing.
static u64 script(const char *file, int out, int err) {
	if (access(file, R_OK) != 0) return 0;
	u64 begin = now();
	pid_t pid = try(fork());
	if (pid == 0) {
		dup2(out, 1);
		dup2(err, 2);
		execl("/bin/sh", "sh", "-e", file, NULL);
		_exit(127);
	}
	int status;
	try(waitpid(pid, &status, 0));
	u64 took = now() - begin;
	const char *stage = strrchr(file, '/') + 1;
	if (WIFSIGNALED(status)) fail("%s was killed by signal %d: %s", stage, WTERMSIG(status), last_line(text(err)));
	if (status != 0) fail("%s exited with %d: %s", stage, WEXITSTATUS(status), last_line(text(err)));
	return took;
}

// job runs one in a fresh directory on the root.
static void job(const void *name) {
	char dir[64], file[128];
	snprintf(dir, sizeof dir, "/work/job-%s", (const char *)name);
	try(mkdir(dir, 0755));
	try(chdir(dir));
	int null = try(open("/dev/null", O_RDWR));
	dup2(null, 0);
	int out = try(open("/tmp/out", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
	int err = try(open("/tmp/err", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
	snprintf(file, sizeof file, "/bench/jobs/%s/prepare", (const char *)name);
	script(file, null, err);
	snprintf(file, sizeof file, "/bench/jobs/%s/run", (const char *)name);
	u64 took = script(file, out, err);
	snprintf(file, sizeof file, "/bench/jobs/%s/check", (const char *)name);
	script(file, out, err);
	char *check = text(out);
	for (char *c = check; *c; c++)
		if (*c == '\n' || *c == '\t') *c = ' ';
	if (!check[0]) fail("it printed nothing to check");
	say(name, "%llu\t%.200s", (unsigned long long)took, check);
}

void jobs(int limit, char **names) {
	for (; *names; names++) attempt(*names, limit, job, *names);
}
