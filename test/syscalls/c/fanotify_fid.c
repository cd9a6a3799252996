// covers: fanotify_init fanotify_mark
// fanotify(7) with handles: what is told of entries of directories, and by which records.
#include "fanotify.h"

#define FID FAN_REPORT_FID
#define DIRS FAN_REPORT_DIR_FID
#define NAME FAN_REPORT_NAME
#define TARGET FAN_REPORT_TARGET_FID
#define ENTRIES (FAN_CREATE | FAN_DELETE | FAN_MOVE)
#define ALL (ENTRIES | FAN_ATTRIB | FAN_MODIFY | FAN_CLOSE | FAN_OPEN | FAN_ACCESS)

static int on(unsigned flags, uint64_t mask, const char *name) {
	int fd = group(FAN_NONBLOCK | flags, 0);
	CHECK(watch(fd, FAN_MARK_ADD, mask, name) == 0);
	return fd;
}

// One group of each kind is told of the same.
static struct {
	unsigned flags;
	int fd;
} kinds[] = { { FID }, { DIRS }, { DIRS | FID }, { DIRS | NAME }, { DIRS | NAME | FID }, { DIRS | NAME | FID | TARGET } };

static void watchAll(uint64_t mask, const char *name) {
	for (int i = 0; i < 6; i++)
		kinds[i].fd = on(kinds[i].flags, mask, name);
}

#define SEEN(...) seen(__LINE__, (const char *[6]){ __VA_ARGS__ })
static void seen(int line, const char *const *want) {
	int bad = 0;
	for (int i = 0; i < 6; i++) {
		char *g = got(kinds[i].fd);
		if (strcmp(g, want[i]) != 0)
			bad = 1, fprintf(stderr, "line %d: group %d is told \"%s\", not \"%s\"\n", line, i, g, want[i]);
	}
	CHECK(!bad);
}

static void entries(void) {
	dir("d"), names('d', "d");
	watchAll(ENTRIES | FAN_ONDIR, "d");
	put("d/f"), names('f', "d/f");
	SEEN("+ fid:d", "+ dir:d", "+ dir:d", "+ name:df", "+ name:df", "+ name:df fid:f");
	dir("d/s"), names('s', "d/s");
	SEEN("+/ fid:d", "+/ dir:d", "+/ dir:d", "+/ name:ds", "+/ name:ds", "+/ name:ds fid:s");
	CHECK(symlink("f", "d/l") == 0 && link("d/f", "d/h") == 0 && mkfifo("d/p", 0600) == 0);
	names('l', "d/l"), names('p', "d/p");
	SEEN("+ fid:d", "+ dir:d", "+ dir:d", "+ name:dl; + name:dh; + name:dp", "+ name:dl; + name:dh; + name:dp",
		"+ name:dl fid:l; + name:dh fid:f; + name:dp fid:p");
	CHECK(rename("d/f", "d/g") == 0);
	SEEN("<> fid:d", "<> dir:d", "<> dir:d", "< name:df; > name:dg", "< name:df; > name:dg", "< name:df fid:f; > name:dg fid:f");
	CHECK(unlink("d/g") == 0 && rmdir("d/s") == 0);
	SEEN("- fid:d; -/ fid:d", "- dir:d; -/ dir:d", "- dir:d; -/ dir:d", "- name:dg; -/ name:ds", "- name:dg; -/ name:ds",
		"- name:dg fid:f; -/ name:ds fid:s");
	// To another directory, and what stands in the way.
	put("x"), names('x', "x");
	CHECK(rename("x", "d/h") == 0);
	SEEN("> fid:d", "> dir:d", "> dir:d", "> name:dh", "> name:dh", "> name:dh fid:x");
	CHECK(rename("d/h", "x") == 0 && close(open("x", O_CREAT | O_RDWR, 0600)) == 0);
	SEEN("< fid:d", "< dir:d", "< dir:d", "< name:dh", "< name:dh", "< name:dh fid:x");
}

static void children(void) {
	dir("d"), put("d/f"), dir("d/s"), names('d', "d"), names('f', "d/f"), names('s', "d/s");
	watchAll(FAN_OPEN | FAN_ATTRIB | FAN_MODIFY | FAN_EVENT_ON_CHILD | FAN_ONDIR, "d");
	see("d/f");
	SEEN("o fid:f", "o fid:d", "o dir:d fid:f", "o name:df", "o name:df fid:f", "o name:df fid:f");
	CHECK(chmod("d/f", 0600) == 0 && truncate("d/f", 3) == 0);
	SEEN("mt fid:f", "mt fid:d", "mt dir:d fid:f", "mt name:df", "mt name:df fid:f", "mt name:df fid:f");
	see("d");
	SEEN("o/ fid:d", "o/ dir:d", "o/ dir:d", "o/ name:d.", "o/ name:d.", "o/ name:d.");
	see("d/s");
	SEEN("o/ fid:s", "o/ dir:s", "o/ dir:s", "o/ name:s.", "o/ name:s.", "o/ name:s.");
}

static void itself(void) {
	dir("d"), put("d/f"), names('d', "d"), names('f', "d/f");
	watchAll(FAN_OPEN | FAN_ATTRIB | FAN_DELETE_SELF | FAN_MOVE_SELF, "d/f");
	see("d/f");
	SEEN("o fid:f", "o fid:d", "o dir:d fid:f", "o name:df", "o name:df fid:f", "o name:df fid:f");
	CHECK(rename("d/f", "d/g") == 0);
	SEEN("M fid:f", "", "M fid:f", "", "M fid:f", "M fid:f");
	CHECK(link("d/g", "d/h") == 0 && unlink("d/h") == 0);
	SEEN("t fid:f", "", "t fid:f", "", "t fid:f", "t fid:f");
	CHECK(unlink("d/g") == 0);
	SEEN("tD fid:f", "", "tD fid:f", "", "tD fid:f", "tD fid:f");
	FAILS(watch(kinds[0].fd, FAN_MARK_REMOVE, FAN_OPEN, "d/g"), ENOENT);
}

static void directory_itself(void) {
	dir("d"), names('d', "d");
	watchAll(FAN_DELETE_SELF | FAN_MOVE_SELF, "d");
	CHECK(rename("d", "e") == 0);
	SEEN("", "", "", "", "", "");
	for (int i = 0; i < 6; i++)
		CHECK(watch(kinds[i].fd, FAN_MARK_ADD, FAN_ONDIR, "e") == 0);
	CHECK(rename("e", "d") == 0);
	SEEN("M/ fid:d", "M/ dir:d", "M/ dir:d", "M/ name:d.", "M/ name:d.", "M/ name:d.");
	CHECK(rmdir("d") == 0);
	SEEN("D/ fid:d", "D/ dir:d", "D/ dir:d", "D/ name:d.", "D/ name:d.", "D/ name:d.");
}

static void renamed(void) {
	dir("a"), dir("b"), put("a/f"), names('a', "a"), names('b', "b"), names('f', "a/f");
	int from = on(DIRS | NAME, FAN_RENAME, "a"), to = on(DIRS | NAME, FAN_RENAME, "b"), both = on(DIRS | NAME | FID | TARGET, FAN_RENAME, "a");
	CHECK(watch(both, FAN_MARK_ADD, FAN_RENAME, "b") == 0);
	CHECK(rename("a/f", "b/longer-name") == 0);
	GOT(from, "R old:af");
	GOT(to, "R new:blonger-name");
	GOT(both, "R old:af new:blonger-name fid:f");
	CHECK(rename("b/longer-name", "b/g") == 0);
	GOT(from, "");
	GOT(to, "R old:blonger-name new:bg");
	GOT(both, "R old:blonger-name new:bg fid:f");
	dir("a/s"), names('s', "a/s");
	CHECK(rename("a/s", "b/s") == 0);
	GOT(from, "");
	CHECK(watch(both, FAN_MARK_ADD, FAN_ONDIR, "a") == 0);
	CHECK(rename("b/s", "a/s") == 0);
	GOT(both, "R/ new:as fid:s");
	put("a/x"), put("b/x"), names('x', "a/x"), names('y', "b/x");
	CHECK(renameat2(AT_FDCWD, "a/x", AT_FDCWD, "b/x", RENAME_EXCHANGE) == 0);
	GOT(from, "R old:ax; R new:ax");
	GOT(to, "R new:bx; R old:bx");
	GOT(both, "R old:ax new:bx fid:x; R old:bx new:ax fid:y");
}

static void pidfd_too(void) {
	dir("d"), names('d', "d");
	int fd = on(DIRS | NAME | FAN_REPORT_PIDFD, FAN_CREATE, "d");
	put("d/odd");
	GOT(fd, "+ name:dodd pidfd");
}

// Names in events are padded, and an event that does not fit stays.
static void rooms(void) {
	struct { struct fanotify_event_metadata m; char rest[400]; } b;
	char name[300] = "d/";
	dir("d"), names('d', "d");
	int fd = on(DIRS | NAME, FAN_CREATE, "d");
	put("d/a"), put("d/abcd");
	memset(name + 2, 'x', 255);
	put(name);
	FAILS(read(fd, &b, 24), EINVAL);
	int first = handles[0].h.handle_bytes + 20 + 4; // "a" and a NUL, padded
	CHECK((first & 3) == 0);
	FAILS(read(fd, &b, first - 1), EINVAL);
	CHECK(read(fd, &b, 24 + first + 8) == 24 + first && b.m.event_len == 24 + first && b.m.fd == FAN_NOFD);
	CHECK(read(fd, &b, 24 + first + 4 + 100) == 24 + first + 4);
	CHECK(read(fd, &b, sizeof b) == 24 + first - 4 + 256);
}

static void all(void) {
	APART(fresh(entries));
	APART(fresh(children));
	APART(fresh(itself));
	APART(fresh(directory_itself));
	APART(fresh(renamed));
	APART(fresh(pidfd_too));
	APART(fresh(rooms));
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
