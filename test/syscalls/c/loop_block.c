// covers: ioctl fallocate open
// What loop devices have in common with all block devices, and where they show.
#include "loop.h"

static void asked(void) {
	struct loop l = take(image("f", MIB), O_RDWR);
	unsigned long sectors, ahead;
	uint64_t first, again;
	unsigned u;
	unsigned short s;
	int n;
	CHECK(ioctl(l.fd, BLKGETSIZE, &sectors) == 0 && sectors == MIB / 512);
	CHECK(ioctl(l.fd, BLKSSZGET, &n) == 0 && n == 512 && ioctl(l.fd, BLKPBSZGET, &u) == 0 && u == 512);
	CHECK(ioctl(l.fd, BLKBSZGET, &n) == 0 && n == 4096 && ioctl(l.fd, BLKIOMIN, &u) == 0 && u == 512);
	CHECK(ioctl(l.fd, BLKIOOPT, &u) == 0 && u == 0 && ioctl(l.fd, BLKALIGNOFF, &n) == 0 && n == 0);
	CHECK(ioctl(l.fd, BLKROTATIONAL, &s) == 0 && ioctl(l.fd, BLKSECTGET, &s) == 0 && s > 0);
	CHECK(ioctl(l.fd, BLKRAGET, &ahead) == 0 && ioctl(l.fd, BLKRASET, 100) == 0 && ioctl(l.fd, BLKRAGET, &ahead) == 0 && ahead == 96);
	FAILS(ioctl(l.fd, BLKRAGET, NULL), EINVAL);
	CHECK(ioctl(l.fd, BLKFLSBUF, 0) == 0);
	FAILS(ioctl(l.fd, BLKRRPART, 0), EINVAL);
	FAILS(ioctl(l.fd, 0x301, &n), ENOTTY);
	CHECK(ioctl(l.fd, FIGETBSZ, &n) == 0 && n > 0);
	FAILS(ioctl(l.fd, BLKROSET, NULL), EFAULT);
	FAILS(ioctl(l.fd, BLKGETSIZE64, NULL), EFAULT);
	n = 1000;
	FAILS(ioctl(l.fd, BLKBSZSET, &n), EINVAL);
	n = 1024;
	CHECK(ioctl(l.fd, BLKBSZSET, &n) == 0 && ioctl(l.fd, BLKBSZGET, &n) == 0 && n == 1024);
	CHECK(ioctl(l.fd, LOOP_SET_BLOCK_SIZE, 4096) == 0 && ioctl(l.fd, BLKSSZGET, &n) == 0 && n == 4096);
	FAILS(ioctl(l.fd, LOOP_SET_BLOCK_SIZE, 1000), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_BLOCK_SIZE, 256), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_BLOCK_SIZE, 128 << 10), EINVAL);
	CHECK(ioctl(l.fd, LOOP_SET_DIRECT_IO, 0) == 0);
	CHECK(ioctl(l.fd, BLKGETDISKSEQ, &first) == 0);
	drop(l);
	CHECK((l.fd = open(node(l.n), O_RDWR)) >= 0);
	if (ioctl(l.fd, LOOP_SET_FD, image("f", MIB)) == 0) {
		CHECK(ioctl(l.fd, BLKGETDISKSEQ, &again) == 0 && again > first);
		ioctl(l.fd, LOOP_CLR_FD);
	}
	close(l.fd);
}

static void blanked(void) {
	unsigned char b[1024];
	int file = image("f", MIB);
	struct loop l = take(file, O_RDWR);
	int ro = open(node(l.n), O_RDONLY);
	uint64_t r[2] = {4096, 8192};
	FAILS(ioctl(ro, BLKDISCARD, r), EBADF);
	FAILS(ioctl(ro, BLKZEROOUT, r), EBADF);
	FAILS(ioctl(l.fd, BLKSECDISCARD, r), EOPNOTSUPP);
	CHECK(ioctl(l.fd, BLKDISCARD, r) == 0 && pread(l.fd, b, 1, 4097) == 1 && b[0] == 0 && pread(l.fd, b, 1, 4096 + 8192) == 1 && b[0] == 24);
	r[0] = 16384, r[1] = 512;
	CHECK(ioctl(l.fd, BLKZEROOUT, r) == 0 && pread(l.fd, b, 513, 16384) == 513 && b[0] == 0 && b[511] == 0 && b[512] == 33);
	r[0] = 1;
	FAILS(ioctl(l.fd, BLKDISCARD, r), EINVAL);
	r[0] = 0, r[1] = 2 * MIB;
	FAILS(ioctl(l.fd, BLKDISCARD, r), EINVAL);
	FAILS(ioctl(l.fd, BLKZEROOUT, r), EINVAL);
	r[1] = 0;
	FAILS(ioctl(l.fd, BLKDISCARD, r), EINVAL);
	r[0] = -512, r[1] = 1024;
	FAILS(ioctl(l.fd, BLKDISCARD, r), EINVAL);
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	// On a tmpfs Linux has found by now that zeros can't be asked for.
	if (fallocate(l.fd, hole, 20480, 4096) == 0) {
		CHECK(pread(l.fd, b, 1, 20481) == 1 && b[0] == 0);
		CHECK(fallocate(l.fd, hole, MIB - 4096, 8192) == 0);
	} else {
		CHECK(errno == EOPNOTSUPP);
	}
	CHECK(fallocate(l.fd, FALLOC_FL_ZERO_RANGE, 28672, 512) == 0 && pread(l.fd, b, 1, 28673) == 1 && b[0] == 0);
	FAILS(fallocate(l.fd, 0, 0, 4096), EOPNOTSUPP);
	FAILS(fallocate(l.fd, hole, 0, 100), EINVAL);
	FAILS(fallocate(l.fd, hole, MIB, 4096), EINVAL);
	struct stat st;
	CHECK(fstat(file, &st) == 0 && st.st_size == MIB);
	close(ro);
	drop(l);
}

static void exclusive(void) {
	int n = 1024, file = image("f", MIB);
	struct loop l = take(file, O_RDWR);
	int e = open(node(l.n), O_RDONLY | O_EXCL);
	CHECK(e >= 0);
	FAILS(open(node(l.n), O_RDONLY | O_EXCL), EBUSY);
	int other = open(node(l.n), O_RDONLY);
	CHECK(other >= 0);
	FAILS(ioctl(l.fd, BLKBSZSET, &n), EBUSY);
	FAILS(ioctl(l.fd, LOOP_SET_BLOCK_SIZE, 1024), EBUSY);
	CHECK(ioctl(e, BLKBSZSET, &n) == 0);
	mkdir("m", 0755);
	FAILS(mount(node(l.n), "m", "erofs", MS_RDONLY, NULL), EBUSY);
	close(e);
	CHECK((e = open(node(l.n), O_RDONLY | O_EXCL)) >= 0);
	close(e);
	close(other);
	drop(l);
	// Who has it for himself can bind it, and nobody else.
	l = take(-1, O_RDWR);
	e = open(node(l.n), O_RDWR | O_EXCL);
	if (e >= 0) {
		FAILS(ioctl(l.fd, LOOP_SET_FD, file), EBUSY);
		CHECK(ioctl(e, LOOP_SET_FD, file) == 0 && ioctl(e, LOOP_CLR_FD) == 0);
		close(e);
	}
	close(l.fd);
}

static struct loop powerless;
static const char *closed;

static void no_rights(void) {
	int n = 0;
	FAILS(ioctl(powerless.fd, BLKROSET, &n), EACCES);
	FAILS(ioctl(powerless.fd, BLKFLSBUF, 0), EACCES);
	FAILS(ioctl(powerless.fd, BLKRASET, 8), EACCES);
	FAILS(ioctl(powerless.fd, BLKBSZSET, &n), EACCES);
	FAILS(ioctl(powerless.fd, BLKRRPART, 0), EACCES);
	struct loop_info64 i = status(powerless.fd);
	FAILS(ioctl(powerless.fd, LOOP_SET_STATUS64, &i), EPERM);
	FAILS(ioctl(powerless.fd, LOOP_SET_CAPACITY), EPERM);
	FAILS(ioctl(powerless.fd, LOOP_SET_BLOCK_SIZE, 512), EPERM);
	FAILS(open(closed, O_RDONLY), EACCES);
}

static void rights(void) {
	struct loop l = take(image("f", MIB), O_RDWR);
	CHECK((powerless.fd = open(node(l.n), O_RDONLY)) >= 0);
	powerless.n = l.n;
	closed = node(l.n);
	CHECK(chmod(closed, 0600) == 0);
	unprivileged(no_rights);
	close(powerless.fd);
	// Where there are no devices, there is none by such a name.
	mknod("node", S_IFBLK | 0600, makedev(7, l.n));
	FAILS(open("node", O_RDONLY), EACCES);
	drop(l);
}

// text is what the file of l's directory in /sys says, without its newline.
static const char *text(struct loop l, const char *name) {
	static char b[512];
	char path[256];
	snprintf(path, sizeof path, "/sys/block/loop%d/%s", l.n, name);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return "absent";
	int n = read(fd, b, sizeof b - 1);
	CHECK(n > 0 && b[n - 1] == '\n');
	b[n - 1] = 0;
	close(fd);
	return b;
}

static void shown(void) {
	char path[PATH_MAX], b[512], want[64];
	struct loop l = take(image("f", MIB), O_RDWR);
	CHECK(getcwd(path, sizeof path - 2) != NULL);
	strcat(path, "/f");
	IS(text(l, "loop/backing_file"), path);
	IS(text(l, "loop/autoclear"), "0");
	IS(text(l, "loop/offset"), "0");
	IS(text(l, "loop/sizelimit"), "0");
	IS(text(l, "loop/partscan"), "0");
	IS(text(l, "size"), "2048");
	IS(text(l, "ro"), "0");
	IS(text(l, "queue/logical_block_size"), "512");
	IS(text(l, "removable"), "0");
	snprintf(want, sizeof want, "7:%d", l.n);
	IS(text(l, "dev"), want);
	snprintf(b, sizeof b, "/sys/dev/block/7:%d", l.n);
	snprintf(want, sizeof want, "../../devices/virtual/block/loop%d", l.n);
	int n = readlink(b, path, sizeof path);
	CHECK(n == (int)strlen(want) && memcmp(path, want, n) == 0);
	snprintf(b, sizeof b, "/sys/class/block/loop%d/size", l.n);
	CHECK(access(b, R_OK) == 0);
	unlink("f");
	CHECK(strstr(text(l, "loop/backing_file"), "/f (deleted)") != NULL);
	FILE *f = fopen("/proc/partitions", "r");
	int found = 0;
	snprintf(want, sizeof want, "%4d  %7d %10d loop%d\n", 7, l.n, MIB >> 10, l.n);
	while (fgets(b, sizeof b, f))
		found += strcmp(b, want) == 0;
	fclose(f);
	CHECK(found == 1);
	f = fopen("/proc/devices", "r");
	for (found = 0; fgets(b, sizeof b, f);)
		found += strcmp(b, "  7 loop\n") == 0;
	fclose(f);
	CHECK(found == 1);
	drop(l);
	if (strcmp(text(l, "size"), "0") == 0)
		IS(text(l, "loop/backing_file"), "absent");
}

int main(void) {
	close(open_control());
	APART(asked());
	APART(blanked());
	APART(exclusive());
	APART(rights());
	APART(shown());
	return 0;
}
