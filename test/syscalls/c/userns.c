// covers: unshare setns clone setgroups setuid setresuid getuid capget ioctl
// user_namespaces(7): maps, their rules, and what root in one may do.
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define OVERFLOW 65534

static int putpid(pid_t pid, const char *file, const char *s) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	return write_file(path, s);
}

static char *get(const char *path) {
	static char b[4096];
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	int n = read(fd, b, sizeof b - 1);
	CHECK(n >= 0);
	b[n] = 0;
	close(fd);
	return b;
}

static uint64_t effective(void) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	CHECK(syscall(SYS_capget, &h, d) == 0);
	return d[0].effective | (uint64_t)d[1].effective << 32;
}

static void child(void (*f)(void)) {
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		f();
		_exit(0);
	}
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
}

// become makes an ordinary user of the caller, who stays dumpable for the maps.
static void become(int id) {
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static void unmapped(void) {
	become(1000);
	CHECK(effective() == 0);
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(getuid() == OVERFLOW && geteuid() == OVERFLOW && getgid() == OVERFLOW);
	CHECK(effective() != 0);
	CHECK(strcmp(get("/proc/self/uid_map"), "") == 0);
	CHECK(strcmp(get("/proc/self/setgroups"), "allow\n") == 0);
	FAILS(setuid(0), EINVAL);
	FAILS(setresuid(1000, 1000, 1000), EINVAL);
	gid_t g = 0;
	FAILS(setgroups(1, &g), EPERM);
	FAILS(unshare(CLONE_NEWUSER), EPERM); // no ids to own it by
	struct stat st;
	CHECK(stat("/proc/self", &st) == 0 && st.st_uid == OVERFLOW);
}

static void mapself(void) {
	become(1000);
	CHECK(unshare(CLONE_NEWUSER) == 0);
	FAILS(write_file("/proc/self/uid_map", "0 0 1"), EPERM);
	FAILS(write_file("/proc/self/uid_map", "0 1001 1"), EPERM);
	FAILS(write_file("/proc/self/uid_map", "0 1000 2"), EPERM);
	FAILS(write_file("/proc/self/uid_map", "0 1000"), EINVAL);
	FAILS(write_file("/proc/self/uid_map", "0 1000 0"), EINVAL);
	FAILS(write_file("/proc/self/uid_map", "4294967295 1000 1"), EINVAL);
	FAILS(write_file("/proc/self/uid_map", "0 1000 1 x"), EINVAL);
	FAILS(write_file("/proc/self/uid_map", "0 1000 1\n0 1001 1"), EINVAL);
	FAILS(write_file("/proc/self/uid_map", "\n"), EINVAL);
	FAILS(write_file("/proc/self/gid_map", "0 1000 1"), EPERM); // setgroups comes first
	FAILS(write_file("/proc/self/setgroups", "perhaps"), EINVAL);
	FAILS(write_file("/proc/self/setgroups", "no"), EINVAL);
	CHECK(write_file("/proc/self/setgroups", "deny") == 0);
	CHECK(write_file("/proc/self/setgroups", "deny\n") == 0);
	FAILS(write_file("/proc/self/setgroups", "allow"), EPERM);
	CHECK(write_file("/proc/self/gid_map", "0 1000 1\n") == 0);
	CHECK(write_file("/proc/self/uid_map", "0 1000 1\n") == 0);
	FAILS(write_file("/proc/self/uid_map", "0 1000 1\n"), EPERM); // once
	CHECK(strcmp(get("/proc/self/uid_map"), "         0       1000          1\n") == 0);
	CHECK(strcmp(get("/proc/self/setgroups"), "deny\n") == 0);
	CHECK(getuid() == 0 && getgid() == 0);
	gid_t g = 0;
	FAILS(setgroups(1, &g), EPERM);
	FAILS(setuid(1), EINVAL);
	struct stat st;
	CHECK(stat("/proc/self", &st) == 0 && st.st_uid == 0);
	CHECK(stat("/", &st) == 0 && st.st_uid == OVERFLOW);
	FAILS(mknod("device", S_IFCHR | 0600, 0x103), EPERM);
	CHECK(access("/proc/1/environ", R_OK) == -1);
	FAILS(sethostname("x", 1), EPERM); // the outside's
	FAILS(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
	CHECK(unshare(CLONE_NEWUTS) == 0);
	CHECK(sethostname("inside", 6) == 0);
}

static void byparent(void) {
	int ready[2], go[2];
	char c;
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		CHECK(unshare(CLONE_NEWUSER) == 0);
		CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 1);
		CHECK(getuid() == 500 && getgid() == 600);
		CHECK(setresuid(501, 501, 501) == 0 && getuid() == 501);
		CHECK(effective() != 0); // 500 was not root there
		FAILS(setresuid(100, 100, 100), EINVAL);
		CHECK(setresuid(0, 0, 0) == 0);
		gid_t g[2] = {600, 601};
		CHECK(setgroups(2, g) == 0);
		g[0] = 7;
		FAILS(setgroups(2, g), EINVAL);
		CHECK(setresuid(501, 501, 501) == 0);
		CHECK(effective() == 0);
		int f = open("mine", O_CREAT | O_RDWR, 0600);
		CHECK(f >= 0);
		struct stat st;
		CHECK(fstat(f, &st) == 0 && st.st_uid == 501 && st.st_gid == 600);
		FAILS(fchown(f, 77, -1), EINVAL);
		FAILS(fchown(f, 500, -1), EPERM);
		_exit(0);
	}
	CHECK(chmod(".", 0777) == 0);
	CHECK(read(ready[0], &c, 1) == 1);
	CHECK(putpid(p, "uid_map", "500 0 1\n501 2001 10\n0 3000 1\n") == 0);
	CHECK(putpid(p, "gid_map", "600 0 2\n0 3000 1\n") == 0);
	FAILS(putpid(p, "setgroups", "deny"), EPERM); // too late
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/uid_map", p);
	CHECK(strcmp(get(path), "       500          0          1\n       501       2001         10\n         0       3000          1\n") == 0);
	CHECK(write(go[1], "x", 1) == 1);
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	struct stat st;
	CHECK(stat("mine", &st) == 0 && st.st_uid == 2001 && st.st_gid == 0);
}

static void combinations(void) {
	FAILS(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0), EINVAL);
	int fd = open("/proc/self/ns/user", O_RDONLY);
	CHECK(fd >= 0);
	FAILS(setns(fd, 0), EINVAL); // already there
	FAILS(setns(fd, CLONE_NEWUTS), EINVAL);
	CHECK(ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWUSER);
	FAILS(ioctl(fd, NS_GET_PARENT), EPERM);
	uid_t owner = 7;
	CHECK(ioctl(fd, NS_GET_OWNER_UID, &owner) == 0 && owner == 0);
	int uts = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(uts >= 0);
	FAILS(ioctl(uts, NS_GET_PARENT), EINVAL);
	FAILS(ioctl(uts, NS_GET_OWNER_UID, &owner), EINVAL);
	struct stat a, b;
	int u = ioctl(uts, NS_GET_USERNS);
	CHECK(u >= 0 && fstat(u, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino);
	CHECK(fcntl(u, F_GETFD) == FD_CLOEXEC);
	CHECK(mkdir("jail", 0755) == 0 && chroot("jail") == 0);
	FAILS(unshare(CLONE_NEWUSER), EPERM);
}

static void nested(void) {
	int outer = open("/proc/self/ns/user", O_RDONLY), outeruts = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(outer >= 0 && outeruts >= 0);
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWUTS) == 0);
	CHECK(write_file("/proc/self/uid_map", "0 0 1") == 0);
	FAILS(write_file("/proc/self/gid_map", "0 0 1"), EPERM); // setgroups comes first
	CHECK(write_file("/proc/self/setgroups", "deny") == 0 && write_file("/proc/self/gid_map", "0 0 1") == 0);
	int mid = open("/proc/self/ns/user", O_RDONLY), miduts = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(mid >= 0 && miduts >= 0);
	FAILS(ioctl(mid, NS_GET_PARENT), EPERM); // it is outside
	FAILS(setns(outer, CLONE_NEWUSER), EPERM);
	FAILS(setns(outeruts, CLONE_NEWUTS), EPERM);
	CHECK(unshare(CLONE_NEWUSER) == 0);
	int inner = open("/proc/self/ns/user", O_RDONLY);
	CHECK(inner >= 0);
	FAILS(sethostname("x", 1), EPERM); // mid's
	FAILS(setns(mid, CLONE_NEWUSER), EPERM);
	CHECK(write_file("/proc/self/uid_map", "5 0 1") == 0);
	CHECK(getuid() == 5);
}

static void depth(void) {
	int n = 0;
	while (unshare(CLONE_NEWUSER) == 0) {
		CHECK(write_file("/proc/self/setgroups", "deny") == 0);
		CHECK(write_file("/proc/self/gid_map", "0 0 1") == 0);
		CHECK(write_file("/proc/self/uid_map", "0 0 1") == 0);
		n++;
		CHECK(n < 100);
	}
	CHECK(errno == ENOSPC);
	CHECK(n >= 30 && n <= 33);
}

static void enter(void) {
	int ready[2], go[2];
	char c, path[64];
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		CHECK(unshare(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS) == 0);
		CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 1);
		_exit(0);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	CHECK(putpid(p, "uid_map", "0 1000 10") == 0 && putpid(p, "gid_map", "0 1000 10") == 0);
	snprintf(path, sizeof path, "/proc/%d/ns/user", p);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	struct stat a, b;
	int up = ioctl(fd, NS_GET_PARENT);
	CHECK(up >= 0 && fstat(up, &a) == 0 && stat("/proc/self/ns/user", &b) == 0 && a.st_ino == b.st_ino);
	snprintf(path, sizeof path, "/proc/%d/ns/uts", p);
	int uts = open(path, O_RDONLY);
	CHECK(setns(fd, CLONE_NEWUSER) == 0);
	CHECK(getuid() == OVERFLOW); // 0 outside, which is not mapped
	CHECK(effective() != 0);
	CHECK(setns(uts, CLONE_NEWUTS) == 0);
	CHECK(sethostname("entered", 7) == 0);
	CHECK(setresuid(0, 0, 0) == 0 && getuid() == 0);
	CHECK(write(go[1], "x", 1) == 1);
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
}

static void mounts(void) {
	CHECK(mkdir("ro", 0755) == 0 && mkdir("m", 0755) == 0 && mkdir("dev", 0755) == 0);
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "ro", "tmpfs", MS_RDONLY | MS_NOSUID, NULL) == 0);
	become(1000);
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	CHECK(write_file("/proc/self/setgroups", "deny") == 0 && write_file("/proc/self/gid_map", "0 1000 1") == 0);
	CHECK(write_file("/proc/self/uid_map", "0 1000 1") == 0);
	FAILS(umount("ro"), EINVAL); // locked
	FAILS(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID, NULL), EPERM);
	FAILS(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EPERM);
	CHECK(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) == 0);
	FAILS(mount(NULL, "ro", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL), EPERM); // the filesystem is another's
	FAILS(mount("none", "m", "devtmpfs", 0, NULL), EPERM);
	FAILS(mount("none", "m", "proc", 0, NULL), EPERM); // the pid namespace is another's
	FAILS(mount(".", "m", NULL, MS_BIND, NULL), EINVAL); // it would show what ro covers
	CHECK(mount("none", "m", "tmpfs", 0, "size=1M") == 0);
	struct stat st;
	CHECK(stat("m", &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	CHECK(mkdir("m/d", 0755) == 0 && stat("m/d", &st) == 0 && st.st_uid == 0);
	FAILS(chown("m/d", 1, -1), EINVAL);
	FAILS(mount("none", "m/d", "tmpfs", 0, "uid=1"), EINVAL);
	FAILS(mknod("m/null", S_IFCHR | 0666, 0x103), EPERM);
	int fd = open("m/null", O_CREAT | O_RDWR, 0666);
	CHECK(fd >= 0);
	CHECK(mount("/dev/null", "m/null", NULL, MS_BIND, NULL) == 0);
	CHECK(open("m/null", O_WRONLY) >= 0); // a device of the outside's
	CHECK(mount("ro", "m/d", NULL, MS_BIND | MS_REC, NULL) == 0);
	FAILS(mount(NULL, "m/d", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM); // locked in copies too
	CHECK(umount("m/d") == 0);
	CHECK(umount2("m", MNT_DETACH) == 0);
}

static void signals(void) {
	int fds[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	become(1000);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		CHECK(unshare(CLONE_NEWUSER) == 0);
		CHECK(write_file("/proc/self/uid_map", "0 1000 1") == 0);
		struct ucred u;
		socklen_t n = sizeof u;
		CHECK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &u, &n) == 0);
		CHECK(u.uid == OVERFLOW && u.gid == OVERFLOW); // root made it
		FAILS(kill(1, 0), EPERM);
		_exit(3);
	}
	siginfo_t i;
	CHECK(waitid(P_PID, p, &i, WEXITED) == 0 && i.si_uid == 1000 && i.si_status == 3);
}

static void limits(void) {
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(write_file("/proc/self/uid_map", "0 0 1") == 0);
	CHECK(atoi(get("/proc/sys/user/max_uts_namespaces")) > 1000);
	CHECK(strcmp(get("/proc/sys/kernel/overflowuid"), "65534\n") == 0);
}

// polled: who does nothing but ask for its ids sees them change when they are mapped.
static void polled(void) {
	int up[2];
	char c;
	CHECK(pipe(up) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		alarm(10);
		CHECK(unshare(CLONE_NEWUSER) == 0);
		for (int i = 0; i < 1000; i++)
			CHECK(getuid() == OVERFLOW && getegid() == OVERFLOW);
		CHECK(write(up[1], "x", 1) == 1);
		while (getuid() != 0 || getegid() != 0)
			;
		_exit(0);
	}
	CHECK(read(up[0], &c, 1) == 1);
	CHECK(putpid(p, "uid_map", "0 0 1") == 0 && putpid(p, "gid_map", "0 0 1") == 0);
	int status;
	CHECK(waitpid(p, &status, 0) == p && status == 0);
}

int main(void) {
	char *dirs[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
	void (*all[])(void) = {unmapped, mapself, byparent, combinations, nested, depth, enter, mounts, signals, limits, polled};
	for (int i = 0; i < 11; i++) {
		CHECK(mkdir(dirs[i], 0755) == 0 && chmod(dirs[i], 0777) == 0 && chdir(dirs[i]) == 0);
		child(all[i]);
		CHECK(chdir("..") == 0);
	}
	return 0;
}
