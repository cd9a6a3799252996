// covers: mount_setattr
// mount_setattr(2): flags of mounts and trees of them, all or nothing.
#include "mounts.h"

static int set(const char *name, unsigned flags, uint64_t on, uint64_t off) {
	struct mount_attr a = { .attr_set = on, .attr_clr = off };
	return mount_setattr(AT_FDCWD, name, flags, &a, sizeof a);
}

static int propagate(const char *name, unsigned flags, uint64_t how) {
	struct mount_attr a = { .propagation = how };
	return mount_setattr(AT_FDCWD, name, flags, &a, sizeof a);
}

static void wrong(void) {
	dir("w");
	FAILS(set("w", 0, MOUNT_ATTR_RDONLY, 0), EINVAL); // no mount
	CHECK(set("w", 0, 0, 0) == 0);                     // nothing to do: nothing is looked at
	CHECK(set("absent", 0, 0, 0) == 0);
	tmpfs("w");
	FAILS(set("absent", 0, MOUNT_ATTR_RDONLY, 0), ENOENT);
	FAILS(set("", 0, MOUNT_ATTR_RDONLY, 0), ENOENT);
	FAILS(set((char *)8, 0, MOUNT_ATTR_RDONLY, 0), EFAULT);
	FAILS(set("w", 0x10, MOUNT_ATTR_RDONLY, 0), EINVAL);
	FAILS(set("w", 0, 0x40000000, 0), EINVAL);
	FAILS(set("w", 0, 0, 0x40000000), EINVAL);
	FAILS(set("w", 0, MOUNT_ATTR_NOATIME, 0), EINVAL);
	FAILS(set("w", 0, 0, MOUNT_ATTR_NOATIME), EINVAL);
	FAILS(set("w", 0, MOUNT_ATTR__ATIME, MOUNT_ATTR__ATIME), EINVAL);
	FAILS(propagate("w", 0, MS_SHARED | MS_SLAVE), EINVAL);
	FAILS(propagate("w", 0, MS_REC), EINVAL);
	struct { struct mount_attr a; uint64_t more; } big = { .a = { .attr_set = MOUNT_ATTR_RDONLY } };
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &big.a, 31), EINVAL);
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &big.a, 4097), E2BIG);
	FAILS(mount_setattr(AT_FDCWD, "w", 0, (void *)8, 32), EFAULT);
	big.more = 1;
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &big.a, sizeof big), E2BIG);
	big.more = 0;
	CHECK(mount_setattr(AT_FDCWD, "w", 0, &big.a, sizeof big) == 0);
	IS(field("w", 'o'), "ro,relatime");
	FAILS(mount_setattr(999, "w", 0, &big.a, sizeof big.a), EBADF);
	CHECK(symlink("w", "wl") == 0);
	FAILS(set("wl", AT_SYMLINK_NOFOLLOW, 0, MOUNT_ATTR_RDONLY), EINVAL);
	CHECK(set("wl", AT_NO_AUTOMOUNT, 0, MOUNT_ATTR_RDONLY) == 0);
	IS(field("w", 'o'), "rw,relatime");
}

static void idmap(void) {
	int here = open("/proc/self/ns/user", O_RDONLY), other = open("/proc/self/ns/mnt", O_RDONLY), plain = open("w", O_RDONLY);
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = 999 };
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &a, sizeof a), EBADF);
	a.userns_fd = 1ULL << 40;
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &a, sizeof a), EINVAL);
	a.userns_fd = plain;
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &a, sizeof a), EINVAL);
	a.userns_fd = other;
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &a, sizeof a), EINVAL);
	a.userns_fd = here;
	FAILS(mount_setattr(AT_FDCWD, "w", 0, &a, sizeof a), EPERM); // the first one maps nothing
	FAILS(set("w", 0, 0, MOUNT_ATTR_IDMAP), EINVAL);
	close(here);
	close(other);
	close(plain);
}

static void attributes(void) {
	CHECK(set("w", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0) == 0);
	IS(field("w", 'o'), "ro,nosuid,nodev,noexec,relatime");
	FAILS(mkdir("w/x", 0755), EROFS);
	CHECK(set("w", 0, MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY) == 0);
	IS(field("w", 'o'), "rw,nosuid,nodev,nodiratime,relatime,nosymfollow");
	CHECK(set("w", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME) == 0);
	IS(field("w", 'o'), "rw,nosuid,nodev,noatime,nodiratime,nosymfollow");
	CHECK(set("w", 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) == 0);
	IS(field("w", 'o'), "rw,nodiratime,nosymfollow");
	CHECK(set("w", 0, 0, MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME) == 0);
	IS(field("w", 'o'), "rw,relatime,nosymfollow");
	put("w/file");
	CHECK(symlink("file", "w/link") == 0);
	FAILS(open("w/link", O_RDONLY), ELOOP);
	char b[16];
	CHECK(readlink("w/link", b, sizeof b) == 4);
	CHECK(set("w", 0, 0, MOUNT_ATTR_NOSYMFOLLOW) == 0);
	int fd = open("w/link", O_RDONLY);
	CHECK(fd >= 0 && close(fd) == 0);
	// What is set and cleared at once is set.
	CHECK(set("w", 0, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODEV) == 0);
	IS(field("w", 'o'), "rw,nodev,relatime");
}

static void recursive(void) {
	dir("r");
	tmpfs("r");
	dir("r/a");
	dir("r/b");
	tmpfs("r/a");
	tmpfs("r/b");
	CHECK(set("r", 0, MOUNT_ATTR_NOEXEC, 0) == 0);
	IS(field("r/a", 'o'), "rw,relatime");
	CHECK(set("r", AT_RECURSIVE, MOUNT_ATTR_NODEV, 0) == 0);
	IS(field("r", 'o'), "rw,nodev,noexec,relatime");
	IS(field("r/a", 'o'), "rw,nodev,relatime");
	IS(field("r/b", 'o'), "rw,nodev,relatime");
	CHECK(propagate("r", AT_RECURSIVE, MS_SHARED) == 0);
	IS(kind("r"), "s");
	IS(kind("r/b"), "s");
	CHECK(number("r", "shared:") != number("r/b", "shared:"));
	CHECK(propagate("r/a", 0, MS_UNBINDABLE) == 0);
	IS(kind("r/a"), "u");
	CHECK(propagate("r", AT_RECURSIVE, MS_PRIVATE) == 0);
	IS(kind("r/a"), "");
	// One that can't stops all.
	int w = open("r/b/w", O_CREAT | O_RDWR, 0644);
	CHECK(w >= 0);
	FAILS(set("r", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0), EBUSY);
	IS(field("r", 'o'), "rw,nodev,noexec,relatime");
	IS(field("r/a", 'o'), "rw,nodev,relatime");
	FAILS(mount(NULL, "r/b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY);
	FAILS(mount(NULL, "r/b", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
	put("r/a/x");
	close(w);
	int p = open("r/b/w", O_PATH), o = open("r/b/w", O_RDONLY);
	CHECK(set("r", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0) == 0);
	FAILS(mkdir("r/a/new", 0755), EROFS);
	close(p);
	close(o);
	CHECK(set("r", AT_RECURSIVE, 0, MOUNT_ATTR_RDONLY) == 0);
}

static void detached(void) {
	int fd = open_tree(AT_FDCWD, "r", OPEN_TREE_CLONE | AT_RECURSIVE);
	CHECK(fd >= 0);
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY, .attr_clr = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	CHECK(mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof a) == 0);
	dir("d");
	CHECK(move_mount(fd, "", AT_FDCWD, "d", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	close(fd);
	IS(field("d/a", 'o'), "ro,relatime");
	IS(field("r/a", 'o'), "rw,nodev,relatime");
}

static void powerless(void) {
	FAILS(set("w", 0, MOUNT_ATTR_RDONLY, 0), EPERM);
	FAILS(set("w", 0, 0, 0), EPERM);
	FAILS(set("w", 0, 0x40000000, 0), EPERM);
}

static void all(void) {
	CASE(wrong());
	CASE(idmap());
	CASE(attributes());
	CASE(recursive());
	CASE(detached());
	CASE(unprivileged(powerless));
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
