// fsx SEED OPERATIONS THREADS DIR: operations at random on files, each compared
// with a model in memory. Every thread has files of its own, each with names,
// open files and mappings that come and go. It says which modes of fallocate(2)
// there are, and "well"; or else what it did last.
#include "model.h"
#include <signal.h>

static const struct { int mode; const char *name; } modes[] = {
	{0, "allocate"},
	{FALLOC_FL_KEEP_SIZE, "keep"},
	{FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch"},
	{FALLOC_FL_ZERO_RANGE, "zero"},
	{FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, "zero-keep"},
	{FALLOC_FL_COLLAPSE_RANGE, "collapse"},
	{FALLOC_FL_INSERT_RANGE, "insert"},
};
enum { MODES = sizeof modes / sizeof *modes };
static char supported[MODES]; // 'y' or 'n', when it is known

static unsigned long operations;

static struct handle *any_open(struct thread *t) {
	int from = below(&t->r, HANDLES);
	for (int i = 0; i < HANDLES; i++)
		if (t->open[(from + i) % HANDLES].of)
			return &t->open[(from + i) % HANDLES];
	return NULL;
}
#define ID(h) ((int)((h)-t->open))

// Vectors of up to three parts.
static int split(struct thread *t, struct iovec *v, char *buf, size_t n) {
	size_t a = below(&t->r, n + 1), b = below(&t->r, n - a + 1);
	v[0] = (struct iovec){buf, a}, v[1] = (struct iovec){buf + a, b}, v[2] = (struct iovec){buf + a + b, n - a - b};
	return 3;
}

static void do_write(struct thread *t, struct handle *h) {
	struct iovec v[3];
	int how = below(&t->r, 5), moves = how < 2;
	off_t at = moves ? h->at : random_at(t, h->of->size), from = at;
	if (h->append || how == 4)
		at = h->of->size;
	if (at >= MAX)
		return;
	size_t n = random_length(t, MAX - at);
	random_bytes(t, t->buf, n);
	say(&t->h, "%s %d at %#lx, %#zx bytes", (const char *[]){"write", "writev", "pwrite", "pwritev", "pwritev2 (append)"}[how], ID(h), at, n);
	ssize_t got;
	switch (how) {
	case 0: got = write(h->fd, t->buf, n); break;
	case 1: got = writev(h->fd, v, split(t, v, t->buf, n)); break;
	case 2: got = pwrite(h->fd, t->buf, n, from); break;
	case 3: got = pwritev(h->fd, v, split(t, v, t->buf, n), from); break;
	default: got = pwritev2(h->fd, v, split(t, v, t->buf, n), from, RWF_APPEND); break;
	}
	expect(&t->h, got, 0);
	if (got != (ssize_t)n)
		wrong(&t->h, "wrote %zd", got);
	put(h->of, at, t->buf, n);
	if (moves && n)
		h->at = at + n;
}

static void do_read(struct thread *t, struct handle *h) {
	struct iovec v[3];
	int how = below(&t->r, 4), moves = how < 2;
	off_t at = moves ? h->at : random_at(t, h->of->size);
	size_t n = random_length(t, MAX), want = there(h->of, at, n);
	say(&t->h, "%s %d at %#lx, %#zx bytes", (const char *[]){"read", "readv", "pread", "preadv"}[how], ID(h), at, n);
	memset(t->buf, 0xa5, n);
	ssize_t got;
	switch (how) {
	case 0: got = read(h->fd, t->buf, n); break;
	case 1: got = readv(h->fd, v, split(t, v, t->buf, n)); break;
	case 2: got = pread(h->fd, t->buf, n, at); break;
	default: got = preadv(h->fd, v, split(t, v, t->buf, n), at); break;
	}
	expect(&t->h, got, 0);
	if (got != (ssize_t)want)
		wrong(&t->h, "read %zd, want %zu", got, want);
	same(t, h->of, t->buf, at, want);
	if (moves)
		h->at += got;
}

// do_map makes a mapping anew, or ends one.
static void do_map(struct thread *t, struct handle *h) {
	struct map *m = &t->map[below(&t->r, MAPS)];
	if (m->of) {
		say(&t->h, "munmap %d", (int)(m - t->map));
		expect(&t->h, munmap(m->at, MAX), 0);
		m->of->users--;
		drop(m->of);
		m->of = NULL;
	} else {
		say(&t->h, "mmap %d of %d", (int)(m - t->map), ID(h));
		m->at = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
		expect(&t->h, m->at == MAP_FAILED ? -1 : 0, 0);
		m->of = h->of;
		m->of->users++;
	}
}

// do_mapped reads or writes by a mapping, or asks for what is beyond the end.
static void do_mapped(struct thread *t) {
	struct map *m = &t->map[below(&t->r, MAPS)];
	if (!m->of)
		return;
	off_t size = m->of->size, pages = (size + PAGE - 1) / PAGE * PAGE, at = below(&t->r, size);
	size_t n = there(m->of, at, random_length(t, MAX));
	switch (below(&t->r, 8)) {
	case 0:
		if (pages == MAX)
			return;
		say(&t->h, "beyond the end, map %d at %#lx", (int)(m - t->map), pages);
		expect(&t->h, write(t->pipe[1], m->at + pages, 1), EFAULT);
		return;
	case 1:
		say(&t->h, "msync map %d", (int)(m - t->map));
		expect(&t->h, msync(m->at, MAX, below(&t->r, 64) ? MS_ASYNC : MS_SYNC), 0);
		return;
	case 2: case 3: case 4:
		say(&t->h, "store map %d at %#lx, %#zx bytes", (int)(m - t->map), at, n);
		random_bytes(t, m->at + at, n);
		memcpy(m->of->data + at, m->at + at, n);
		return;
	case 5:
		at = size, n = pages - size; // is zero, as the rest of the page is none of the file's
		/* fallthrough */
	default:
		say(&t->h, "load map %d at %#lx, %#zx bytes", (int)(m - t->map), at, n);
		same(t, m->of, m->at + at, at, n);
	}
}

static void do_private(struct thread *t, struct handle *h) {
	off_t at = random_at(t, h->of->size) / PAGE * PAGE;
	size_t n = there(h->of, at, random_length(t, MAX));
	if (!n)
		return;
	say(&t->h, "mmap %d privately at %#lx, %#zx bytes", ID(h), at, n);
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, h->fd, at);
	expect(&t->h, p == MAP_FAILED ? -1 : 0, 0);
	same(t, h->of, p, at, n);
	memset(p, 0x77, n); // nobody else sees that
	munmap(p, n);
}

static void do_truncate(struct thread *t, struct handle *h) {
	off_t size = below(&t->r, 4) ? random_at(t, h->of->size) : 0;
	int name = below(&t->r, NAMES);
	if (t->name[name] && below(&t->r, 2)) {
		say(&t->h, "truncate f%d to %#lx", name, size);
		expect(&t->h, truncate(path(t, name), size), 0);
		resize(t->name[name], size);
	} else {
		say(&t->h, "ftruncate %d to %#lx", ID(h), size);
		expect(&t->h, ftruncate(h->fd, size), 0);
		resize(h->of, size);
	}
}

static void do_fallocate(struct thread *t, struct handle *h) {
	int m = below(&t->r, MODES), mode = modes[m].mode, want = 0;
	struct inode *i = h->of;
	off_t at = random_at(t, i->size), n = random_length(t, MAX - at);
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		at = at / PAGE * PAGE, n = (n + PAGE - 1) / PAGE * PAGE;
		if (mode == FALLOC_FL_INSERT_RANGE && (i->size + n > MAX || at >= i->size))
			return;
		if (mode == FALLOC_FL_COLLAPSE_RANGE && at + n >= i->size)
			want = EINVAL;
	}
	if (!n)
		return;
	say(&t->h, "fallocate (%s) %d at %#lx, %#lx bytes", modes[m].name, ID(h), at, n);
	int r = fallocate(h->fd, mode, at, n), no = r < 0 && errno == EOPNOTSUPP;
	char old = __atomic_exchange_n(&supported[m], no ? 'n' : 'y', __ATOMIC_RELAXED);
	if (old && old != (no ? 'n' : 'y'))
		wrong(&t->h, "supported now and then");
	if (no)
		return;
	expect(&t->h, r, want);
	if (r < 0)
		return;
	size_t zero = there(i, at, n);
	switch (mode) {
	case 0:
		grow(i, at + n);
		break;
	case FALLOC_FL_ZERO_RANGE:
		grow(i, at + n);
		/* fallthrough */
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE: case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		memset(i->data + at, 0, zero);
		break;
	case FALLOC_FL_COLLAPSE_RANGE:
		memmove(i->data + at, i->data + at + n, i->size - at - n);
		resize(i, i->size - n);
		break;
	case FALLOC_FL_INSERT_RANGE:
		memmove(i->data + at + n, i->data + at, i->size - at);
		memset(i->data + at, 0, n);
		grow(i, i->size + n);
	}
}

// do_copy copies from one open file to another, in the kernel.
static void do_copy(struct thread *t, struct handle *from, struct handle *to) {
	int how = below(&t->r, 3), explicit = below(&t->r, 2);
	off_t in = explicit ? random_at(t, from->of->size) : from->at, out = explicit && how == 0 ? random_at(t, to->of->size) : to->at;
	if (in >= MAX || out >= MAX || (from == to && !(explicit && how == 0)))
		return;
	size_t n = random_length(t, MAX - (in > out ? in : out));
	bool overlap = from->of == to->of && in < out + (off_t)n && out < in + (off_t)n;
	// By sendfile a file would meet what it has just written to itself.
	if (!n || (overlap && how) || (how == 1 && from->of == to->of && there(from->of, in, n) < n))
		return;
	off_t in0 = in, out0 = out;
	ssize_t got;
	int want = 0;
	switch (how) {
	case 0:
		say(&t->h, "copy_file_range %d at %#lx to %d at %#lx, %#zx bytes", ID(from), in, ID(to), out, n);
		// How much is left in the source counts before the two are compared.
		overlap = from->of == to->of && in < out + (off_t)there(from->of, in, n) && out < in + (off_t)there(from->of, in, n);
		want = to->append ? EBADF : overlap ? EINVAL : 0;
		got = explicit ? copy_file_range(from->fd, &in, to->fd, &out, n, 0) : copy_file_range(from->fd, NULL, to->fd, NULL, n, 0);
		break;
	case 1:
		say(&t->h, "sendfile %d at %#lx to %d at %#lx, %#zx bytes", ID(from), in, ID(to), out, n);
		want = to->append ? EINVAL : 0;
		got = sendfile(to->fd, from->fd, explicit ? &in : NULL, n);
		break;
	default:
		if (to->append)
			return;
		say(&t->h, "splice %d at %#lx to %d at %#lx, %#zx bytes", ID(from), in, ID(to), out, n);
		got = splice(from->fd, explicit ? &in : NULL, t->pipe[1], NULL, n, 0);
		expect(&t->h, got, 0);
		for (ssize_t moved = 0, r; moved < got; moved += r)
			if ((r = splice(t->pipe[0], NULL, to->fd, NULL, got - moved, 0)) <= 0)
				wrong(&t->h, "splice from the pipe: %zd, %s", r, strerror(errno));
	}
	expect(&t->h, got, want);
	if (want)
		return;
	size_t most = there(from->of, in0, n);
	if (got > (ssize_t)most || (most && got == 0))
		wrong(&t->h, "copied %zd of %zu", got, most);
	if (explicit && (in != in0 + got || (how == 0 && out != out0 + got)))
		wrong(&t->h, "offsets became %#lx and %#lx after %zd bytes", in, out, got);
	memcpy(t->buf, from->of->data + in0, got);
	put(to->of, out0, t->buf, got);
	if (!explicit)
		from->at += got;
	if (!(explicit && how == 0))
		to->at += got;
}

// do_seek moves the offset, by what the file has and has not as well.
static void do_seek(struct thread *t, struct handle *h) {
	struct inode *i = h->of;
	off_t at = random_at(t, i->size), got;
	switch (below(&t->r, 4)) {
	case 0:
		say(&t->h, "lseek %d SEEK_DATA from %#lx", ID(h), at);
		got = lseek(h->fd, at, SEEK_DATA);
		if (at >= i->size)
			return expect(&t->h, got, ENXIO);
		if (got < 0 && errno == ENXIO)
			got = i->size;
		else
			h->at = got;
		if (got < at || got > i->size)
			wrong(&t->h, "%#lx", got);
		for (off_t k = at; k < got; k++)
			if (i->data[k])
				wrong(&t->h, "%#lx, but there are data at %#lx", got, k);
		return;
	case 1:
		say(&t->h, "lseek %d SEEK_HOLE from %#lx", ID(h), at);
		got = lseek(h->fd, at, SEEK_HOLE);
		if (at >= i->size)
			return expect(&t->h, got, ENXIO);
		if (got < at || got > i->size)
			wrong(&t->h, "%#lx", got);
		if (got < i->size && i->data[got])
			wrong(&t->h, "%#lx, but there are data", got);
		h->at = got;
		return;
	case 2:
		say(&t->h, "lseek %d SEEK_END", ID(h));
		h->at = got = lseek(h->fd, -below(&t->r, i->size), SEEK_END);
		expect(&t->h, got, 0);
		if (got > i->size)
			wrong(&t->h, "%#lx", got);
		return;
	default:
		say(&t->h, "lseek %d to %#lx and SEEK_CUR", ID(h), at);
		if ((got = lseek(h->fd, 0, SEEK_CUR)) != h->at)
			wrong(&t->h, "it was at %#lx, not %#lx", got, h->at);
		h->at = lseek(h->fd, at, SEEK_SET);
		if (h->at != at)
			wrong(&t->h, "%#lx", h->at);
	}
}

#include "fsxnames.h"

static void step(struct thread *t) {
	struct handle *h = any_open(t);
	if (!h)
		return do_open(t);
	switch (below(&t->r, 40)) {
	case 0 ... 8: return do_write(t, h);
	case 9 ... 15: return do_read(t, h);
	case 16 ... 22: return do_mapped(t);
	case 23: return do_map(t, h);
	case 24: return do_private(t, h);
	case 25 ... 26: return do_truncate(t, h);
	case 27 ... 28: return do_fallocate(t, h);
	case 29 ... 31: return do_copy(t, h, any_open(t));
	case 32 ... 33: return do_seek(t, h);
	case 34: return do_open(t);
	case 35: return do_rename(t);
	case 36: return below(&t->r, 2) ? do_link(t) : do_unlink(t);
	case 37 ... 38: return do_stat(t, h);
	default: return do_sync(t, h);
	}
}

static __thread struct thread *self;

static void hit(int sig, siginfo_t *si, void *context) {
	int n = 0;
	while (n < MAPS && !(self->map[n].of && (char *)si->si_addr >= self->map[n].at && (char *)si->si_addr < self->map[n].at + MAX))
		n++;
	if (n < MAPS)
		wrong(&self->h, "%s at %#lx of map %d, %#lx bytes", strsignal(sig), (char *)si->si_addr - self->map[n].at, n, self->map[n].of->size);
	wrong(&self->h, "%s at %p", strsignal(sig), si->si_addr);
}

static void *run(void *arg) {
	struct thread *t = self = arg;
	expect(&t->h, mkdir(t->dir, 0755), 0);
	expect(&t->h, pipe(t->pipe), 0);
	fcntl(t->pipe[1], F_SETPIPE_SZ, MAX);
	for (unsigned long i = 0; i < operations; i++)
		step(t);
	finish(t);
	return NULL;
}

int main(int argc, char **argv) {
	if (argc != 5)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 0);
	int threads = atoi(argv[3]);
	static char who[200];
	snprintf(who, sizeof who, "fsx %s %s %s %s", argv[1], argv[2], argv[3], argv[4]);
	operations = strtoul(argv[2], NULL, 0) / threads;
	sigaction(SIGBUS, &(struct sigaction){.sa_sigaction = hit, .sa_flags = SA_SIGINFO}, NULL);
	pthread_t id[threads];
	for (int i = 0; i < threads; i++) {
		struct thread *t = calloc(1, sizeof *t);
		t->r = seeded(seed, i);
		t->h.who = who, t->h.thread = i;
		snprintf(t->dir, sizeof t->dir, "%s/fsx%d", argv[4], i);
		pthread_create(&id[i], NULL, run, t);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	for (int m = 0; m < MODES; m++)
		if (supported[m] == 'y')
			printf("%s ", modes[m].name);
	puts("\nwell");
}
