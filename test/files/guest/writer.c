// writer DIR FILES: writes records to files of DIR for ever, each until it is on disk,
// and then says so on standard output: a line "FILE OFFSET TEXT" for each. Each file has a
// process, and a way of its own: fsync(2), fdatasync(2), O_SYNC, O_DSYNC, msync(2), or a
// new file that is renamed into its place.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <signal.h>

enum { WAYS = 6, SIZE = 1 << 20 };

static void must_at(int ok, int line) {
	if (!ok) {
		fprintf(stderr, "line %d: %s\n", line, strerror(errno));
		exit(1);
	}
}
#define must(ok) must_at(ok, __LINE__)

// tell says in one write(2) what can't be lost any more.
static void tell(const char *name, off_t at, const char *text, size_t n) {
	char line[200];
	int k = snprintf(line, sizeof line, "%s %ld %.*s\n", name, (long)at, (int)n, text);
	must(write(1, line, k) == k);
}

// replace writes a file under another name, and renames it when it is whole.
static void replace(int dir, const char *name, const char *text, size_t n) {
	char temporary[80];
	snprintf(temporary, sizeof temporary, "%s.new", name);
	int fd = openat(dir, temporary, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	must(fd >= 0 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0);
	must(close(fd) == 0 && renameat(dir, temporary, dir, name) == 0 && fsync(dir) == 0);
}

// record writes and syncs text at a place, in the way that is the file's.
static void record(int way, int fd, char *map, off_t at, const char *text, size_t n) {
	switch (way) {
	case 0: must(pwrite(fd, text, n, at) == (ssize_t)n && fsync(fd) == 0); break;
	case 1: must(pwrite(fd, text, n, at) == (ssize_t)n && fdatasync(fd) == 0); break;
	case 2: case 3: must(write(fd, text, n) == (ssize_t)n); break; // O_SYNC and O_DSYNC
	case 4: memcpy(map + at, text, n), must(msync(map, SIZE, MS_SYNC) == 0); break;
	}
}

static void run(int dir, int i) {
	static const int flags[WAYS] = {0, 0, O_SYNC, O_DSYNC, 0, 0};
	static const char *const ways[WAYS] = {"fsync", "fdatasync", "sync", "dsync", "msync", "rename"};
	char name[40], text[100], *map = NULL;
	int way = i % WAYS, fd = -1;
	snprintf(name, sizeof name, "%s%d", ways[way], i);
	if (way != 5)
		must((fd = openat(dir, name, O_CREAT | O_RDWR | flags[way], 0644)) >= 0);
	if (way == 4) {
		must(ftruncate(fd, SIZE) == 0 && fsync(fd) == 0);
		must((map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
	}
	off_t at = 0;
	for (unsigned long k = 0; at < SIZE - 100; k++) {
		int n = snprintf(text, sizeof text, "%s-%lu-%0*d", name, k, (int)(1 + k * 7 % 40), 7);
		if (way == 5)
			replace(dir, name, text, n);
		else
			record(way, fd, map, at, text, n);
		tell(name, way == 5 ? 0 : at, text, n);
		if (way != 5)
			at += n;
	}
	pause();
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	int dir = open(argv[1], O_RDONLY | O_DIRECTORY), files = atoi(argv[2]);
	must(dir >= 0);
	for (int i = 0; i < files - 1; i++) {
		pid_t p = fork();
		must(p >= 0);
		if (p == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run(dir, i);
		}
	}
	run(dir, files - 1);
}
