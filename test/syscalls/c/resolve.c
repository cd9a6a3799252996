// covers: openat2 renameat2 chroot fchdir getdents64
// openat2(2)'s RESOLVE_* one by one, across mounts and magic links; renameat2(2)'s flags;
// ways out of a chroot; the ends of directories.
#include "mounts.h"
#include <linux/fs.h>
#include <linux/openat2.h>
#include <dirent.h>

static int top;

static long how(const char *name, uint64_t flags, uint64_t resolve) {
	struct open_how h = { .flags = flags, .resolve = resolve };
	long fd = syscall(SYS_openat2, top, name, &h, sizeof h);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

#define OPENS(name, resolve) CHECK(how(name, O_RDONLY, resolve) == 0)
#define REFUSES(name, resolve, e) FAILS(how(name, O_RDONLY, resolve), e)

static void resolving(void) {
	dir("t");
	dir("t/d");
	dir("t/m");
	put("t/d/f");
	put("out");
	tmpfs("t/m");
	put("t/m/f");
	CHECK(symlink("d/f", "t/l") == 0 && symlink("d", "t/ld") == 0 && symlink("../out", "t/up") == 0);
	CHECK(symlink("/d/f", "t/abs") == 0 && symlink("../t/d/f", "t/back") == 0 && symlink("m/f", "t/lm") == 0);
	top = open("t", O_RDONLY);
	CHECK(top >= 0);
	OPENS("m/f", 0);
	REFUSES("m/f", RESOLVE_NO_XDEV, EXDEV);
	REFUSES("m", RESOLVE_NO_XDEV, EXDEV);
	REFUSES("lm", RESOLVE_NO_XDEV, EXDEV);
	REFUSES("m/..", RESOLVE_NO_XDEV, EXDEV);
	OPENS("d/../d/f", RESOLVE_NO_XDEV);
	OPENS("..", RESOLVE_NO_XDEV);
	OPENS("up", RESOLVE_NO_XDEV);
	REFUSES("/proc/self", RESOLVE_NO_XDEV, EXDEV);
	OPENS("l", RESOLVE_NO_MAGICLINKS);
	REFUSES("/proc/self/exe", RESOLVE_NO_MAGICLINKS, ELOOP);
	REFUSES("/proc/self/root/", RESOLVE_NO_MAGICLINKS, ELOOP);
	REFUSES("/proc/self/cwd/t", RESOLVE_NO_MAGICLINKS, ELOOP);
	FAILS(how("/proc/self/exe", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS), ELOOP); // self is one
	REFUSES("l", RESOLVE_NO_SYMLINKS, ELOOP);
	REFUSES("ld/f", RESOLVE_NO_SYMLINKS, ELOOP);
	CHECK(how("l", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS) == 0);
	FAILS(how("l", O_RDONLY | O_NOFOLLOW, 0), ELOOP);
	OPENS("l", RESOLVE_BENEATH);
	OPENS("m/f", RESOLVE_BENEATH);
	OPENS("d/../d/f", RESOLVE_BENEATH);
	REFUSES("up", RESOLVE_BENEATH, EXDEV);
	REFUSES("back", RESOLVE_BENEATH, EXDEV);
	REFUSES("abs", RESOLVE_BENEATH, EXDEV);
	REFUSES("/d/f", RESOLVE_BENEATH, EXDEV);
	REFUSES("d/../../t", RESOLVE_BENEATH, EXDEV);
	OPENS("abs", RESOLVE_IN_ROOT);
	OPENS("/abs", RESOLVE_IN_ROOT);
	OPENS("../../d/f", RESOLVE_IN_ROOT);
	REFUSES("up", RESOLVE_IN_ROOT, ENOENT);
	REFUSES("back", RESOLVE_IN_ROOT, ENOENT);
	REFUSES("/proc/self", RESOLVE_IN_ROOT, ENOENT);
	REFUSES("d", RESOLVE_IN_ROOT | RESOLVE_BENEATH, EINVAL);
	REFUSES("d", 0x40, EINVAL);
	CHECK(how("d/f", O_RDONLY, RESOLVE_CACHED) == 0);
	FAILS(how("d/new", O_RDONLY | O_CREAT, RESOLVE_CACHED), EAGAIN);
	FAILS(how("d/f", O_WRONLY | O_TRUNC, RESOLVE_CACHED), EAGAIN);
	FAILS(how("d/f", O_RDONLY | (1ULL << 40), 0), EINVAL);
	FAILS(how("d/f", O_PATH | O_RDWR, 0), EINVAL);
	struct { struct open_how h; uint64_t more; } big = { .h = { .flags = O_RDONLY } };
	int fd = syscall(SYS_openat2, top, "d", &big, sizeof big);
	CHECK(fd >= 0 && close(fd) == 0);
	big.more = 1;
	FAILS(syscall(SYS_openat2, top, "d", &big, sizeof big), E2BIG);
	FAILS(syscall(SYS_openat2, top, "d", &big, 23), EINVAL);
	big.more = 0;
	big.h.mode = 0644;
	FAILS(syscall(SYS_openat2, top, "d", &big, 24), EINVAL); // a mode for what is not made
	CHECK(mount("t/d", "t/m", NULL, MS_BIND, NULL) == 0); // the same filesystem, another mount
	REFUSES("m/f", RESOLVE_NO_XDEV, EXDEV);
	close(top);
}

static int ren(const char *a, const char *b, unsigned flags) { return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags); }

static void renaming(void) {
	dir("r");
	dir("r/d");
	put("r/a");
	put("r/b");
	put("r/d/in");
	FAILS(ren("r/a", "r/b", RENAME_NOREPLACE), EEXIST);
	FAILS(ren("r/a", "r/c", RENAME_EXCHANGE), ENOENT);
	FAILS(ren("r/a", "r/b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	FAILS(ren("r/a", "r/b", RENAME_EXCHANGE | RENAME_WHITEOUT), EINVAL);
	FAILS(ren("r/a", "r/b", 8), EINVAL);
	FAILS(ren("r/d", "r/d/x", 0), EINVAL);
	FAILS(ren("r/d", "r/d/in", RENAME_EXCHANGE), EINVAL);
	FAILS(ren("r/d/in", "r/d", RENAME_EXCHANGE), EINVAL);
	FAILS(ren("r/d/in", "r/d", 0), ENOTEMPTY);
	FAILS(ren("r/a", "r/d", 0), EISDIR);
	FAILS(ren("r/d", "r/a", 0), ENOTDIR);
	FAILS(ren("r/.", "r/c", 0), EBUSY);
	FAILS(ren("r/a", "r/..", RENAME_NOREPLACE), EEXIST);
	struct stat a, b;
	CHECK(stat("r/a", &a) == 0);
	CHECK(ren("r/a", "r/d", RENAME_EXCHANGE) == 0); // a file for a directory
	CHECK(stat("r/d", &b) == 0 && a.st_ino == b.st_ino && exists("r/a/in"));
	CHECK(ren("r/b", "r/c", RENAME_NOREPLACE) == 0 && !exists("r/b"));
	CHECK(ren("r/c", "r/b", RENAME_WHITEOUT) == 0);
	CHECK(stat("r/c", &b) == 0 && S_ISCHR(b.st_mode) && b.st_rdev == 0);
	// Not from a mount to another, be it of the same filesystem; nor what is mounted on.
	dir("r2");
	CHECK(mount("r", "r2", NULL, MS_BIND, NULL) == 0);
	FAILS(ren("r/b", "r2/x", 0), EXDEV);
	FAILS(ren("r2", "r3", 0), EBUSY);
	FAILS(rmdir("r2"), EBUSY);
	CHECK(umount2("r2", 0) == 0);
}

static void listing(void) {
	char b[4096];
	dir("e");
	int fd = open("e", O_RDONLY | O_DIRECTORY), file = open("out", O_RDONLY), p = open("e", O_PATH);
	FAILS(syscall(SYS_getdents64, fd, b, 1), EINVAL); // not even "." fits
	FAILS(syscall(SYS_getdents64, file, b, sizeof b), ENOTDIR);
	FAILS(syscall(SYS_getdents64, p, b, sizeof b), EBADF);
	FAILS(syscall(SYS_getdents64, fd, (char *)8, sizeof b), EFAULT);
	CHECK(syscall(SYS_getdents64, fd, b, 24) == 24); // "." alone
	CHECK(syscall(SYS_getdents64, fd, b, sizeof b) == 24);
	CHECK(syscall(SYS_getdents64, fd, b, sizeof b) == 0);
	CHECK(syscall(SYS_getdents64, fd, b, 1) == 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(rmdir("e") == 0);
	FAILS(syscall(SYS_getdents64, fd, b, sizeof b), ENOENT);
	close(fd);
	close(file);
	close(p);
}

static void jailed(void) {
	dir("jail");
	dir("jail/sub");
	put("mark");
	int outside = open(".", O_RDONLY), file = open("mark", O_RDONLY), p = open("jail", O_PATH);
	FAILS(chroot("mark"), ENOTDIR);
	FAILS(chroot("absent"), ENOENT);
	FAILS(fchdir(file), ENOTDIR);
	FAILS(fchdir(999), EBADF);
	CHECK(fchdir(p) == 0 && fchdir(outside) == 0); // O_PATH will do
	char here[64];
	CHECK(chroot("jail") == 0);
	CHECK(exists("mark") && exists("jail/sub") && !exists("/mark")); // the place stays
	CHECK(syscall(SYS_getcwd, here, sizeof here) > 0 && strncmp(here, "(unreachable)", 13) == 0);
	CHECK(chdir("/") == 0 && !exists("../mark") && !exists("../../mark"));
	CHECK(syscall(SYS_getcwd, here, sizeof here) == 2);
	IS(here, "/");
	CHECK(fchdir(outside) == 0 && exists("mark")); // a descriptor leads out
	CHECK(chroot(".") == 0 && exists("/mark"));
	CHECK(chmod("jail", 0) == 0);
}

static void powerless(void) {
	FAILS(chroot("."), EPERM);
	FAILS(chroot("/jail"), EACCES);
	FAILS(chdir("/jail"), EACCES);
}

static void all(void) {
	CASE(resolving());
	CASE(renaming());
	CASE(listing());
	CASE(jailed());
	CASE(unprivileged(powerless));
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
