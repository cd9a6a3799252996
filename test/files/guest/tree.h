// A tree of names as it should be. Directories are reached by a descriptor that each
// has while it exists, and after.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include "rnd.h"
#include "history.h"

enum { SLOTS = 6, DEPTH = 5, DIRS = 60, XATTRS = 2 };

// A file. It exists as long as it has links.
struct node {
	char kind; // d, f, l or p
	mode_t mode;
	int uid, gid, links;
	off_t size;
	int xattr[XATTRS]; // the value and one, or 0
	ino_t ino;         // 0 if it was not seen yet

	// Times, as they were seen last. touched: the ctime may be later now; stale: the
	// mtime as well; timed: the mtime is what utimens has said.
	struct timespec ctime, mtime;
	bool touched, stale, timed;

	// Of a directory:
	struct node *child[SLOTS], *parent;
	int id, fd, slot;
	bool gone;
};

struct tree {
	struct rnd r;
	struct history h;
	struct node *top, *dirs[DIRS]; // some are gone
	int ndirs;
	bool noxattr;
	bool mixed; // it is an overlay, whose lists have the inode numbers of its layers
};

static struct node *new_node(char kind, mode_t mode) {
	static int ids;
	struct node *n = calloc(1, sizeof *n);
	n->id = ids++;
	n->kind = kind, n->mode = mode, n->touched = n->stale = true;
	return n;
}

static struct node *random_dir(struct tree *t) { return t->dirs[below(&t->r, t->ndirs)]; }

// name_of is a name in a directory, which is long now and then; four are kept.
static const char *name_of(struct tree *t, struct node *d, int slot) {
	static char names[4][120];
	static int turn;
	char *p = names[turn++ % 4];
	snprintf(p, sizeof names[0], "n%d%s", slot, slot == SLOTS - 1 ? "-a-name-that-is-longer-than-what-fits-into-forty-bytes-of-an-entry" : "");
	return p;
}

// place is how the history calls a name: by its directory's number.
static const char *place(struct tree *t, struct node *d, int slot) {
	static char names[2][140];
	static int turn;
	char *p = names[turn++ % 2];
	snprintf(p, sizeof names[0], "%d/%s", d->id, name_of(t, d, slot));
	return p;
}

// changed says that a file's ctime is new, and if it is about content, its mtime.
static void changed(struct node *n, bool content) {
	n->touched = true;
	if (content)
		n->stale = true, n->timed = false;
}

static int depth(struct node *d) {
	int n = 0;
	for (; d->parent; d = d->parent)
		n++;
	return n;
}

static int height(struct node *d) {
	int most = 0;
	for (int i = 0; i < SLOTS; i++)
		if (d->child[i] && d->child[i]->kind == 'd') {
			int n = 1 + height(d->child[i]);
			most = n > most ? n : most;
		}
	return most + 1;
}

static bool is_empty(struct node *d) {
	for (int i = 0; i < SLOTS; i++)
		if (d->child[i])
			return false;
	return true;
}

static bool below_or_same(struct node *d, struct node *top) {
	for (; d; d = d->parent)
		if (d == top)
			return true;
	return false;
}

static void attach(struct node *d, int slot, struct node *n) {
	d->child[slot] = n;
	n->links++;
	if (n->kind == 'd')
		n->parent = d, n->slot = slot;
}

static void open_dir(struct tree *t, struct node *n, struct node *d, int slot) {
	n->fd = openat(d->fd, name_of(t, d, slot), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect(&t->h, n->fd, 0);
	if (t->ndirs < DIRS) {
		t->dirs[t->ndirs++] = n;
		return;
	}
	// One that is gone makes room; else n is not chosen again.
	for (int i = 0; i < t->ndirs; i++)
		if (t->dirs[i]->gone) {
			close(t->dirs[i]->fd);
			t->dirs[i] = n;
			return;
		}
}

// detach takes a name away. A directory stays for those who have it open.
static void detach(struct tree *t, struct node *d, int slot) {
	struct node *n = d->child[slot];
	d->child[slot] = NULL;
	n->links--;
	changed(n, false);
	if (n->kind == 'd')
		n->gone = true, n->parent = NULL;
	else if (!n->links)
		free(n);
}

static void move(struct node *a, int i, struct node *b, int j) {
	struct node *n = a->child[i];
	a->child[i] = NULL;
	b->child[j] = n;
	if (n->kind == 'd')
		n->parent = b, n->slot = j;
}

static void swap(struct node *a, int i, struct node *b, int j) {
	struct node *x = a->child[i], *y = b->child[j];
	a->child[i] = y, b->child[j] = x;
	if (x->kind == 'd')
		x->parent = b, x->slot = j;
	if (y->kind == 'd')
		y->parent = a, y->slot = i;
	changed(y, false);
}

static bool later(struct timespec a, struct timespec b) {
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}
#define SECONDS(t) (long)(t).tv_sec, (long)(t).tv_nsec

// check compares what stat(2) says of n with what should be.
static void check(struct tree *t, struct node *n, const struct stat *st, const char *name) {
	static const mode_t types[128] = {['d'] = S_IFDIR, ['f'] = S_IFREG, ['l'] = S_IFLNK, ['p'] = S_IFIFO};
	nlink_t links = n->links;
	if (n->kind == 'd') {
		links = n->gone ? 0 : 2;
		for (int i = 0; i < SLOTS; i++)
			links += n->child[i] && n->child[i]->kind == 'd';
	}
	if (st->st_mode != (types[(int)n->kind] | n->mode) || st->st_nlink != links || (int)st->st_uid != n->uid || (int)st->st_gid != n->gid)
		wrong(&t->h, "%s: mode %o, %lu links, owner %d:%d, want %c %o, %lu, %d:%d", name, st->st_mode, st->st_nlink, st->st_uid, st->st_gid, n->kind, n->mode, links, n->uid, n->gid);
	if (n->kind != 'd' && st->st_size != n->size)
		wrong(&t->h, "%s: %ld bytes, want %ld", name, st->st_size, n->size);
	if (n->ino && st->st_ino != n->ino)
		wrong(&t->h, "%s: inode %lu, was %lu", name, st->st_ino, n->ino);
	if (n->ino && (n->touched ? later(n->ctime, st->st_ctim) : later(n->ctime, st->st_ctim) || later(st->st_ctim, n->ctime)))
		wrong(&t->h, "%s: ctime %ld.%09ld, was %ld.%09ld, touched: %d", name, SECONDS(st->st_ctim), SECONDS(n->ctime), n->touched);
	if ((n->ino || n->timed) && !n->stale && (later(n->mtime, st->st_mtim) || later(st->st_mtim, n->mtime)))
		wrong(&t->h, "%s: mtime %ld.%09ld, want %ld.%09ld", name, SECONDS(st->st_mtim), SECONDS(n->mtime));
	n->ino = st->st_ino, n->ctime = st->st_ctim, n->mtime = st->st_mtim;
	n->touched = n->stale = false;
}

// peek compares one directory, by its descriptor, and a name in it.
static void peek(struct tree *t, struct node *d) {
	struct stat st;
	say(&t->h, "fstat %d", d->id);
	expect(&t->h, fstat(d->fd, &st), 0);
	check(t, d, &st, "a directory");
	int slot = below(&t->r, SLOTS);
	struct node *n = d->child[slot];
	say(&t->h, "stat %s", place(t, d, slot));
	expect(&t->h, fstatat(d->fd, name_of(t, d, slot), &st, AT_SYMLINK_NOFOLLOW), n ? 0 : ENOENT);
	if (n)
		check(t, n, &st, name_of(t, d, slot));
}

// compare compares all that there is below d.
static void compare(struct tree *t, struct node *d) {
	if (d == t->top)
		say(&t->h, "compare all");
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0, want = 2;
	expect(&t->h, fd, 0);
	DIR *stream = fdopendir(fd);
	for (struct dirent *e; (e = readdir(stream));) {
		found++;
		int slot = 0;
		if (e->d_name[0] == '.')
			continue;
		while (slot < SLOTS && (!d->child[slot] || strcmp(e->d_name, name_of(t, d, slot))))
			slot++;
		if (slot == SLOTS)
			wrong(&t->h, "%s is there", e->d_name);
		struct node *n = d->child[slot];
		static const char kinds[] = {[DT_DIR] = 'd', [DT_REG] = 'f', [DT_LNK] = 'l', [DT_FIFO] = 'p'};
		struct stat st;
		expect(&t->h, fstatat(d->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		if ((e->d_ino != st.st_ino && !t->mixed) || kinds[e->d_type] != n->kind)
			wrong(&t->h, "%s: listed as inode %lu, type %d; it is %lu", e->d_name, e->d_ino, e->d_type, st.st_ino);
		check(t, n, &st, e->d_name);
	}
	closedir(stream);
	for (int i = 0; i < SLOTS; i++)
		want += d->child[i] != NULL;
	if (found != want)
		wrong(&t->h, "%d entries, want %d", found, want);
	for (int i = 0; i < SLOTS; i++)
		if (d->child[i] && d->child[i]->kind == 'd')
			compare(t, d->child[i]);
}
