// What the cases of fanotify(7) share: a tmpfs of their own, and events as text.
#ifndef FANOTIFY_H
#define FANOTIFY_H
#include "mounts.h"
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

static inline int group(unsigned flags, unsigned events) {
	int fd = syscall(SYS_fanotify_init, flags, events);
	CHECK(fd >= 0);
	return fd;
}

static inline long watch(int fd, unsigned flags, uint64_t mask, const char *name) {
	return syscall(SYS_fanotify_mark, fd, flags, mask, AT_FDCWD, name);
}

// bits writes a mask as letters.
static inline char *bits(uint64_t mask, char *out) {
	static const struct { uint64_t bit; const char *is; } all[] = {
		{ FAN_ACCESS, "a" }, { FAN_MODIFY, "m" }, { FAN_ATTRIB, "t" }, { FAN_CLOSE_WRITE, "w" }, { FAN_CLOSE_NOWRITE, "n" },
		{ FAN_OPEN, "o" }, { FAN_MOVED_FROM, "<" }, { FAN_MOVED_TO, ">" }, { FAN_CREATE, "+" }, { FAN_DELETE, "-" },
		{ FAN_DELETE_SELF, "D" }, { FAN_MOVE_SELF, "M" }, { FAN_OPEN_EXEC, "x" }, { FAN_Q_OVERFLOW, "!" },
		{ FAN_OPEN_PERM, "O" }, { FAN_ACCESS_PERM, "A" }, { FAN_OPEN_EXEC_PERM, "X" }, { FAN_RENAME, "R" }, { FAN_ONDIR, "/" },
	};
	*out = 0;
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		if (mask & all[i].bit) {
			strcat(out, all[i].is);
			mask &= ~all[i].bit;
		}
	CHECK(mask == 0);
	return out;
}

// Inodes that records are compared with: known[i] is shown as its letter.
static struct { ino_t ino; char as; } known[16];

static inline void knows(char as, const char *name) {
	struct stat st;
	CHECK(lstat(name, &st) == 0);
	for (unsigned i = 0; i < 16; i++)
		if (known[i].as == 0 || known[i].as == as) {
			known[i].ino = st.st_ino, known[i].as = as;
			return;
		}
	CHECK(!"room");
}

static inline char letter(ino_t ino) {
	for (unsigned i = 0; i < 16 && known[i].as; i++)
		if (known[i].ino == ino)
			return known[i].as;
	return '?';
}

// The handles that records are compared with, and the filesystem's number.
static struct { char as; union { struct file_handle h; char room[160]; }; } handles[16];
static fsid_t fsid;

// names has records about what is at name shown as the letter.
static inline void names(char as, const char *name) {
	knows(as, name);
	for (unsigned i = 0; i < 16; i++)
		if (handles[i].as == 0 || handles[i].as == as) {
			int id;
			struct statfs st;
			CHECK(statfs(name, &st) == 0);
			fsid = st.f_fsid;
			handles[i].as = as, handles[i].h.handle_bytes = 128;
			// The handles of events are those of AT_HANDLE_FID, if others can't be made.
			if (syscall(SYS_name_to_handle_at, AT_FDCWD, name, &handles[i].h, &id, 0) == 0)
				return;
			handles[i].h.handle_bytes = 128;
			CHECK(errno == EOPNOTSUPP && syscall(SYS_name_to_handle_at, AT_FDCWD, name, &handles[i].h, &id, 0x200) == 0);
			return;
		}
	CHECK(!"room");
}

// record writes one record: its type, whose handle it has, and a name.
static inline void record(const struct fanotify_event_info_header *h, char *out) {
	if (h->info_type == FAN_EVENT_INFO_TYPE_PIDFD) {
		struct fanotify_event_info_pidfd *p = (void *)h;
		CHECK(h->len == sizeof *p);
		sprintf(out, " pidfd%s", p->pidfd >= 0 ? "" : "-");
		if (p->pidfd >= 0)
			close(p->pidfd);
		return;
	}
	struct fanotify_event_info_fid *f = (void *)h;
	struct file_handle *fh = (void *)f->handle;
	const char *type = "?";
	switch (h->info_type) {
	case FAN_EVENT_INFO_TYPE_FID: type = "fid"; break;
	case FAN_EVENT_INFO_TYPE_DFID: type = "dir"; break;
	case FAN_EVENT_INFO_TYPE_DFID_NAME: type = "name"; break;
	case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME: type = "old"; break;
	case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME: type = "new"; break;
	}
	// Whose it is, by the handles that name_to_handle_at(2) gives.
	char whose = '?';
	for (unsigned i = 0; i < 16 && handles[i].as; i++)
		if (memcmp(&handles[i].h, fh, sizeof *fh + fh->handle_bytes) == 0)
			whose = handles[i].as;
	if (memcmp(&f->fsid, &fsid, sizeof fsid) != 0)
		whose = '!';
	out += sprintf(out, " %s:%c", type, whose);
	unsigned at = sizeof *f + sizeof *fh + fh->handle_bytes;
	CHECK(h->len % 4 == 0);
	if (h->info_type != FAN_EVENT_INFO_TYPE_FID && h->info_type != FAN_EVENT_INFO_TYPE_DFID)
		sprintf(out, "%s", (char *)h + at);
}

// got reads the events that are there, as "letters[:file's letter][ records]; ...".
// Descriptors are closed.
static inline char *got(int fd) {
	static char out[8][4096];
	static int turn;
	char *s = out[turn++ % 8], *p = s, buf[8192] __attribute__((aligned(8)));
	ssize_t n;
	*s = 0;
	struct pollfd pf = { fd, POLLIN, 0 };
	while (poll(&pf, 1, 0) == 1 && (n = read(fd, buf, sizeof buf)) > 0) {
		for (struct fanotify_event_metadata *m = (void *)buf; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
			char b[64];
			CHECK(m->vers == FANOTIFY_METADATA_VERSION && m->metadata_len == 24 && m->reserved == 0);
			p += sprintf(p, "%s%s", p == s ? "" : "; ", bits(m->mask, b));
			if (m->fd >= 0) {
				struct stat st;
				CHECK(fstat(m->fd, &st) == 0);
				p += sprintf(p, ":%c", letter(st.st_ino));
				close(m->fd);
			}
			if (!(m->mask & FAN_Q_OVERFLOW) && m->pid != getpid())
				p += sprintf(p, "(pid %d)", m->pid);
			for (unsigned at = 24; at < m->event_len;) {
				struct fanotify_event_info_header *h = (void *)((char *)m + at);
				CHECK(h->len >= 8 && h->pad == 0);
				record(h, p);
				p += strlen(p);
				at += h->len;
			}
		}
	}
	return s;
}

#define GOT(fd, want) \
	do { \
		char *g_ = got(fd); \
		if (strcmp(g_, want) != 0) { \
			fprintf(stderr, "%s:%d: events are \"%s\", not \"%s\"\n", __FILE__, __LINE__, g_, want); \
			_exit(1); \
		} \
	} while (0)

// see opens a file, and closes it.
static inline void see(const char *name) {
	int fd = open(name, O_RDONLY);
	CHECK(fd >= 0 && close(fd) == 0);
}

// fresh runs f in a new directory.
static inline void fresh(void (*f)(void)) {
	static int n;
	char name[16];
	sprintf(name, "%d.%d", getpid(), n++);
	CHECK(mkdir(name, 0755) == 0 && chdir(name) == 0);
	f();
	CHECK(chdir("..") == 0);
}

#endif
