// ioctl(2) about the blocks of files: FIGETBSZ, FIBMAP, FS_IOC_FIEMAP.
// covers: ioctl
#include "check.h"
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int fiemap(int fd) {
	struct fiemap m = {.fm_length = FIEMAP_MAX_OFFSET};
	CHECK(fd >= 0);
	return ioctl(fd, FS_IOC_FIEMAP, &m);
}

// What lies in memory, or nowhere, is not mapped to blocks; which comes before what is asked.
static void no_extents(void) {
	int p[2], file = open("/dev/shm/blocks", O_CREAT | O_RDWR, 0600), null = open("/dev/null", O_RDWR);
	CHECK(pipe(p) == 0 && write(file, "x", 1) == 1);
	FAILS(fiemap(file), EOPNOTSUPP);
	FAILS(ioctl(file, FS_IOC_FIEMAP, NULL), EOPNOTSUPP);
	FAILS(fiemap(memfd_create("m", 0)), EOPNOTSUPP);
	FAILS(fiemap(open("/dev/shm", O_RDONLY)), EOPNOTSUPP);
	FAILS(fiemap(open("/proc/self/status", O_RDONLY)), EOPNOTSUPP);
	FAILS(fiemap(null), EOPNOTSUPP);
	FAILS(fiemap(p[0]), EOPNOTSUPP);
	FAILS(fiemap(open("/dev/null", O_PATH)), EBADF);
}

// A filesystem on a disk has extents, or says that it does not tell.
static void extents_or_no_answer(void) {
	int file = open("file", O_CREAT | O_RDWR, 0600);
	CHECK(file >= 0 && write(file, "x", 1) == 1);
	CHECK(fiemap(file) == 0 || errno == EOPNOTSUPP);
}

static void size_of(int fd) {
	struct stat st;
	int n = 0;
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && ioctl(fd, FIGETBSZ, &n) == 0 && n == st.st_blksize);
	FAILS(ioctl(fd, FIGETBSZ, NULL), EFAULT);
}

static void sizes(void) {
	int p[2];
	CHECK(pipe(p) == 0);
	size_of(open("file", O_CREAT | O_RDWR, 0600)), size_of(open(".", O_RDONLY)), size_of(open("/dev/null", O_RDONLY));
	size_of(memfd_create("m", 0)), size_of(p[0]);
}

static void where_is_for_the_privileged(void) {
	int n = 0, file = memfd_create("m", 0), dir = open(".", O_RDONLY), null = open("/dev/null", O_RDWR);
	FAILS(ioctl(dir, FIBMAP, &n), ENOTTY);
	FAILS(ioctl(null, FIBMAP, &n), ENOTTY);
	CHECK(setresuid(1000, 1000, 1000) == 0);
	FAILS(ioctl(file, FIBMAP, &n), EPERM);
	FAILS(ioctl(file, FIBMAP, NULL), EPERM);
}

int main(void) {
	APART(no_extents());
	APART(extents_or_no_answer());
	APART(sizes());
	APART(where_is_for_the_privileged());
	return 0;
}
