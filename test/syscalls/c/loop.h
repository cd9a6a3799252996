// What the cases of loop devices share: one that is free, and an EROFS image made by hand.
#ifndef LOOP_H
#define LOOP_H
#include "mounts.h"
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <sys/sysmacros.h>

enum { MIB = 1 << 20 };

// open_control is /dev/loop-control, or says that there are no loop devices here.
static inline int open_control(void) {
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO)) {
		printf("absent loop devices\n");
		exit(0);
	}
	CHECK(fd >= 0);
	return fd;
}

// node makes the name of loop device n, and returns it.
static inline const char *node(int n) {
	static char name[4][64];
	static int turn;
	char *s = name[turn++ % 4];
	snprintf(s, 64, "/dev/loop%d", n);
	CHECK(mknod(s, S_IFBLK | 0600, makedev(7, n)) == 0 || errno == EEXIST);
	return s;
}

// A loop is a device of ours, and its number.
struct loop { int fd, n; };

// take opens a free device, and binds it to a file unless that is -1. Others on the machine
// may be as quick.
static inline struct loop take(int file, int flags) {
	int control = open_control();
	for (int i = 0; i < 100; i++) {
		struct loop l;
		l.n = ioctl(control, LOOP_CTL_GET_FREE);
		CHECK(l.n >= 0);
		l.fd = open(node(l.n), flags | O_CLOEXEC);
		if (l.fd < 0 && errno == ENXIO)
			continue;
		CHECK(l.fd >= 0);
		int off = 0; // as somebody may have left it
		ioctl(l.fd, BLKROSET, &off);
		if (file < 0 || ioctl(l.fd, LOOP_SET_FD, file) == 0) {
			close(control);
			return l;
		}
		CHECK(errno == EBUSY);
		close(l.fd);
	}
	fprintf(stderr, "no device is free\n");
	_exit(1);
}

// drop unbinds and closes l.
static inline void drop(struct loop l) {
	CHECK(ioctl(l.fd, LOOP_CLR_FD) == 0);
	CHECK(close(l.fd) == 0);
}

// image makes a file of n bytes, each block of 512 filled with its number.
static inline int image(const char *name, int n) {
	unsigned char b[512];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	for (int i = 0; i * 512 < n; i++) {
		memset(b, i, sizeof b);
		CHECK(write(fd, b, sizeof b) == sizeof b);
	}
	CHECK(ftruncate(fd, n) == 0);
	return fd;
}

static inline uint64_t bytes(int fd) {
	uint64_t n = 0;
	CHECK(ioctl(fd, BLKGETSIZE64, &n) == 0);
	return n;
}

static inline struct loop_info64 status(int fd) {
	struct loop_info64 i;
	CHECK(ioctl(fd, LOOP_GET_STATUS64, &i) == 0);
	return i;
}

static inline void le(unsigned char *at, uint64_t v, int n) {
	while (n-- > 0)
		*at++ = v, v >>= 8;
}

// inode writes a compact inode in slot nid: layout 0 is of blocks from place on, 2 of what
// follows the inode.
static inline unsigned char *inode(unsigned char *im, int nid, int mode, int size, int layout, uint32_t place) {
	unsigned char *p = im + nid * 32;
	le(p, layout << 1, 2), le(p + 4, mode, 2), le(p + 6, 1, 2), le(p + 8, size, 4), le(p + 16, place, 4), le(p + 20, nid, 4);
	return p + 32;
}

enum { ROOT = 40, SMALL = 48, LARGE = 52, BLOCKS = 20 };

// erofs makes an image of a directory with two files: "small", and "large" of the blocks
// from first on.
static inline int erofs(const char *name, int first, int size) {
	static unsigned char im[BLOCKS * 4096];
	memset(im, 0, sizeof im);
	unsigned char *s = im + 1024;
	le(s, 0xe0f5e1e2, 4), s[12] = 12, le(s + 14, ROOT, 2), le(s + 16, 3, 8), le(s + 24, 1000000000, 8), le(s + 36, BLOCKS, 4);
	unsigned char *d = inode(im, ROOT, S_IFDIR | 0755, 4 * 12 + 1 + 2 + 5 + 5, 2, 0);
	const struct { int nid; const char *name; int type; } names[] = {{ROOT, ".", 2}, {ROOT, "..", 2}, {LARGE, "large", 1}, {SMALL, "small", 1}};
	int at = 4 * 12;
	for (int i = 0; i < 4; i++) {
		le(d + i * 12, names[i].nid, 8), le(d + i * 12 + 8, at, 2), d[i * 12 + 10] = names[i].type;
		memcpy(d + at, names[i].name, strlen(names[i].name));
		at += strlen(names[i].name);
	}
	memcpy(inode(im, SMALL, S_IFREG | 0644, 6, 2, 0), "hello\n", 6);
	inode(im, LARGE, S_IFREG | 0644, size, 0, first);
	for (int i = 4096; i < BLOCKS * 4096; i++)
		im[i] = i >> 12;
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, im, sizeof im) == sizeof im);
	return fd;
}
#endif
