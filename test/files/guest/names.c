// names SEED OPERATIONS DIR: changes of a tree at random, each with the result that
// Linux gives, and now and then the whole tree compared with a model: names, kinds,
// links, inode numbers, modes, owners, and which times have changed. It says "well",
// or else what it did last.
#include "tree.h"
#include <linux/magic.h>
#include <sys/vfs.h>

static struct tree t;

static void do_make(int kind) {
	struct node *d = random_dir(&t);
	int slot = below(&t.r, SLOTS);
	struct node *old = d->child[slot];
	mode_t mode = below(&t.r, 01000);
	int want = d->gone ? ENOENT : old ? EEXIST : depth(d) >= DEPTH && kind == 'd' ? -1 : 0;
	if (want < 0)
		return;
	long r;
	const char *p = name_of(&t, d, slot);
	static const char target[] = "where/no/file/is";
	switch (kind) {
	case 'd': say(&t.h, "mkdir %s %o", place(&t, d, slot), mode); r = mkdirat(d->fd, p, mode); break;
	case 'l': say(&t.h, "symlink %s", place(&t, d, slot)); r = symlinkat(target, d->fd, p), mode = 0777; break;
	case 'p': say(&t.h, "mkfifo %s %o", place(&t, d, slot), mode); r = mknodat(d->fd, p, S_IFIFO | mode, 0); break;
	default:
		say(&t.h, "create %s %o", place(&t, d, slot), mode);
		r = openat(d->fd, p, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
		if (r >= 0)
			close(r), r = 0;
	}
	expect(&t.h, r, want);
	if (want)
		return;
	struct node *n = new_node(kind, mode);
	n->size = kind == 'l' ? sizeof target - 1 : 0;
	if (d->mode & S_ISGID) {
		n->gid = d->gid;
		n->mode |= kind == 'd' ? S_ISGID : 0;
	}
	attach(d, slot, n);
	if (kind == 'd')
		open_dir(&t, n, d, slot);
	changed(d, true);
}

static void do_remove(void) {
	struct node *d = random_dir(&t);
	int slot = below(&t.r, SLOTS), dir = below(&t.r, 2);
	struct node *n = d->child[slot];
	const char *p = name_of(&t, d, slot);
	say(&t.h, "%s %s", dir ? "rmdir" : "unlink", place(&t, d, slot));
	int want = !n ? ENOENT : dir && n->kind != 'd' ? ENOTDIR : !dir && n->kind == 'd' ? EISDIR : dir && !is_empty(n) ? ENOTEMPTY : 0;
	expect(&t.h, unlinkat(d->fd, p, dir ? AT_REMOVEDIR : 0), want);
	if (!want) {
		detach(&t, d, slot);
		changed(d, true);
	}
}

// rename_errno is what rename(2) says; -1 if it does nothing.
static int rename_errno(struct node *from, struct node *to, struct node *into, unsigned flags) {
	if (!from || (flags == 2 && !to))
		return ENOENT;
	if (flags == 1 && to)
		return EEXIST;
	if (into->gone)
		return ENOENT;
	return 0;
}

static void do_rename(void) {
	struct node *a = random_dir(&t), *b = random_dir(&t);
	int i = below(&t.r, SLOTS), j = below(&t.r, SLOTS);
	struct node *from = a->child[i], *to = b->child[j];
	unsigned flags = (unsigned[]){0, 0, 0, 1, 2}[below(&t.r, 5)];
	if ((from && from->kind == 'd' && depth(b) + height(from) > DEPTH) || (flags == 2 && to && to->kind == 'd' && depth(a) + height(to) > DEPTH))
		return;
	say(&t.h, "rename %s to %s, flags %u", place(&t, a, i), place(&t, b, j), flags);
	int want = rename_errno(from, to, b, flags);
	if (!want && from->kind == 'd' && below_or_same(b, from))
		want = EINVAL;
	else if (flags == 2 && !want && to->kind == 'd' && below_or_same(a, to))
		want = EINVAL;
	else if (!want && to && to->kind == 'd' && below_or_same(a, to) && flags == 0)
		want = ENOTEMPTY;
	else if (!want && to && flags == 0 && from != to) {
		if (from->kind == 'd' && to->kind != 'd')
			want = ENOTDIR;
		else if (from->kind != 'd' && to->kind == 'd')
			want = EISDIR;
		else if (to->kind == 'd' && !is_empty(to))
			want = ENOTEMPTY;
	}
	expect(&t.h, renameat2(a->fd, name_of(&t, a, i), b->fd, name_of(&t, b, j), flags), want);
	if (want || from == to)
		return;
	if (flags == 2) {
		swap(a, i, b, j);
	} else {
		if (to)
			detach(&t, b, j);
		move(a, i, b, j);
	}
	changed(from, false);
	changed(a, true), changed(b, true);
}

static void do_link(void) {
	struct node *a = random_dir(&t), *b = random_dir(&t);
	int i = below(&t.r, SLOTS), j = below(&t.r, SLOTS);
	struct node *n = a->child[i];
	int want = !n ? ENOENT : b->gone ? ENOENT : b->child[j] ? EEXIST : n->kind == 'd' ? EPERM : 0;
	say(&t.h, "link %s to %s", place(&t, a, i), place(&t, b, j));
	expect(&t.h, linkat(a->fd, name_of(&t, a, i), b->fd, name_of(&t, b, j), 0), want);
	if (!want) {
		attach(b, j, n);
		changed(n, false), changed(b, true);
	}
}

// do_attr changes what is said of a file, by descriptor of its directory and name.
static void do_attr(void) {
	struct node *d = random_dir(&t);
	int slot = below(&t.r, SLOTS);
	struct node *n = d->child[slot];
	const char *p = name_of(&t, d, slot);
	int how = below(&t.r, 4), want = n ? 0 : ENOENT;
	if (n && n->kind == 'l' && how == 0)
		return;
	long r;
	switch (how) {
	case 0: {
		mode_t mode = below(&t.r, 010000);
		say(&t.h, "chmod %s %o", place(&t, d, slot), mode);
		r = fchmodat(d->fd, p, mode, 0);
		if (n)
			n->mode = mode;
		break;
	}
	case 1: {
		int uid = (int)below(&t.r, 4) - 1, gid = (int)below(&t.r, 4) - 1;
		say(&t.h, "chown %s %d %d", place(&t, d, slot), uid, gid);
		r = fchownat(d->fd, p, uid, gid, AT_SYMLINK_NOFOLLOW);
		if (!n)
			break;
		if (uid >= 0)
			n->uid = uid;
		if (gid >= 0)
			n->gid = gid;
		if (n->kind != 'd' && n->kind != 'l') // set-id bits go, root's too
			n->mode &= n->mode & 010 ? ~06000 : ~04000;
		break;
	}
	case 2: {
		struct timespec at[2] = {{.tv_nsec = UTIME_OMIT}, {1000000000 + below(&t.r, 1000000000), below(&t.r, 1000000000)}};
		if (below(&t.r, 2))
			at[0] = (struct timespec){below(&t.r, 1000000000), below(&t.r, 1000000000)};
		say(&t.h, "utimens %s %ld.%09ld", place(&t, d, slot), at[1].tv_sec, at[1].tv_nsec);
		r = utimensat(d->fd, p, at, AT_SYMLINK_NOFOLLOW);
		if (n)
			n->mtime = at[1], n->timed = true;
		break;
	}
	default:
		if (n && n->kind != 'f')
			return;
		say(&t.h, "write to %s", place(&t, d, slot));
		r = openat(d->fd, p, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (r >= 0) {
			if (write(r, "12345", 5) != 5)
				wrong(&t.h, "%s", strerror(errno));
			close(r), r = 0;
			n->size += 5;
			changed(n, true);
		}
	}
	expect(&t.h, r, want);
	if (n)
		n->touched = true;
}

// do_xattr sets, reads or removes an attribute of the user's.
static void do_xattr(void) {
	struct node *d = random_dir(&t);
	int slot = below(&t.r, SLOTS), which = below(&t.r, XATTRS);
	struct node *n = d->child[slot];
	if (!n || (n->kind != 'f' && n->kind != 'd'))
		return;
	char name[16], value[8] = "";
	snprintf(name, sizeof name, "user.%c", 'a' + which);
	int fd = openat(d->fd, name_of(&t, d, slot), O_RDONLY | O_CLOEXEC);
	expect(&t.h, fd, 0);
	long r;
	switch (below(&t.r, 3)) {
	case 0: {
		int v = below(&t.r, 100), flags = below(&t.r, 3);
		snprintf(value, sizeof value, "%d", v);
		say(&t.h, "setxattr %s %s=%s, flags %d", place(&t, d, slot), name, value, flags);
		r = fsetxattr(fd, name, value, strlen(value), flags);
		int want = flags == XATTR_CREATE && n->xattr[which] ? EEXIST : flags == XATTR_REPLACE && !n->xattr[which] ? ENODATA : 0;
		if (r < 0 && errno == EOPNOTSUPP)
			t.noxattr = true;
		else
			expect(&t.h, r, want);
		if (r == 0)
			n->xattr[which] = v + 1, n->touched = true;
		break;
	}
	case 1:
		say(&t.h, "removexattr %s %s", place(&t, d, slot), name);
		r = fremovexattr(fd, name);
		if (!t.noxattr && !(r < 0 && errno == EOPNOTSUPP)) {
			expect(&t.h, r, n->xattr[which] ? 0 : ENODATA);
			n->touched |= r == 0;
		}
		n->xattr[which] = 0;
		break;
	default:
		say(&t.h, "getxattr %s %s", place(&t, d, slot), name);
		r = fgetxattr(fd, name, value, sizeof value - 1);
		if (t.noxattr || (r < 0 && errno == EOPNOTSUPP))
			break;
		expect(&t.h, r, n->xattr[which] ? 0 : ENODATA);
		if (r >= 0 && atoi(value) + 1 != n->xattr[which])
			wrong(&t.h, "%s", value);
	}
	close(fd);
}

static void step(void) {
	switch (below(&t.r, 24)) {
	case 0 ... 2: return do_make('d');
	case 3 ... 6: return do_make('f');
	case 7: return do_make('l');
	case 8: return do_make('p');
	case 9 ... 11: return do_remove();
	case 12 ... 15: return do_rename();
	case 16 ... 17: return do_link();
	case 18 ... 20: return do_attr();
	case 21: return do_xattr();
	default: return peek(&t, random_dir(&t));
	}
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	umask(0);
	char who[200], top[100];
	snprintf(who, sizeof who, "names %s %s %s", argv[1], argv[2], argv[3]);
	t.h.who = who;
	t.r = seeded(strtoull(argv[1], NULL, 0), 0);
	snprintf(top, sizeof top, "%s/names", argv[3]);
	expect(&t.h, mkdir(top, 0777), 0);
	t.top = new_node('d', 0777);
	t.top->fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t.top->links = 1;
	t.dirs[t.ndirs++] = t.top;
	struct statfs fs;
	expect(&t.h, fstatfs(t.top->fd, &fs), 0);
	t.mixed = fs.f_type == OVERLAYFS_SUPER_MAGIC;
	unsigned long n = strtoul(argv[2], NULL, 0);
	for (unsigned long i = 0; i < n; i++) {
		step();
		if (i % 500 == 499)
			compare(&t, t.top);
	}
	compare(&t, t.top);
	puts(t.noxattr ? "no user xattrs" : "user xattrs");
	puts("well");
}
