// covers: mount umount2 unshare
// What Documentation/filesystems/sharedsubtree.rst says of propagation: its tables for
// bind, move and mount, peers and slaves at several removes, and namespaces.
#include "mounts.h"
#include <poll.h>

static void become(const char *name, unsigned long how) { CHECK(mount(NULL, name, NULL, how, NULL) == 0); }

static void bind(const char *from, const char *to) { CHECK(mount(from, to, NULL, MS_BIND, NULL) == 0); }

static void gone(const char *name) { CHECK(umount2(name, MNT_DETACH) == 0); }

// states: how a mount becomes what the columns of the tables are.
static void shape(const char *name, char state) {
	switch (state) {
	case 's': become(name, MS_SHARED); break;
	case 'p': become(name, MS_PRIVATE); break;
	case 'u': become(name, MS_UNBINDABLE); break;
	case 'm': // a slave of one that is elsewhere
		become(name, MS_SHARED);
		if (!exists("spare"))
			dir("spare");
		bind(name, "spare");
		become(name, MS_SLAVE);
		break;
	case 'b': // both
		shape(name, 'm');
		become(name, MS_SHARED);
		break;
	}
}

static void table(unsigned long op) {
	static const struct { char from; const char *shared, *other; } bound[] = {
		{ 's', "s", "s" }, { 'p', "s", "" }, { 'm', "sm", "m" }, { 'b', "sm", "sm" }, { 'u', NULL, NULL },
	}, moved[] = {
		{ 's', "s", "s" }, { 'p', "s", "" }, { 'm', "sm", "m" }, { 'b', "sm", "sm" }, { 'u', NULL, "u" },
	};
	for (int i = 0; i < 5; i++)
		for (int shared = 0; shared < 2; shared++) {
			char from = op == MS_BIND ? bound[i].from : moved[i].from;
			const char *want = op == MS_BIND ? (shared ? bound[i].shared : bound[i].other) : shared ? moved[i].shared : moved[i].other;
			dir("from");
			dir("to");
			dir("peer");
			tmpfs("from");
			tmpfs("to");
			dir("to/b");
			shape("from", from);
			become("to", shared ? MS_SHARED : MS_PRIVATE);
			bind("to", "peer");
			if (want == NULL) {
				FAILS(mount("from", "to/b", NULL, op, NULL), EINVAL);
			} else {
				put("from/mark");
				CHECK(mount("from", "to/b", NULL, op, NULL) == 0);
				IS(kind("to/b"), want);
				CHECK(exists("to/b/mark") && exists("peer/b/mark") == shared);
				CHECK(exists("from/mark") == (op == MS_BIND));
				if (shared) {
					IS(kind("peer/b"), want);
					CHECK(number("to/b", "shared:") == number("peer/b", "shared:"));
					CHECK(number("to/b", "master:") == number("peer/b", "master:"));
				}
				gone("to/b");
				CHECK(strcmp(kind("peer/b"), "absent") == 0);
			}
			if (want == NULL || op == MS_BIND)
				gone("from");
			gone("to");
			gone("peer");
			if (from == 'm' || from == 'b')
				gone("spare");
			CHECK(rmdir("from") == 0 && rmdir("to") == 0 && rmdir("peer") == 0);
		}
}

// The table of transitions.
static void transitions(void) {
	dir("t");
	dir("t2");
	tmpfs("t");
	become("t", MS_SLAVE);
	IS(kind("t"), ""); // nobody to obey
	become("t", MS_SHARED);
	become("t", MS_SLAVE);
	IS(kind("t"), ""); // the only peer
	become("t", MS_SHARED);
	bind("t", "t2");
	int group = number("t", "shared:");
	become("t2", MS_SLAVE);
	IS(kind("t2"), "m");
	CHECK(number("t2", "master:") == group);
	become("t2", MS_SHARED);
	IS(kind("t2"), "sm");
	CHECK(number("t2", "master:") == group && number("t2", "shared:") != group);
	become("t2", MS_SLAVE);
	IS(kind("t2"), "m");
	become("t2", MS_SLAVE);
	IS(kind("t2"), "m");
	become("t2", MS_UNBINDABLE);
	IS(kind("t2"), "u");
	become("t2", MS_SHARED);
	IS(kind("t2"), "s");
	become("t2", MS_PRIVATE);
	IS(kind("t2"), "");
	gone("t");
	gone("t2");
	// When the last peer goes its slaves obey its master, or nobody.
	dir("t3");
	tmpfs("t");
	become("t", MS_SHARED);
	bind("t", "t2");
	become("t2", MS_SLAVE);
	become("t2", MS_SHARED);
	bind("t2", "t3");
	become("t3", MS_SLAVE);
	CHECK(number("t3", "master:") == number("t2", "shared:"));
	become("t2", MS_PRIVATE);
	CHECK(number("t3", "master:") == number("t", "shared:"));
	gone("t");
	IS(kind("t3"), "");
	gone("t2");
	gone("t3");
	// MS_REC goes down the tree.
	tmpfs("t");
	dir("t/in");
	tmpfs("t/in");
	become("t", MS_SHARED);
	IS(kind("t/in"), "");
	become("t", MS_SHARED | MS_REC | MS_SILENT);
	IS(kind("t/in"), "s");
	become("t", MS_PRIVATE | MS_REC);
	IS(kind("t/in"), "");
	FAILS(mount(NULL, "t/absent", NULL, MS_PRIVATE, NULL), ENOENT);
	dir("t/plain");
	FAILS(mount(NULL, "t/plain", NULL, MS_PRIVATE, NULL), EINVAL);
	FAILS(mount(NULL, "t", NULL, MS_PRIVATE | MS_RDONLY, NULL), EINVAL);
	FAILS(mount(NULL, "t", NULL, MS_SLAVE | MS_UNBINDABLE, NULL), EINVAL);
	gone("t");
}

// A chain: a shared, its slave b which is shared too, b's slave c.
static void chain(void) {
	const char *const names[] = { "a", "a2", "b", "b2", "c" };
	for (int i = 0; i < 5; i++)
		dir(names[i]);
	tmpfs("a");
	dir("a/x");
	dir("a/y");
	become("a", MS_SHARED);
	bind("a", "a2");
	bind("a", "b");
	become("b", MS_SLAVE);
	become("b", MS_SHARED);
	bind("b", "b2");
	bind("b", "c");
	become("c", MS_SLAVE);
	tmpfs("a/x");
	for (int i = 0; i < 5; i++) {
		char x[16];
		snprintf(x, sizeof x, "%s/x", names[i]);
		IS(kind(x), i < 2 ? "s" : i < 4 ? "sm" : "m");
	}
	CHECK(number("a/x", "shared:") == number("a2/x", "shared:"));
	CHECK(number("b/x", "shared:") == number("b2/x", "shared:"));
	CHECK(number("b/x", "master:") == number("a/x", "shared:"));
	CHECK(number("c/x", "master:") == number("b/x", "shared:"));
	// Below: to those beside and below, never up.
	tmpfs("b/y");
	IS(kind("a/y"), "absent");
	IS(kind("b2/y"), "s");
	IS(kind("c/y"), "m");
	put("b/y/mark");
	CHECK(exists("c/y/mark") && !exists("a/y/mark"));
	// Unmounting goes the same ways, but not where something is mounted below.
	dir("a/x/deep");
	tmpfs("c/x/deep");
	CHECK(umount2("a2/x", 0) == 0);
	IS(kind("a/x"), "absent");
	IS(kind("b/x"), "absent");
	IS(kind("c/x"), ""); // it has somebody below, and nobody to obey
	CHECK(umount2("c/x/deep", 0) == 0 && umount2("c/x", 0) == 0);
	// Of what is mounted somewhere in between only those see it who show the place.
	for (int i = 4; i >= 0; i--)
		gone(names[i]);
	for (int i = 0; i < 5; i++)
		CHECK(rmdir(names[i]) == 0);
}

// part: a peer that shows only a part gets only what is mounted in that part; its own
// slaves get copies that obey the nearest one there is.
static void part(void) {
	dir("w");
	dir("part");
	dir("pslave");
	tmpfs("w");
	dir("w/p");
	dir("w/p/x");
	dir("w/q");
	become("w", MS_SHARED);
	bind("w/p", "part");
	CHECK(number("part", "shared:") == number("w", "shared:"));
	bind("part", "pslave");
	become("pslave", MS_SLAVE);
	tmpfs("w/q");
	tmpfs("part/x");
	IS(kind("w/p/x"), "s");
	IS(kind("pslave/x"), "m");
	CHECK(number("pslave/x", "master:") == number("w/p/x", "shared:"));
	CHECK(umount2("w/p/x", 0) == 0);
	IS(kind("part/x"), "absent");
	IS(kind("pslave/x"), "absent");
	// A slave that is shared shows q, its peer only p: what is mounted in p reaches both.
	dir("s1");
	dir("s2");
	dir("s3");
	bind("w/q", "s1");
	gone("s1");
	CHECK(umount2("w/q", 0) == 0);
	bind("w/q", "s1");
	become("s1", MS_SLAVE);
	become("s1", MS_SHARED);
	bind("w", "s2");
	become("s2", MS_SLAVE);
	become("s2", MS_SHARED);
	bind("s2/p", "s3");
	gone("s2");
	tmpfs("w/p/x");
	IS(kind("s1"), "sm");
	IS(kind("s3/x"), "sm");
	CHECK(number("s3/x", "master:") == number("w/p/x", "shared:"));
	gone("s3");
	gone("s1");
	gone("part");
	gone("pslave");
	gone("w");
}

// A bind of a tree takes along what may be bound, and what it binds is a peer.
static void trees(void) {
	dir("src");
	dir("dst");
	tmpfs("src");
	dir("src/shared");
	dir("src/unbindable");
	dir("src/private");
	tmpfs("src/shared");
	tmpfs("src/unbindable");
	tmpfs("src/private");
	become("src/shared", MS_SHARED);
	become("src/unbindable", MS_UNBINDABLE);
	CHECK(mount("src", "dst", NULL, MS_BIND | MS_REC, NULL) == 0);
	IS(kind("dst/shared"), "s");
	CHECK(number("dst/shared", "shared:") == number("src/shared", "shared:"));
	IS(kind("dst/private"), "");
	IS(kind("dst/unbindable"), "absent");
	gone("dst");
	FAILS(mount("src/unbindable", "dst", NULL, MS_BIND, NULL), EINVAL);
	// A tree with an unbindable mount can't move to where it would be copied.
	tmpfs("dst");
	dir("dst/d");
	become("dst", MS_SHARED);
	FAILS(mount("src", "dst/d", NULL, MS_MOVE, NULL), EINVAL);
	become("src/unbindable", MS_PRIVATE);
	CHECK(mount("src", "dst/d", NULL, MS_MOVE, NULL) == 0);
	IS(kind("dst/d"), "s");
	IS(kind("dst/d/private"), "s");
	FAILS(mount("dst/d", "src", NULL, MS_MOVE, NULL), EINVAL); // out of a shared one
	gone("dst");
	// Busy somewhere is busy everywhere.
	dir("peer");
	tmpfs("dst");
	dir("dst/d");
	become("dst", MS_SHARED);
	bind("dst", "peer");
	tmpfs("dst/d");
	put("dst/d/f");
	int fd = open("peer/d/f", O_RDONLY);
	CHECK(fd >= 0);
	FAILS(umount2("dst/d", 0), EBUSY);
	close(fd);
	CHECK(umount2("dst/d", 0) == 0);
	IS(kind("peer/d"), "absent");
	// What is on top stays.
	tmpfs("dst/d");
	become("peer", MS_PRIVATE);
	tmpfs("peer/d");
	put("peer/d/top");
	gone("peer");
	gone("dst");
}

static int told, tell;

// namespaces: a new one's mounts are peers of, or obey, what the old one's do.
static void namespaces(void) {
	int to[2], back[2];
	char c;
	dir("ns");
	tmpfs("ns");
	dir("ns/a");
	dir("ns/b");
	become("ns", MS_SHARED);
	dir("private");
	tmpfs("private");
	dir("private/x");
	CHECK(pipe(to) == 0 && pipe(back) == 0);
	struct pollfd mounts = { .fd = open("/proc/self/mounts", O_RDONLY), .events = POLLPRI };
	CHECK(poll(&mounts, 1, 0) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		tell = back[1], told = to[0];
		CHECK(unshare(CLONE_NEWNS) == 0);
		IS(kind("ns"), "s");
		tmpfs("ns/a");
		tmpfs("private/x");
		CHECK(write(tell, "a", 1) == 1 && read(told, &c, 1) == 1);
		CHECK(strcmp(kind("ns/b"), "s") == 0);
		CHECK(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0);
		IS(kind("ns"), "m");
		CHECK(umount2("ns/b", 0) == 0);
		CHECK(write(tell, "b", 1) == 1 && read(told, &c, 1) == 1);
		IS(kind("ns/a"), "absent"); // the parent's umount came here
		_exit(0);
	}
	CHECK(read(back[0], &c, 1) == 1);
	CHECK(poll(&mounts, 1, 0) == 1 && mounts.revents == (POLLERR | POLLPRI)); // it changes here too
	IS(kind("ns/a"), "s");
	IS(kind("private/x"), "absent");
	tmpfs("ns/b");
	CHECK(write(to[1], "a", 1) == 1 && read(back[0], &c, 1) == 1);
	IS(kind("ns/b"), "s"); // a slave's umount does not come up
	CHECK(umount2("ns/a", 0) == 0);
	CHECK(write(to[1], "b", 1) == 1);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	IS(kind("ns/b"), "s"); // nor the end of a namespace
}

// propagate_from tells a slave in a chroot of the nearest group it can see.
static void under(void) {
	dir("u");
	tmpfs("u");
	dir("u/top");
	dir("u/jail");
	tmpfs("u/top");
	become("u/top", MS_SHARED);
	dir("u/mid");
	bind("u/top", "u/mid");
	become("u/mid", MS_SLAVE);
	become("u/mid", MS_SHARED);
	tmpfs("u/jail");
	dir("u/jail/peer");
	dir("u/jail/slave");
	dir("u/jail/proc");
	CHECK(mount("/proc", "u/jail/proc", NULL, MS_BIND, NULL) == 0);
	bind("u/top", "u/jail/peer");
	bind("u/mid", "u/jail/slave");
	become("u/jail/slave", MS_SLAVE);
	int top = number("u/top", "shared:"), mid = number("u/mid", "shared:");
	CHECK(number("u/jail/slave", "propagate_from:") == 0);
	CHECK(chroot("u/jail") == 0 && chdir("/") == 0);
	CHECK(number("slave", "master:") == mid && number("slave", "propagate_from:") == top);
}

static void all(void) {
	CASE(table(MS_BIND));
	CASE(table(MS_MOVE));
	CASE(transitions());
	CASE(chain());
	CASE(part());
	CASE(trees());
	CASE(namespaces());
	CASE(under());
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
