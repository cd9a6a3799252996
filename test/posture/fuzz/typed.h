// Arguments whose kinds depend on an operation: keyctl(2) and fcntl(2), and what keys,
// locks and sched_setattr(2) are about. Included by fuzz.c.

// serials is keys that calls have told of, whoever they belong to.
static int32_t serials[16];

static uint64_t serial(struct rnd *r) {
	if (below(r, 3))
		return -(1 + below(r, 5)); // keyrings of the caller
	if (below(r, 16) == 0)
		return -below(r, 10);
	return ONE_OF(r, serials);
}

static void remember_key(struct rnd *r, int nr, long ret) {
	if ((nr == SYS_add_key || nr == SYS_request_key || nr == SYS_keyctl) && ret > 4096)
		serials[below(r, 16)] = ret;
}

static uint64_t text(struct rnd *r, const char *s) {
	char *slot = arena + ARENA * 3 / 4 + below(r, ARENA / 4 / SLOT) * SLOT;
	return (uint64_t)strcpy(slot, s);
}

static uint64_t key_type(struct rnd *r) {
	static const char *const types[] = {"user", "user", "user", "keyring", "keyring", "keyring", "logon", "asymmetric", ".x", ""};
	return text(r, ONE_OF(r, types));
}

static uint64_t description(struct rnd *r) {
	static const char *const texts[] = {"a", "b", "c", "d:e", "f:g", "_ses", "_uid.0", ".x", ""};
	switch (below(r, 8)) {
	case 0: return 0;
	case 1: {
		char many[24];
		snprintf(many, sizeof many, "k:%d", (int)below(r, 300));
		return text(r, many);
	}
	}
	return text(r, ONE_OF(r, texts));
}

// permissions of keys: mostly those that let their possessor go on.
static uint64_t permissions(struct rnd *r) {
	return (below(r, 4) ? 0x3f000000 : 0) | (next(r) & (below(r, 8) ? 0x3f3f3f3f : 0xffffffff));
}

// lock writes a struct flock.
static uint64_t lock(struct rnd *r) {
	struct flock *l = (void *)(arena + below(r, ARENA / 2 / SLOT) * SLOT);
	*l = (struct flock){.l_type = below(r, 3), .l_whence = below(r, 8) ? 0 : below(r, 4), .l_start = below(r, 64), .l_len = below(r, 8)};
	if (below(r, 16) == 0)
		l->l_start = any(r), l->l_len = any(r);
	return (uint64_t)l;
}

// scheduling writes a struct sched_attr.
static uint64_t scheduling(struct rnd *r) {
	uint32_t *a = (void *)(arena + below(r, ARENA / 2 / SLOT) * SLOT);
	uint64_t *times = (uint64_t *)a + 3;
	a[0] = below(r, 4) ? 48 : any(r), a[1] = below(r, 8);
	*((uint64_t *)a + 1) = below(r, 2) ? 0 : flags(r);
	a[4] = below(r, 41) - 20, a[5] = below(r, 2) ? 0 : below(r, 100);
	for (int i = 0; i < 3; i++)
		times[i] = below(r, 8) ? (i + 1) * 100000 * below(r, 200) : any(r);
	a[12] = a[13] = below(r, 8) ? 0 : any(r);
	return (uint64_t)a;
}

// What follows an operation: see KINDS.
struct operation { uint32_t op; const char *kinds; };

static const struct operation key_operations[] = {
	{0, "ki"}, {1, "d"}, {2, "kas"}, {3, "k"}, {4, "kuu"}, {5, "kq"}, {6, "kas"}, {7, "k"}, {8, "kk"}, {8, "kk"}, {8, "kk"}, {9, "kk"},
	{10, "ktdk"}, {11, "kas"}, {12, "kask"}, {13, "kik"}, {14, "i"}, {15, "ki"}, {16, "k"}, {17, "kas"}, {18, ""}, {19, "kiik"},
	{20, "kbik"}, {21, "k"}, {22, "uk"}, {29, "ktd"}, {30, "kkki"}, {30, "kkki"}, {31, "as"},
};

static const struct operation file_operations[] = {
	{0, "i"}, {1, ""}, {2, "i"}, {3, ""}, {4, "x"}, {5, "l"}, {6, "l"}, {6, "l"}, {7, "l"}, {8, "u"}, {9, ""}, {10, "g"}, {11, ""},
	{15, "b"}, {16, "b"}, {17, "b"}, {36, "l"}, {37, "l"}, {37, "l"}, {38, "l"}, {1024, "i"}, {1024, "i"}, {1025, ""}, {1026, "x"},
	{1027, "i"}, {1028, ""}, {1030, "i"}, {1031, "s"}, {1032, ""}, {1033, "x"}, {1034, ""}, {1035, "b"}, {1036, "b"}, {1037, "b"}, {1038, "b"},
};

static uint64_t argument(struct rnd *r, char kind);

// typed chooses an operation, and arguments for it.
static void typed(struct rnd *r, int nr, uint64_t *a) {
	if (below(r, 16) == 0)
		return;
	const struct operation *o;
	switch (nr) {
	case SYS_keyctl: o = &ONE_OF(r, key_operations); break;
	case SYS_fcntl: o = &ONE_OF(r, file_operations), a++; break;
	default: return;
	}
	a[0] = o->op;
	for (int i = 0; o->kinds[i]; i++)
		a[1 + i] = argument(r, o->kinds[i]);
}
