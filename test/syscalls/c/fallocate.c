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
	dir("small");
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
	APART(what_must_not_grow());
	APART(what_is_refused_first());
	APART(within_the_limit());
}

static void more(void) { APART(pages_are_whole()); }

int main(void) {
	CHECK(apart(all) == 0 && apart(more) == 0);
	return 0;
}
