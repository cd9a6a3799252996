// What the files of one thread of fsx should hold.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "rnd.h"
#include "history.h"

enum { NAMES = 6, HANDLES = 4, MAPS = 3, MAX = 256 << 10, PAGE = 4096 };

// A file. Its data beyond its size are zero.
struct inode {
	char *data;
	off_t size;
	int names, users; // users are handles and maps
};

// An open file.
struct handle {
	struct inode *of;
	int fd;
	bool append;
	off_t at; // where its offset should be
};

// A shared mapping of the first MAX bytes of a file.
struct map {
	struct inode *of;
	char *at;
};

struct thread {
	struct rnd r;
	struct history h;
	char dir[64];
	struct inode *name[NAMES];
	struct handle open[HANDLES];
	struct map map[MAPS];
	char buf[MAX];
	int pipe[2];
};

static char *path(struct thread *t, int name) {
	static __thread char paths[2][80];
	static __thread int turn;
	char *p = paths[turn++ % 2];
	snprintf(p, sizeof paths[0], "%s/f%d", t->dir, name);
	return p;
}

static struct inode *new_inode(void) {
	struct inode *i = calloc(1, sizeof *i);
	i->data = calloc(1, MAX);
	return i;
}

// drop frees a file that nothing has any more.
static void drop(struct inode *i) {
	if (i && !i->names && !i->users) {
		free(i->data);
		free(i);
	}
}

static void resize(struct inode *i, off_t size) {
	if (size < i->size)
		memset(i->data + size, 0, i->size - size);
	i->size = size;
}

static void grow(struct inode *i, off_t size) {
	if (size > i->size)
		i->size = size;
}

// put writes what is in the file from now on.
static void put(struct inode *i, off_t at, const char *data, size_t n) {
	if (!n)
		return;
	memcpy(i->data + at, data, n);
	grow(i, at + n);
}

// there is how many of n bytes at a place the file has.
static size_t there(struct inode *i, off_t at, size_t n) {
	return at >= i->size ? 0 : at + (off_t)n > i->size ? (size_t)(i->size - at) : n;
}

// same asserts that what was read is what the file has.
static void same(struct thread *t, struct inode *i, const char *got, off_t at, size_t n) {
	if (!memcmp(got, i->data + at, n))
		return;
	size_t from = 0, bad = 0;
	while (got[from] == i->data[at + from])
		from++;
	for (size_t k = from; k < n; k++)
		bad += got[k] != i->data[at + k];
	wrong(&t->h, "at %#lx of %#lx bytes: %#x, want %#x (%zu bytes differ)", at + from, i->size, got[from] & 255, i->data[at + from] & 255, bad);
}

// random_at is an offset: one as good as another, or near a page's edge or the end of the file.
static off_t random_at(struct thread *t, off_t size) {
	off_t at;
	switch (below(&t->r, 6)) {
	case 0: at = below(&t->r, MAX / PAGE) * PAGE; break;
	case 1: at = below(&t->r, MAX / PAGE) * PAGE + below(&t->r, 7) - 3; break;
	case 2: at = size + below(&t->r, 7) - 3; break;
	case 3: at = size + below(&t->r, 3 * PAGE); break;
	case 4: at = below(&t->r, MAX); break;
	default: at = below(&t->r, size); break;
	}
	return at < 0 ? 0 : at >= MAX ? MAX - 1 : at;
}

// random_length is at most most: mostly short, now and then of many pages.
static size_t random_length(struct thread *t, size_t most) {
	static const int upto[] = {16, 256, 5000, 5000, 20000, 70000};
	size_t n = below(&t->r, 8) ? below(&t->r, upto[below(&t->r, 6)]) : PAGE << below(&t->r, 4);
	return n > most ? most : n;
}

static void random_bytes(struct thread *t, char *to, size_t n) {
	uint64_t v = next(&t->r) | 0x0101010101010101; // none is zero, which a hole would be
	for (size_t i = 0; i < n; i++)
		to[i] = (v >> (i % 8 * 8)) ^ (i / 8 << 1 & 0xfe);
}
