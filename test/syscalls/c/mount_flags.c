// covers: mount umount2 pivot_root
// mount(2)'s flags and errors one by one, umount2(2)'s, and how /proc tells of them.
#include "mounts.h"
#include <poll.h>
#include <sys/statvfs.h>

static void shows(unsigned long flags, const char *own, const char *fs) {
	CHECK(mount("none", "f", "tmpfs", flags, NULL) == 0);
	IS(field("f", 'o'), own);
	if (strncmp(field("f", 's'), fs, strlen(fs)) != 0)
		IS(field("f", 's'), fs);
	CHECK(umount2("f", 0) == 0);
}

static void fresh(void) {
	dir("f");
	shows(0, "rw,relatime", "rw");
	shows(MS_RDONLY, "ro,relatime", "ro");
	shows(MS_NOSUID | MS_NODEV | MS_NOEXEC, "rw,nosuid,nodev,noexec,relatime", "rw");
	shows(MS_NOATIME, "rw,noatime", "rw");
	shows(MS_NOATIME | MS_RELATIME, "rw,noatime", "rw");
	shows(MS_STRICTATIME, "rw", "rw");
	shows(MS_STRICTATIME | MS_NOATIME | MS_RELATIME, "rw", "rw");
	shows(MS_NODIRATIME, "rw,nodiratime,relatime", "rw");
	shows(MS_NOSYMFOLLOW, "rw,relatime,nosymfollow", "rw");
	shows(MS_LAZYTIME, "rw,relatime", "rw,lazytime");
	shows(MS_SYNCHRONOUS | MS_DIRSYNC, "rw,relatime", "rw,sync,dirsync");
	shows(MS_SILENT | MS_MGC_VAL, "rw,relatime", "rw");
	CHECK(mount("none", "f", "tmpfs", 0, "ro,size=1m,sync") == 0); // words for flags
	IS(field("f", 'o'), "rw,relatime");
	CHECK(strncmp(field("f", 's'), "ro,sync,size=1024k", 18) == 0);
	FAILS(mkdir("f/x", 0755), EROFS);
	CHECK(umount2("f", 0) == 0);
}

static void remounted(void) {
	tmpfs("f");
	CHECK(mount(NULL, "f", NULL, MS_REMOUNT | MS_NOSUID | MS_NOATIME, NULL) == 0);
	IS(field("f", 'o'), "rw,nosuid,noatime");
	CHECK(mount(NULL, "f", NULL, MS_REMOUNT | MS_NODEV, NULL) == 0); // the rule for atimes stays
	IS(field("f", 'o'), "rw,nodev,noatime");
	CHECK(mount(NULL, "f", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL) == 0);
	IS(field("f", 'o'), "rw,relatime");
	CHECK(mount(NULL, "f", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODIRATIME, NULL) == 0);
	IS(field("f", 'o'), "ro,nodiratime,relatime");
	CHECK(strncmp(field("f", 's'), "rw", 2) == 0);
	CHECK(mount(NULL, "f", NULL, MS_REMOUNT | MS_SYNCHRONOUS | MS_LAZYTIME | MS_STRICTATIME, "size=2m") == 0);
	IS(field("f", 'o'), "rw");
	CHECK(strncmp(field("f", 's'), "rw,sync,lazytime,size=2048k", 27) == 0);
	FAILS(mount(NULL, "f", NULL, MS_REMOUNT, "nonsense"), EINVAL);
	FAILS(mount(NULL, "f", NULL, MS_REMOUNT, "size=many"), EINVAL);
	CHECK(mount(NULL, "f", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	IS(field("f", 'o'), "ro");
	CHECK(strncmp(field("f", 's'), "ro,", 3) == 0);
	struct statvfs st;
	CHECK(statvfs("f", &st) == 0 && st.f_flag & ST_RDONLY);
	dir("g");
	CHECK(mount("f", "g", NULL, MS_BIND | MS_NOSUID, NULL) == 0); // a bind takes the flags over
	IS(field("g", 'o'), "ro");
	dir("f2");
	CHECK(mount(NULL, "g", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
	IS(field("g", 'o'), "rw");
	FAILS(mkdir("g/x", 0755), EROFS); // the filesystem is not
	FAILS(mount(NULL, "f2", NULL, MS_REMOUNT | MS_BIND, NULL), EINVAL);
	FAILS(mount(NULL, "absent", NULL, MS_REMOUNT, NULL), ENOENT);
	CHECK(umount2("g", 0) == 0 && umount2("f", 0) == 0);
}

static void errors(void) {
	char name[5000];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	FAILS(mount("none", "absent", (char *)8, 0, NULL), EFAULT); // what is copied in comes first
	FAILS(mount((char *)8, "absent", "tmpfs", 0, NULL), EFAULT);
	FAILS(mount("none", "absent", "tmpfs", 0, (char *)8), EFAULT);
	FAILS(mount("none", "f", name, 0, NULL), EINVAL);
	FAILS(mount(name, "f", "tmpfs", 0, NULL), EINVAL);
	FAILS(mount("none", name, "tmpfs", 0, NULL), ENAMETOOLONG);
	FAILS(mount("none", "f", NULL, 0, NULL), EINVAL);
	FAILS(mount("none", "", "tmpfs", 0, NULL), ENOENT);
	FAILS(mount(NULL, "f", NULL, MS_BIND, NULL), EINVAL);
	FAILS(mount("", "f", NULL, MS_BIND, NULL), EINVAL);
	FAILS(mount(NULL, "f", NULL, MS_MOVE, NULL), EINVAL);
	FAILS(mount("none", "f", "tmpfs", 0, "nonsense=1"), EINVAL);
	FAILS(mount("none", "f", "tmpfs", 0, "source=two"), EINVAL);
	put("plain");
	FAILS(mount("none", "plain", "tmpfs", 0, NULL), ENOTDIR);
	FAILS(mount("plain", "f", NULL, MS_BIND, NULL), ENOTDIR);
	FAILS(mount("f", "plain", NULL, MS_BIND, NULL), ENOTDIR);
	tmpfs("f");
	FAILS(mount("f", "plain", NULL, MS_MOVE, NULL), EINVAL);
	dir("f/in");
	FAILS(mount("f", "f/in", NULL, MS_MOVE, NULL), ELOOP);
	FAILS(mount("f/in", "f", NULL, MS_MOVE, NULL), EINVAL);
	// Of several the first of remount, bind, propagation, move is meant.
	CHECK(mount("f", "g", NULL, MS_BIND | MS_MOVE | MS_SHARED, NULL) == 0);
	CHECK(exists("f/in") && exists("g/in"));
	FAILS(mount("f", "g", NULL, MS_SHARED | MS_MOVE, NULL), EINVAL);
	CHECK(umount2("g", 0) == 0);
	// A pipe has no place in the tree, a namespace has.
	int p[2];
	char pipe_name[64];
	CHECK(pipe(p) == 0);
	snprintf(pipe_name, sizeof pipe_name, "/proc/self/fd/%d", p[0]);
	FAILS(mount(pipe_name, "plain", NULL, MS_BIND, NULL), EINVAL);
	CHECK(mount("/proc/self/ns/uts", "plain", NULL, MS_BIND, NULL) == 0);
	IS(field("plain", 'f'), "nsfs nsfs");
	CHECK(strncmp(field("plain", 'r'), "uts:[", 5) == 0);
	int fd = open("plain", O_RDONLY);
	CHECK(fd >= 0 && setns(fd, CLONE_NEWUTS) == 0);
	close(fd);
	CHECK(umount2("plain", 0) == 0);
	CHECK(umount2("f", 0) == 0);
	dir("dead");
	fd = open("dead", O_PATH);
	CHECK(rmdir("dead") == 0);
	char dead[64];
	snprintf(dead, sizeof dead, "/proc/self/fd/%d", fd);
	FAILS(mount("none", dead, "tmpfs", 0, NULL), ENOENT);
	close(fd);
}

static void unmounted(void) {
	tmpfs("f");
	dir("f/sub");
	tmpfs("f/sub");
	FAILS(umount2("f", 0), EBUSY);
	FAILS(umount2("f", MNT_EXPIRE), EBUSY);
	FAILS(umount2("f", MNT_EXPIRE | MNT_FORCE), EINVAL);
	FAILS(umount2("f", 16), EINVAL);
	CHECK(umount2("f/sub", MNT_FORCE) == 0);
	FAILS(umount2("f", MNT_EXPIRE), EAGAIN);
	CHECK(exists("f/sub")); // used meanwhile
	FAILS(umount2("f", MNT_EXPIRE), EAGAIN);
	CHECK(umount2("f", MNT_EXPIRE | UMOUNT_NOFOLLOW) == 0);
	FAILS(umount2("f", 0), EINVAL);
	FAILS(umount2("/", MNT_EXPIRE), EINVAL);
	// "." is what is on top.
	tmpfs("f");
	CHECK(chdir("f") == 0);
	tmpfs(".");
	CHECK(umount2(".", 0) == 0);
	FAILS(umount2(".", 0), EBUSY);
	CHECK(umount2(".", MNT_DETACH) == 0);
	FAILS(umount2(".", MNT_DETACH), EINVAL);
	char here[64];
	CHECK(syscall(SYS_getcwd, here, sizeof here) > 0);
	IS(here, "(unreachable)/");
	CHECK(chdir("..") == 0 && syscall(SYS_getcwd, here, sizeof here) > 0);
	IS(here, "(unreachable)/");
}

static void pivoted(void) {
	dir("new");
	tmpfs("new");
	put("new/mark");
	CHECK(chdir("new") == 0);
	CHECK(mount(NULL, ".", NULL, MS_SHARED, NULL) == 0);
	FAILS(syscall(SYS_pivot_root, ".", "."), EINVAL);
	CHECK(mount(NULL, ".", NULL, MS_PRIVATE, NULL) == 0);
	CHECK(syscall(SYS_pivot_root, ".", ".") == 0);
	CHECK(exists("/mark") && exists("mark"));
	CHECK(umount2(".", MNT_DETACH) == 0);
	CHECK(chdir("/") == 0 && exists("mark") && !exists("proc/self"));
	CHECK(mkdir("/proc", 0755) == 0);
	CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
	FILE *f = fopen("/proc/self/mounts", "r");
	char line[512];
	int lines = 0;
	while (fgets(line, sizeof line, f) != NULL)
		lines++;
	CHECK(lines == 2);
	fclose(f);
}

static void polled(void) {
	char b[1 << 16], here[PATH_MAX], want[2 * PATH_MAX];
	dir("poll");
	int fd = open("/proc/self/mounts", O_RDONLY), info = open("/proc/thread-self/mountinfo", O_RDONLY);
	struct pollfd p[2] = { { .fd = fd, .events = POLLPRI }, { .fd = info, .events = POLLPRI } };
	CHECK(poll(p, 2, 0) == 0);
	CHECK(mount("a b\\#", "poll", "tmpfs", MS_NOSUID | MS_SYNCHRONOUS, "size=1m") == 0);
	CHECK(poll(p, 2, 0) == 2 && p[0].revents == (POLLERR | POLLPRI) && p[1].revents == (POLLERR | POLLPRI));
	CHECK(poll(p, 2, 0) == 0);
	CHECK(mount(NULL, "poll", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL) == 0);
	CHECK(poll(p, 2, 0) == 2);
	CHECK(umount2("poll", 0) == 0);
	CHECK(poll(p, 2, 0) == 2);
	CHECK(mount("a b\\#", "poll", "tmpfs", MS_NOSUID | MS_SYNCHRONOUS, "size=1m") == 0);
	long n = read(fd, b, sizeof b - 1);
	CHECK(n > 0);
	b[n] = 0;
	CHECK(realpath("poll", here) != NULL);
	snprintf(want, sizeof want, "\na\\040b\\134\\043 %s tmpfs rw,sync,nosuid,relatime,size=1024k", here);
	if (strstr(b, want) == NULL)
		IS(b, want);
	close(fd);
	fd = open("/proc/self/mountstats", O_RDONLY);
	n = read(fd, b, sizeof b - 1);
	CHECK(n > 0);
	b[n] = 0;
	snprintf(want, sizeof want, "\ndevice a\\040b\\134\\043 mounted on %s with fstype tmpfs\n", here);
	if (strstr(b, want) == NULL)
		IS(b, want);
	close(fd);
	close(info);
	CHECK(umount2("poll", 0) == 0);
}

static void powerless(void) {
	FAILS(mount("none", "absent", "tmpfs", 0, NULL), ENOENT);
	FAILS(mount("none", "f", "no-such-type", 0, NULL), EPERM);
	FAILS(mount(NULL, "f", NULL, MS_SHARED | MS_PRIVATE, NULL), EPERM);
	FAILS(umount2("f", 16), EINVAL);
	FAILS(umount2("absent", 0), ENOENT);
	FAILS(umount2("f", 0), EPERM);
}

static void all(void) {
	CASE(fresh());
	CASE(remounted());
	CASE(errors());
	CASE(unprivileged(powerless));
	CASE(polled());
	CASE(unmounted());
}

int main(void) {
	CHECK(apart(all) == 0);
	CHECK(apart(pivoted) == 0);
	return 0;
}
