// The calls from before there were directory descriptors: link(2), unlink(2),
// rename(2) and their kind, which libraries no longer make themselves.
// covers: creat mkdir rmdir rename link unlink symlink chmod chown mknod
#include "check.h"
#include <fcntl.h>
#include <sys/stat.h>

static struct stat about(const char *name) {
	struct stat st;
	CHECK(lstat(name, &st) == 0);
	return st;
}

static int gone(const char *name) {
	struct stat st;
	return lstat(name, &st) == -1 && errno == ENOENT;
}

static void files(void) {
	umask(027);
	int fd = syscall(SYS_creat, "f", 0666);
	CHECK(fd > 2 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY);
	CHECK((about("f").st_mode & 07777) == 0640);
	CHECK(write(fd, "12345", 5) == 5 && close(fd) == 0 && about("f").st_size == 5);
	fd = syscall(SYS_creat, "f", 0666); // truncates
	CHECK(fd > 2 && close(fd) == 0 && about("f").st_size == 0);
	FAILS(syscall(SYS_creat, "none/f", 0666), ENOENT);
	FAILS(syscall(SYS_creat, ".", 0666), EISDIR);

	CHECK(syscall(SYS_chmod, "f", 04751) == 0 && (about("f").st_mode & 07777) == 04751);
	FAILS(syscall(SYS_chmod, "none", 0644), ENOENT);
	CHECK(syscall(SYS_chown, "f", 11, 12) == 0 && about("f").st_uid == 11 && about("f").st_gid == 12);
	CHECK((about("f").st_mode & 07777) == 0751);
	CHECK(syscall(SYS_chown, "f", -1, 13) == 0 && about("f").st_uid == 11 && about("f").st_gid == 13);
	FAILS(syscall(SYS_chown, "none", 1, 1), ENOENT);

	CHECK(syscall(SYS_link, "f", "g") == 0);
	CHECK(about("g").st_ino == about("f").st_ino && about("f").st_nlink == 2);
	FAILS(syscall(SYS_link, "f", "g"), EEXIST);
	FAILS(syscall(SYS_link, "none", "h"), ENOENT);
	CHECK(syscall(SYS_rename, "g", "h") == 0 && gone("g") && about("h").st_nlink == 2);
	FAILS(syscall(SYS_rename, "g", "i"), ENOENT);
	CHECK(syscall(SYS_unlink, "h") == 0 && gone("h") && about("f").st_nlink == 1);
	FAILS(syscall(SYS_unlink, "h"), ENOENT);
}

static void links(void) {
	char target[8] = "";
	CHECK(syscall(SYS_symlink, "f", "s") == 0 && S_ISLNK(about("s").st_mode));
	CHECK(readlink("s", target, sizeof target) == 1 && target[0] == 'f');
	FAILS(syscall(SYS_symlink, "f", "s"), EEXIST);
	FAILS(syscall(SYS_symlink, "", "t"), ENOENT);
	CHECK(syscall(SYS_chown, "s", 21, -1) == 0); // follows, unlike lchown
	CHECK(about("f").st_uid == 21 && about("s").st_uid == 0);
	CHECK(syscall(SYS_link, "s", "t") == 0 && S_ISLNK(about("t").st_mode)); // does not follow
	CHECK(syscall(SYS_unlink, "s") == 0 && gone("s") && !gone("f"));
}

static void directories(void) {
	CHECK(syscall(SYS_mkdir, "d", 0777) == 0);
	CHECK(about("d").st_mode == (S_IFDIR | 0750));
	FAILS(syscall(SYS_mkdir, "d", 0777), EEXIST);
	FAILS(syscall(SYS_mkdir, "f/d", 0777), ENOTDIR);
	FAILS(syscall(SYS_rename, "d", "f"), ENOTDIR);
	FAILS(syscall(SYS_rename, "f", "d"), EISDIR);
	FAILS(syscall(SYS_unlink, "d"), EISDIR);
	FAILS(syscall(SYS_rmdir, "f"), ENOTDIR);
	CHECK(syscall(SYS_mkdir, "d/e", 0700) == 0);
	FAILS(syscall(SYS_rmdir, "d"), ENOTEMPTY);
	CHECK(syscall(SYS_rmdir, "d/e") == 0 && syscall(SYS_rmdir, "d") == 0 && gone("d"));
	FAILS(syscall(SYS_rmdir, "."), EINVAL);
}

static void nodes(void) {
	CHECK(syscall(SYS_mknod, "p", S_IFIFO | 0666, 0) == 0);
	CHECK(about("p").st_mode == (S_IFIFO | 0640));
	CHECK(syscall(SYS_mknod, "r", 0666, 0) == 0 && S_ISREG(about("r").st_mode));
	FAILS(syscall(SYS_mknod, "p", S_IFIFO | 0666, 0), EEXIST);
	FAILS(syscall(SYS_mknod, "q", S_IFDIR | 0666, 0), EPERM);
	FAILS(syscall(SYS_mknod, "q", S_IFLNK | 0666, 0), EINVAL);
}

int main(void) {
	CASE(files());
	CASE(links());
	CASE(directories());
	CASE(nodes());
	return 0;
}
