// covers: ioctl open read write pread64 pwrite64 lseek fstat fsync mmap
// Loop devices, loop(4): how they come and go, and what they are bound to.
#include "loop.h"

static void control(void) {
	char b[16];
	int fd = open_control();
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 237));
	FAILS(read(fd, b, sizeof b), EINVAL);
	FAILS(write(fd, b, sizeof b), EINVAL);
	FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
	FAILS(ioctl(fd, 0x4c99, 0), ENOSYS);
	FAILS(ioctl(fd, LOOP_CTL_REMOVE, -1), EINVAL);
	FAILS(ioctl(fd, LOOP_CTL_REMOVE, 54321), ENODEV);
	FAILS(ioctl(fd, LOOP_CTL_ADD, 1 << 20), EINVAL);
	int file = image("f", MIB);
	struct loop l = take(file, O_RDWR);
	FAILS(ioctl(fd, LOOP_CTL_ADD, l.n), EEXIST);
	FAILS(ioctl(fd, LOOP_CTL_REMOVE, l.n), EBUSY);
	CHECK(ioctl(fd, LOOP_CTL_GET_FREE) != l.n);
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0);
	FAILS(ioctl(fd, LOOP_CTL_REMOVE, l.n), EBUSY);
	close(l.fd);
	// One with a number that nobody else would take.
	int n = 100 + getpid() % 100;
	CHECK(ioctl(fd, LOOP_CTL_ADD, n) == n);
	FAILS(ioctl(fd, LOOP_CTL_ADD, n), EEXIST);
	CHECK((l.fd = open(node(n), O_RDWR)) >= 0);
	CHECK(fstat(l.fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == makedev(7, n) && st.st_size == 0);
	FAILS(ioctl(fd, LOOP_CTL_REMOVE, n), EBUSY);
	close(l.fd);
	CHECK(ioctl(fd, LOOP_CTL_REMOVE, n) == 0);
	FAILS(ioctl(fd, LOOP_CTL_REMOVE, n), ENODEV);
	unlink(node(n));
}

static void unbound(void) {
	char b[512];
	struct loop l = take(-1, O_RDWR);
	struct loop_info64 i = {0};
	CHECK(bytes(l.fd) == 0 && read(l.fd, b, sizeof b) == 0 && lseek(l.fd, 0, SEEK_END) == 0);
	FAILS(write(l.fd, b, sizeof b), ENOSPC);
	FAILS(ioctl(l.fd, LOOP_GET_STATUS64, &i), ENXIO);
	FAILS(ioctl(l.fd, LOOP_SET_STATUS64, &i), ENXIO);
	FAILS(ioctl(l.fd, LOOP_GET_STATUS64, NULL), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_STATUS64, NULL), EFAULT);
	FAILS(ioctl(l.fd, LOOP_CONFIGURE, NULL), EFAULT);
	FAILS(ioctl(l.fd, LOOP_CLR_FD), ENXIO);
	FAILS(ioctl(l.fd, LOOP_SET_CAPACITY), ENXIO);
	FAILS(ioctl(l.fd, LOOP_SET_BLOCK_SIZE, 512), ENXIO);
	FAILS(ioctl(l.fd, LOOP_SET_DIRECT_IO, 0), ENXIO);
	FAILS(ioctl(l.fd, LOOP_CHANGE_FD, -1), EBADF);
	FAILS(ioctl(l.fd, 0x4c0b, 0), EINVAL);
	FAILS(ioctl(l.fd, TCGETS, b), EINVAL);
	FAILS(ioctl(l.fd, FIONREAD, b), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_FD, -1), EBADF);
	FAILS(ioctl(l.fd, LOOP_SET_FD, l.fd), EBADF);
	int p[2];
	CHECK(pipe(p) == 0);
	FAILS(ioctl(l.fd, LOOP_SET_FD, p[0]), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_FD, open(".", O_RDONLY)), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_FD, open("/dev/null", O_RDWR)), EINVAL);
	FAILS(ioctl(l.fd, LOOP_SET_FD, open(".", O_PATH)), EBADF);
	close(l.fd);
}

static void data(void) {
	unsigned char b[4096];
	int file = image("f", MIB + 100);
	struct loop l = take(file, O_RDWR);
	CHECK(bytes(l.fd) == MIB && lseek(l.fd, 0, SEEK_END) == MIB);
	CHECK(pread(l.fd, b, sizeof b, 512 * 5) == sizeof b && b[0] == 5 && b[512] == 6 && b[511] == 5);
	CHECK(pread(l.fd, b, 100, 3) == 100 && b[0] == 0);
	CHECK(pread(l.fd, b, 100, MIB - 50) == 50 && pread(l.fd, b, 100, MIB) == 0);
	memset(b, 'x', sizeof b);
	CHECK(pwrite(l.fd, b, 1000, 5000) == 1000 && pwrite(l.fd, b, 100, MIB - 50) == 50);
	FAILS(pwrite(l.fd, b, 100, MIB), ENOSPC);
	CHECK(pwrite(l.fd, b, 0, MIB) == 0);
	CHECK(fsync(l.fd) == 0 && fdatasync(l.fd) == 0);
	memset(b, 0, sizeof b);
	CHECK(pread(file, b, 1002, 4999) == 1002 && b[0] == 9 && b[1] == 'x' && b[1000] == 'x' && b[1001] == 11);
	CHECK(pread(file, b, 150, MIB - 50) == 150 && b[49] == 'x' && b[50] == 0);
	CHECK(lseek(l.fd, 100, SEEK_SET) == 100 && read(l.fd, b, 10) == 10 && lseek(l.fd, 0, SEEK_CUR) == 110);
	FAILS(lseek(l.fd, MIB + 1, SEEK_SET), EINVAL);
	FAILS(lseek(l.fd, -1, SEEK_SET), EINVAL);
	FAILS(lseek(l.fd, 0, SEEK_DATA), EINVAL);
	FAILS(lseek(l.fd, 0, SEEK_HOLE), EINVAL);
	FAILS(ftruncate(l.fd, 0), EINVAL);
	struct stat st;
	CHECK(fstat(l.fd, &st) == 0 && st.st_size == 0);
	// O_APPEND says nothing of a device.
	int fd = open(node(l.n), O_WRONLY | O_APPEND);
	CHECK(fd >= 0 && write(fd, "head", 4) == 4 && pread(l.fd, b, 5, 0) == 5 && memcmp(b, "head\0", 5) == 0);
	FAILS(read(fd, b, 1), EBADF);
	close(fd);
	CHECK((fd = open(node(l.n), O_RDWR | O_DIRECT)) >= 0);
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pread(fd, page, 1024, 512) == 1024 && page[0] == 1);
	FAILS(pread(fd, page, 100, 0), EINVAL);
	FAILS(pread(fd, page, 512, 100), EINVAL);
	FAILS(pwrite(fd, page, 512, 100), EINVAL);
	close(fd);
	drop(l);
}

static void mapped(void) {
	int file = image("f", MIB);
	struct loop l = take(file, O_RDWR);
	unsigned char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, l.fd, 4096);
	CHECK(p != MAP_FAILED && p[0] == 8 && p[512] == 9);
	unsigned char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, l.fd, 4096);
	CHECK(q != MAP_FAILED && q[1] == 8);
	q[1] = 1;
	memcpy(p, "mapped", 6);
	char b[8];
	CHECK(msync(p, 4096, MS_SYNC) == 0 && pread(l.fd, b, 6, 4096) == 6 && memcmp(b, "mapped", 6) == 0);
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0 && close(l.fd) == 0);
	// The mapping has it open.
	FAILS(open(node(l.n), O_RDONLY), ENXIO);
	CHECK(p[0] == 'm' && p[4096] == 16);
	munmap(p, 8192);
	munmap(q, 4096);
	// What can't be written is not to be mapped for that, now or later.
	l = take(open("f", O_RDONLY), O_RDWR);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, l.fd, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, l.fd, 0) == MAP_FAILED && errno == EINVAL);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, l.fd, 0);
	CHECK(p != MAP_FAILED && p[512] == 1);
	munmap(p, 4096);
	drop(l);
}

static void read_only(void) {
	char b[512] = {0};
	int on;
	image("f", MIB);
	struct loop l = take(open("f", O_RDONLY), O_RDWR);
	CHECK(status(l.fd).lo_flags == LO_FLAGS_READ_ONLY);
	CHECK(ioctl(l.fd, BLKROGET, &on) == 0 && on == 1);
	FAILS(pwrite(l.fd, b, 10, 0), EPERM);
	int fd = open(node(l.n), O_RDWR);
	CHECK(fd >= 0);
	FAILS(pwrite(fd, b, 10, 0), EPERM);
	close(fd);
	on = 0;
	CHECK(ioctl(l.fd, BLKROSET, &on) == 0 && ioctl(l.fd, BLKROGET, &on) == 0 && on == 1);
	// Only such a device can be given another file, if that is as long.
	CHECK(ioctl(l.fd, LOOP_CHANGE_FD, image("g", MIB)) == 0);
	FAILS(ioctl(l.fd, LOOP_CHANGE_FD, image("h", MIB / 2)), EINVAL);
	FAILS(ioctl(l.fd, LOOP_CHANGE_FD, l.fd), EBADF);
	drop(l);
	// Opened for reading it is bound for reading.
	l = take(image("f", MIB), O_RDONLY);
	CHECK(status(l.fd).lo_flags == LO_FLAGS_READ_ONLY);
	drop(l);
	l = take(image("f", MIB), O_RDWR);
	FAILS(ioctl(l.fd, LOOP_CHANGE_FD, image("g", MIB)), EINVAL);
	on = 1;
	CHECK(ioctl(l.fd, BLKROSET, &on) == 0);
	FAILS(pwrite(l.fd, b, 10, 0), EPERM);
	on = 0;
	CHECK(ioctl(l.fd, BLKROSET, &on) == 0 && ioctl(l.fd, BLKROGET, &on) == 0 && on == 0 && pwrite(l.fd, b, 10, 0) == 10);
	drop(l);
}

static void told(void) {
	int file = image("f", MIB);
	struct stat st;
	CHECK(fstat(file, &st) == 0);
	struct loop l = take(file, O_RDWR);
	struct loop_info64 i = status(l.fd);
	CHECK((int)i.lo_number == l.n && i.lo_device == st.st_dev && i.lo_inode == st.st_ino && i.lo_rdevice == 0);
	CHECK(i.lo_offset == 0 && i.lo_sizelimit == 0 && i.lo_flags == 0 && i.lo_file_name[0] == 0);
	i.lo_offset = 4096, i.lo_sizelimit = 10000, i.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO | 0x100;
	strcpy((char *)i.lo_file_name, "some");
	CHECK(ioctl(l.fd, LOOP_SET_STATUS64, &i) == 0);
	i = status(l.fd);
	CHECK(i.lo_offset == 4096 && i.lo_sizelimit == 10000 && i.lo_flags == LO_FLAGS_AUTOCLEAR && strcmp((char *)i.lo_file_name, "some") == 0);
	CHECK(bytes(l.fd) == 9728);
	unsigned char b;
	CHECK(pread(l.fd, &b, 1, 512) == 1 && b == 9 && pwrite(l.fd, "x", 1, 513) == 1);
	CHECK(fsync(l.fd) == 0 && pread(file, &b, 1, 4096 + 513) == 1 && b == 'x');
	struct loop_info o;
	CHECK(ioctl(l.fd, LOOP_GET_STATUS, &o) == 0);
	CHECK(o.lo_number == l.n && o.lo_offset == 4096 && o.lo_flags == LO_FLAGS_AUTOCLEAR && strcmp(o.lo_name, "some") == 0 && o.lo_inode == st.st_ino);
	o.lo_offset = 1024, o.lo_flags = 0;
	CHECK(ioctl(l.fd, LOOP_SET_STATUS, &o) == 0 && bytes(l.fd) == MIB - 1024);
	i = status(l.fd);
	CHECK(i.lo_offset == 1024 && i.lo_sizelimit == 0 && i.lo_flags == 0);
	i.lo_offset = 1 << 30;
	CHECK(ioctl(l.fd, LOOP_SET_STATUS64, &i) == 0 && bytes(l.fd) == 0);
	i.lo_offset = -1;
	FAILS(ioctl(l.fd, LOOP_SET_STATUS64, &i), EOVERFLOW);
	i.lo_offset = 0, i.lo_encrypt_type = 2;
	FAILS(ioctl(l.fd, LOOP_SET_STATUS64, &i), EINVAL);
	i.lo_encrypt_type = 0, i.lo_encrypt_key_size = 33;
	FAILS(ioctl(l.fd, LOOP_SET_STATUS64, &i), EINVAL);
	i.lo_encrypt_key_size = 0;
	CHECK(ioctl(l.fd, LOOP_SET_STATUS64, &i) == 0 && ftruncate(file, 2 * MIB) == 0 && bytes(l.fd) == MIB);
	CHECK(ioctl(l.fd, LOOP_SET_CAPACITY) == 0 && bytes(l.fd) == 2 * MIB);
	drop(l);
}

static void configured(void) {
	int n, file = image("f", MIB);
	struct loop l = take(-1, O_RDWR);
	struct loop_config c = {.fd = file, .block_size = 1000};
	FAILS(ioctl(l.fd, LOOP_CONFIGURE, &c), EINVAL);
	c.block_size = 1024, c.info.lo_flags = 0x100;
	FAILS(ioctl(l.fd, LOOP_CONFIGURE, &c), EINVAL);
	c.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR, c.info.lo_offset = 512;
	strcpy((char *)c.info.lo_file_name, "name");
	CHECK(ioctl(l.fd, LOOP_CONFIGURE, &c) == 0);
	FAILS(ioctl(l.fd, LOOP_CONFIGURE, &c), EBUSY);
	struct loop_info64 i = status(l.fd);
	CHECK(i.lo_flags == (LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR) && i.lo_offset == 512 && strcmp((char *)i.lo_file_name, "name") == 0);
	CHECK(ioctl(l.fd, BLKSSZGET, &n) == 0 && n == 1024 && ioctl(l.fd, BLKPBSZGET, &n) == 0 && n == 1024);
	CHECK(ioctl(l.fd, BLKROGET, &n) == 0 && n == 1);
	// It goes with the last who has it open.
	int other = open(node(l.n), O_RDONLY);
	close(l.fd);
	CHECK(status(other).lo_offset == 512);
	close(other);
	CHECK((l.fd = open(node(l.n), O_RDWR)) >= 0);
	FAILS(ioctl(l.fd, LOOP_GET_STATUS64, &i), ENXIO);
	CHECK(ioctl(l.fd, BLKSSZGET, &n) == 0 && n == 512);
	// Of a file without a partition table there are no partitions.
	memset(&c, 0, sizeof c);
	c.fd = file, c.info.lo_flags = LO_FLAGS_PARTSCAN;
	CHECK(ioctl(l.fd, LOOP_CONFIGURE, &c) == 0 && status(l.fd).lo_flags == LO_FLAGS_PARTSCAN);
	// Unbound while somebody else has it open, it stays until he closes it.
	other = open(node(l.n), O_RDONLY);
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0 && status(l.fd).lo_flags == (LO_FLAGS_PARTSCAN | LO_FLAGS_AUTOCLEAR));
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0);
	close(other);
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0);
	FAILS(ioctl(l.fd, LOOP_GET_STATUS64, &i), ENXIO);
	FAILS(open(node(l.n), O_RDONLY), ENXIO);
	close(l.fd);
}

static void over_another(void) {
	unsigned char b;
	struct loop low = take(image("f", MIB), O_RDWR), high = take(low.fd, O_RDWR);
	struct loop_info64 i = status(high.fd);
	CHECK(i.lo_rdevice == makedev(7, low.n));
	i.lo_offset = 4096;
	CHECK(ioctl(high.fd, LOOP_SET_STATUS64, &i) == 0 && bytes(high.fd) == MIB - 4096);
	CHECK(pread(high.fd, &b, 1, 512) == 1 && b == 9);
	CHECK(pwrite(high.fd, "y", 1, 1000) == 1 && fsync(high.fd) == 0 && pread(low.fd, &b, 1, 5096) == 1 && b == 'y');
	struct loop none = take(-1, O_RDWR);
	FAILS(ioctl(none.fd, LOOP_SET_FD, none.fd), EBADF);
	FAILS(ioctl(low.fd, LOOP_SET_FD, high.fd), EBUSY);
	close(none.fd);
	drop(high);
	drop(low);
}

int main(void) {
	close(open_control());
	APART(control());
	APART(unbound());
	APART(data());
	APART(mapped());
	APART(read_only());
	APART(told());
	APART(configured());
	APART(over_another());
	return 0;
}
