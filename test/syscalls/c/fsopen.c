// covers: fsopen fsconfig fsmount fspick
// The calls that make and change a filesystem by descriptor, and what they say in words.
#include "mounts.h"

#ifndef FSCONFIG_CMD_CREATE_EXCL
#define FSCONFIG_CMD_CREATE_EXCL 8
#endif

static int flag(int fd, const char *key) { return fsconfig(fd, FSCONFIG_SET_FLAG, key, NULL, 0); }
static int string(int fd, const char *key, const char *v) { return fsconfig(fd, FSCONFIG_SET_STRING, key, v, 0); }
static int create(int fd) { return fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0); }
static int reconfigure(int fd) { return fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0); }

// said checks the next line of the log; NULL: there is none.
static void said(int fd, const char *want) {
	char b[512];
	long n = read(fd, b, sizeof b - 1);
	if (want == NULL) {
		if (n == -1 && errno == ENODATA)
			return;
		b[n < 0 ? 0 : n] = 0;
		fprintf(stderr, "the log says %s, errno %d\n", b, errno);
		_exit(1);
	}
	CHECK(n > 0);
	b[n] = 0;
	IS(b, want);
}

static int open_tmpfs(void) {
	int fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void opening(void) {
	FAILS(fsopen("no-such-type", 0), ENODEV);
	FAILS(fsopen((char *)8, 0), EFAULT);
	FAILS(fsopen("tmpfs", 2), EINVAL);
	char name[5000];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	FAILS(fsopen(name, 0), EINVAL);
	int fd = fsopen("tmpfs", 0);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	char link[64], to[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	long n = readlink(link, to, sizeof to - 1);
	CHECK(n > 0);
	to[n] = 0;
	IS(to, "anon_inode:[fscontext]");
	FAILS(write(fd, "x", 1), EINVAL);
	said(fd, NULL);
	close(fd);
	fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
}

static void wrong(void) {
	int fd = open_tmpfs(), other = open(".", O_RDONLY);
	FAILS(fsconfig(-1, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
	FAILS(fsconfig(999, FSCONFIG_SET_FLAG, "ro", NULL, 0), EBADF);
	FAILS(fsconfig(other, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
	FAILS(fsconfig(fd, 99, NULL, NULL, 0), EOPNOTSUPP);
	FAILS(fsconfig(fd, FSCONFIG_SET_FLAG, NULL, NULL, 0), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_FLAG, "ro", "x", 0), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_FLAG, "ro", NULL, 1), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_STRING, "size", NULL, 0), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_STRING, NULL, "1", 0), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_STRING, "size", "1", 1), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_BINARY, "size", "1", 0), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_BINARY, "size", "1", (1 << 20) + 1), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_PATH, "size", "1", -1), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_PATH, "size", NULL, AT_FDCWD), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_FD, "size", NULL, -1), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_FD, "size", NULL, 999), EBADF);
	FAILS(fsconfig(fd, FSCONFIG_CMD_CREATE, "x", NULL, 0), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 1), EINVAL);
	FAILS(fsconfig(fd, FSCONFIG_SET_FLAG, (char *)8, NULL, 0), EFAULT);
	FAILS(fsconfig(fd, FSCONFIG_SET_STRING, "size", (char *)8, 0), EFAULT);
	char key[300];
	memset(key, 'x', sizeof key - 1);
	key[sizeof key - 1] = 0;
	FAILS(flag(fd, key), EINVAL);
	FAILS(string(fd, "size", key), EINVAL);
	said(fd, NULL); // all that was before the filesystem was asked
	FAILS(reconfigure(fd), EBUSY);
	FAILS(fsmount(fd, 0, 0), EINVAL); // there is nothing to mount yet
	FAILS(fsmount(fd, 2, 0), EINVAL);
	FAILS(fsmount(fd, 0, 0x40000000), EINVAL);
	FAILS(fsmount(fd, 0, 0x70), EINVAL);
	FAILS(fsmount(other, 0, 0), EINVAL);
	FAILS(fsmount(999, 0, 0), EBADF);
	close(fd);
	close(other);
}

static void words(void) {
	int fd = open_tmpfs();
	FAILS(flag(fd, "nonsense"), EINVAL);
	said(fd, "e tmpfs: Unknown parameter 'nonsense'\n");
	said(fd, NULL);
	FAILS(string(fd, "mode", "nine"), EINVAL);
	said(fd, "e tmpfs: Bad value for 'mode'\n");
	FAILS(string(fd, "size", "many"), EINVAL);
	said(fd, "e tmpfs: Bad value for 'size'\n");
	CHECK(string(fd, "source", "one") == 0);
	FAILS(string(fd, "source", "two"), EINVAL);
	said(fd, "e Multiple sources\n");
	int other = open(".", O_RDONLY);
	FAILS(fsconfig(fd, FSCONFIG_SET_FD, "source", NULL, other), EINVAL);
	said(fd, "e Non-string source\n");
	FAILS(flag(fd, "nonsense"), EINVAL);
	char b[8];
	FAILS(read(fd, b, sizeof b), EMSGSIZE);
	for (int i = 0; i < 9; i++)
		FAILS(string(fd, "other", "x"), EINVAL);
	for (int i = 0; i < 8; i++)
		said(fd, "e tmpfs: Unknown parameter 'other'\n");
	said(fd, NULL);
	close(fd);
	close(other);
}

static void making(void) {
	int fd = open_tmpfs();
	CHECK(string(fd, "source", "the source") == 0);
	CHECK(string(fd, "size", "1m") == 0);
	CHECK(string(fd, "mode", "700") == 0);
	CHECK(flag(fd, "sync") == 0 && flag(fd, "lazytime") == 0);
	CHECK(flag(fd, "async") == 0);
	CHECK(create(fd) == 0);
	FAILS(create(fd), EBUSY);
	FAILS(string(fd, "size", "2m"), EBUSY);
	FAILS(reconfigure(fd), EBUSY);
	int m = fsmount(fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
	CHECK(m >= 0 && fcntl(m, F_GETFD) == FD_CLOEXEC && (fcntl(m, F_GETFL) & O_PATH));
	struct stat st;
	CHECK(fstat(m, &st) == 0 && (st.st_mode & 07777) == 0700);
	// It is a filesystem, though nowhere.
	int file = openat(m, "file", O_CREAT | O_RDWR, 0644);
	CHECK(file >= 0 && write(file, "x", 1) == 1 && close(file) == 0);
	dir("made");
	CHECK(move_mount(m, "", AT_FDCWD, "made", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	CHECK(exists("made/file"));
	IS(field("made", 'o'), "rw,nosuid,nodev,noatime");
	IS(field("made", 'f'), "tmpfs the\\040source");
	CHECK(strncmp(field("made", 's'), "rw,lazytime,size=1024k,mode=700", 31) == 0);
	close(m);
	CHECK(exists("made/file"));
	// The context now changes the filesystem that it has made.
	FAILS(create(fd), EBUSY);
	CHECK(string(fd, "size", "2m") == 0 && flag(fd, "ro") == 0);
	CHECK(reconfigure(fd) == 0);
	CHECK(strncmp(field("made", 's'), "ro,", 3) == 0 && strstr(field("made", 's'), "size=2048k"));
	FAILS(open("made/new", O_CREAT | O_RDWR, 0644), EROFS);
	IS(field("made", 'o'), "rw,nosuid,nodev,noatime");
	CHECK(flag(fd, "rw") == 0 && reconfigure(fd) == 0);
	put("made/new");
	close(fd);
	CHECK(umount2("made", 0) == 0);
}

static void failing(void) {
	int fd = open_tmpfs();
	CHECK(flag(fd, "ro") == 0 && flag(fd, "dirsync") == 0);
	CHECK(fsconfig(fd, FSCONFIG_CMD_CREATE_EXCL, NULL, NULL, 0) == 0 || errno == EBUSY);
	int m = fsmount(fd, 0, MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOEXEC);
	CHECK(m >= 0 && fcntl(m, F_GETFD) == 0);
	FAILS(openat(m, "file", O_CREAT | O_RDWR, 0644), EROFS);
	dir("f");
	CHECK(move_mount(m, "", AT_FDCWD, "f", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	IS(field("f", 'o'), "rw,noexec,nodiratime");
	IS(field("f", 'f'), "tmpfs none");
	CHECK(strncmp(field("f", 's'), "ro,dirsync", 10) == 0);
	FAILS(fsmount(fd, 0, 0), EBUSY); // it has been mounted
	close(m);
	CHECK(flag(fd, "rw") == 0);
	FAILS(reconfigure(fd), EINVAL); // dirsync is among what it would change
	close(fd);
	CHECK(umount2("f", 0) == 0);
	// An overlay of nothing can't be made, and the context is of no use from then on.
	fd = fsopen("overlay", 0);
	CHECK(fd >= 0);
	FAILS(create(fd), EINVAL);
	FAILS(create(fd), EBUSY);
	FAILS(string(fd, "lowerdir", "/"), EBUSY);
	close(fd);
}

static void picking(void) {
	dir("p");
	dir("p2");
	CHECK(mount("none", "p", "tmpfs", 0, "size=1m") == 0);
	dir("p/below");
	FAILS(fspick(AT_FDCWD, "p", 0x10), EINVAL);
	FAILS(fspick(AT_FDCWD, "absent", 0), ENOENT);
	FAILS(fspick(AT_FDCWD, "p/below", 0), EINVAL);
	FAILS(fspick(999, "p", 0), EBADF);
	FAILS(fspick(AT_FDCWD, (char *)8, 0), EFAULT);
	FAILS(fspick(AT_FDCWD, "", 0), ENOENT);
	CHECK(symlink("p", "pl") == 0);
	FAILS(fspick(AT_FDCWD, "pl", FSPICK_SYMLINK_NOFOLLOW), EINVAL);
	int fd = fspick(AT_FDCWD, "pl", FSPICK_CLOEXEC);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	FAILS(create(fd), EBUSY);
	CHECK(string(fd, "size", "3m") == 0);
	CHECK(reconfigure(fd) == 0);
	CHECK(strstr(field("p", 's'), "size=3072k"));
	CHECK(mount("p", "p2", NULL, MS_BIND, NULL) == 0);
	CHECK(flag(fd, "ro") == 0 && reconfigure(fd) == 0);
	FAILS(mkdir("p2/x", 0755), EROFS); // the whole filesystem
	CHECK(flag(fd, "rw") == 0 && reconfigure(fd) == 0);
	int w = open("p2/w", O_CREAT | O_RDWR, 0644);
	CHECK(w >= 0);
	CHECK(flag(fd, "ro") == 0);
	FAILS(reconfigure(fd), EBUSY); // somebody writes
	close(w);
	close(fd);
	int at = open("p", O_PATH);
	fd = fspick(at, "", FSPICK_EMPTY_PATH | FSPICK_NO_AUTOMOUNT);
	CHECK(fd >= 0);
	FAILS(string(fd, "nonsense", "x"), EINVAL);
	said(fd, "e tmpfs: Unknown parameter 'nonsense'\n");
	close(fd);
	close(at);
	CHECK(umount2("p2", 0) == 0 && umount2("p", 0) == 0);
}

static void powerless(void) {
	FAILS(fsopen("tmpfs", 0), EPERM);
	FAILS(fsopen("tmpfs", 99), EPERM);
	FAILS(fspick(AT_FDCWD, "/", 0), EPERM);
	FAILS(fsmount(999, 0, 0), EPERM);
}

static void all(void) {
	CASE(opening());
	CASE(wrong());
	CASE(words());
	CASE(making());
	CASE(failing());
	CASE(picking());
	CASE(unprivileged(powerless));
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
