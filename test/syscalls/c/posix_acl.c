// covers: setxattr getxattr listxattr removexattr chmod access open mkdir mknod umask
// Access control lists, acl(5): on the root, in memory, and through an overlay.
#include "acl.h"
#include <sched.h>
#include <sys/mount.h>

static const char *const usual = "u6,x1001:4,g6,y2002:2,m6,o0";

static void format(void) {
	new_file("f", 0644);
	static const char *const bad[] = {
		"u6,g4", "u6,o4", "g4,o4", "g4,u6,o4", "u6,g4,o4,m4", "u6,x1:4,g4,o0", "u6,g4,y1:4,o0", "u6,g4,x1:4,m4,o0",
		"u6,u6,g4,o4", "u6,g4,g4,o4", "u6,g4,m4,m4,o4", "u6,g4,o4,o4", "u6,y1:4,g4,m4,o4", "u8,g4,o4", "u6,g4,o9",
		"u6,x4294967295:4,g4,m4,o4", "u6,g4,y4294967295:4,m4,o4",
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		FAILS(give("f", ACCESS, bad[i]), EINVAL);
	struct acl a = acl(usual);
	FAILS(lsetxattr("f", ACCESS, &a, acl_size(&a) - 1, 0), EINVAL);
	FAILS(lsetxattr("f", ACCESS, &a, acl_size(&a) - 4, 0), EINVAL);
	FAILS(lsetxattr("f", ACCESS, &a, 3, 0), EINVAL);
	a.version = 1;
	FAILS(lsetxattr("f", ACCESS, &a, acl_size(&a), 0), EOPNOTSUPP);
	FAILS(lsetxattr("f", ACCESS, &a, 4, 0), EOPNOTSUPP);
	a.version = 2, a.e[1].tag = 3;
	FAILS(lsetxattr("f", ACCESS, &a, acl_size(&a), 0), EINVAL);
	HAS("f", ACCESS, "none");
	MODE("f", 0644);
	// What names nobody keeps no id; those who are named need no order, and may come twice.
	a = acl("u7,x9:1,x3:5,x3:2,g0,y5:7,y1:0,m1,o1");
	a.e[0].id = 7, a.e[4].id = 8;
	CHECK(lsetxattr("f", ACCESS, &a, acl_size(&a), XATTR_REPLACE) == 0);
	HAS("f", ACCESS, "u7,x9:1,x3:5,x3:2,g0,y5:7,y1:0,m1,o1");
	CHECK(lsetxattr("f", ACCESS, &a, acl_size(&a), XATTR_CREATE) == 0);
	FAILS(lsetxattr("f", ACCESS, &a, acl_size(&a), 4), EINVAL);
	CHECK(lgetxattr("f", ACCESS, NULL, 0) == acl_size(&a));
	FAILS(lgetxattr("f", ACCESS, &a, acl_size(&a) - 1), ERANGE);
	FAILS(lgetxattr("f", "system.posix_acl_other", &a, sizeof a), EOPNOTSUPP);
	FAILS(lsetxattr("f", "system.posix_acl", &a, 4, 0), EOPNOTSUPP);
	MODE("f", 0711);
}

static void mode_bits(void) {
	new_file("f", 0640);
	// A list that says what the mode says is none.
	CHECK(give("f", ACCESS, "u7,g5,o1") == 0);
	HAS("f", ACCESS, "none");
	MODE("f", 0751);
	CHECK(give("f", ACCESS, "u6,g4,m7,o0") == 0);
	HAS("f", ACCESS, "u6,g4,m7,o0");
	MODE("f", 0670);
	CHECK(give("f", ACCESS, usual) == 0);
	HAS("f", ACCESS, usual);
	MODE("f", 0660);
	// chmod changes the mask, and the group only where there is none.
	CHECK(chmod("f", 0741) == 0);
	HAS("f", ACCESS, "u7,x1001:4,g6,y2002:2,m4,o1");
	CHECK(chown("f", 5, 6) == 0);
	HAS("f", ACCESS, "u7,x1001:4,g6,y2002:2,m4,o1");
	CHECK(chmod("f", 06777) == 0);
	HAS("f", ACCESS, "u7,x1001:4,g6,y2002:2,m7,o7");
	CHECK(give("f", ACCESS, usual) == 0);
	MODE("f", 06660);
	CHECK(removexattr("f", ACCESS) == 0);
	HAS("f", ACCESS, "none");
	MODE("f", 06660);
	CHECK(removexattr("f", ACCESS) == 0);
	CHECK(give("f", ACCESS, usual) == 0 && give("f", ACCESS, "") == 0);
	HAS("f", ACCESS, "none");
	CHECK(give("f", ACCESS, usual) == 0 && lsetxattr("f", ACCESS, NULL, 0, 0) == 0);
	HAS("f", ACCESS, "none");
	// A set-group-id bit that its owner could not set goes.
	CHECK(chown("f", 1001, 6) == 0 && chmod("f", 02760) == 0);
	AS(1001, 1001, 1, CHECK(give("f", ACCESS, "u6,g4,o0") == 0));
	MODE("f", 0640);
	CHECK(chmod("f", 02760) == 0);
	AS(1001, 1001, 6, CHECK(give("f", ACCESS, usual) == 0));
	MODE("f", 02660);
}

// listed says how often a name is in a file's list of attributes.
static int listed(const char *file, const char *name) {
	char b[4096];
	ssize_t n = llistxattr(file, b, sizeof b);
	CHECK(n >= 0);
	int times = 0;
	for (char *p = b; p < b + n; p += strlen(p) + 1)
		times += strcmp(p, name) == 0;
	return times;
}

static void who_and_what(void) {
	new_file("f", 0666);
	CHECK(mkdir("d", 0777) == 0 && chmod("d", 0777) == 0 && symlink("f", "l") == 0 && mkfifo("p", 0600) == 0);
	AS(1001, 1001, 1, {
		FAILS(give("f", ACCESS, "u6,g4,o0"), EPERM);
		FAILS(give("f", ACCESS, "u6,g4"), EPERM);
		FAILS(give("f", ACCESS, "u6,g4,x4294967295:4"), EINVAL);
		FAILS(give("f", DEFAULT, usual), EACCES);
		FAILS(give("d", DEFAULT, usual), EPERM);
		FAILS(removexattr("f", ACCESS), EPERM);
		FAILS(removexattr("d", DEFAULT), EPERM);
		CHECK(removexattr("f", DEFAULT) == 0);
	});
	FAILS(give("f", DEFAULT, usual), EACCES);
	FAILS(give("f", DEFAULT, "u6,g4"), EACCES);
	CHECK(give("f", DEFAULT, "") == 0);
	HAS("f", DEFAULT, "none");
	FAILS(give("l", ACCESS, usual), EOPNOTSUPP);
	FAILS(give("l", DEFAULT, usual), EOPNOTSUPP);
	FAILS(lremovexattr("l", ACCESS), EOPNOTSUPP);
	HAS("l", ACCESS, "unsupported");
	HAS("l", DEFAULT, "unsupported");
	CHECK(give("p", ACCESS, usual) == 0);
	HAS("p", ACCESS, usual);
	CHECK(listed("d", ACCESS) == 0 && listed("d", DEFAULT) == 0);
	CHECK(give("d", DEFAULT, "u6,g4,o0") == 0);
	HAS("d", DEFAULT, "u6,g4,o0"); // three entries are a list here
	MODE("d", 0777);
	CHECK(listed("d", ACCESS) == 0 && listed("d", DEFAULT) == 1);
	CHECK(give("d", ACCESS, usual) == 0 && setxattr("d", "user.x", "y", 1, 0) == 0);
	CHECK(listed("d", ACCESS) == 1 && listed("d", DEFAULT) == 1 && listed("d", "user.x") == 1);
	CHECK(removexattr("d", DEFAULT) == 0 && removexattr("d", DEFAULT) == 0);
	CHECK(listed("d", ACCESS) == 1 && listed("d", DEFAULT) == 0);
	struct stat before, after;
	CHECK(stat("d", &before) == 0);
	usleep(20000);
	CHECK(give("d", DEFAULT, usual) == 0 && stat("d", &after) == 0);
	CHECK(before.st_ctim.tv_nsec != after.st_ctim.tv_nsec || before.st_ctim.tv_sec != after.st_ctim.tv_sec);
	CHECK(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_mtim.tv_sec == after.st_mtim.tv_sec);
	FAILS(fgetxattr(open("f", O_PATH), ACCESS, NULL, 0), EBADF);
	CHECK(chmod("f", 0) == 0 && chown("f", 1001, 1001) == 0);
	AS(1001, 1001, 1, CHECK(give("f", ACCESS, usual) == 0));
	AS(3, 3, 3, HAS("f", ACCESS, usual)); // anybody may see it
}

static void permissions(void) {
	new_file("f", 0640);
	CHECK(chown("f", 1000, 2000) == 0);
	CHECK(give("f", ACCESS, "u6,x1001:7,x1002:0,g4,y2001:3,y2002:7,m5,o7") == 0);
	MODE("f", 0657);
	MAY(1000, 1, 1, "f", 6); // the owner's own, without the mask
	MAY(1001, 1, 1, "f", 5); // with it
	MAY(1002, 2000, 2002, "f", 0); // by name, whatever the groups
	MAY(3, 2000, 1, "f", 4);
	MAY(3, 1, 2000, "f", 4);
	MAY(3, 2001, 1, "f", 1);
	// One group that allows all that is asked for is enough, but not two that do together.
	MAY(3, 2000, 2002, "f", 5);
	MAY(3, 2000, 2001, "f", 5);
	AS(3, 2000, 2001, FAILS(access("f", R_OK | X_OK), EACCES));
	AS(3, 2000, 2002, CHECK(access("f", R_OK | X_OK) == 0));
	MAY(3, 1, 1, "f", 7);
	CHECK(may("f") == 7);
	// Without a right in the mask the list is not looked at: the group's bits, none, count.
	CHECK(chmod("f", 0607) == 0);
	MAY(1001, 1, 1, "f", 7);
	MAY(1002, 1, 1, "f", 7);
	MAY(3, 2002, 1, "f", 7);
	MAY(3, 2000, 1, "f", 0);
	CHECK(mkdir("d", 0700) == 0 && give("d", ACCESS, "u7,x1001:1,x1002:4,x1003:7,g0,m7,o0") == 0);
	new_file("d/f", 0644);
	AS(1001, 1, 1, CHECK(access("d/f", R_OK) == 0 && open("d", O_RDONLY) == -1 && mkdir("d/x", 0700) == -1));
	AS(1002, 1, 1, CHECK(access("d/f", R_OK) == -1 && open("d", O_RDONLY) >= 0));
	AS(1003, 1, 1, {
		CHECK(mkdir("d/x", 0700) == 0 && rmdir("d/x") == 0 && rename("d/f", "d/g") == 0 && unlink("d/g") == 0);
		CHECK(utimensat(AT_FDCWD, "d", NULL, 0) == 0);
	});
	AS(3, 1, 1, FAILS(access("d/f", F_OK), EACCES));
	// A link to another's file takes both rights, by the list if there is one.
	CHECK(chmod("f", 0660) == 0 && give("f", ACCESS, "u6,x1001:6,g0,m6,o0") == 0);
	CHECK(mkdir("open", 0777) == 0 && chmod("open", 0777) == 0);
	AS(1001, 1, 1, CHECK(link("f", "open/f") == 0));
	AS(3, 1, 1, CHECK(link("f", "open/g") == -1));
}

static void inheritance(void) {
	umask(077);
	CHECK(mkdir("d", 0700) == 0 && give("d", DEFAULT, "u7,x1001:6,g5,m7,o5") == 0);
	// The list is in the umask's place.
	int fd = open("d/f", O_CREAT | O_EXCL | O_RDWR, 0666);
	CHECK(fd >= 0);
	MODE("d/f", 0664);
	HAS("d/f", ACCESS, "u6,x1001:6,g5,m6,o4");
	HAS("d/f", DEFAULT, "none");
	CHECK(open("d/g", O_CREAT | O_EXCL | O_RDWR, 0600) >= 0);
	HAS("d/g", ACCESS, "u6,x1001:6,g5,m0,o0");
	MODE("d/g", 0600);
	CHECK(mkdir("d/d", 0750) == 0);
	MODE("d/d", 0750);
	HAS("d/d", ACCESS, "u7,x1001:6,g5,m5,o0");
	HAS("d/d", DEFAULT, "u7,x1001:6,g5,m7,o5");
	CHECK(mkdir("d/d/d", 01777) == 0);
	MODE("d/d/d", 01775);
	HAS("d/d/d", DEFAULT, "u7,x1001:6,g5,m7,o5");
	CHECK(mknod("d/p", S_IFIFO | 0666, 0) == 0);
	HAS("d/p", ACCESS, "u6,x1001:6,g5,m6,o4");
	CHECK(symlink("f", "d/l") == 0);
	MODE("d/l", 0777);
	CHECK(listed("d/l", ACCESS) == 0);
	CHECK(link("d/f", "d/f2") == 0);
	new_file("out", 0640);
	CHECK(rename("out", "d/in") == 0);
	HAS("d/in", ACCESS, "none"); // only what is made there
	CHECK((fd = open("d", O_TMPFILE | O_RDWR, 0666)) >= 0);
	char b[64];
	CHECK(fgetxattr(fd, ACCESS, b, sizeof b) == 4 + 5 * 8);
	// Three entries become no list, and yet replace the umask.
	CHECK(give("d", DEFAULT, "u7,g6,o4") == 0);
	CHECK(open("d/three", O_CREAT | O_EXCL | O_RDWR, 0666) >= 0);
	MODE("d/three", 0664);
	HAS("d/three", ACCESS, "none");
	CHECK(mkdir("d/sub", 0777) == 0);
	MODE("d/sub", 0764);
	HAS("d/sub", ACCESS, "none");
	HAS("d/sub", DEFAULT, "u7,g6,o4");
	CHECK(removexattr("d", DEFAULT) == 0);
	CHECK(open("d/plain", O_CREAT | O_EXCL | O_RDWR, 0666) >= 0);
	MODE("d/plain", 0600);
	// Set-group-id directories pass that on as well.
	CHECK(chown("d", 0, 77) == 0 && chmod("d", 02775) == 0 && give("d", DEFAULT, usual) == 0 && mkdir("d/s", 0777) == 0);
	MODE("d/s", 02660);
	HAS("d/s", ACCESS, usual);
	CHECK(write_file("d/f", "text") == 0 && mkdir("d/s/t", 0700) == 0 && rmdir("d/s/t") == 0);
	// Many that are made in a row.
	for (int i = 0; i < 50; i++) {
		snprintf(b, sizeof b, "d/s/%d", i);
		CHECK(i % 2 ? mkdir(b, 0777) == 0 : close(open(b, O_CREAT | O_WRONLY, 0666)) == 0);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(b, sizeof b, "d/s/%d", i);
		HAS(b, ACCESS, usual);
		HAS(b, DEFAULT, i % 2 ? usual : "none");
	}
}

static void put(const char *file, const char *s) {
	int fd = open(file, O_WRONLY);
	CHECK(fd >= 0 && write(fd, s, strlen(s)) == (ssize_t)strlen(s) && close(fd) == 0);
}

// In a user namespace ids are its own, and those it does not know can't be named.
static void namespaces(void) {
	new_file("f", 0640);
	CHECK(mkdir("d", 0777) == 0 && chmod("d", 0777) == 0);
	CHECK(give("f", ACCESS, "u6,x1001:4,x5:4,g6,y2002:2,m6,o0") == 0 && chown("f", 1000, 1000) == 0);
	int go[2], ready[2];
	char c;
	CHECK(pipe(go) == 0 && pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(unshare(CLONE_NEWUSER) == 0 && write(ready[1], "", 1) == 1 && read(go[0], &c, 1) == 1);
		CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
		HAS("f", ACCESS, "u6,x1:4,x-1:4,g6,y1002:2,m6,o0");
		FAILS(give("f", ACCESS, "u6,x1001:4,g6,m6,o0"), EINVAL);
		CHECK(give("f", ACCESS, "u6,x2:4,g6,y3:1,m6,o0") == 0);
		HAS("f", ACCESS, "u6,x2:4,g6,y3:1,m6,o0");
		FAILS(give("d", DEFAULT, "u7,g7,o7"), EPERM);
		_exit(0);
	}
	char path[64];
	CHECK(read(ready[0], &c, 1) == 1);
	snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	put(path, "0 1000 100");
	snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
	put(path, "0 1000 100\n1000 2000 10");
	CHECK(write(go[1], "", 1) == 1 && ended_well(pid));
	HAS("f", ACCESS, "u6,x1002:4,g6,y1003:1,m6,o0");
}

static void each(const char *dir) {
	static void (*const all[])(void) = {format, mode_bits, who_and_what, permissions, inheritance, namespaces};
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		char name[128];
		snprintf(name, sizeof name, "%s/%u.XXXXXX", dir, i);
		CHECK(mkdtemp(name) && chmod(name, 0755) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			umask(0);
			CHECK(chdir(name) == 0);
			all[i]();
			_exit(0);
		}
		CHECK(ended_well(pid));
	}
}

static void on_the_root(void) { each("."); }

// memory mounts a tmpfs, where the caller then is.
static void memory(void) {
	char dir[] = "/tmp/mem.XXXXXX";
	CHECK(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdtemp(dir) && mount("tmpfs", dir, "tmpfs", 0, NULL) == 0 && chdir(dir) == 0 && chmod(".", 0755) == 0);
}

static void in_memory(void) {
	memory();
	each(".");
}

// disk makes a directory on the root for layers.
static void disk(void) {
	char dir[] = "disk.XXXXXX";
	CHECK(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdtemp(dir) && chdir(dir) == 0 && chmod(".", 0755) == 0);
}

// stacked mounts an overlay in a place, with a directory that is to be prepared.
static void stacked(void (*place)(void), void (*prepare)(void)) {
	place();
	CHECK(mkdir("l", 0755) == 0 && mkdir("u", 0755) == 0 && mkdir("w", 0755) == 0 && mkdir("m", 0755) == 0);
	CHECK(chdir("l") == 0);
	prepare();
	CHECK(chdir("..") == 0 && mount("overlay", "m", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w") == 0);
}

static void nothing(void) {}

static void overlaid(void (*place)(void)) {
	stacked(place, nothing);
	each("m");
}

static void lower(void) {
	umask(0);
	new_file("f", 0640);
	CHECK(give("f", ACCESS, usual) == 0 && mkdir("d", 0755) == 0);
	new_file("d/plain", 0644);
	CHECK(give("d", DEFAULT, "u7,x1001:7,g5,m7,o5") == 0);
}

static void copied_up(void (*place)(void)) {
	stacked(place, lower);
	CHECK(chdir("m") == 0);
	HAS("f", ACCESS, usual);
	MAY(1001, 1, 1, "f", 4);
	CHECK(write_file("f", "text") == 0);
	HAS("f", ACCESS, usual);
	MODE("f", 0660);
	MAY(1001, 1, 1, "f", 4);
	HAS("../l/f", ACCESS, usual);
	CHECK(chmod("f", 0600) == 0);
	HAS("f", ACCESS, "u6,x1001:4,g6,y2002:2,m0,o0");
	HAS("../l/f", ACCESS, usual);
	new_file("d/g", 0666);
	HAS("d", DEFAULT, "u7,x1001:7,g5,m7,o5");
	HAS("d/g", ACCESS, "u6,x1001:7,g5,m6,o6");
	// What is copied up inherits nothing where it comes to.
	CHECK(write_file("d/plain", "text") == 0);
	HAS("d/plain", ACCESS, "none");
	MODE("d/plain", 0644);
	CHECK(unlink("d/plain") == 0 && mkdir("d/plain", 0777) == 0);
	HAS("d/plain", DEFAULT, "u7,x1001:7,g5,m7,o5");
}

static void elsewhere(void) {
	FAILS(lsetxattr("/proc/self/comm", ACCESS, "\2\0\0", 4, 0), EOPNOTSUPP);
	FAILS(lgetxattr("/proc/self/comm", ACCESS, NULL, 0), EOPNOTSUPP);
}

int main(void) {
	APART(on_the_root());
	APART(in_memory());
	APART(overlaid(memory));
	APART(overlaid(disk));
	APART(copied_up(memory));
	APART(copied_up(disk));
	APART(elsewhere());
	return 0;
}
