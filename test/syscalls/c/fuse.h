// A FUSE server for the cases: files in memory that it shares with who tests it, which
// counts what is asked and can be told to be slow, to lack things, or to lie.
#ifndef FUSE_H
#define FUSE_H
#include "child.h"
#include <dirent.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define NODES 32
#define NAMES 64
#define DATA (256 << 10)
#define OPS 64
#define bit(op) (1ull << (op))

struct node {
	uint32_t mode, uid, gid, nlink, rdev, generation;
	uint64_t size, lookups, mtime;
	char target[64], xattr[32], value[64];
	uint32_t value_len;
	unsigned char data[DATA];
};

struct name {
	uint32_t dir, node; // node 0: free
	char name[256];
};

// What the test and the server share.
struct world {
	// Told by the test:
	volatile uint64_t lacks, hangs, fails; // bits of opcodes
	volatile int error;                    // of those that fail
	volatile uint64_t entry_valid, attr_valid, negative_valid;
	volatile uint32_t flags, open_flags, max_write, minor; // of INIT and OPEN
	volatile int lie;                                      // which, see lies()
	volatile uint32_t revents;
	// Told by the server:
	volatile uint32_t seen[OPS];
	struct fuse_in_header last[OPS];
	struct fuse_init_in init;
	struct fuse_setattr_in setattr;
	struct fuse_open_in open;
	struct fuse_read_in read;
	struct fuse_lk_in lk;
	struct fuse_flush_in flush;
	struct fuse_interrupt_in interrupt;
	struct fuse_release_in release;
	uint64_t poll_kh;
	volatile uint64_t hung; // the unique of what was not answered last
	volatile int ended;     // errno of the read that ended the server
	volatile int wrote;     // errno of the last answer
	struct node nodes[NODES + 1];
	struct name names[NAMES];
	struct fuse_lk_in locks[8];
};

static struct world *w;
static int dev = -1; // the server's /dev/fuse

static inline uint32_t find(uint64_t dir, const char *name) {
	for (int i = 0; i < NAMES; i++)
		if (w->names[i].node && w->names[i].dir == dir && strcmp(w->names[i].name, name) == 0)
			return i + 1;
	return 0;
}

static inline uint32_t add_name(uint64_t dir, const char *name, uint32_t node) {
	for (int i = 0; i < NAMES; i++)
		if (!w->names[i].node) {
			w->names[i].dir = dir;
			strncpy(w->names[i].name, name, 255);
			w->names[i].node = node;
			return node;
		}
	return 0;
}

static inline uint32_t add_node(uint32_t mode) {
	for (uint32_t i = 2; i <= NODES; i++)
		if (!w->nodes[i].mode) {
			uint32_t g = w->nodes[i].generation;
			memset(&w->nodes[i], 0, offsetof(struct node, data));
			w->nodes[i].generation = g + 1;
			w->nodes[i].mode = mode;
			w->nodes[i].nlink = S_ISDIR(mode) ? 2 : 1;
			w->nodes[i].mtime = 1000000000;
			return i;
		}
	return 0;
}

// put makes a file of the server's, behind the kernel's back.
static inline uint32_t put(uint64_t dir, const char *name, uint32_t mode, const char *data) {
	uint32_t n = add_node(mode);
	CHECK(n && add_name(dir, name, n));
	w->nodes[n].size = strlen(data);
	memcpy(w->nodes[n].data, data, strlen(data));
	return n;
}

static inline void fill_attr(struct fuse_attr *a, uint32_t n) {
	struct node *x = &w->nodes[n];
	memset(a, 0, sizeof *a);
	a->ino = n + 100, a->mode = x->mode, a->nlink = x->nlink, a->uid = x->uid, a->gid = x->gid;
	a->size = x->size, a->blocks = (x->size + 511) / 512, a->rdev = x->rdev;
	a->mtime = a->ctime = a->atime = x->mtime, a->mtimensec = 5;
}

static inline void fill_entry(struct fuse_entry_out *e, uint32_t n) {
	memset(e, 0, sizeof *e);
	e->nodeid = n, e->generation = w->nodes[n].generation;
	e->entry_valid = w->entry_valid, e->attr_valid = w->attr_valid;
	fill_attr(&e->attr, n);
	w->nodes[n].lookups++;
}

// answer writes n bytes of what was asked by unique, or an error.
static inline void answer(uint64_t unique, int error, const void *b, size_t n) {
	struct fuse_out_header h = {.len = sizeof h + (error ? 0 : n), .error = -error, .unique = unique};
	struct iovec v[2] = {{&h, sizeof h}, {(void *)b, error ? 0 : n}};
	w->wrote = writev(dev, v, 2) < 0 ? errno : 0;
}

static inline int notify(int code, const void *b, size_t n, const char *name) {
	struct fuse_out_header h = {.error = code};
	struct iovec v[3] = {{&h, sizeof h}, {(void *)b, n}, {(void *)name, name ? strlen(name) + 1 : 0}};
	h.len = sizeof h + n + v[2].iov_len;
	return writev(dev, v, 3);
}

#include "fuse_ops.h"

static inline void serve(void) {
	static char b[(1 << 20) + 4096];
	for (;;) {
		ssize_t n = read(dev, b, sizeof b);
		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;
		if (n < 0) {
			w->ended = errno;
			_exit(0);
		}
		struct fuse_in_header *h = (void *)b;
		if (n < (ssize_t)sizeof *h || h->len != n || h->opcode >= OPS) _exit(9);
		w->last[h->opcode] = *h;
		__sync_fetch_and_add(&w->seen[h->opcode], 1);
		handle(h, b + sizeof *h, n - sizeof *h);
	}
}

static inline void new_world(void) {
	w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(w != MAP_FAILED);
	w->entry_valid = w->attr_valid = 1000;
	w->max_write = 128 << 10, w->minor = 31;
	w->nodes[1].mode = S_IFDIR | 0755, w->nodes[1].nlink = 2;
}

static inline int open_fuse(void) {
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static inline int try_mount(const char *at, int fd, const char *type, const char *more) {
	char o[256];
	snprintf(o, sizeof o, "fd=%d,rootmode=40000,user_id=%d,group_id=%d%s", fd, getuid(), getgid(), more);
	return mount("server", at, type, MS_NOSUID | MS_NODEV, o);
}

static pid_t server;

// begin starts a server of the world and mounts it at "m".
static inline void begin(const char *more) {
	mkdir("m", 0755);
	dev = open_fuse();
	CHECK(try_mount("m", dev, "fuse.test", more) == 0);
	CHECK((server = fork()) >= 0);
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
	}
}

static inline void over(void) {
	CHECK(umount2("m", MNT_DETACH) == 0);
	close(dev);
	kill(server, SIGKILL); // files may be open
	waitpid(server, NULL, 0);
	munmap(w, sizeof *w);
	w = NULL;
}

// fresh is a world with a server.
static inline void fresh(const char *more) {
	new_world();
	begin(more);
}

// until waits for what another process does.
#define UNTIL(cond) \
	do { \
		for (int i_ = 0; !(cond); i_++) { \
			CHECK(i_ < 5000); \
			usleep(1000); \
		} \
	} while (0)
#endif
