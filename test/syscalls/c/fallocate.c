// fallocate(2) in memory: all or nothing, and in what order it is refused.
// covers: fallocate
#include "mounts.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>

enum { PAGE = 4096, ALL = 256 }; // pages

static long left(void) {
	struct statfs st;
	CHECK(statfs("small", &st) == 0 && st.f_blocks == ALL);
	return st.f_bfree;
}

static int file(const char *name) {
	int fd = open(name, O_RDWR | O_CREAT, 0644);
	CHECK(fd >= 0);
	return fd;
}

static void small(void) {
	CHECK(mkdir("small", 0755) == 0 || errno == EEXIST);
	CHECK(mount("none", "small", "tmpfs", 0, "size=1m") == 0);
}

// Who does not get all has no more than before.
static void all_or_nothing(void) {
	struct stat st;
	small();
	int fd = file("small/f");
	CHECK(fallocate(fd, 0, 0, 100 * PAGE) == 0 && left() == ALL - 100);
	FAILS(fallocate(fd, 0, 100 * PAGE, 200 * PAGE), ENOSPC);
	CHECK(left() == ALL - 100 && fstat(fd, &st) == 0 && st.st_size == 100 * PAGE && st.st_blocks == 100 * PAGE / 512);
	FAILS(fallocate(fd, FALLOC_FL_KEEP_SIZE, PAGE / 2, ALL * PAGE), ENOSPC);
	CHECK(left() == ALL - 100);
	CHECK(fallocate(fd, 0, 50 * PAGE, (ALL - 50) * PAGE) == 0 && left() == 0);
	CHECK(fallocate(fd, 0, 1, ALL * PAGE - 1) == 0);
	FAILS(fallocate(fd, 0, 1, ALL * PAGE), ENOSPC);
	CHECK(ftruncate(fd, 0) == 0 && left() == ALL);
}

// A page is one however little of it is asked for.
static void pages_are_whole(void) {
	small();
	int fd = file("small/f"), other = file("small/g");
	CHECK(fallocate(other, 0, 0, (ALL - 1) * PAGE) == 0 && left() == 1);
	FAILS(fallocate(fd, 0, PAGE - 1, 2), ENOSPC);
	CHECK(left() == 1 && fallocate(fd, 0, PAGE - 1, 1) == 0 && left() == 0);
}

// extent says where data begins that is looked for from page from on, and where it ends.
static void extent(int fd, long from, long begins, long ends) {
	CHECK(lseek(fd, from * PAGE, SEEK_DATA) == begins * PAGE);
	CHECK(lseek(fd, begins * PAGE, SEEK_HOLE) == ends * PAGE);
}

static int reserved_pages(int fd) {
	struct stat st;
	CHECK(fstat(fd, &st) == 0);
	return st.st_blocks * 512 / PAGE;
}

// Reserved is no data, but stays charged, until it is written or seen by a mapping.
static void reserved_is_a_hole(void) {
	char b[PAGE];
	small();
	int fd = file("small/f");
	CHECK(fallocate(fd, 0, 0, 16 * PAGE) == 0 && left() == ALL - 16);
	FAILS(lseek(fd, 0, SEEK_DATA), ENXIO);
	CHECK(lseek(fd, PAGE, SEEK_HOLE) == PAGE);
	CHECK(pwrite(fd, "x", 1, 2 * PAGE + 1) == 1 && pread(fd, b, PAGE, 4 * PAGE) == PAGE && b[0] == 0);
	extent(fd, 0, 2, 3);
	FAILS(lseek(fd, 3 * PAGE, SEEK_DATA), ENXIO);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 4 * PAGE + 10, 100) == 0);
	FAILS(lseek(fd, 3 * PAGE, SEEK_DATA), ENXIO);

	volatile char *m = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED && m[5 * PAGE] == 0);
	m[7 * PAGE] = 'y';
	extent(fd, 0, 2, 3), extent(fd, 3, 5, 6), extent(fd, 6, 7, 8);
	CHECK(reserved_pages(fd) == 16 && left() == ALL - 16);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 5 * PAGE, 4 * PAGE) == 0);
	CHECK(reserved_pages(fd) == 12 && left() == ALL - 12);
	extent(fd, 0, 2, 3);
	FAILS(lseek(fd, 3 * PAGE, SEEK_DATA), ENXIO);
	CHECK(m[7 * PAGE] == 0);
	extent(fd, 3, 7, 8);
	CHECK(fallocate(fd, 0, 6 * PAGE, 2 * PAGE) == 0 && reserved_pages(fd) == 14);
	extent(fd, 3, 7, 8);

	CHECK(ftruncate(fd, 3 * PAGE + 10) == 0 && reserved_pages(fd) == 4 && ftruncate(fd, 16 * PAGE) == 0);
	extent(fd, 0, 2, 3);
	FAILS(lseek(fd, 3 * PAGE, SEEK_DATA), ENXIO);
	CHECK(left() == ALL - 4);
}

// What is reserved in a file that is mapped already.
static void reserved_below_a_mapping(void) {
	small();
	int fd = file("small/f");
	CHECK(ftruncate(fd, 16 * PAGE) == 0);
	volatile char *m = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	m[3 * PAGE] = 'y';
	CHECK(fallocate(fd, 0, 0, 16 * PAGE) == 0);
	extent(fd, 0, 3, 4);
	CHECK(reserved_pages(fd) == 16 && left() == ALL - 16);
	FAILS(lseek(fd, 4 * PAGE, SEEK_DATA), ENXIO);
	CHECK(pwrite(fd, "x", 1, 9 * PAGE) == 1);
	extent(fd, 4, 9, 10);
	char b[PAGE];
	CHECK(pread(fd, b, PAGE, 12 * PAGE) == PAGE && b[0] == 0 && m[3 * PAGE] == 'y');
	CHECK(pread(fd, b, PAGE, 3 * PAGE) == PAGE && b[0] == 'y');
	FAILS(lseek(fd, 10 * PAGE, SEEK_DATA), ENXIO); // who reads makes no data
	CHECK(reserved_pages(fd) == 16 && left() == ALL - 16);
}

static void what_must_not_grow(void) {
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	CHECK(ftruncate(fd, PAGE) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
	FAILS(fallocate(fd, 0, 0, 2 * PAGE), EPERM);
	FAILS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE), EPERM);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE) == 0);
}

static void what_is_refused_first(void) {
	int r = open("/dev/null", O_RDONLY), path = open("/dev/null", O_PATH), d = open(".", O_RDONLY), p[2], s[2];
	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	FAILS(fallocate(path, 0, -1, 1), EBADF);
	FAILS(fallocate(r, 0, -1, 1), EINVAL);
	FAILS(fallocate(r, 0, 0, 0), EINVAL);
	FAILS(fallocate(r, 1 << 20, 0, 1), EOPNOTSUPP);
	FAILS(fallocate(r, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	FAILS(fallocate(r, 0, 0, 1), EBADF);
	FAILS(fallocate(d, 0, 0, 1), EBADF);
	FAILS(fallocate(p[1], 0, 0, 1), ESPIPE);
	FAILS(fallocate(s[0], 0, 0, 1), ENODEV);
	FAILS(fallocate(open("/dev/null", O_RDWR), 0, 0, 1), ENODEV);
}

// RLIMIT_FSIZE is for the space beyond it, whatever becomes of the size; not for holes.
static void within_the_limit(void) {
	int fd = memfd_create("limited", 0);
	struct rlimit old, one = {PAGE, 0};
	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	one.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_FSIZE, &one) == 0);
	CHECK(fallocate(fd, 0, 0, PAGE) == 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE) == 0);
	FAILS(fallocate(fd, 0, 1, PAGE), EFBIG);
	FAILS(fallocate(fd, FALLOC_FL_KEEP_SIZE, PAGE, 1), EFBIG);
	FAILS(fallocate(fd, FALLOC_FL_ZERO_RANGE, PAGE, 1), EOPNOTSUPP);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, PAGE, PAGE) == 0);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
}

static void all(void) {
	APART(all_or_nothing());
	APART(pages_are_whole());
	APART(reserved_is_a_hole());
	APART(reserved_below_a_mapping());
	APART(what_must_not_grow());
	APART(what_is_refused_first());
	APART(within_the_limit());
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
