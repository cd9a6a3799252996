// covers: mount umount2
// mount(2) and umount2(2), in a mount namespace of a child.
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static char base[PATH_MAX];

static char *at(const char *name) {
	static char names[4][2 * PATH_MAX];
	static int i;
	char *p = names[i++ % 4];
	snprintf(p, sizeof names[0], "%s/%s", base, name);
	return p;
}

static void put(const char *name) {
	int fd = open(at(name), O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0);
	CHECK(close(fd) == 0);
}

static int exists(const char *name) { return access(at(name), F_OK) == 0; }

static void fresh(void) {
	CHECK(mkdir(at("m"), 0755) == 0);
	put("m/under");
	CHECK(mount("none", at("m"), "tmpfs", MS_NOSUID, "mode=700,size=1m") == 0);
	struct stat st;
	CHECK(stat(at("m"), &st) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(!exists("m/under"));
	put("m/over");
	int fd = open(at("m/over"), O_RDONLY);
	FAILS(umount2(at("m"), 0), EBUSY);
	close(fd);
	FAILS(umount2(at("m"), MNT_EXPIRE), EAGAIN);
	CHECK(umount2(at("m"), MNT_EXPIRE) == 0);
	CHECK(exists("m/under") && !exists("m/over"));
	FAILS(umount2(at("m"), 0), EINVAL);
}

static void bound(void) {
	CHECK(mkdir(at("b"), 0755) == 0);
	CHECK(mount(at("m"), at("b"), NULL, MS_BIND, NULL) == 0);
	CHECK(exists("b/under"));
	CHECK(mount(NULL, at("b"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	FAILS(open(at("b/new"), O_CREAT | O_RDWR, 0644), EROFS);
	put("m/new"); // the other mount is not read-only
	CHECK(exists("b/new"));
	put("file");
	FAILS(mount(at("file"), at("m"), NULL, MS_BIND, NULL), ENOTDIR);
	CHECK(mount(at("m/new"), at("file"), NULL, MS_BIND, NULL) == 0);
	CHECK(umount2(at("file"), 0) == 0);
}

static void moved(void) {
	CHECK(mkdir(at("to"), 0755) == 0);
	CHECK(mount(at("b"), at("to"), NULL, MS_MOVE, NULL) == 0);
	CHECK(exists("to/under") && !exists("b/under"));
	FAILS(mount(at("b"), at("to"), NULL, MS_MOVE, NULL), EINVAL);
	int fd = open(at("to/under"), O_RDONLY);
	CHECK(fd >= 0);
	CHECK(umount2(at("to"), MNT_DETACH) == 0);
	CHECK(!exists("to/under"));
	char c;
	CHECK(read(fd, &c, 1) == 0); // still there for who has it open
	close(fd);
}

static void wrong(void) {
	FAILS(mount("none", at("absent"), "tmpfs", 0, NULL), ENOENT);
	FAILS(mount("none", at("file"), "tmpfs", 0, NULL), ENOTDIR);
	FAILS(mount("none", at("m"), "no-such-type", 0, NULL), ENODEV);
	FAILS(mount("none", (char *)8, "tmpfs", 0, NULL), EFAULT);
	FAILS(mount(at("absent"), at("m"), NULL, MS_BIND, NULL), ENOENT);
	FAILS(mount(NULL, at("m"), NULL, MS_REMOUNT, NULL), EINVAL); // not a mount point
	FAILS(mount(NULL, at("m"), NULL, MS_SHARED | MS_PRIVATE, NULL), EINVAL);
	FAILS(umount2(at("absent"), 0), ENOENT);
	FAILS(umount2(at("m"), 0x100), EINVAL);
	FAILS(umount2(at("m"), MNT_EXPIRE | MNT_DETACH), EINVAL);
	CHECK(symlink("m", at("link")) == 0);
	CHECK(mount("none", at("link"), "tmpfs", 0, NULL) == 0);
	FAILS(umount2(at("link"), UMOUNT_NOFOLLOW), EINVAL);
	CHECK(umount2(at("link"), 0) == 0);
	CHECK(setresuid(1, 1, 1) == 0);
	FAILS(mount("none", at("m"), "tmpfs", 0, NULL), EPERM);
	FAILS(umount2("/proc", 0), EPERM);
}

int main(void) {
	CHECK(getcwd(base, sizeof base) != NULL);
	for (char *p = base; p != NULL; p = strchr(p + 1, '/')) { // for the user without rights
		char c = p == base ? 0 : *p;
		if (c == '/') {
			*p = 0;
			chmod(base, 0755);
			*p = c;
		}
	}
	chmod(base, 0755);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(unshare(CLONE_NEWNS) == 0);
		CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CASE(fresh());
		CASE(bound());
		CASE(moved());
		CASE(wrong());
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
	return 0;
}
