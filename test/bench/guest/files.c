// Reads and writes of one large file and of many small ones. Every block says
// which it is and how often it has been written, so that a block that is lost,
// stale or misplaced is found.
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096, STEP = 1 << 20, PER_STEP = STEP / BLOCK, BLOCKS = 8192 /* 32 MiB */ };

struct mark {
	uint32_t block, version;
};

static int fd = -1;
static uint32_t version[BLOCKS]; // of each block, as last written
static long cursor;               // where the next step in order goes, in blocks
static _Alignas(BLOCK) char buffer[STEP];

// stamp marks the blocks of the buffer, at both ends, as the next version of
// those from first on.
static void stamp(long first, long blocks) {
	for (long i = 0; i < blocks; i++) {
		struct mark m = {first + i, ++version[first + i]};
		memcpy(buffer + i * BLOCK, &m, sizeof m);
		memcpy(buffer + (i + 1) * BLOCK - sizeof m, &m, sizeof m);
	}
}

static void check(long first, long blocks) {
	for (long i = 0; i < blocks; i++) {
		struct mark want = {first + i, version[first + i]}, head, tail;
		memcpy(&head, buffer + i * BLOCK, sizeof head);
		memcpy(&tail, buffer + (i + 1) * BLOCK - sizeof tail, sizeof tail);
		if (memcmp(&head, &want, sizeof want) != 0 || memcmp(&tail, &want, sizeof want) != 0)
			fail("block %ld is %u of version %u, not version %u", first + i, head.block, head.version, want.version);
	}
}

// prepare makes the file, whole, on the first call.
static void prepare(const char *where) {
	if (fd != -1) return;
	fd = try(open(path(where, "large"), O_RDWR | O_CREAT | O_TRUNC, 0644));
	memset(buffer, 'b', STEP);
	memset(version, 0, sizeof version);
	for (long b = 0; b < BLOCKS; b += PER_STEP) {
		stamp(b, PER_STEP);
		if (write(fd, buffer, STEP) != STEP) failed("write");
	}
	cursor = 0;
	try(lseek(fd, 0, SEEK_SET));
}

// verify reads the whole file.
static void verify(void) {
	for (long b = 0; b < BLOCKS; b += PER_STEP) {
		if (pread(fd, buffer, STEP, b * BLOCK) != STEP) failed("pread");
		check(b, PER_STEP);
	}
}

// in_order does n writes or reads of so many blocks, from where the last ended.
static u64 in_order(long n, long blocks, int writing) {
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		if (cursor >= BLOCKS) {
			cursor = 0;
			try(lseek(fd, 0, SEEK_SET));
		}
		if (writing) stamp(cursor, blocks);
		if ((writing ? write(fd, buffer, blocks * BLOCK) : read(fd, buffer, blocks * BLOCK)) != blocks * BLOCK)
			failed(writing ? "write" : "read");
		if (!writing) check(cursor, blocks);
		cursor += blocks;
	}
	return now() - begin;
}

// at_random does them at places that are the same in every run of the program.
static u64 at_random(long n, long blocks, int writing) {
	static u64 state = 88172645463325252;
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17; // xorshift64
		long b = (long)(state % (BLOCKS / blocks)) * blocks;
		if (writing) stamp(b, blocks);
		if ((writing ? pwrite(fd, buffer, blocks * BLOCK, b * BLOCK) : pread(fd, buffer, blocks * BLOCK, b * BLOCK)) != blocks * BLOCK)
			failed(writing ? "pwrite" : "pread");
		if (!writing) check(b, blocks);
	}
	return now() - begin;
}

typedef u64 pattern(long n, long blocks, int writing);

static u64 reads(long n, const char *where, pattern *p, long blocks) {
	prepare(where);
	return p(n, blocks, 0);
}

static u64 writes(long n, const char *where, pattern *p, long blocks) {
	prepare(where);
	u64 took = p(n, blocks, 1);
	verify();
	return took;
}

u64 op_read_4k(long n, const char *where) { return reads(n, where, in_order, 1); }
u64 op_read_1m(long n, const char *where) { return reads(n, where, in_order, PER_STEP); }
u64 op_random_read_4k(long n, const char *where) { return reads(n, where, at_random, 1); }
u64 op_random_read_1m(long n, const char *where) { return reads(n, where, at_random, PER_STEP); }
u64 op_write_4k(long n, const char *where) { return writes(n, where, in_order, 1); }
u64 op_write_1m(long n, const char *where) { return writes(n, where, in_order, PER_STEP); }
u64 op_random_write_4k(long n, const char *where) { return writes(n, where, at_random, 1); }
u64 op_random_write_1m(long n, const char *where) { return writes(n, where, at_random, PER_STEP); }

u64 op_fsync(long n, const char *where) {
	prepare(where);
	try(fsync(fd)); // what prepare wrote is not this op's
	u64 took = 0;
	for (long i = 0; i < n; i++) {
		u64 begin = now();
		in_order(1, 1, 1);
		try(fsync(fd));
		took += now() - begin;
	}
	verify();
	return took;
}

enum { SMALL = 1024 };

// small_dir is where this process has its small files.
static const char *small_dir(const char *where) {
	static char dir[32];
	if (!dir[0]) {
		snprintf(dir, sizeof dir, "%s/small-%d", where, getpid());
		try(mkdir(dir, 0755));
	}
	return dir;
}

static char *small(const char *where, long i) {
	static char p[64];
	snprintf(p, sizeof p, "%s/%ld", small_dir(where), i);
	return p;
}

static void make_small(const char *where, long i) {
	char data[SMALL];
	memset(data, 'a' + i % 26, SMALL);
	int f = try(open(small(where, i), O_WRONLY | O_CREAT | O_EXCL, 0644));
	if (write(f, data, SMALL) != SMALL) failed("write");
	try(close(f));
}

static void read_small(const char *where, long i) {
	char data[SMALL + 1];
	struct stat st;
	char *p = small(where, i);
	try(stat(p, &st));
	int f = try(open(p, O_RDONLY));
	if (st.st_size != SMALL || read(f, data, sizeof data) != SMALL) fail("%s is of %ld bytes", p, (long)st.st_size);
	if (data[0] != 'a' + i % 26 || data[SMALL - 1] != data[0]) fail("%s holds something else", p);
	try(close(f));
}

// What op_small_create makes stays, and op_small_remove removes few: ext4 looks
// at each inode near by that was freed in the last minutes, and passes it over,
// whenever it makes a file.
u64 op_small_create(long n, const char *where) {
	small_dir(where);
	u64 begin = now();
	for (long i = 0; i < n; i++) make_small(where, i);
	u64 took = now() - begin;
	for (long i = 0; i < n; i++) read_small(where, i);
	return took;
}

u64 op_small_remove(long n, const char *where) {
	for (long i = 0; i < n; i++) make_small(where, i);
	u64 begin = now();
	for (long i = 0; i < n; i++) try(unlink(small(where, i)));
	u64 took = now() - begin;
	if (access(small(where, n - 1), F_OK) == 0) fail("a file that was removed is there");
	return took;
}

u64 op_small_read(long n, const char *where) {
	enum { FILES = 200 };
	static int made;
	if (!made) {
		for (long i = 0; i < FILES; i++) make_small(where, i);
		made = 1;
	}
	u64 begin = now();
	for (long i = 0; i < n; i++) read_small(where, i % FILES);
	return now() - begin;
}
