// covers: lseek fallocate ftruncate memfd_create preadv
// Files in memory that are much larger than memory: what looks through them, or wants
// all of it, comes to its end.
#include "check.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#define PATIENCE 10 // seconds; Linux takes microseconds

static time_t now(void) {
	struct timespec t;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return t.tv_sec;
}

static int huge(void) {
	int fd = memfd_create("huge", 0);
	CHECK(fd >= 0 && ftruncate(fd, 1L << 62) == 0);
	return fd;
}

// seeks looks for the only pages that there are.
static void seeks(void) {
	int fd = huge();
	time_t began = now();
	FAILS(lseek(fd, 0, SEEK_DATA), ENXIO);
	CHECK(lseek(fd, 5, SEEK_HOLE) == 5);
	long at[] = {1L << 31, 1L << 61};
	CHECK(pwrite(fd, "x", 1, at[1] + 1) == 1 && pwrite(fd, "x", 1, at[0] + 1) == 1);
	CHECK(lseek(fd, 0, SEEK_DATA) == at[0]);
	CHECK(lseek(fd, at[0] + 7, SEEK_DATA) == at[0] + 7);
	CHECK(lseek(fd, at[0] + 7, SEEK_HOLE) == at[0] + 4096);
	CHECK(lseek(fd, at[0] + 4096, SEEK_DATA) == at[1]);
	CHECK(lseek(fd, at[1], SEEK_HOLE) == at[1] + 4096);
	CHECK(lseek(fd, at[1] + 4096, SEEK_HOLE) == at[1] + 4096);
	FAILS(lseek(fd, at[1] + 4096, SEEK_DATA), ENXIO);
	CHECK(now() - began < PATIENCE);
	close(fd);
}

// allocates kills who wants more memory than there can be: Linux goes on getting it.
static void allocates(void) {
	int fd = huge();
	pid_t p = fork();
	if (p == 0) {
		fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1L << 46);
		for (;;) pause();
	}
	CHECK(p > 0);
	usleep(10000);
	CHECK(kill(p, SIGKILL) == 0);
	for (time_t since = now(); waitpid(p, NULL, WNOHANG) == 0; usleep(1000))
		CHECK(now() - since < PATIENCE);
	close(fd);
}

// reads reads a hole with a page behind it.
static void reads(void) {
	enum { PIECES = 8, PIECE = 16 << 20, LEN = PIECES * PIECE };
	struct iovec v[PIECES];
	char *m = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	for (int i = 0; i < PIECES; i++)
		v[i] = (struct iovec){m, PIECE};
	int fd = huge();
	CHECK(pwrite(fd, "x", 1, (1L << 31) - 1) == 1);
	m[PIECE - 1] = 'y';
	CHECK(preadv(fd, v, PIECES, (1L << 31) - LEN) == LEN);
	CHECK(m[PIECE - 1] == 'x' && m[PIECE - 2] == 0);
	close(fd);
}

// counts has each of many pages that lie far from each other counted, and given back.
static void counts(void) {
	enum { PAGES = 4000 };
	struct stat st;
	int fd = huge();
	for (long i = 0; i < PAGES; i++)
		CHECK(pwrite(fd, "x", 1, i << 30) == 1);
	CHECK(fstat(fd, &st) == 0 && st.st_blocks == PAGES * 8);
	CHECK(ftruncate(fd, 0) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 0);
	close(fd);
}

int main(void) {
	CASE(seeks());
	CASE(allocates());
	CASE(reads());
	CASE(counts());
	return 0;
}
