// covers: open_tree move_mount
// Trees of mounts by descriptor: opened, copied, moved, put beneath others.
#include "mounts.h"

static int to_here(int fd, const char *name) { return move_mount(fd, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH); }

static int move(const char *from, const char *to, unsigned flags) { return move_mount(AT_FDCWD, from, AT_FDCWD, to, flags); }

static int copied(const char *name, unsigned flags) {
	int fd = open_tree(AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	CHECK(fd >= 0);
	return fd;
}

static void opening(void) {
	dir("a");
	FAILS(open_tree(AT_FDCWD, "a", 0x10), EINVAL);
	FAILS(open_tree(AT_FDCWD, "a", AT_RECURSIVE), EINVAL); // without a copy
	FAILS(open_tree(AT_FDCWD, "absent", 0), ENOENT);
	FAILS(open_tree(AT_FDCWD, "", 0), ENOENT);
	FAILS(open_tree(AT_FDCWD, (char *)8, 0), EFAULT);
	FAILS(open_tree(999, "a", 0), EBADF);
	int fd = open_tree(AT_FDCWD, "a", 0);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & O_PATH));
	FAILS(to_here(fd, "a"), EINVAL); // not the root of a mount
	int again = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC);
	CHECK(again >= 0 && fcntl(again, F_GETFD) == FD_CLOEXEC);
	close(again);
	close(fd);
	CHECK(symlink("a", "l") == 0);
	fd = open_tree(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW);
	struct stat st;
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
	close(fd);
}

static void copying(void) {
	dir("c");
	tmpfs("c");
	dir("c/sub");
	dir("c/other");
	tmpfs("c/sub");
	put("c/sub/deep");
	put("c/file");
	dir("to");
	int one = copied("c", 0), all = copied("c", AT_RECURSIVE);
	CHECK(faccessat(one, "file", F_OK, 0) == 0);
	FAILS(faccessat(one, "sub/deep", F_OK, 0), ENOENT);
	CHECK(faccessat(all, "sub/deep", F_OK, 0) == 0);
	CHECK(to_here(one, "to") == 0);
	CHECK(exists("to/file") && !exists("to/sub/deep"));
	FAILS(to_here(one, "to"), ELOOP); // into itself: it is an ordinary mount now
	close(one);
	CHECK(exists("to/file"));
	CHECK(umount2("to", 0) == 0);
	CHECK(to_here(all, "to") == 0);
	CHECK(exists("to/sub/deep"));
	close(all);
	CHECK(umount2("to", MNT_DETACH) == 0);
	// A part of a filesystem, a file.
	one = copied("c/file", 0);
	FAILS(to_here(one, "to"), EINVAL);
	put("plain");
	CHECK(to_here(one, "plain") == 0);
	IS(field("plain", 'r'), "/file");
	close(one);
	CHECK(umount2("plain", 0) == 0);
	// What is nowhere ends with its descriptor.
	one = copied("c", AT_RECURSIVE);
	int file = openat(one, "sub/deep", O_RDWR);
	CHECK(file >= 0);
	close(one);
	CHECK(write(file, "x", 1) == 1);
	close(file);
	FAILS(mount("c", "c/absent", NULL, MS_BIND, NULL), ENOENT);
	CHECK(mount(NULL, "c/sub", NULL, MS_UNBINDABLE, NULL) == 0);
	FAILS(open_tree(AT_FDCWD, "c/sub", OPEN_TREE_CLONE), EINVAL);
	all = copied("c", AT_RECURSIVE);
	FAILS(faccessat(all, "sub/deep", F_OK, 0), ENOENT);
	close(all);
}

static void moving(void) {
	dir("m");
	tmpfs("m");
	dir("m/in");
	put("m/mark");
	dir("n");
	FAILS(move("m", "n", 0x400), EINVAL);
	FAILS(move("m", "n", BENEATH | MOVE_MOUNT_SET_GROUP), EINVAL);
	FAILS(move("absent", "n", 0), ENOENT);
	FAILS(move("m", "absent", 0), ENOENT);
	FAILS(move("", "n", 0), ENOENT);
	FAILS(move("m", "", 0), ENOENT);
	FAILS(move("m/in", "n", 0), EINVAL);
	FAILS(move("m", "m/in", 0), ELOOP);
	FAILS(move("m", "plain", 0), EINVAL);
	CHECK(symlink("n", "nl") == 0 && symlink("m", "ml") == 0);
	FAILS(move("ml", "n", 0), EINVAL); // links are not followed
	FAILS(move("m", "nl", 0), EINVAL);
	CHECK(move("ml", "nl", MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_T_SYMLINKS | MOVE_MOUNT_F_AUTOMOUNTS) == 0);
	CHECK(exists("n/mark") && !exists("m/mark"));
	int to = open("m", O_PATH);
	CHECK(move_mount(AT_FDCWD, "n", to, "", MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_T_AUTOMOUNTS) == 0);
	CHECK(exists("m/mark"));
	close(to);
	FAILS(move_mount(999, "x", AT_FDCWD, "m", 0), EBADF);
	// Out of a shared mount nothing moves, and into one only what may be copied.
	CHECK(mount(NULL, "m", NULL, MS_SHARED, NULL) == 0);
	tmpfs("m/in");
	FAILS(move("m/in", "n", 0), EINVAL);
	tmpfs("n");
	CHECK(mount(NULL, "n", NULL, MS_UNBINDABLE, NULL) == 0);
	CHECK(umount2("m/in", 0) == 0);
	FAILS(move("n", "m/in", 0), EINVAL);
	CHECK(mount(NULL, "n", NULL, MS_PRIVATE, NULL) == 0);
	CHECK(move("n", "m/in", 0) == 0);
	IS(kind("m/in"), "s");
	CHECK(umount2("m/in", 0) == 0 && umount2("m", 0) == 0);
}

static void beneath(void) {
	dir("b");
	tmpfs("b");
	put("b/top");
	dir("below");
	tmpfs("below");
	put("below/bottom");
	FAILS(move("below", "m", BENEATH), EINVAL); // nothing is mounted there
	FAILS(move("b", "b", BENEATH), EINVAL);
	FAILS(move("below", "/", BENEATH), EINVAL);
	CHECK(move("below", "b", BENEATH) == 0);
	CHECK(exists("b/top") && !exists("b/bottom") && !exists("below/bottom"));
	CHECK(umount2("b", 0) == 0);
	CHECK(exists("b/bottom"));
	int fd = copied("b", 0);
	CHECK(move_mount(fd, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH | BENEATH) == 0);
	close(fd);
	CHECK(umount2("b", 0) == 0);
	CHECK(exists("b/bottom"));
	CHECK(umount2("b", 0) == 0);
	FAILS(umount2("b", 0), EINVAL);
}

static void groups(void) {
	dir("g1");
	dir("g2");
	dir("g3");
	tmpfs("g1");
	dir("g1/sub");
	CHECK(mount("g1", "g2", NULL, MS_BIND, NULL) == 0);
	CHECK(mount("g1/sub", "g3", NULL, MS_BIND, NULL) == 0);
	FAILS(move("g1", "g2", MOVE_MOUNT_SET_GROUP), EINVAL); // g1 is private
	CHECK(mount(NULL, "g1", NULL, MS_SHARED, NULL) == 0);
	FAILS(move("g1/sub", "g2", MOVE_MOUNT_SET_GROUP), EINVAL);
	CHECK(move("g1", "g2", MOVE_MOUNT_SET_GROUP) == 0);
	CHECK(number("g1", "shared:") == number("g2", "shared:"));
	FAILS(move("g1", "g2", MOVE_MOUNT_SET_GROUP), EINVAL); // no longer private
	CHECK(move("g1", "g3", MOVE_MOUNT_SET_GROUP) == 0);
	CHECK(mount("none", "g2/sub", "tmpfs", 0, NULL) == 0);
	CHECK(umount2("g1/sub", 0) == 0);
	CHECK(umount2("g3", 0) == 0);
	CHECK(mount("g1/sub", "g3", NULL, MS_BIND, NULL) == 0 && mount(NULL, "g3", NULL, MS_SLAVE, NULL) == 0);
	CHECK(mount(NULL, "g2", NULL, MS_PRIVATE, NULL) == 0);
	FAILS(move("g3", "g2", MOVE_MOUNT_SET_GROUP), EINVAL); // g2 shows more than g3
	dir("g4");
	tmpfs("g4");
	FAILS(move("g1", "g4", MOVE_MOUNT_SET_GROUP), EINVAL); // another filesystem
}

// A detached tree can be built on.
static void building(void) {
	dir("x");
	tmpfs("x");
	dir("x/d");
	int a = copied("x", 0), b = copied("x", 0);
	if (move_mount(b, "", a, "d", MOVE_MOUNT_F_EMPTY_PATH) == 0) { // since Linux 6.15
		CHECK(faccessat(a, "d/d", F_OK, 0) == 0);
		int c = open_tree(a, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE);
		CHECK(c >= 0 && faccessat(c, "d/d", F_OK, 0) == 0);
		close(c);
		FAILS(move_mount(a, "d", AT_FDCWD, "x/d", 0), EINVAL); // not the root of its tree
	}
	CHECK(fchdir(a) == 0);
	FAILS(mount("none", "d", "tmpfs", 0, NULL), EINVAL);
	FAILS(umount2(".", 0), EINVAL);
	char here[PATH_MAX];
	CHECK(syscall(SYS_getcwd, here, sizeof here) > 0);
	CHECK(strncmp(here, "(unreachable)", 13) == 0);
}

static void powerless(void) {
	FAILS(open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE), EPERM);
	int fd = open_tree(AT_FDCWD, ".", 0);
	CHECK(fd >= 0);
	FAILS(move_mount(fd, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH), EPERM);
	FAILS(move(".", ".", 0x400), EPERM);
}

static void all(void) {
	CASE(unprivileged(powerless));
	CASE(opening());
	CASE(copying());
	CASE(moving());
	CASE(beneath());
	CASE(groups());
	CASE(building());
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
