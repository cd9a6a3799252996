// Access control lists, acl(5), as their extended attributes have them: spelled
// "u7,x3:5,g4,y9:6,m6,o0" for the owner rwx, user 3 r-x, the group r--, group 9 rw-,
// the mask rw- and others nothing.
#ifndef ACL_H
#define ACL_H
#include "check.h"
#include <grp.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

struct ace {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct ace e[64];
	int n;
};

static const char tags[] = "uxgymo"; // 1, 2, 4, 8, 16, 32

static inline struct acl acl(const char *s) {
	struct acl a = {.version = 2};
	for (; *s; s++) {
		const char *t = strchr(tags, *s++);
		CHECK(t && *t);
		struct ace *e = &a.e[a.n++];
		e->tag = 1 << (t - tags);
		e->id = -1;
		if (*t == 'x' || *t == 'y') {
			char *end;
			e->id = strtoul(s, &end, 10);
			CHECK(*end == ':');
			s = end + 1;
		}
		e->perm = *s++ - '0';
		if (!*s)
			break;
		CHECK(*s == ',');
	}
	return a;
}

static inline size_t acl_size(const struct acl *a) { return 4 + 8 * a->n; }

// give gives a file a list, or "" for none of any entries.
static inline int give(const char *file, const char *which, const char *s) {
	struct acl a = acl(s);
	return lsetxattr(file, which, &a, acl_size(&a), 0);
}

// has is the list that a file has, spelled, or the errno.
static inline const char *has(const char *file, const char *which) {
	static char out[4][1024];
	static int turn;
	char *b = out[turn++ % 4], *p = b;
	struct acl a;
	ssize_t n = lgetxattr(file, which, &a, sizeof a.e + 4);
	if (n < 0) {
		snprintf(b, sizeof out[0], "%s", errno == ENODATA ? "none" : errno == EOPNOTSUPP ? "unsupported" : strerror(errno));
		return b;
	}
	CHECK(n >= 4 && (n - 4) % 8 == 0 && a.version == 2);
	*p = 0;
	for (int i = 0; i < (n - 4) / 8; i++) {
		int t = __builtin_ctz(a.e[i].tag);
		p += sprintf(p, "%s%c", i ? "," : "", tags[t]);
		if (tags[t] == 'x' || tags[t] == 'y')
			p += sprintf(p, "%d:", (int)a.e[i].id);
		else
			CHECK(a.e[i].id == (uint32_t)-1);
		p += sprintf(p, "%d", a.e[i].perm);
	}
	return b;
}

#define HAS(file, which, want) \
	do { \
		const char *h_ = has(file, which); \
		if (strcmp(h_, want) != 0) { \
			fprintf(stderr, "%s:%d: %s has %s, want %s\n", __FILE__, __LINE__, file, h_, want); \
			_exit(1); \
		} \
	} while (0)

static inline int mode(const char *file) {
	struct stat st;
	CHECK(lstat(file, &st) == 0);
	return st.st_mode & 07777;
}

#define MODE(file, want) \
	do { \
		int m_ = mode(file); \
		if (m_ != (want)) { \
			fprintf(stderr, "%s:%d: %s has mode %o, want %o\n", __FILE__, __LINE__, file, m_, want); \
			_exit(1); \
		} \
	} while (0)

static inline void new_file(const char *file, int m) {
	int fd = open(file, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(fd >= 0 && fchmod(fd, m) == 0 && close(fd) == 0);
}

// AS(uid, gid, other, block) does what it is given as an ordinary user who is also in another group.
#define AS(uid, gid, other, ...) \
	do { \
		pid_t pid_ = fork(); \
		if (pid_ == 0) { \
			gid_t g_ = other; \
			CHECK(setgroups(1, &g_) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0); \
			__VA_ARGS__; \
			_exit(0); \
		} \
		CHECK(ended_well(pid_)); \
	} while (0)

// may says what a user may do with a file, as access(2) has it.
static inline int may(const char *file) {
	return (access(file, R_OK) == 0) * 4 + (access(file, W_OK) == 0) * 2 + (access(file, X_OK) == 0);
}

// MAY compares that with what opening finds, too.
#define MAY(uid, gid, other, file, want) \
	AS(uid, gid, other, { \
		int m_ = may(file), fd_ = open(file, O_RDONLY), w_ = open(file, O_WRONLY); \
		if (m_ != (want) || (fd_ >= 0) != ((m_ & 4) != 0) || (w_ >= 0) != ((m_ & 2) != 0)) { \
			fprintf(stderr, "%s:%d: %s: may %d, want %d; open %d %d\n", __FILE__, __LINE__, file, m_, want, fd_, w_); \
			_exit(1); \
		} \
	})
#endif
