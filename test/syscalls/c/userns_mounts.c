// covers: fsopen fsconfig fsmount fspick open_tree move_mount mount_setattr umount2 mount
// mount_namespaces(7), "Restrictions on mount namespaces", by the calls that work on
// descriptors: the same rules as mount(2)'s.
#include "mounts.h"
#include <grp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define FSOPEN(type) syscall(SYS_fsopen, type, 0)
#define CONFIG(fd, cmd) syscall(SYS_fsconfig, fd, cmd, NULL, NULL, 0)
#define SETATTR(name, flags, a) syscall(SYS_mount_setattr, AT_FDCWD, name, flags, a, sizeof *(a))
#define TREE(name, flags) syscall(SYS_open_tree, AT_FDCWD, name, OPEN_TREE_CLONE | (flags))
#define MOVE(from, to, flags) syscall(SYS_move_mount, AT_FDCWD, from, AT_FDCWD, to, flags)

// inside makes the caller root of a user namespace, and of a mount namespace there.
static void inside(void) {
	CHECK(setgroups(0, NULL) == 0 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	CHECK(write_file("/proc/self/setgroups", "deny") == 0);
	CHECK(write_file("/proc/self/gid_map", "0 1000 1") == 0);
	CHECK(write_file("/proc/self/uid_map", "0 1000 1") == 0);
}

// mounted reports whether another filesystem is mounted on name in parent. (mountinfo
// takes paths that the user has no right to.)
static int mounted(const char *parent, const char *name) {
	struct stat a, b;
	int fd = open(parent, O_PATH);
	CHECK(fd >= 0 && fstat(fd, &a) == 0 && fstatat(fd, name, &b, 0) == 0 && close(fd) == 0);
	return a.st_dev != b.st_dev;
}

static void restricted(void) {
	dir("ro");
	dir("m");
	dir("to");
	CHECK(mount("none", "ro", "tmpfs", MS_RDONLY | MS_NOSUID, NULL) == 0);
	tmpfs("m");
	dir("m/under");
	CHECK(mkdir("m/own", 0777) == 0 && chmod("m/own", 0777) == 0);
	tmpfs("m/under");
	inside();
	// What a type asks for is asked when it is made, and may be tried again.
	int fd = FSOPEN("devtmpfs");
	CHECK(fd >= 0);
	FAILS(CONFIG(fd, FSCONFIG_CMD_CREATE), EPERM);
	FAILS(CONFIG(fd, FSCONFIG_CMD_CREATE), EPERM);
	fd = FSOPEN("proc");
	CHECK(fd >= 0);
	FAILS(CONFIG(fd, FSCONFIG_CMD_CREATE), EPERM); // the pid namespace is another's
	fd = FSOPEN("tmpfs");
	CHECK(fd >= 0 && CONFIG(fd, FSCONFIG_CMD_CREATE) == 0);
	int mnt = syscall(SYS_fsmount, fd, 0, 0);
	CHECK(mnt >= 0);
	CHECK(syscall(SYS_move_mount, mnt, "", AT_FDCWD, "m/own", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	struct stat st;
	CHECK(stat("m/own", &st) == 0 && st.st_uid == 0);
	// Another's filesystem is not changed, and not asked for twice.
	int pick = syscall(SYS_fspick, AT_FDCWD, "ro", 0);
	CHECK(pick >= 0);
	FAILS(CONFIG(pick, FSCONFIG_CMD_RECONFIGURE), EPERM);
	FAILS(CONFIG(pick, FSCONFIG_CMD_RECONFIGURE), EBUSY);
	pick = syscall(SYS_fspick, AT_FDCWD, "m/own", 0);
	CHECK(pick >= 0 && CONFIG(pick, FSCONFIG_CMD_RECONFIGURE) == 0);
	// Flags stay.
	struct mount_attr rw = {.attr_clr = MOUNT_ATTR_RDONLY}, suid = {.attr_clr = MOUNT_ATTR_NOSUID};
	struct mount_attr nodev = {.attr_set = MOUNT_ATTR_NODEV}, noatime = {.attr_set = MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME};
	FAILS(SETATTR("ro", 0, &rw), EPERM);
	FAILS(SETATTR("ro", 0, &suid), EPERM);
	FAILS(SETATTR("ro", 0, &noatime), EPERM);
	CHECK(SETATTR("ro", 0, &nodev) == 0 && SETATTR("m/own", 0, &noatime) == 0);
	FAILS(SETATTR(".", AT_RECURSIVE, &rw), EPERM); // all or none
	// So they do in copies.
	int tree = TREE("ro", 0);
	CHECK(tree >= 0);
	FAILS(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &rw, sizeof rw), EPERM);
	// Mounts stay in their places, and nothing shows what they cover.
	FAILS(umount2("ro", MNT_DETACH), EINVAL);
	FAILS(umount2("ro", MNT_FORCE), EINVAL);
	FAILS(umount2("m/own", MNT_FORCE | MNT_EXPIRE), EINVAL);
	FAILS(mount("ro", "to", NULL, MS_MOVE, NULL), EINVAL);
	FAILS(MOVE("ro", "to", 0), EINVAL);
	FAILS(MOVE("m/own", "ro", BENEATH), EINVAL);
	FAILS(TREE(".", 0), EINVAL);
	FAILS(TREE("m", 0), EINVAL);
	FAILS(mount("m", "to", NULL, MS_BIND, NULL), EINVAL);
	int all = TREE("m", AT_RECURSIVE);
	CHECK(all >= 0);
	CHECK(syscall(SYS_move_mount, all, "", AT_FDCWD, "to", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	FAILS(umount("to/under"), EINVAL);
	FAILS(umount2("to", MNT_FORCE), EPERM); // the filesystem is another's
	FAILS(umount2("to", MNT_FORCE | MNT_EXPIRE), EPERM);
	CHECK(umount("to/own") == 0); // it has been made here
	CHECK(umount2("to", MNT_DETACH) == 0); // with all that it covers
	// Not by leaving one out either.
	CHECK(mount(NULL, "m/under", NULL, MS_UNBINDABLE, NULL) == 0);
	FAILS(TREE("m", AT_RECURSIVE), EPERM);
	FAILS(mount("m", "to", NULL, MS_BIND | MS_REC, NULL), EPERM);
	CHECK(mount(NULL, "m/under", NULL, MS_PRIVATE, NULL) == 0);
	CHECK(mount(NULL, "m/own", NULL, MS_UNBINDABLE, NULL) == 0);
	CHECK(mount("m", "to", NULL, MS_BIND | MS_REC, NULL) == 0);
	CHECK(!mounted("to", "own"));
}

static void wait_for(int fd) {
	char c;
	CHECK(read(fd, &c, 1) == 1);
}

// propagated: what comes from a more privileged namespace is locked below its root, which
// goes as it has come.
static void propagated(void) {
	dir("s");
	tmpfs("s");
	CHECK(mount(NULL, "s", NULL, MS_SHARED, NULL) == 0);
	dir("s/old");
	dir("s/new");
	tmpfs("s/old");
	dir("tree");
	tmpfs("tree");
	dir("tree/sub");
	tmpfs("tree/sub");
	int up[2], down[2];
	CHECK(pipe(up) == 0 && pipe(down) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		inside();
		CHECK(mounted("s", "old") && !mounted("s", "new"));
		CHECK(write(up[1], "x", 1) == 1);
		wait_for(down[0]);
		CHECK(mounted("s", "new") && mounted("s/new", "sub"));
		FAILS(umount("s/new/sub"), EINVAL);
		FAILS(TREE("s/new", 0), EINVAL);
		CHECK(write(up[1], "x", 1) == 1);
		wait_for(down[0]);
		CHECK(!mounted("s", "new"));
		_exit(0);
	}
	wait_for(up[0]);
	CHECK(mount("tree", "s/new", NULL, MS_BIND | MS_REC, NULL) == 0);
	CHECK(write(down[1], "x", 1) == 1);
	wait_for(up[0]);
	CHECK(umount2("s/new", MNT_DETACH) == 0);
	CHECK(write(down[1], "x", 1) == 1);
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
}

// echoes: a mount that must stay goes if it is what is unmounted elsewhere, and may go from
// then on if something of its user's keeps it; one below it goes only with it.
static void echoes(void) {
	dir("s");
	tmpfs("s");
	CHECK(mount(NULL, "s", NULL, MS_SHARED, NULL) == 0);
	dir("s/leaf");
	tmpfs("s/leaf");
	dir("s/tree");
	tmpfs("s/tree");
	dir("s/tree/sub");
	tmpfs("s/tree/sub");
	dir("s/used");
	tmpfs("s/used");
	dir("s/used/sub");
	tmpfs("s/used/sub");
	dir("s/used/own");
	int up[2], down[2];
	CHECK(pipe(up) == 0 && pipe(down) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		inside();
		CHECK(mount("none", "s/used/own", "tmpfs", 0, NULL) == 0);
		FAILS(umount2("s/used", MNT_DETACH), EINVAL);
		CHECK(write(up[1], "x", 1) == 1);
		wait_for(down[0]);
		CHECK(!mounted("s", "leaf") && !mounted("s", "tree"));
		CHECK(mounted("s", "used") && mounted("s/used", "sub") && mounted("s/used", "own"));
		FAILS(umount2("s/used/sub", MNT_DETACH), EINVAL);
		CHECK(umount2("s/used", MNT_DETACH) == 0);
		_exit(0);
	}
	wait_for(up[0]);
	CHECK(umount("s/leaf") == 0 && umount2("s/tree", MNT_DETACH) == 0 && umount2("s/used", MNT_DETACH) == 0);
	CHECK(write(down[1], "x", 1) == 1);
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
}

// lazily: what is taken out of the tree with something that must stay on it goes on to be
// covered for who has it open, until that closes.
static void lazily(void) {
	dir("m");
	tmpfs("m");
	dir("m/under");
	put("m/under/covered");
	tmpfs("m/under");
	dir("to");
	int own = TREE("m", AT_RECURSIVE); // so it is of a tree that was in no namespace
	CHECK(own >= 0);
	int top = openat(own, ".", O_RDONLY | O_DIRECTORY);
	CHECK(top >= 0 && close(own) == 0);
	FAILS(faccessat(top, "under/covered", F_OK, 0), ENOENT);
	inside();
	CHECK(mount("m", "to", NULL, MS_BIND | MS_REC, NULL) == 0);
	int fd = open("to", O_RDONLY | O_DIRECTORY), sub = open("to/under", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && sub >= 0 && umount2("to", MNT_DETACH) == 0);
	FAILS(faccessat(fd, "under/covered", F_OK, 0), ENOENT);
	FAILS(syscall(SYS_open_tree, fd, ".", OPEN_TREE_CLONE), EINVAL);
	struct stat at, parent, above;
	CHECK(fstat(sub, &at) == 0 && fstat(fd, &parent) == 0 && fstatat(sub, "..", &above, 0) == 0);
	CHECK(above.st_dev == parent.st_dev && above.st_dev != at.st_dev);
	CHECK(close(fd) == 0 && fstatat(sub, "..", &above, 0) == 0 && above.st_dev == at.st_dev);
}

// closed: a detached tree that is closed takes nothing along.
static void closed(void) {
	dir("s");
	tmpfs("s");
	CHECK(mount(NULL, "s", NULL, MS_SHARED, NULL) == 0);
	dir("s/sub");
	tmpfs("s/sub");
	int tree = TREE("s", AT_RECURSIVE);
	CHECK(tree >= 0 && close(tree) == 0);
	CHECK(mounted("s", "sub"));
}

// opens begins a filesystem in another user namespace.
static int opens(void *fd) {
	if (syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return 1;
	*(int *)fd = FSOPEN("tmpfs");
	return 0;
}

// begun: a filesystem belongs to the user namespace of who has begun to make it.
static void begun(void) {
	dir("to");
	int fd = -1, status;
	static char stack[1 << 16];
	pid_t p = clone(opens, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, &fd);
	CHECK(p > 0 && waitpid(p, &status, 0) == p && status == 0 && fd >= 0);
	CHECK(CONFIG(fd, FSCONFIG_CMD_CREATE) == 0);
	int mnt = syscall(SYS_fsmount, fd, 0, 0);
	CHECK(mnt >= 0);
	CHECK(syscall(SYS_move_mount, mnt, "", AT_FDCWD, "to", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	FAILS(open("to/file", O_CREAT | O_WRONLY, 0644), EOVERFLOW); // root's id means nothing there
	inside();
	fd = FSOPEN("tmpfs");
	CHECK(fd >= 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	FAILS(CONFIG(fd, FSCONFIG_CMD_CREATE), EPERM);
}

int main(void) {
	CHECK(apart(begun) == 0);
	CHECK(apart(restricted) == 0);
	CHECK(apart(echoes) == 0);
	CHECK(apart(lazily) == 0);
	CHECK(apart(closed) == 0);
	CHECK(apart(propagated) == 0);
	return 0;
}
