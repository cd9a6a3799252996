// perms DIR STEP FIRST: who may do what with whose file: each way of being somebody,
// each kind of file or directory, each operation; every STEP-th of them, from FIRST on.
// A line for each says what came of it: an error, or how the file is afterwards.
#include "people.h"
#include <stdbool.h>
#include <sys/xattr.h>

static char dir[64], path[96], other[96];

// A way to use a file; 0, or -1 with errno. It may change or remove it.
typedef long use(void);

static long use_open(int flags) {
	int fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}
static long read_it(void) { return use_open(O_RDONLY); }
static long write_it(void) { return use_open(O_WRONLY); }
static long both(void) { return use_open(O_RDWR); }
static long cut(void) { return use_open(O_WRONLY | O_TRUNC); }
static long noatime(void) { return use_open(O_RDONLY | O_NOATIME); }
static long create(void) { return use_open(O_WRONLY | O_CREAT); }
static long truncate_it(void) { return truncate(path, 3); }
static long access_r(void) { return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS); }
static long access_w(void) { return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS); }
static long access_x(void) { return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS); }
static long run_it(void) { return execve(path, (char *[]){path, NULL}, NULL), errno == ENOEXEC ? 0 : -1; }
static long chmod_it(void) { return chmod(path, 0640); }
static long chmod_setid(void) { return chmod(path, 06755); }
static long chown_self(void) { return chown(path, geteuid(), -1); }
static long chown_root(void) { return chown(path, 0, -1); }
static long chown_none(void) { return chown(path, -1, -1); }
static long chgrp_own(void) { return chown(path, -1, getegid()); }
static long chgrp_extra(void) { return chown(path, -1, EXTRA); }
static long chgrp_other(void) { return chown(path, -1, OTHER); }
static long touch(void) { return utimensat(AT_FDCWD, path, NULL, 0); }
static long settime(void) { return utimensat(AT_FDCWD, path, (struct timespec[]){{1, 2}, {3, 4}}, 0); }
static long setx(void) { return setxattr(path, "user.a", "b", 1, 0); }
static long getx(void) { char b[8]; return getxattr(path, "user.a", b, sizeof b) < 0 && errno != ENODATA ? -1 : 0; }
static long trusted(void) { return setxattr(path, "trusted.a", "b", 1, 0); }
static long link_it(void) { return link(path, other); }
static long write_byte(void) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : write(fd, "x", 1) == 1 ? close(fd) : -1;
}

static const struct { const char *name; use *use; } file_uses[] = {
	{"read", read_it}, {"write", write_it}, {"rdwr", both}, {"cut", cut}, {"noatime", noatime}, {"creat", create}, {"truncate", truncate_it},
	{"r", access_r}, {"w", access_w}, {"x", access_x}, {"exec", run_it}, {"chmod", chmod_it}, {"chmod6755", chmod_setid},
	{"chown-self", chown_self}, {"chown-root", chown_root}, {"chown-none", chown_none}, {"chgrp-own", chgrp_own}, {"chgrp-extra", chgrp_extra},
	{"chgrp-other", chgrp_other}, {"touch", touch}, {"settime", settime}, {"setxattr", setx}, {"getxattr", getx}, {"trusted", trusted},
	{"link", link_it}, {"store", write_byte},
};
static const mode_t file_modes[] = {0, 0400, 0200, 0100, 0040, 0020, 0010, 0004, 0002, 0001, 0666, 0777, 04755, 02755, 06711, 02644};

// Ways to use a directory: path is it, with the entries "file", of USER's, "full" and "link".
static char *in(const char *name) {
	static char paths[2][128];
	static int turn;
	char *p = paths[turn++ % 2];
	snprintf(p, sizeof paths[0], "%s/%s", path, name);
	return p;
}
static long list(void) { return use_open(O_RDONLY | O_DIRECTORY); }
static long enter(void) { return chdir(path); }
static long look(void) { struct stat st; return stat(in("file"), &st); }
static long make(void) { int fd = open(in("new"), O_CREAT | O_EXCL | O_WRONLY, 06777); return fd < 0 ? -1 : close(fd); }
static long make_over(void) { int fd = open(in("file"), O_CREAT | O_WRONLY, 0666); return fd < 0 ? -1 : close(fd); }
static long make_fifo(void) { return mkfifo(in("new"), 0666); }
static long make_device(void) { return mknod(in("new"), S_IFCHR | 0666, 0); }
static long make_dir(void) { return mkdir(in("new"), 0777); }
static long make_link(void) { return symlink("x", in("new")); }
static long take(void) { return unlink(in("file")); }
static long take_dir(void) { return rmdir(in("empty")); }
static long follow(void) { struct stat st; return stat(in("link"), &st); }
static long rename_in(void) { return rename(in("file"), in("new")); }
static long rename_over(void) { return rename(other, in("file")); }
static long rename_out(void) { return rename(in("file"), other); }
static long rename_dir(void) { return rename(in("empty"), other); }
static long hard(void) { return link(in("file"), in("new")); }
static long dir_chmod(void) { return chmod(path, 03775); }

static const struct { const char *name; use *use; } dir_uses[] = {
	{"list", list}, {"enter", enter}, {"look", look}, {"make", make}, {"make-over", make_over}, {"fifo", make_fifo}, {"device", make_device}, {"mkdir", make_dir},
	{"symlink", make_link}, {"unlink", take}, {"rmdir", take_dir}, {"follow", follow}, {"rename", rename_in}, {"rename-over", rename_over},
	{"rename-out", rename_out}, {"rename-dir", rename_dir}, {"link", hard}, {"chmod", dir_chmod}, {"settime", settime}, {"chgrp-extra", chgrp_extra},
};
static const mode_t dir_modes[] = {0, 0500, 0300, 0700, 0070, 0030, 0050, 0007, 0003, 0777, 01777, 01770, 02777, 02070, 03777};

// shown is how a file is told: kind, mode, owner, size.
static const char *shown(const char *name) {
	static char text[64];
	struct stat st;
	if (lstat(name, &st) < 0)
		return "-";
	snprintf(text, sizeof text, "%o,%d:%d", st.st_mode & 07777, st.st_uid, st.st_gid);
	return text;
}

static void make_file(const char *name, mode_t mode, int uid, int gid) {
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	must(fd);
	must(write(fd, "some text\n", 10) - 10);
	must(fchown(fd, uid, gid));
	must(fchmod(fd, mode));
	close(fd);
}

static void clean(void) {
	static const char *const names[] = {"file", "empty", "link", "new"};
	for (int i = 0; i < 4; i++)
		if (unlink(in(names[i])) < 0 && errno == EISDIR)
			rmdir(in(names[i]));
	if (unlink(path) < 0 && errno == EISDIR)
		must(rmdir(path));
	if (unlink(other) < 0 && errno == EISDIR)
		must(rmdir(other));
}

static unsigned long step, turn; // every step-th case is tried, when its turn comes

static bool chosen(void) { return turn++ % step == 0; }

// tell says what came of a use: an error, or how the file is then.
static void tell(const struct person *who, const char *what, const char *use, long r, const char *after) {
	printf("%s, %s: %s: %s\n", who->name, what, use, r < 0 ? strerrorname_np(errno) : after);
}

static void files(const struct person *who) {
	for (int m = 0; m < (int)(sizeof file_modes / sizeof *file_modes); m++)
		for (int owner = 0; owner < OWNERS; owner++) {
			char what[40];
			snprintf(what, sizeof what, "file %04o of %d:%d", file_modes[m], owners[owner].uid, owners[owner].gid);
			for (int u = 0; u < (int)(sizeof file_uses / sizeof *file_uses); u++) {
				if (!chosen())
					continue;
				make_file(path, file_modes[m], owners[owner].uid, owners[owner].gid);
				become(who);
				long r = file_uses[u].use();
				int e = errno;
				come_back();
				errno = e;
				tell(who, what, file_uses[u].name, r, shown(path));
				clean();
			}
		}
}

static void directories(const struct person *who) {
	for (int m = 0; m < (int)(sizeof dir_modes / sizeof *dir_modes); m++)
		for (int owner = 0; owner < OWNERS; owner++) {
			char what[40];
			snprintf(what, sizeof what, "directory %04o of %d:%d", dir_modes[m], owners[owner].uid, owners[owner].gid);
			for (int u = 0; u < (int)(sizeof dir_uses / sizeof *dir_uses); u++) {
				if (!chosen())
					continue;
				must(mkdir(path, 0700));
				make_file(in("file"), 0666, ANOTHER, OTHER);
				must(mkdir(in("empty"), 0755));
				must(chown(in("empty"), ANOTHER, OTHER));
				must(symlink("file", in("link")));
				must(lchown(in("link"), ANOTHER, OTHER));
				if (dir_uses[u].use == rename_over)
					make_file(other, 0666, USER, GROUP);
				must(chown(path, owners[owner].uid, owners[owner].gid));
				must(chmod(path, dir_modes[m]));
				become(who);
				long r = dir_uses[u].use();
				int e = errno;
				come_back();
				must(chdir("/"));
				errno = e;
				tell(who, what, dir_uses[u].name, r, access(in("new"), F_OK) == 0 ? shown(in("new")) : shown(path));
				clean();
			}
		}
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	step = strtoul(argv[2], NULL, 0);
	turn = step - strtoul(argv[3], NULL, 0) % step;
	umask(0);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	// Everybody may write here, so that it is only the file that matters.
	snprintf(dir, sizeof dir, "%s/perms", argv[1]);
	must(mkdir(dir, 0777));
	snprintf(path, sizeof path, "%s/it", dir);
	snprintf(other, sizeof other, "%s/other", dir);
	for (int i = 0; i < PEOPLE; i++) {
		files(&people[i]);
		directories(&people[i]);
	}
	puts("well");
}
