// covers: mount umount2 statfs open read ioctl
// Filesystems on loop devices: an EROFS image, whoever writes to it meanwhile.
#include "loop.h"
#include <sys/statvfs.h>
#include <sys/vfs.h>

static void at_work(void) {
	char b[8192];
	struct stat st, dev;
	struct statfs fs;
	struct loop l = take(erofs("f", 1, 70000), O_RDWR);
	dir("m");
	dir("n");
	const char *name = node(l.n);
	if (mount(name, "m", "erofs", MS_RDONLY, NULL) != 0 && errno == ENODEV) {
		printf("absent EROFS\n");
		return;
	}
	CHECK(stat("m/small", &st) == 0 && st.st_dev == makedev(7, l.n) && st.st_size == 6 && st.st_mtime == 1000000000);
	int fd = open("m/large", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, b, 8192, 4096) == 8192 && b[0] == 2 && b[8191] == 3 && pread(fd, b, 8192, 69632) == 368 && b[0] == 18);
	FAILS(open("m/small", O_RDWR), EROFS);
	FAILS(open("m/none", O_RDONLY), ENOENT);
	CHECK(statfs("m", &fs) == 0 && fs.f_type == 0xe0f5e1e2 && (fs.f_flags & ST_RDONLY) && fs.f_blocks == BLOCKS);
	char want[128];
	snprintf(want, sizeof want, "erofs %s", name);
	IS(field("m", 'f'), want);
	CHECK(strncmp(field("m", 's'), "ro", 2) == 0);
	// Who mounts it again gets the same, if it is to be read-only again.
	FAILS(mount(name, "n", "erofs", 0, NULL), EBUSY);
	CHECK(mount(name, "n", "erofs", MS_RDONLY, NULL) == 0 && stat("n/small", &dev) == 0 && dev.st_dev == st.st_dev && dev.st_ino == st.st_ino);
	FAILS(open(name, O_RDONLY | O_EXCL), EBUSY);
	CHECK(umount("n") == 0);
	// The device stays while it is mounted.
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0 && close(l.fd) == 0);
	CHECK(pread(fd, b, 1, 0) == 1 && b[0] == 1);
	FAILS(umount("m"), EBUSY);
	close(fd);
	CHECK(umount("m") == 0);
	CHECK((fd = open(name, O_RDONLY)) >= 0 && bytes(fd) == 0);
	close(fd);
}

static void refused(void) {
	int on = 1;
	dir("m");
	struct loop l = take(image("zeros", MIB), O_RDWR);
	const char *name = node(l.n);
	FAILS(mount(name, "m", "erofs", MS_RDONLY, NULL), EINVAL);
	CHECK(ioctl(l.fd, BLKROSET, &on) == 0);
	FAILS(mount(name, "m", "erofs", 0, NULL), EACCES);
	on = 0;
	CHECK(ioctl(l.fd, BLKROSET, &on) == 0);
	drop(l);
	l = take(-1, O_RDWR);
	FAILS(mount(node(l.n), "m", "erofs", MS_RDONLY, NULL), EINVAL);
	close(l.fd);
	FAILS(mount("/dev/null", "m", "erofs", MS_RDONLY, NULL), ENOTBLK);
	FAILS(mount(".", "m", "erofs", MS_RDONLY, NULL), ENOTBLK);
	FAILS(mount("none", "m", "erofs", MS_RDONLY, NULL), ENOENT);
	FAILS(mount(NULL, "m", "erofs", MS_RDONLY, NULL), EINVAL);
	FAILS(mount("", "m", "erofs", MS_RDONLY, NULL), EINVAL);
	CHECK(mknod("odd", S_IFBLK | 0600, makedev(99, 7)) == 0 && mknod("/dev/odd", S_IFBLK | 0600, makedev(99, 7)) == 0);
	CHECK(mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL) == 0);
	FAILS(mount("odd", "m", "erofs", MS_RDONLY, NULL), EACCES);
	unlink("/dev/odd");
}

static void in_another(void) {
	char b[16];
	// An image in an image: "large" of the outer one is the inner one.
	int outer = erofs("outer", 30, BLOCKS * 4096), inner = erofs("inner", 1, 4096);
	for (int i = 0, n; (n = pread(inner, b, sizeof b, i)) > 0; i += n)
		CHECK(pwrite(outer, b, n, 30 * 4096 + i) == n);
	struct loop l = take(outer, O_RDWR);
	dir("m");
	dir("n");
	if (mount(node(l.n), "m", "erofs", MS_RDONLY, NULL) != 0 && errno == ENODEV)
		return;
	int fd = open("m/large", O_RDONLY);
	CHECK(fd >= 0);
	struct loop high = take(fd, O_RDWR);
	CHECK(status(high.fd).lo_flags == LO_FLAGS_READ_ONLY);
	FAILS(mount(node(high.n), "n", "erofs", 0, NULL), EACCES);
	CHECK(mount(node(high.n), "n", "erofs", MS_RDONLY, NULL) == 0);
	int small = open("n/small", O_RDONLY);
	CHECK(small >= 0 && read(small, b, sizeof b) == 6 && memcmp(b, "hello\n", 6) == 0);
	close(small);
	CHECK(umount("n") == 0);
	drop(high);
	close(fd);
	CHECK(umount("m") == 0);
	drop(l);
}

// A file of an image that is a file can't be mounted: it would lie on two.
static void in_file(void) {
	dir("m");
	dir("n");
	erofs("outer", 0, BLOCKS * 4096);
	if (mount("outer", "m", "erofs", MS_RDONLY, NULL) != 0)
		return; // Linux before 6.12
	FAILS(mount("m/large", "n", "erofs", MS_RDONLY, NULL), ENOTBLK);
	CHECK(umount("m") == 0);
}

// What lies in an image may change as it likes: who reads it ends, with errors or without.
static void changing(void) {
	int file = erofs("f", 1, 70000);
	struct loop l = take(file, O_RDWR);
	dir("m");
	if (mount(node(l.n), "m", "erofs", MS_RDONLY, NULL) != 0 && errno == ENODEV)
		return;
	char b[4096];
	for (int i = 0; i < 200; i++) {
		unsigned char x[64];
		for (unsigned k = 0; k < sizeof x; k++)
			x[k] = rand();
		CHECK(pwrite(file, x, sizeof x, 1024 + 128 + rand() % 1024) == sizeof x);
		if (i == 150)
			CHECK(ftruncate(file, 2048) == 0);
		struct stat st;
		stat("m/small", &st);
		stat("m/other", &st);
		int fd = open(i & 1 ? "m/large" : "m/small", O_RDONLY);
		if (fd >= 0) {
			pread(fd, b, sizeof b, rand() % 80000);
			void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
			if (p != MAP_FAILED)
				munmap(p, 4096);
			close(fd);
		}
		fd = open("m", O_RDONLY | O_DIRECTORY);
		if (fd >= 0) {
			syscall(SYS_getdents64, fd, b, sizeof b);
			close(fd);
		}
	}
	CHECK(umount("m") == 0);
	drop(l);
}

int main(void) {
	close(open_control());
	CASE(CHECK(apart(at_work) == 0));
	CASE(CHECK(apart(refused) == 0));
	CASE(CHECK(apart(in_another) == 0));
	CASE(CHECK(apart(in_file) == 0));
	CASE(CHECK(apart(changing) == 0));
	return 0;
}
