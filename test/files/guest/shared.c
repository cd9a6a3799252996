// shared SEED OPERATIONS THREADS DIR: threads use one file, each its own parts of it,
// which share pages with those of others: what one writes, by whatever way, another's
// writing beside it must not undo. Half of them are in another process. It says "well".
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rnd.h"
#include "history.h"

enum { PART = 1000, PARTS = 64 }; // of each thread, in turn with those of others

static int threads;
static unsigned long operations;
static const char *name;
static uint64_t seed;

struct thread {
	struct rnd r;
	struct history h;
	int fd;
	char *map, part[PARTS][PART];
};

static size_t size(void) { return (size_t)threads * PARTS * PART; }

static off_t place(struct thread *t, int part) { return ((off_t)part * threads + t->h.thread) * PART; }

static void same(struct thread *t, int part, int at, const char *got, size_t n) {
	for (size_t i = 0; i < n; i++)
		if (got[i] != t->part[part][at + i])
			wrong(&t->h, "byte %zu: %#x, want %#x", at + i, got[i] & 255, t->part[part][at + i] & 255);
}

static void step(struct thread *t) {
	int part = below(&t->r, PARTS), to = below(&t->r, PARTS), at = below(&t->r, PART);
	size_t n = 1 + below(&t->r, PART - at);
	off_t off = place(t, part) + at, out = place(t, to) + at;
	char buf[PART], *model = t->part[part] + at;
	memset(buf, 1 + below(&t->r, 255), n);
	long r = n;
	int how = below(&t->r, 10);
	say(&t->h, "way %d, part %d at %d (%#lx), %zu bytes, to part %d", how, part, at, (long)off, n, to);
	switch (how) {
	case 0: case 1:
		r = pwrite(t->fd, buf, n, off);
		memcpy(model, buf, n);
		break;
	case 2: case 3:
		memcpy(t->map + off, buf, n);
		memcpy(model, buf, n);
		break;
	case 4: case 5:
		r = pread(t->fd, buf, n, off);
		same(t, part, at, buf, n);
		break;
	case 6:
		same(t, part, at, t->map + off, n);
		break;
	case 7:
		r = fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, n) ? -1 : (long)n;
		memset(model, 0, n);
		break;
	case 8:
		if (to == part)
			break;
		r = copy_file_range(t->fd, &off, t->fd, &out, n, 0);
		memcpy(t->part[to] + at, model, n);
		break;
	default:
		r = (below(&t->r, 30) ? msync(t->map, size(), MS_ASYNC) : madvise(t->map, size(), MADV_DONTNEED)) ? -1 : (long)n;
	}
	expect(&t->h, r, 0);
	if (r != (long)n)
		wrong(&t->h, "%ld bytes", r);
}

static void *run(void *arg) {
	struct thread *t = arg;
	t->fd = open(name, O_RDWR | O_CLOEXEC);
	expect(&t->h, t->fd, 0);
	t->map = mmap(NULL, size(), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	expect(&t->h, t->map == MAP_FAILED ? -1 : 0, 0);
	for (unsigned long i = 0; i < operations; i++)
		step(t);
	say(&t->h, "all of it at last");
	for (int i = 0; i < PARTS; i++) {
		char buf[PART];
		expect(&t->h, pread(t->fd, buf, PART, place(t, i)), 0);
		same(t, i, 0, buf, PART);
		same(t, i, 0, t->map + place(t, i), PART);
	}
	return NULL;
}

// run_all runs the threads [from, to) of this process.
static void run_all(int from, int to, const char *who) {
	pthread_t id[to];
	for (int i = from; i < to; i++) {
		struct thread *t = calloc(1, sizeof *t);
		t->r = seeded(seed, i);
		t->h.who = who, t->h.thread = i;
		pthread_create(&id[i], NULL, run, t);
	}
	for (int i = from; i < to; i++)
		pthread_join(id[i], NULL);
}

int main(int argc, char **argv) {
	if (argc != 5)
		return 2;
	static char who[200], file[100];
	snprintf(who, sizeof who, "shared %s %s %s %s", argv[1], argv[2], argv[3], argv[4]);
	snprintf(file, sizeof file, "%s/shared", argv[4]);
	name = file, seed = strtoull(argv[1], NULL, 0), threads = atoi(argv[3]);
	operations = strtoul(argv[2], NULL, 0) / threads;
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0644), status;
	if (fd < 0 || ftruncate(fd, size()) < 0) {
		perror(name);
		return 1;
	}
	pid_t child = fork();
	if (child == 0) {
		run_all(threads / 2, threads, who);
		return 0;
	}
	run_all(0, threads / 2, who);
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	puts("well");
}
