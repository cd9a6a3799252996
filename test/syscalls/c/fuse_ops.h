// What the server of fuse.h does, an operation after the other.

static inline void lies(struct fuse_in_header *h);

static inline void op_lookup(struct fuse_in_header *h, char *name) {
	struct fuse_entry_out e = {.entry_valid = w->negative_valid};
	uint32_t i = find(h->nodeid, name);
	if (!i && !w->negative_valid) return answer(h->unique, ENOENT, NULL, 0);
	if (i) fill_entry(&e, w->names[i - 1].node);
	answer(h->unique, 0, &e, sizeof e);
}

static inline void reply_attr(struct fuse_in_header *h) {
	struct fuse_attr_out o = {.attr_valid = w->attr_valid};
	fill_attr(&o.attr, h->nodeid);
	answer(h->unique, 0, &o, sizeof o);
}

static inline void op_setattr(struct fuse_in_header *h, struct fuse_setattr_in *in) {
	struct node *n = &w->nodes[h->nodeid];
	w->setattr = *in;
	if (in->valid & FATTR_MODE) n->mode = (n->mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & FATTR_UID) n->uid = in->uid;
	if (in->valid & FATTR_GID) n->gid = in->gid;
	if (in->valid & FATTR_MTIME) n->mtime = in->mtime;
	if (in->valid & FATTR_SIZE) {
		if (in->size > DATA) return answer(h->unique, EFBIG, NULL, 0);
		if (in->size > n->size) memset(n->data + n->size, 0, in->size - n->size);
		n->size = in->size;
	}
	reply_attr(h);
}

static inline void op_make(struct fuse_in_header *h, uint32_t mode, uint32_t rdev, const char *name, const char *target) {
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out = {.o = {.fh = 7, .open_flags = w->open_flags}};
	if (find(h->nodeid, name)) return answer(h->unique, EEXIST, NULL, 0);
	uint32_t n = add_node(mode);
	if (!n || !add_name(h->nodeid, name, n)) return answer(h->unique, ENOSPC, NULL, 0);
	w->nodes[n].uid = h->uid, w->nodes[n].gid = h->gid, w->nodes[n].rdev = rdev;
	if (target) strncpy(w->nodes[n].target, target, 63), w->nodes[n].size = strlen(target);
	fill_entry(&out.e, n);
	answer(h->unique, 0, &out, h->opcode == FUSE_CREATE ? sizeof out : sizeof out.e);
}

static inline void op_remove(struct fuse_in_header *h, const char *name) {
	uint32_t i = find(h->nodeid, name);
	if (!i) return answer(h->unique, ENOENT, NULL, 0);
	uint32_t n = w->names[i - 1].node;
	for (int k = 0; k < NAMES; k++)
		if (h->opcode == FUSE_RMDIR && w->names[k].node && w->names[k].dir == n) return answer(h->unique, ENOTEMPTY, NULL, 0);
	w->names[i - 1].node = 0;
	w->nodes[n].nlink -= S_ISDIR(w->nodes[n].mode) ? 2 : 1;
	answer(h->unique, 0, NULL, 0);
}

static inline void op_rename(struct fuse_in_header *h, uint64_t to, uint32_t flags, const char *from) {
	const char *name = from + strlen(from) + 1;
	uint32_t i = find(h->nodeid, from), k = find(to, name);
	if (!i) return answer(h->unique, ENOENT, NULL, 0);
	if (flags & RENAME_EXCHANGE) {
		uint32_t n = w->names[i - 1].node;
		w->names[i - 1].node = w->names[k - 1].node;
		w->names[k - 1].node = n;
		return answer(h->unique, 0, NULL, 0);
	}
	if (k) w->nodes[w->names[k - 1].node].nlink--, w->names[k - 1].node = 0;
	w->names[i - 1].dir = to;
	strncpy(w->names[i - 1].name, name, 255);
	answer(h->unique, 0, NULL, 0);
}

static inline void op_link(struct fuse_in_header *h, uint64_t node, const char *name) {
	struct fuse_entry_out e;
	w->nodes[node].nlink++;
	add_name(h->nodeid, name, node);
	fill_entry(&e, node);
	answer(h->unique, 0, &e, sizeof e);
}

static inline void op_read(struct fuse_in_header *h, struct fuse_read_in *in) {
	struct node *n = &w->nodes[h->nodeid];
	w->read = *in;
	uint64_t len = in->offset < n->size ? n->size - in->offset : 0;
	answer(h->unique, 0, n->data + in->offset, len < in->size ? len : in->size);
}

static inline void op_write(struct fuse_in_header *h, struct fuse_write_in *in, char *data) {
	struct node *n = &w->nodes[h->nodeid];
	struct fuse_write_out o = {.size = in->size};
	if (in->offset + in->size > DATA) return answer(h->unique, ENOSPC, NULL, 0);
	if (in->offset > n->size) memset(n->data + n->size, 0, in->offset - n->size);
	memcpy(n->data + in->offset, data, in->size);
	if (in->offset + in->size > n->size) n->size = in->offset + in->size;
	n->mtime++;
	answer(h->unique, 0, &o, sizeof o);
}

// op_readdir tells of "." and "..", as most servers do; an offset is 1 and a place.
static inline void op_readdir(struct fuse_in_header *h, struct fuse_read_in *in, int plus) {
	static char b[1 << 16];
	size_t n = 0;
	w->read = *in;
	for (uint64_t at = in->offset; at < NAMES + 2; at++) {
		struct name *x = at < 2 ? NULL : &w->names[at - 2];
		if (x && (!x->node || x->dir != h->nodeid)) continue;
		const char *name = at == 0 ? "." : at == 1 ? ".." : x->name;
		size_t len = strlen(name), head = plus ? sizeof(struct fuse_entry_out) : 0;
		size_t total = (head + sizeof(struct fuse_dirent) + len + 7) & ~7ul;
		if (n + total > in->size || n + total > sizeof b) break;
		memset(b + n, 0, total);
		if (plus && x) fill_entry((void *)(b + n), x->node);
		struct fuse_dirent *d = (void *)(b + n + head);
		d->ino = x ? x->node + 100 : h->nodeid + 100, d->off = at + 1, d->namelen = len;
		d->type = x ? w->nodes[x->node].mode >> 12 : DT_DIR;
		memcpy(d->name, name, len);
		n += total;
	}
	answer(h->unique, 0, b, n);
}

static inline void op_xattr(struct fuse_in_header *h, char *p) {
	struct node *n = &w->nodes[h->nodeid];
	struct fuse_setxattr_in *set = (void *)p;
	struct fuse_getxattr_in *get = (void *)p;
	switch (h->opcode) {
	case FUSE_SETXATTR: {
		char *name = p + FUSE_COMPAT_SETXATTR_IN_SIZE;
		if (set->size > sizeof n->value) return answer(h->unique, ENOSPC, NULL, 0);
		if ((set->flags & XATTR_CREATE) && strcmp(n->xattr, name) == 0) return answer(h->unique, EEXIST, NULL, 0);
		strncpy(n->xattr, name, 31);
		memcpy(n->value, name + strlen(name) + 1, set->size);
		n->value_len = set->size;
		return answer(h->unique, 0, NULL, 0);
	}
	case FUSE_REMOVEXATTR:
		if (strcmp(n->xattr, p)) return answer(h->unique, ENODATA, NULL, 0);
		n->xattr[0] = 0;
		return answer(h->unique, 0, NULL, 0);
	}
	int list = h->opcode == FUSE_LISTXATTR;
	if (!list && (!n->xattr[0] || strcmp(n->xattr, p + sizeof *get))) return answer(h->unique, ENODATA, NULL, 0);
	uint32_t len = !list ? n->value_len : n->xattr[0] ? strlen(n->xattr) + 1 : 0;
	struct fuse_getxattr_out o = {.size = len};
	if (get->size == 0) return answer(h->unique, 0, &o, sizeof o);
	if (get->size < len) return answer(h->unique, ERANGE, NULL, 0);
	answer(h->unique, 0, list ? n->xattr : n->value, len);
}

// op_lock knows locks of whole files only.
static inline void op_lock(struct fuse_in_header *h, struct fuse_lk_in *in) {
	struct fuse_lk_in *own = NULL, *other = NULL, *none = NULL;
	w->lk = *in;
	for (int i = 0; i < 8; i++) {
		struct fuse_lk_in *l = &w->locks[i];
		if (!l->owner) none = l;
		else if (l->owner == in->owner) own = l;
		else if (l->lk.type == F_WRLCK || in->lk.type == F_WRLCK) other = l;
	}
	if (h->opcode == FUSE_GETLK) {
		struct fuse_lk_out o = {.lk.type = F_UNLCK};
		if (other) o.lk = other->lk;
		return answer(h->unique, 0, &o, sizeof o);
	}
	if (in->lk.type == F_UNLCK) {
		if (own) own->owner = 0;
	} else if (other) {
		if (h->opcode == FUSE_SETLKW) return; // until it is interrupted
		return answer(h->unique, EAGAIN, NULL, 0);
	} else {
		*(own ? own : none) = *in;
	}
	answer(h->unique, 0, NULL, 0);
}

static inline void unlock_owner(uint64_t owner) {
	for (int i = 0; i < 8; i++)
		if (w->locks[i].owner == owner) w->locks[i].owner = 0;
}

static inline void op_init(struct fuse_in_header *h, struct fuse_init_in *in) {
	struct fuse_init_out o = {.major = 7, .minor = w->minor, .flags = in->flags & w->flags, .max_readahead = 65536};
	memcpy(&w->init, in, 16);
	o.max_write = w->max_write, o.max_background = 12, o.congestion_threshold = 9, o.time_gran = 1;
	o.max_pages = 64;
	answer(h->unique, 0, &o, sizeof o);
}

static inline void op_ioctl(struct fuse_in_header *h, struct fuse_ioctl_in *in, char *data) {
	struct {
		struct fuse_ioctl_out o;
		uint32_t v;
	} out = {.o.result = in->cmd == _IOWR('F', 1, int) ? 3 : in->cmd == _IO('F', 3) ? -ERANGE : -ENOTTY};
	if (in->in_size == 4) memcpy(&out.v, data, 4), out.v += 10;
	answer(h->unique, 0, &out, sizeof out.o + (in->out_size == 4 && out.o.result >= 0 ? 4 : 0));
}

static inline void op_other(struct fuse_in_header *h, char *p) {
	union {
		struct fuse_open_out open;
		struct fuse_statfs_out statfs;
		struct fuse_poll_out poll;
		struct fuse_lseek_out lseek;
		struct fuse_write_out write;
	} o = {0};
	switch (h->opcode) {
	case FUSE_READLINK: return answer(h->unique, 0, w->nodes[h->nodeid].target, strlen(w->nodes[h->nodeid].target));
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		w->open = *(struct fuse_open_in *)p;
		o.open.fh = 40 + h->nodeid, o.open.open_flags = h->opcode == FUSE_OPEN ? w->open_flags : 0;
		return answer(h->unique, 0, &o, sizeof o.open);
	case FUSE_STATFS:
		o.statfs.st = (struct fuse_kstatfs){.blocks = 1000, .bfree = 500, .bavail = 400, .files = 30, .ffree = 20, .bsize = 512, .namelen = 200, .frsize = 1024};
		return answer(h->unique, 0, &o, sizeof o.statfs);
	case FUSE_FLUSH: w->flush = *(struct fuse_flush_in *)p, unlock_owner(w->flush.lock_owner); break;
	case FUSE_RELEASE:
		w->release = *(struct fuse_release_in *)p;
		if (w->release.release_flags & FUSE_RELEASE_FLOCK_UNLOCK) unlock_owner(w->release.lock_owner);
		break;
	case FUSE_POLL:
		w->poll_kh = ((struct fuse_poll_in *)p)->kh;
		o.poll.revents = w->revents;
		return answer(h->unique, 0, &o, sizeof o.poll);
	case FUSE_LSEEK: {
		struct fuse_lseek_in *in = (void *)p;
		o.lseek.offset = in->whence == SEEK_HOLE ? 4096 : in->offset;
		return answer(h->unique, 0, &o, sizeof o.lseek);
	}
	case FUSE_COPY_FILE_RANGE: {
		struct fuse_copy_file_range_in *in = (void *)p;
		memcpy(w->nodes[in->nodeid_out].data + in->off_out, w->nodes[h->nodeid].data + in->off_in, in->len);
		w->nodes[in->nodeid_out].size = in->off_out + in->len;
		o.write.size = in->len;
		return answer(h->unique, 0, &o, sizeof o.write);
	}
	}
	answer(h->unique, 0, NULL, 0);
}

static inline void op_forget(struct fuse_in_header *h, char *p) {
	struct fuse_batch_forget_in *in = (void *)p;
	struct fuse_forget_one *f = (void *)(in + 1);
	if (h->opcode == FUSE_FORGET) {
		w->nodes[h->nodeid].lookups -= *(uint64_t *)p;
		return;
	}
	for (uint32_t i = 0; i < in->count; i++) w->nodes[f[i].nodeid].lookups -= f[i].nlookup;
}

// op_interrupt answers what hangs.
static inline void op_interrupt(struct fuse_interrupt_in *in) {
	w->interrupt = *in;
	if ((in->unique == w->hung || w->last[FUSE_SETLKW].unique == in->unique) && !(w->hangs & bit(FUSE_INTERRUPT)))
		answer(in->unique, EINTR, NULL, 0);
}

static inline void handle(struct fuse_in_header *h, char *p, size_t n) {
	uint32_t *u = (void *)p;
	switch (h->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET: return op_forget(h, p);
	case FUSE_INTERRUPT: return op_interrupt((void *)p);
	case FUSE_NOTIFY_REPLY: return;
	}
	if (w->lacks & bit(h->opcode) || h->opcode > FUSE_COPY_FILE_RANGE) return answer(h->unique, ENOSYS, NULL, 0);
	if (w->fails & bit(h->opcode)) return answer(h->unique, w->error, NULL, 0);
	if (w->hangs & bit(h->opcode)) {
		w->hung = h->unique;
		return;
	}
	if (w->lie && h->opcode != FUSE_INIT) return lies(h);
	switch (h->opcode) {
	case FUSE_INIT: return op_init(h, (void *)p);
	case FUSE_LOOKUP: return op_lookup(h, p);
	case FUSE_GETATTR: return reply_attr(h);
	case FUSE_SETATTR: return op_setattr(h, (void *)p);
	case FUSE_MKNOD: return op_make(h, u[0], u[1], p + sizeof(struct fuse_mknod_in), NULL);
	case FUSE_MKDIR: return op_make(h, S_IFDIR | u[0], 0, p + sizeof(struct fuse_mkdir_in), NULL);
	case FUSE_CREATE: return op_make(h, u[1], 0, p + sizeof(struct fuse_create_in), NULL);
	case FUSE_SYMLINK: return op_make(h, S_IFLNK | 0777, 0, p, p + strlen(p) + 1);
	case FUSE_UNLINK:
	case FUSE_RMDIR: return op_remove(h, p);
	case FUSE_RENAME: return op_rename(h, *(uint64_t *)p, 0, p + 8);
	case FUSE_RENAME2: return op_rename(h, *(uint64_t *)p, u[2], p + 16);
	case FUSE_LINK: return op_link(h, *(uint64_t *)p, p + 8);
	case FUSE_READ: return op_read(h, (void *)p);
	case FUSE_WRITE: return op_write(h, (void *)p, p + sizeof(struct fuse_write_in));
	case FUSE_READDIR: return op_readdir(h, (void *)p, 0);
	case FUSE_READDIRPLUS: return op_readdir(h, (void *)p, 1);
	case FUSE_SETXATTR:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_REMOVEXATTR: return op_xattr(h, p);
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW: return op_lock(h, (void *)p);
	case FUSE_IOCTL: return op_ioctl(h, (void *)p, p + sizeof(struct fuse_ioctl_in));
	}
	op_other(h, p);
}

// lies answers with what can't be: the lie's number says what.
static inline void lies(struct fuse_in_header *h) {
	static char junk[1 << 17];
	struct fuse_entry_out e;
	switch (w->lie) {
	case 1: return answer(h->unique, 0, junk, 3);          // too short
	case 2: return answer(h->unique, 0, junk, sizeof junk); // too long
	case 3:                                                 // a type that is none
		fill_entry(&e, 2), e.attr.mode = 0170644;
		return answer(h->unique, 0, &e, sizeof e);
	case 4: // the root
		fill_entry(&e, 1);
		return answer(h->unique, 0, &e, sizeof e);
	case 5: // an error that is none
		answer(h->unique, 1 << 20, NULL, 0);
		if (w->wrote == EINVAL) answer(h->unique, -5, NULL, 0);
		return answer(h->unique, w->wrote == EINVAL ? EIO : EPERM, NULL, 0);
	case 6: // a size that can't be
		fill_entry(&e, 2), e.attr.size = ~0ull;
		return answer(h->unique, 0, &e, sizeof e);
	}
}
