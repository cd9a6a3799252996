// covers: name_to_handle_at quotactl quotactl_fd statx ustat
// Handles that only identify a file, and what a filesystem without quotas answers.
#include "mounts.h"
#include <sys/quota.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define FID 0x200	 // AT_HANDLE_FID, since Linux 6.6
#define UNIQUE 1	 // AT_HANDLE_MNT_ID_UNIQUE, since 6.12
#define CONNECTABLE 2 // AT_HANDLE_CONNECTABLE, since 6.13

struct handle {
	uint32_t bytes;
	int32_t type;
	unsigned char data[128];
};

static long handle(const char *name, struct handle *h, void *id, int flags) {
	return syscall(SYS_name_to_handle_at, AT_FDCWD, name, h, id, flags);
}

static void identified(void) {
	struct handle h = { .bytes = 128 }, g = { .bytes = 128 };
	int id = 0;
	uint64_t unique = 0;
	put("file");
	CHECK(link("file", "name") == 0 && symlink("file", "sym") == 0);
	CHECK(handle("file", &h, &id, FID) == 0);
	CHECK(h.bytes == 12 && id == atoi(field(".", 'i')));
	CHECK(handle("name", &g, &id, FID) == 0 && memcmp(&h, &g, 20) == 0);
	g.bytes = 128;
	CHECK(handle("sym", &g, &id, FID) == 0 && memcmp(&h, &g, 20) != 0);
	g.bytes = 128;
	CHECK(handle("sym", &g, &id, FID | AT_SYMLINK_FOLLOW) == 0 && memcmp(&h, &g, 20) == 0);
	struct { uint32_t mask; uint32_t pad[35]; uint64_t mnt_id; uint64_t rest[64]; } x;
	CHECK(syscall(SYS_statx, AT_FDCWD, "file", 0, 0x4000, &x) == 0);
	g.bytes = 128;
	CHECK(handle("file", &g, &unique, FID | UNIQUE) == 0 && unique == x.mnt_id);
	// Not enough room: how much it takes, and the mount's number all the same.
	memset(&g, 0, sizeof g);
	id = 0;
	FAILS(handle("file", &g, &id, FID), EOVERFLOW);
	CHECK(g.bytes == 12 && id != 0);
	g.bytes = 129;
	FAILS(handle("file", &g, &id, FID), EINVAL);
	g.bytes = 128;
	FAILS(handle("file", &g, &id, FID | CONNECTABLE), EINVAL);
	FAILS(handle("file", &g, (void *)8, FID), EFAULT);
	FAILS(handle("file", (void *)8, &id, FID), EFAULT);
	FAILS(handle("", &g, &id, FID), ENOENT);
	CHECK(handle("", &g, &id, FID | AT_EMPTY_PATH) == 0);
}

static void quotas(void) {
	char b[256];
	int fd = open(".", O_RDONLY);
	FAILS(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), "absent", 0, b), ENOENT);
	FAILS(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), "file", 0, b), ENOTBLK);
	FAILS(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), NULL, 0, b), ENODEV);
	FAILS(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, 3), "file", 0, b), EINVAL);
	CHECK(syscall(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL) == 0);
	FAILS(syscall(443, 999, QCMD(Q_GETQUOTA, USRQUOTA), 0, b), EBADF);
	FAILS(syscall(443, fd, QCMD(Q_GETQUOTA, 3), 0, b), EINVAL);
	FAILS(syscall(443, fd, QCMD(Q_GETQUOTA, USRQUOTA), 0, b), ENOSYS);
	close(fd);
}

#define X(n) (('X' << 8) + n)
#define QFD(op, kind, id, addr) syscall(443, fd, QCMD(op, kind), id, addr)

// What comes first: the descriptor, the kind, a mount that can't be written to, the filesystem.
static void quotas_order(void) {
	int fd = -1;
	FAILS(QFD(Q_SYNC, 3, 0, NULL), EBADF);
	fd = open(".", O_PATH);
	FAILS(QFD(Q_SYNC, 3, 0, NULL), EINVAL);
	FAILS(QFD(0x5858, 0, 0, NULL), ENOSYS);
	CHECK(mkdir("ro", 0755) == 0 && mount("none", "ro", "tmpfs", MS_RDONLY, NULL) == 0);
	close(fd);
	fd = open("ro", O_RDONLY);
	FAILS(QFD(Q_QUOTAOFF, 0, 0, NULL), EROFS);
	FAILS(QFD(Q_SETQUOTA, 0, 0, NULL), EROFS);
	FAILS(QFD(0x5858, 0, 0, NULL), EROFS);
	FAILS(QFD(Q_SETQUOTA, 3, 0, NULL), EINVAL);
	FAILS(QFD(Q_SYNC, 0, 0, NULL), ENOSYS);
	FAILS(QFD(Q_GETQUOTA, 0, 0, NULL), EROFS);
	FAILS(QFD(Q_GETNEXTQUOTA, 0, 0, NULL), EROFS);
	FAILS(QFD(X(3), 0, 0, NULL), ENOSYS);
	FAILS(QFD(X(9), 0, 0, NULL), ENOSYS);
	close(fd);
}

static void quotas_of_all(int fd, char *b) {
	CHECK(QFD(Q_SYNC, 0, 0, NULL) == 0 && QFD(X(7), 0, 0, NULL) == 0);
	FAILS(QFD(Q_GETINFO, 1, 0, NULL), ESRCH);
	FAILS(QFD(X(5), 0, 0, NULL), ENOSYS);
	FAILS(QFD(X(8), 0, 0, NULL), EFAULT);
	*b = 0;
	FAILS(QFD(X(8), 0, 0, b), EINVAL);
	*b = 1;
	FAILS(QFD(X(8), 0, 0, b), ENOSYS);
}

// An ext4 whose quotas are off answers all but what turns them on.
static void quotas_that_are_off(void) {
	static char b[256];
	struct statfs st;
	int fd = open("/", O_PATH);
	CHECK(fd >= 0 && fstatfs(fd, &st) == 0);
	if (st.f_type != 0xef53 || QFD(Q_GETFMT, 0, 0, b) == 0 || access("/", W_OK) != 0)
		return;
	if (QFD(Q_GETNEXTQUOTA, 0, 0, NULL) == -1 && errno == EPERM)
		return; // not root of the machine
	CHECK(mkdir("bound", 0755) == 0 && mount("/", "bound", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	int rw = fd, ro = open("bound", O_RDONLY);
	quotas_of_all(fd, b);
	CHECK(QFD(Q_QUOTAOFF, 0, 0, NULL) == 0);
	FAILS(QFD(Q_GETFMT, 2, 0, NULL), ESRCH);
	FAILS(QFD(Q_QUOTAON, 0, 0, b), EINVAL);
	FAILS(QFD(Q_SETINFO, 0, 0, NULL), EFAULT);
	FAILS(QFD(Q_SETINFO, 0, 0, b), ESRCH);
	FAILS(QFD(Q_GETQUOTA, 0, 0, NULL), ESRCH);
	FAILS(QFD(Q_GETQUOTA, 0, -1, NULL), EINVAL);
	FAILS(QFD(Q_GETQUOTA, 2, -1, NULL), EINVAL);
	FAILS(QFD(Q_GETNEXTQUOTA, 2, 0, NULL), ESRCH);
	FAILS(QFD(Q_SETQUOTA, 0, 0, NULL), EFAULT);
	FAILS(QFD(Q_SETQUOTA, 0, 0, b), ESRCH);
	FAILS(QFD(Q_SETQUOTA, 0, -1, b), EINVAL);
	for (int i = 1; i <= 6; i++)
		if (i != 3 && i != 5)
			FAILS(QFD(X(i), 0, 0, NULL), EFAULT);
	FAILS(QFD(X(1), 0, 0, b), ENOSYS);
	FAILS(QFD(X(3), 1, 0, NULL), ESRCH);
	FAILS(QFD(X(4), 0, -1, b), EINVAL);
	FAILS(QFD(X(6), 0, 0, b), ENOSYS);
	FAILS(QFD(X(9), 0, 0, NULL), ESRCH);
	FAILS(QFD(X(10), 0, 0, NULL), EINVAL);
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 && setresuid(65533, 65533, 65533) == 0);
	quotas_of_all(fd, b);
	FAILS(QFD(Q_QUOTAON, 0, 0, NULL), EPERM);
	FAILS(QFD(Q_SETQUOTA, 0, 65533, NULL), EPERM);
	FAILS(QFD(X(10), 0, 0, NULL), EPERM);
	FAILS(QFD(Q_GETQUOTA, 0, 65533, NULL), ESRCH);
	FAILS(QFD(Q_GETQUOTA, 0, 65534, NULL), EPERM);
	FAILS(QFD(X(3), 1, 65534, NULL), ESRCH);
	FAILS(QFD(X(3), 2, 65534, NULL), EPERM);
	FAILS(QFD(Q_GETNEXTQUOTA, 0, 65533, NULL), EPERM);
	FAILS(QFD(Q_GETQUOTA, 3, 65533, NULL), EINVAL);
	fd = ro; // that it can't be written to comes before who asks
	quotas_of_all(fd, b);
	FAILS(QFD(Q_QUOTAON, 0, 0, NULL), EROFS);
	FAILS(QFD(Q_GETQUOTA, 0, 65533, NULL), EROFS);
	FAILS(QFD(Q_SETQUOTA, 3, 65533, NULL), EINVAL);
	FAILS(QFD(X(10), 0, 0, NULL), EROFS);
	FAILS(QFD(X(3), 0, 65533, NULL), ESRCH);
	FAILS(QFD(X(3), 0, 65534, NULL), EPERM);
	FAILS(QFD(X(9), 0, 65533, NULL), EPERM);
	CHECK(close(ro) == 0 && close(rw) == 0);
}

static void statistics(void) {
	struct { int free; uint64_t inodes; char names[16]; } u;
	struct stat st;
	CHECK(stat(".", &st) == 0);
	CHECK(syscall(SYS_ustat, (unsigned)st.st_dev, &u) == 0);
	CHECK(u.free > 0 && u.inodes > 0 && u.names[0] == 0);
	FAILS(syscall(SYS_ustat, (unsigned)st.st_dev, (void *)8), EFAULT);
	FAILS(syscall(SYS_ustat, makedev(99, 99), &u), EINVAL);
	struct statx x;
	CHECK(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC, STATX_ALL, &x) == 0);
	CHECK((x.stx_mask & STATX_ALL) == STATX_ALL && x.stx_btime.tv_sec >= 1);
	CHECK(x.stx_btime.tv_sec <= x.stx_mtime.tv_sec && x.stx_btime.tv_nsec < 1000000000);
	CHECK(!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT) && (x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT));
	CHECK(statx(AT_FDCWD, ".", AT_STATX_DONT_SYNC, 0, &x) == 0);
	CHECK(x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	FAILS(statx(AT_FDCWD, ".", AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, 0, &x), EINVAL);
	FAILS(statx(AT_FDCWD, ".", 0, 0x80000000, &x), EINVAL);
	FAILS(statx(AT_FDCWD, ".", 0x10, 0, &x), EINVAL);
}

static void all(void) {
	CASE(identified());
	CASE(quotas());
	CASE(quotas_order());
	APART(quotas_that_are_off());
	CASE(statistics());
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
