// What fsx does with names and open files.

static void close_handle(struct thread *t, struct handle *h) {
	expect(&t->h, close(h->fd), 0);
	h->of->users--;
	drop(h->of);
	h->of = NULL;
}

// do_open opens a name anew, in place of what is open: there need not be a file yet.
static void do_open(struct thread *t) {
	struct handle *h = &t->open[below(&t->r, HANDLES)];
	int name = below(&t->r, NAMES), flags = O_RDWR | O_CLOEXEC;
	if (h->of) {
		say(&t->h, "close %d", ID(h));
		close_handle(t, h);
	}
	if (below(&t->r, 4) == 0)
		flags |= O_APPEND;
	if (below(&t->r, 8) == 0)
		flags |= O_TRUNC;
	if (!t->name[name] || below(&t->r, 4) == 0)
		flags |= O_CREAT;
	if (flags & O_CREAT && below(&t->r, 2))
		flags |= O_EXCL;
	say(&t->h, "open %d f%d, flags %#o", ID(h), name, flags);
	h->fd = open(path(t, name), flags, 0644);
	expect(&t->h, h->fd, t->name[name] && flags & O_EXCL ? EEXIST : 0);
	if (h->fd < 0)
		return;
	if (!t->name[name]) {
		t->name[name] = new_inode();
		t->name[name]->names = 1;
	}
	*h = (struct handle){t->name[name], h->fd, flags & O_APPEND, 0};
	h->of->users++;
	if (flags & O_TRUNC)
		resize(h->of, 0);
}

// unname takes a file's name.
static void unname(struct thread *t, int name) {
	struct inode *i = t->name[name];
	t->name[name] = NULL;
	if (i) {
		i->names--;
		drop(i);
	}
}

static void do_rename(struct thread *t) {
	int a = below(&t->r, NAMES), b = below(&t->r, NAMES);
	struct inode *from = t->name[a], *to = t->name[b];
	unsigned flags = (unsigned[]){0, 0, 0, 1 /* RENAME_NOREPLACE */, 2 /* RENAME_EXCHANGE */}[below(&t->r, 5)];
	int want = !from ? ENOENT : flags == 1 && to ? EEXIST : flags == 2 && !to ? ENOENT : 0;
	say(&t->h, "rename f%d to f%d, flags %u", a, b, flags);
	expect(&t->h, syscall(SYS_renameat2, AT_FDCWD, path(t, a), AT_FDCWD, path(t, b), flags), want);
	if (want || from == to) // two names of one file stay
		return;
	if (flags == 2) {
		t->name[a] = to, t->name[b] = from;
		return;
	}
	unname(t, b);
	t->name[b] = from, t->name[a] = NULL;
}

static void do_link(struct thread *t) {
	int a = below(&t->r, NAMES), b = below(&t->r, NAMES);
	int want = !t->name[a] ? ENOENT : t->name[b] ? EEXIST : 0;
	say(&t->h, "link f%d to f%d", a, b);
	expect(&t->h, link(path(t, a), path(t, b)), want);
	if (!want) {
		t->name[b] = t->name[a];
		t->name[b]->names++;
	}
}

static void do_unlink(struct thread *t) {
	int name = below(&t->r, NAMES);
	say(&t->h, "unlink f%d", name);
	expect(&t->h, unlink(path(t, name)), t->name[name] ? 0 : ENOENT);
	unname(t, name);
}

// do_stat compares the size and the number of names, asked by descriptor or by name.
static void do_stat(struct thread *t, struct handle *h) {
	struct stat st;
	struct inode *i = h->of;
	int name = below(&t->r, NAMES);
	if (below(&t->r, 2)) {
		say(&t->h, "fstat %d", ID(h));
		expect(&t->h, fstat(h->fd, &st), 0);
	} else {
		i = t->name[name];
		say(&t->h, "stat f%d", name);
		expect(&t->h, stat(path(t, name), &st), i ? 0 : ENOENT);
	}
	if (i && (st.st_size != i->size || st.st_nlink != (nlink_t)i->names))
		wrong(&t->h, "%#lx bytes, %lu names, want %#lx and %d", st.st_size, st.st_nlink, i->size, i->names);
}

static void do_sync(struct thread *t, struct handle *h) {
	int how = below(&t->r, 40);
	say(&t->h, "sync %d, way %d", ID(h), how);
	switch (how) {
	case 0: return expect(&t->h, fsync(h->fd), 0);
	case 1: return expect(&t->h, fdatasync(h->fd), 0);
	case 2: return expect(&t->h, sync_file_range(h->fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
	case 3: return expect(&t->h, posix_fadvise(h->fd, 0, 0, POSIX_FADV_DONTNEED) ? -1 : 0, 0);
	}
}

// finish closes everything, and reads every file as somebody does who comes later.
static void finish(struct thread *t) {
	for (int i = 0; i < HANDLES; i++)
		if (t->open[i].of)
			close_handle(t, &t->open[i]);
	for (int n = 0; n < NAMES; n++) {
		if (!t->name[n])
			continue;
		say(&t->h, "read f%d at last", n);
		int fd = open(path(t, n), O_RDONLY);
		expect(&t->h, fd, 0);
		ssize_t got = read(fd, t->buf, MAX);
		if (got != t->name[n]->size)
			wrong(&t->h, "%#zx bytes, want %#lx", got, t->name[n]->size);
		same(t, t->name[n], t->buf, 0, got);
		close(fd);
	}
}
