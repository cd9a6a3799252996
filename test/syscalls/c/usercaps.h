// Who may do what to whom: a table of operations, each tried by callers in user
// namespaces of several kinds, whose results are compared with Linux's. Run with
// anything as an argument, a program prints its table anew.
#ifndef USERCAPS_H
#define USERCAPS_H
#include "child.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

// The worlds: what the caller is. Those with maps are root inside.
enum {
	OUTER,  // root of the container, with its capabilities
	ROOTED, // in a user namespace that maps the container's root and nobody else
	USER,   // in one that uid 1000 made for itself, with the outer's other namespaces
	OWN,    // in one with 65536 ids from 100000, and namespaces of all kinds of its own
	NESTED, // in one below OWN, which maps the id 1 of that
	OWNER,  // uid 1000 itself, without capabilities: the owner of others' namespaces
	WORLDS
};

// A row is an operation and what it gives: a letter (below) for each world, and such a
// word for each argument from 0.
struct row {
	const char *name;
	int (*op)(int arg);
	const char *want;
};

// VALUE is what an operation gives that tells a number, not an error.
#define VALUE(n) (1000000 + (n))
#define LOST (-999)

static const struct letter {
	char c;
	int means;
} letters[] = {
	{'.', 0}, {'P', EPERM}, {'A', EACCES}, {'S', ESRCH}, {'I', EINVAL}, {'E', ENOENT}, {'D', ENODATA}, {'B', EBUSY},
	{'X', EEXIST}, {'V', EOVERFLOW}, {'R', EROFS}, {'N', ENOTSUP}, {'L', ESTALE}, {'M', ENOMEM}, {'!', LOST},
	{'0', VALUE(0)}, {'1', VALUE(1)}, {'5', VALUE(5)}, {'7', VALUE(7)}, {'o', VALUE(65534)}, {'u', VALUE(1000)}, {'h', VALUE(100000)},
	{'i', VALUE(100001)}, {'s', VALUE(100007)},
};

static int world;

// error is what an operation gives that returned r.
static inline int error(long r) { return r < 0 ? errno : 0; }

static inline void maps(pid_t pid, const char *map) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	CHECK(write_file(path, map) == 0);
	snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
	CHECK(write_file(path, map) == 0);
}

// map_self makes the caller root of its new user namespace.
static inline void map_self(int uid, int gid) {
	char b[64];
	snprintf(b, sizeof b, "0 %d 1", uid);
	CHECK(write_file("/proc/self/uid_map", b) == 0);
	CHECK(write_file("/proc/self/setgroups", "deny") == 0);
	snprintf(b, sizeof b, "0 %d 1", gid);
	CHECK(write_file("/proc/self/gid_map", b) == 0);
}

// as makes an ordinary user of the caller, who may be looked into.
static inline void as(int id) {
	CHECK(setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static inline void drop_groups(void) { CHECK(syscall(SYS_setgroups, 0, NULL) == 0); }

// mapped enters new namespaces, as uid, and a child that still has the caller's rights
// maps it from outside them. It becomes id there.
static inline void mapped(int uid, int flags, const char *map, int id) {
	int ready[2], done[2];
	char c;
	CHECK(pipe(ready) == 0 && pipe(done) == 0);
	pid_t me = getpid(), p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		close(ready[1]);
		CHECK(read(ready[0], &c, 1) == 1);
		maps(me, map);
		CHECK(write(done[1], "x", 1) == 1);
		_exit(0);
	}
	if (uid)
		as(uid);
	CHECK(unshare(flags) == 0);
	CHECK(write(ready[1], "x", 1) == 1 && read(done[0], &c, 1) == 1);
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	close(ready[0]), close(ready[1]), close(done[0]), close(done[1]);
	as(id);
}

#define ALL_NS (CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWCGROUP)

// What a program does before a world is entered, as the container's root; in it; and,
// for NESTED, in the namespace above.
static void before(void);
static void above(void);
static void inside(void);

static inline void enter(void) {
	if (world != OUTER)
		drop_groups();
	switch (world) {
	case ROOTED:
		CHECK(unshare(CLONE_NEWUSER) == 0);
		map_self(0, 0);
		break;
	case USER:
		as(1000);
		CHECK(unshare(CLONE_NEWUSER) == 0);
		map_self(1000, 1000);
		break;
	case OWN:
	case NESTED:
		mapped(0, CLONE_NEWUSER | ALL_NS, "0 100000 65536", 0);
		if (world == OWN)
			break;
		above();
		mapped(0, CLONE_NEWUSER, "0 1 1", 0);
		break;
	case OWNER:
		above();
		as(1000);
		break;
	}
	inside();
}

enum { ARGS = 8 }; // of one operation, at most

// args is how many arguments a row is for.
static inline int args(const struct row *r) { return (strlen(r->want) + 1) / (WORLDS + 1); }

// try does all of the rows' operations in a world.
static inline void try(const struct row *rows, int n, int got[][ARGS][WORLDS]) {
	before();
	pid_t w = fork();
	CHECK(w >= 0);
	if (w == 0) {
		enter();
		for (int i = 0; i < n; i++)
			for (int a = 0; a < args(&rows[i]); a++) {
				pid_t p = fork();
				CHECK(p >= 0);
				if (p == 0) {
					alarm(10);
					got[i][a][world] = rows[i].op(a);
					_exit(0);
				}
				while (waitpid(p, NULL, 0) == -1 && errno == EINTR)
					;
			}
		_exit(0);
	}
	int status;
	CHECK(waitpid(w, &status, 0) == w && status == 0);
}

static inline char letter(int n) {
	for (int i = 0; i < (int)(sizeof letters / sizeof *letters); i++)
		if (letters[i].means == n)
			return letters[i].c;
	return '?';
}

static inline int compare(const struct row *r, int got[ARGS][WORLDS], int print) {
	char b[ARGS * (WORLDS + 1)], *p = b;
	int odd = 0;
	for (int a = 0; a < args(r); a++) {
		for (int w = 0; w < WORLDS; w++)
			if ((*p++ = letter(got[a][w])) == '?')
				odd = got[a][w];
		*p++ = ' ';
	}
	p[-1] = 0;
	if (print)
		return printf("\t{\"%s\", op_%s, \"%s\"}, // %d\n", r->name, r->name, b, odd) < 0;
	mark("case", r->name);
	if (strcmp(b, r->want)) {
		fprintf(stderr, "%s: \"%s\", want \"%s\" (? is %d)\n", r->name, b, r->want, odd);
		return 1;
	}
	mark("passed", r->name);
	return 0;
}

// usercaps tries all of the rows in all worlds, and is what main returns.
static inline int usercaps(const struct row *rows, int n, int print) {
	int (*got)[ARGS][WORLDS] = mmap(NULL, n * sizeof *got, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(got != MAP_FAILED);
	for (int i = 0; i < n * ARGS * WORLDS; i++)
		got[0][0][i] = LOST;
	for (world = 0; world < WORLDS; world++)
		try(rows, n, got);
	int bad = 0;
	for (int i = 0; i < n; i++)
		bad |= compare(&rows[i], got[i], print);
	return bad;
}

#define USERCAPS(rows) \
	int main(int argc, char **argv) { return usercaps(rows, sizeof rows / sizeof *rows, argc > 1); }
#endif
