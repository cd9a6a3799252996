// covers: mincore mmap madvise
// mincore(2): what is present is said to be, and what is not is not.
#include "check.h"
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#define PAGE 4096UL
#define N 8

static char *map(int prot, int flags, int fd) {
	char *p = mmap(NULL, N * PAGE, prot, flags, fd, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

// is checks the residence of N pages, written as in "11000000".
static void is_(int line, char *p, const char *want) {
	unsigned char v[N];
	char got[N + 1] = {0};
	CHECK(mincore(p, N * PAGE, v) == 0);
	for (int i = 0; i < N; i++)
		got[i] = '0' + v[i];
	if (strcmp(got, want)) {
		fprintf(stderr, "mincore.c:%d: %s, want %s\n", line, got, want);
		_exit(1);
	}
}
#define IS(p, want) is_(__LINE__, p, want)

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED (MAP_SHARED | MAP_ANONYMOUS)

static void touched(void) {
	char *p = map(RW, ANON, -1);
	IS(p, "00000000");
	p[0] = 1;
	(void)*(volatile char *)(p + 2 * PAGE);
	IS(p, "10100000");
	CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0);
	IS(p, "00100000");
	p = map(RW, SHARED, -1);
	p[PAGE] = 1;
	CHECK(madvise(p, 2 * PAGE, MADV_DONTNEED) == 0);
	IS(p, "01000000"); // it is still there
	CHECK(madvise(p, 2 * PAGE, MADV_REMOVE) == 0);
	IS(p, "00000000");
}

static void populated(void) {
	IS(map(RW, ANON | MAP_POPULATE, -1), "11111111");
	IS(map(PROT_READ, ANON | MAP_POPULATE, -1), "11111111");
	IS(map(PROT_NONE, ANON | MAP_POPULATE, -1), "00000000");
	IS(map(RW, ANON | MAP_POPULATE | MAP_NONBLOCK, -1), "00000000");
	IS(map(RW, SHARED | MAP_POPULATE, -1), "11111111");
	IS(map(PROT_READ, SHARED | MAP_POPULATE, -1), "11111111");
	char *p = map(RW, ANON, -1);
	CHECK(madvise(p, 2 * PAGE, MADV_POPULATE_READ) == 0);
	IS(p, "11000000");
	CHECK(madvise(p + 4 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE) == 0);
	IS(p, "11001100");
	p = map(RW, SHARED, -1);
	CHECK(madvise(p, 2 * PAGE, MADV_POPULATE_READ) == 0);
	CHECK(madvise(p + 4 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE) == 0);
	IS(p, "11001100");
}

// What is there already stays as it is.
static void populated_again(void) {
	char *p = map(RW, ANON, -1), *q = map(RW, SHARED, -1);
	p[PAGE] = q[PAGE] = 7;
	CHECK(madvise(p, N * PAGE, MADV_POPULATE_WRITE) == 0 && p[PAGE] == 7 && p[0] == 0);
	CHECK(madvise(q, N * PAGE, MADV_POPULATE_READ) == 0 && q[PAGE] == 7 && q[0] == 0);
	pid_t c = fork();
	if (c == 0) {
		CHECK(madvise(p, N * PAGE, MADV_POPULATE_WRITE) == 0);
		CHECK(p[PAGE] == 7);
		p[PAGE] = 8;
		q[PAGE] = 8;
		_exit(0);
	}
	CHECK(ended_well(c) && p[PAGE] == 7 && q[PAGE] == 8);
}

static void locked(void) {
	char *p = map(RW, ANON, -1);
	CHECK(mlock(p + PAGE, 2 * PAGE) == 0);
	IS(p, "01100000");
}

static void of_files(void) {
	static char b[4 * PAGE];
	int fd = memfd_create("x", 0);
	CHECK(ftruncate(fd, N * PAGE) == 0);
	char *p = map(RW, MAP_SHARED, fd);
	IS(p, "00000000");
	p[0] = 1;
	CHECK(pwrite(fd, "x", 1, 2 * PAGE) == 1);
	IS(p, "10100000");
	fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK(write(fd, b, sizeof b) == sizeof b);
	IS(map(RW, MAP_SHARED, fd), "11110000"); // it ends there
	p = map(RW, MAP_PRIVATE, fd);
	p[0] = 1;
	IS(p, "11110000");
	IS(map(RW, MAP_PRIVATE | MAP_POPULATE, fd), "11110000");
}

// Who could not write to a file is not told.
static void of_others(void) {
	static char b[4 * PAGE];
	int fd = open("g", O_RDWR | O_CREAT, 0644);
	CHECK(write(fd, b, sizeof b) == sizeof b);
	int mine = open("h", O_RDWR | O_CREAT, 0644), all = open("i", O_RDWR | O_CREAT, 0644);
	CHECK(fchown(mine, 4321, 4321) == 0 && fchmod(mine, 0400) == 0 && fchmod(all, 0666) == 0);
	CHECK(syscall(SYS_setresgid, 4321, 4321, 4321) == 0 && syscall(SYS_setresuid, 4321, 4321, 4321) == 0);
	IS(map(PROT_READ, MAP_SHARED, fd), "11111111");
	IS(map(RW, MAP_PRIVATE, fd), "11111111");
	IS(map(PROT_READ, MAP_PRIVATE, mine), "00000000");
	IS(map(PROT_READ, MAP_PRIVATE, all), "00000000");
	IS(map(RW, ANON, -1), "00000000");
}

static void errors(void) {
	unsigned char v[N];
	char *p = map(RW, ANON, -1);
	FAILS(mincore(p + 1, PAGE, v), EINVAL);
	FAILS(mincore(p, PAGE, (unsigned char *)8), EFAULT);
	CHECK(mincore(p, 0, v) == 0);
	p[0] = 1;
	CHECK(munmap(p + PAGE, PAGE) == 0);
	memset(v, 9, sizeof v);
	FAILS(mincore(p, 3 * PAGE, v), ENOMEM);
	CHECK(v[0] == 1 && v[1] == 9); // what is before the hole
	FAILS(mincore(p + PAGE, PAGE, v), ENOMEM);
	CHECK(v[0] == 1);
}

int main(void) {
	APART(touched());
	APART(populated());
	APART(populated_again());
	APART(locked());
	APART(of_files());
	APART(of_others());
	APART(errors());
	return 0;
}
