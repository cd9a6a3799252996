// covers: mkdir mknod mknodat symlink link linkat unlink rmdir rename open mkdirat
// Of what can't be done to a name for two reasons: which of them is told.
#include "mounts.h"
#include <sys/sysmacros.h>

// in is name in a directory.
static const char *in(const char *at, const char *name) {
	static char out[8][64];
	static int turn;
	char *b = out[turn++ % 8];
	snprintf(b, sizeof out[0], "%s/%s", at, name);
	return b;
}

#define ZERO makedev(1, 5)

// full makes the names that all are tried with.
static void full(const char *at) {
	put(in(at, "f"));
	dir(in(at, "sub"));
}

static void made(const char *at) {
	FAILS(mkdir(in(at, "sub"), 0755), EEXIST);
	FAILS(mkdir(in(at, "f"), 0755), EEXIST);
	FAILS(mkdir(in(at, "."), 0755), EEXIST);
	FAILS(mkdir(in(at, "new"), 0755), EROFS);
	FAILS(mkdir(in(at, "new/"), 0755), EROFS);
	FAILS(mkdir(in(at, "none/new"), 0755), ENOENT);
	FAILS(mkdir(in(at, "f/new"), 0755), ENOTDIR);
	FAILS(mknod(in(at, "f"), S_IFIFO | 0600, 0), EEXIST);
	FAILS(mknod(in(at, "f"), S_IFCHR | 0600, ZERO), EEXIST);
	FAILS(mknod(in(at, "new"), S_IFIFO | 0600, 0), EROFS);
	FAILS(mknod(in(at, "new"), S_IFCHR | 0600, ZERO), EROFS);
	FAILS(mknod(in(at, "new/"), S_IFIFO | 0600, 0), ENOENT);
	FAILS(mknod(in(at, "f"), S_IFDIR | 0700, 0), EPERM);
	FAILS(mknod(in(at, "f"), S_IFLNK | 0700, 0), EINVAL);
	FAILS(symlink("x", in(at, "f")), EEXIST);
	FAILS(symlink("x", in(at, "new")), EROFS);
	FAILS(symlink("x", in(at, "new/")), ENOENT);
	FAILS(symlink("", in(at, "f")), ENOENT);
	FAILS(open(in(at, "new"), O_CREAT | O_RDONLY, 0600), EROFS);
	FAILS(open(in(at, "f"), O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	FAILS(open(in(at, "f"), O_CREAT | O_RDWR, 0600), EROFS);
	int fd = open(in(at, "f"), O_CREAT | O_RDONLY, 0600);
	CHECK(fd >= 0 && close(fd) == 0);
}

static void linked(const char *at) {
	FAILS(link(in(at, "f"), in(at, "f")), EEXIST);
	FAILS(link(in(at, "f"), in(at, "new")), EROFS);
	FAILS(link(in(at, "f"), in(at, "new/")), ENOENT);
	FAILS(link(in(at, "none"), in(at, "f")), ENOENT);
	FAILS(link(in(at, "sub"), in(at, "new")), EROFS);
	FAILS(link("elsewhere", in(at, "f")), EEXIST);
	FAILS(link("elsewhere", in(at, "new")), EROFS);
	FAILS(link(in(at, "f"), "new"), EXDEV);
}

static void taken(const char *at) {
	FAILS(unlink(in(at, "f")), EROFS);
	FAILS(unlink(in(at, "f/")), EROFS);
	FAILS(unlink(in(at, "sub")), EROFS);
	FAILS(unlink(in(at, "none")), EROFS);
	FAILS(unlink(in(at, ".")), EISDIR);
	FAILS(rmdir(in(at, "sub")), EROFS);
	FAILS(rmdir(in(at, "f")), EROFS);
	FAILS(rmdir(in(at, "none")), EROFS);
	FAILS(rmdir(in(at, "sub/.")), EINVAL);
	FAILS(rmdir(in(at, "sub/..")), ENOTEMPTY);
	FAILS(rename(in(at, "f"), in(at, "new")), EROFS);
	FAILS(rename(in(at, "f"), in(at, "f")), EROFS);
	FAILS(rename(in(at, "none"), in(at, "new")), EROFS);
	FAILS(rename(in(at, "sub"), in(at, "sub/new")), EROFS);
	FAILS(rename(in(at, "sub/."), in(at, "new")), EBUSY);
	FAILS(rename(in(at, "f"), "new"), EXDEV);
	FAILS(rename("elsewhere", in(at, "new")), EXDEV);
}

// A mount that can't be written, and a filesystem.
static void readonly(void) {
	put("elsewhere");
	dir("from");
	dir("mount");
	full("from");
	CHECK(mount("from", "mount", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "mount", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	dir("whole");
	tmpfs("whole");
	full("whole");
	CHECK(mount(NULL, "whole", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	made("mount");
	made("whole");
	linked("mount");
	linked("whole");
	taken("mount");
	taken("whole");
}

// A directory that is gone, of a mount that can't be written any more.
static void gone(void) {
	put("elsewhere");
	dir("m");
	tmpfs("m");
	put("m/f");
	dir("m/d");
	int fd = open("m/d", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && rmdir("m/d") == 0);
	for (int i = 0; i < 2; i++) {
		FAILS(mkdirat(fd, "new", 0755), ENOENT);
		FAILS(mknodat(fd, "new", S_IFCHR | 0600, ZERO), ENOENT);
		FAILS(symlinkat("x", fd, "new"), ENOENT);
		FAILS(linkat(AT_FDCWD, "m/f", fd, "new", 0), ENOENT);
		FAILS(linkat(AT_FDCWD, "elsewhere", fd, "new", 0), ENOENT);
		FAILS(openat(fd, "new", O_CREAT | O_RDWR, 0600), ENOENT);
		CHECK(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	}
}

static int number_in(const char *path) {
	char b[16] = "";
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, b, sizeof b - 1) > 0 && close(fd) == 0);
	return atoi(b);
}

// Who has no rights, in his own directory, in another's and where nobody can write.
static void nobodys(void) {
	FAILS(mknod("own/new", S_IFCHR | 0600, ZERO), EPERM);
	FAILS(mknod("own/new", S_IFBLK | 0600, ZERO), EPERM);
	FAILS(mknod("own/new", S_IFBLK | 0600, 0), EPERM);
	FAILS(mknod("own/f", S_IFCHR | 0600, ZERO), EEXIST);
	FAILS(mknod("own/f", S_IFBLK | 0600, ZERO), EEXIST);
	FAILS(mknod("own/sub", S_IFCHR | 0600, ZERO), EEXIST);
	FAILS(mknod("own/new/", S_IFCHR | 0600, ZERO), ENOENT);
	FAILS(mknod("own/none/new", S_IFCHR | 0600, ZERO), ENOENT);
	FAILS(mknod("own/f/new", S_IFCHR | 0600, ZERO), ENOTDIR);
	FAILS(mknod("own/f", S_IFDIR | 0700, 0), EPERM);
	FAILS(mknod("roots/new", S_IFCHR | 0600, ZERO), EACCES);
	FAILS(mknod("roots/f", S_IFCHR | 0600, ZERO), EEXIST);
	FAILS(mknod("ro/new", S_IFCHR | 0600, ZERO), EROFS);
	FAILS(mknod("ro/f", S_IFCHR | 0600, ZERO), EEXIST);
	FAILS(mkdir("roots/sub", 0755), EEXIST);
	FAILS(mkdir("ro/new", 0755), EROFS);
	FAILS(link("own/f", "roots/f"), EEXIST);
	FAILS(link("own/f", "ro/new"), EROFS);
	FAILS(link("own/f", "roots/new"), number_in("/proc/sys/fs/protected_hardlinks") ? EPERM : EACCES);
	FAILS(unlink("ro/f"), EROFS);
	FAILS(unlink("roots/f"), EACCES);
	FAILS(unlink("roots/none"), ENOENT);
	CHECK(mknod("own/white", S_IFCHR | 0600, 0) == 0);
}

static void refused(void) {
	static const char *const dirs[] = {"own", "roots", "ro"};
	for (int i = 0; i < 3; i++) {
		dir(dirs[i]);
		full(dirs[i]);
	}
	CHECK(chmod("own", 0777) == 0);
	CHECK(mount("ro", "ro", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	unprivileged(nobodys);
}

static void all(void) {
	CASE(readonly());
	CASE(gone());
	CASE(refused());
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
