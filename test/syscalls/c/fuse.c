// covers: mount umount2 open read write stat mkdir mknod unlink rmdir rename renameat2 link symlink readlink truncate ftruncate chmod chown utimensat statfs getdents64 access fsync
// A guest's own FUSE server, fuse(4): what it is asked, and what becomes of its answers.
#include "fuse.h"

static void device(void) {
	char b[8192];
	int fd = open_fuse();
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 229));
	FAILS(read(fd, b, sizeof b), EPERM);
	FAILS(write(fd, b, 16), EPERM);
	FAILS(lseek(fd, 0, SEEK_CUR), ESPIPE);
	mkdir("m", 0755);
	FAILS(mount("x", "m", "fuse", 0, NULL), EINVAL);
	FAILS(mount("x", "m", "fuse", 0, "fd=0,rootmode=40000,user_id=0,group_id=0"), EINVAL);
	FAILS(mount("x", "m", "fuse", 0, "fd=999,rootmode=40000,user_id=0,group_id=0"), EINVAL);
	snprintf(b, sizeof b, "fd=%d,rootmode=0,user_id=0,group_id=0", fd);
	FAILS(mount("x", "m", "fuse", 0, b), EINVAL);
	snprintf(b, sizeof b, "fd=%d,rootmode=40000,user_id=0", fd);
	FAILS(mount("x", "m", "fuse", 0, b), EINVAL);
	snprintf(b, sizeof b, "fd=%d,rootmode=40000,user_id=0,group_id=0,what=1", fd);
	FAILS(mount("x", "m", "fuse", 0, b), EINVAL);
	snprintf(b, sizeof b, "fd=%d,rootmode=40000,user_id=0,group_id=0,blksize=512", fd);
	FAILS(mount("x", "m", "fuse", 0, b), EINVAL);
	CHECK(try_mount("m", fd, "fuse.x.y", "") == 0);
	FAILS(read(fd, b, 8191), EINVAL);
	CHECK(read(fd, b, sizeof b) == 40 + 16 || ((struct fuse_in_header *)b)->opcode == FUSE_INIT);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	FAILS(read(fd, b, sizeof b), EAGAIN);
	CHECK(umount("m") == 0);
	FAILS(read(fd, b, sizeof b), ENODEV);
	close(fd);
}

static void shown(void) {
	fresh(",allow_other,max_read=8192");
	char line[512], want[128];
	int found = 0;
	FILE *f = fopen("/proc/mounts", "r");
	snprintf(want, sizeof want, " fuse.test rw,nosuid,nodev,relatime,user_id=%d,group_id=%d,allow_other,max_read=8192 0 0\n", getuid(), getgid());
	while (fgets(line, sizeof line, f))
		if (strncmp(line, "server ", 7) == 0) {
			found++;
			CHECK(strlen(line) > strlen(want) && strcmp(line + strlen(line) - strlen(want), want) == 0);
		}
	fclose(f);
	CHECK(found == 1);
	struct statfs s;
	CHECK(statfs("m", &s) == 0);
	CHECK(s.f_type == 0x65735546 && s.f_blocks == 1000 && s.f_bfree == 500 && s.f_bavail == 400 && s.f_files == 30);
	CHECK(s.f_ffree == 20 && s.f_bsize == 512 && s.f_namelen == 200 && s.f_frsize == 1024);
	CHECK(w->init.major == 7 && w->init.minor >= 31 && w->seen[FUSE_INIT] == 1);
	over();
}

static void attributes(void) {
	new_world();
	uint32_t n = put(1, "f", S_IFREG | 0640, "hello");
	w->nodes[n].uid = 12, w->nodes[n].gid = 34;
	put(1, "d", S_IFCHR | 0600, "");
	w->nodes[3].rdev = 3 << 8 | 5;
	begin("");
	struct stat st, root;
	CHECK(stat("m", &root) == 0 && stat("m/f", &st) == 0);
	CHECK(st.st_dev == root.st_dev && major(st.st_dev) == 0 && root.st_ino == 101);
	CHECK(st.st_ino == n + 100 && st.st_mode == (S_IFREG | 0640) && st.st_nlink == 1 && st.st_uid == 12 && st.st_gid == 34);
	CHECK(st.st_size == 5 && st.st_blocks == 1 && st.st_mtim.tv_sec == 1000000000 && st.st_mtim.tv_nsec == 5 && st.st_blksize == 4096);
	CHECK(stat("m/d", &st) == 0 && st.st_rdev == makedev(3, 5));
	FAILS(open("m/d", O_RDONLY), EACCES);
	// What is valid is not asked for again; what is not, is.
	uint32_t asked = w->seen[FUSE_GETATTR], looked = w->seen[FUSE_LOOKUP];
	CHECK(stat("m/f", &st) == 0);
	CHECK(w->seen[FUSE_GETATTR] == asked && w->seen[FUSE_LOOKUP] == looked);
	w->attr_valid = 0;
	CHECK(chmod("m/f", 0600) == 0 && w->setattr.valid == FATTR_MODE && (w->setattr.mode & 07777) == 0600);
	asked = w->seen[FUSE_GETATTR];
	w->nodes[n].size = 3;
	CHECK(stat("m/f", &st) == 0 && st.st_size == 3 && st.st_mode == (S_IFREG | 0600));
	CHECK(w->seen[FUSE_GETATTR] == asked + 1 && w->seen[FUSE_LOOKUP] == looked);
	CHECK(chown("m/f", 5, -1) == 0 && (w->setattr.valid & (FATTR_UID | FATTR_GID)) == FATTR_UID && w->setattr.uid == 5);
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 77}};
	CHECK(utimensat(AT_FDCWD, "m/f", t, 0) == 0 && w->setattr.mtime == 77 && !(w->setattr.valid & FATTR_ATIME));
	CHECK(truncate("m/f", 9) == 0 && w->setattr.size == 9 && !(w->setattr.valid & FATTR_FH));
	CHECK(stat("m/f", &st) == 0 && st.st_size == 9);
	w->fails = bit(FUSE_GETATTR), w->error = EXDEV;
	FAILS(stat("m/f", &st), EXDEV);
	over();
}

static void names(void) {
	fresh("");
	struct stat st;
	FAILS(stat("m/x", &st), ENOENT);
	umask(027);
	CHECK(mkdir("m/d", 0777) == 0 && mknod("m/d/p", S_IFIFO | 0666, 0) == 0);
	umask(022);
	CHECK(stat("m/d", &st) == 0 && st.st_mode == (S_IFDIR | 0750));
	CHECK(stat("m/d/p", &st) == 0 && st.st_mode == (S_IFIFO | 0640));
	CHECK(symlink("d/p", "m/l") == 0);
	char b[64];
	CHECK(readlink("m/l", b, sizeof b) == 3 && memcmp(b, "d/p", 3) == 0);
	CHECK(stat("m/l", &st) == 0 && S_ISFIFO(st.st_mode));
	int fd = open("m/d/f", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && w->seen[FUSE_CREATE] == 1 && write(fd, "abc", 3) == 3 && close(fd) == 0);
	CHECK(link("m/d/f", "m/g") == 0 && stat("m/g", &st) == 0 && st.st_nlink == 2 && st.st_size == 3);
	CHECK(rename("m/d/f", "m/h") == 0 && w->seen[FUSE_RENAME] == 1);
	FAILS(stat("m/d/f", &st), ENOENT);
	CHECK(stat("m/h", &st) == 0 && st.st_nlink == 2);
	FAILS(renameat2(AT_FDCWD, "m/h", AT_FDCWD, "m/g", RENAME_NOREPLACE), EEXIST);
	CHECK(renameat2(AT_FDCWD, "m/d", AT_FDCWD, "m/l", RENAME_EXCHANGE) == 0 && w->seen[FUSE_RENAME2] == 1);
	CHECK(lstat("m/d", &st) == 0 && S_ISLNK(st.st_mode) && stat("m/l/p", &st) == 0);
	FAILS(rmdir("m/l"), ENOTEMPTY);
	CHECK(unlink("m/l/p") == 0 && rmdir("m/l") == 0);
	FAILS(stat("m/l", &st), ENOENT);
	CHECK(unlink("m/g") == 0 && stat("m/h", &st) == 0 && st.st_nlink == 1);
	// A name that the server takes away stays as long as it has said, and no longer.
	w->entry_valid = 0;
	CHECK(mkdir("m/e", 0700) == 0 && stat("m/e", &st) == 0);
	w->names[find(1, "e") - 1].node = 0;
	FAILS(stat("m/e", &st), ENOENT);
	w->negative_valid = 1000;
	FAILS(stat("m/y", &st), ENOENT);
	uint32_t looked = w->seen[FUSE_LOOKUP];
	put(1, "y", S_IFREG | 0600, "");
	FAILS(stat("m/y", &st), ENOENT);
	CHECK(w->seen[FUSE_LOOKUP] == looked);
	over();
}

static void data(void) {
	fresh("");
	static char b[200000], c[200000];
	for (unsigned i = 0; i < sizeof b; i++) b[i] = i * 7 + i / 4096;
	int fd = open("m/f", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, b, sizeof b) == sizeof b && w->seen[FUSE_WRITE] >= 2);
	CHECK(pread(fd, c, sizeof c, 0) == sizeof c && memcmp(b, c, sizeof b) == 0);
	CHECK(pread(fd, c, 100, sizeof b - 10) == 10 && pread(fd, c, 100, sizeof b) == 0);
	CHECK(lseek(fd, 0, SEEK_END) == sizeof b);
	CHECK(ftruncate(fd, 10) == 0 && (w->setattr.valid & FATTR_FH));
	CHECK(pread(fd, c, 100, 0) == 10);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0 && w->seen[FUSE_FSYNC] == 2);
	CHECK(close(fd) == 0 && w->seen[FUSE_FLUSH] == 1);
	UNTIL(w->seen[FUSE_RELEASE] == 1);
	fd = open("m/f", O_WRONLY | O_APPEND);
	CHECK(fd >= 0 && (w->open.flags & O_APPEND) && write(fd, "xy", 2) == 2 && write(fd, "z", 1) == 1);
	FAILS(read(fd, c, 1), EBADF);
	close(fd);
	CHECK(w->nodes[2].size == 13 && memcmp(w->nodes[2].data + 10, "xyz", 3) == 0);
	fd = open("m/f", O_WRONLY | O_TRUNC);
	CHECK(fd >= 0 && w->nodes[2].size == 0 && !(w->open.flags & O_TRUNC));
	w->fails = bit(FUSE_WRITE), w->error = ENOSPC;
	FAILS(write(fd, "x", 1), ENOSPC);
	w->fails = bit(FUSE_FLUSH), w->error = EDQUOT;
	FAILS(close(fd), EDQUOT);
	w->fails = 0;
	// With FOPEN_DIRECT_IO it is the server that says where a file ends.
	w->open_flags = FOPEN_DIRECT_IO, w->attr_valid = 1000;
	fd = open("m/f", O_RDONLY);
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
	w->nodes[2].size = 5;
	memcpy(w->nodes[2].data, "later", 5);
	CHECK(read(fd, c, 100) == 5 && memcmp(c, "later", 5) == 0 && read(fd, c, 100) == 0);
	close(fd);
	w->open_flags = FOPEN_NONSEEKABLE | FOPEN_DIRECT_IO;
	fd = open("m/f", O_RDONLY);
	FAILS(pread(fd, c, 1, 0), ESPIPE);
	FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
	CHECK(read(fd, c, 2) == 2 && read(fd, c, 3) == 3 && memcmp(c, "ter", 3) == 0);
	close(fd);
	over();
}

static void listing(int flags) {
	new_world();
	w->flags = flags;
	char path[32];
	for (int i = 0; i < 25; i++) {
		snprintf(path, sizeof path, "file%02d", i);
		put(1, path, S_IFREG | 0600, "x");
	}
	begin("");
	for (int round = 0; round < 2; round++) {
		int n = 0, dots = 0;
		struct dirent *e;
		DIR *d = opendir("m");
		CHECK(d);
		while ((e = readdir(d))) {
			if (e->d_name[0] == '.') {
				dots++;
				continue;
			}
			snprintf(path, sizeof path, "file%02d", n);
			CHECK(strcmp(e->d_name, path) == 0 && e->d_ino == (ino_t)n + 102 && e->d_type == DT_REG);
			n++;
		}
		CHECK(n == 25 && dots == 2);
		closedir(d);
	}
	UNTIL(w->seen[FUSE_RELEASEDIR] == 2);
	CHECK((w->seen[FUSE_READDIRPLUS] > 0) == (flags != 0));
	// What came with the names need not be looked up.
	struct stat st;
	CHECK(stat("m/file07", &st) == 0 && st.st_ino == 109 && st.st_size == 1);
	CHECK(w->seen[FUSE_LOOKUP] == (flags ? 0 : 1));
	// Whatever was told is given back.
	CHECK(umount("m") == 0);
	close(dev);
	waitpid(server, NULL, 0);
	CHECK(w->ended == ENODEV);
}

static void lacking(void) {
	new_world();
	uint32_t n = put(1, "f", S_IFREG | 0640, "hello");
	w->lacks = bit(FUSE_ACCESS) | bit(FUSE_FLUSH) | bit(FUSE_FSYNC) | bit(FUSE_CREATE) | bit(FUSE_RENAME2) | bit(FUSE_OPEN) | bit(FUSE_OPENDIR) | bit(FUSE_GETXATTR) | bit(FUSE_FALLOCATE) | bit(FUSE_LSEEK) | bit(FUSE_IOCTL) | bit(FUSE_POLL);
	w->flags = FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT;
	begin("");
	for (int i = 0; i < 2; i++) {
		char b[8];
		CHECK(access("m/f", W_OK) == 0);
		int fd = open("m/f", O_RDWR);
		CHECK(fd >= 0 && read(fd, b, 8) == 5 && fsync(fd) == 0);
		FAILS(fallocate(fd, 0, 0, 100), EOPNOTSUPP);
		CHECK(lseek(fd, 1, SEEK_DATA) == 1 && lseek(fd, 1, SEEK_HOLE) == 5);
		FAILS(ioctl(fd, _IO(70, 1)), ENOTTY);
		CHECK(close(fd) == 0);
		FAILS(renameat2(AT_FDCWD, "m/f", AT_FDCWD, "m/g", RENAME_NOREPLACE), EINVAL);
		DIR *d = opendir("m");
		CHECK(d && readdir(d));
		closedir(d);
	}
	int fd = open("m/new", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && w->seen[FUSE_MKNOD] == 1);
	close(fd);
	CHECK(w->seen[FUSE_ACCESS] == 1 && w->seen[FUSE_FLUSH] == 1 && w->seen[FUSE_FSYNC] == 1 && w->seen[FUSE_OPEN] == 1);
	CHECK(w->seen[FUSE_OPENDIR] == 1 && w->seen[FUSE_FALLOCATE] == 1 && w->seen[FUSE_LSEEK] == 1 && w->seen[FUSE_RENAME2] == 1);
	CHECK(w->seen[FUSE_RELEASE] == 0 && w->nodes[n].lookups == 1);
	over();
}

// lookups: what is no longer used is forgotten, as often as it was told.
static void forgotten(void) {
	new_world();
	uint32_t n = put(1, "f", S_IFREG | 0640, "hello");
	begin("");
	struct stat st;
	CHECK(stat("m/f", &st) == 0 && w->nodes[n].lookups == 1);
	CHECK(unlink("m/f") == 0);
	UNTIL(w->nodes[n].lookups == 0);
	over();
}

int main(void) {
	CASE(device());
	CASE(shown());
	CASE(attributes());
	CASE(names());
	CASE(data());
	APART(listing(0));
	APART(listing(FUSE_DO_READDIRPLUS));
	APART(listing(FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO));
	CASE(lacking());
	CASE(forgotten());
	return 0;
}
