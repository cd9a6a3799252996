// What the cases of the mount calls share: a mount namespace of a child's own, and what
// <sys/mount.h> may lack.
#ifndef MOUNTS_H
#define MOUNTS_H
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif
#ifndef MOVE_MOUNT_SET_GROUP
#define MOVE_MOUNT_SET_GROUP 0x100
#endif
#define BENEATH 0x200 // MOVE_MOUNT_BENEATH

static inline void put(const char *name) {
	int fd = open(name, O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0 && close(fd) == 0);
}

static inline int exists(const char *name) { return access(name, F_OK) == 0; }

static inline void dir(const char *name) { CHECK(mkdir(name, 0755) == 0); }

static inline void tmpfs(const char *name) { CHECK(mount("none", name, "tmpfs", 0, NULL) == 0); }

// field returns a field of the last mount at name in /proc/self/mountinfo: 'i' its id,
// 'p' its parent's, 'o' its options, 't' what it says of propagation, 's' the
// filesystem's options, 'f' its type and source, 'r' its root.
static inline const char *field(const char *name, char which) {
	static char out[8][1024];
	static int turn;
	char *got = out[turn++ % 8], line[4096], full[PATH_MAX];
	CHECK(realpath(name, full) != NULL);
	FILE *f = fopen("/proc/self/mountinfo", "r");
	CHECK(f != NULL);
	strcpy(got, "absent");
	while (fgets(line, sizeof line, f) != NULL) {
		char id[32], parent[32], dev[32], root[1024], point[1024], opt[1024], type[128], src[1024], super[1024];
		int n = 0;
		CHECK(sscanf(line, "%31s %31s %31s %1023s %1023s %1023s%n", id, parent, dev, root, point, opt, &n) == 6);
		if (strcmp(point, full) != 0)
			continue;
		char *dash = strstr(line + n, " - ");
		CHECK(dash != NULL && sscanf(dash + 3, "%127s %1023s %1023s", type, src, super) == 3);
		*dash = 0;
		switch (which) {
		case 'i': strcpy(got, id); break;
		case 'p': strcpy(got, parent); break;
		case 'o': strcpy(got, opt); break;
		case 't': snprintf(got, 1024, "%s", line + n + (line[n] == ' ')); break;
		case 's': strcpy(got, super); break;
		case 'f': snprintf(got, 1024, "%s %.800s", type, src); break;
		case 'r': strcpy(got, root); break;
		}
	}
	fclose(f);
	return got;
}

#define IS(a, b) \
	do { \
		const char *a_ = (a), *b_ = (b); \
		if (strcmp(a_, b_) != 0) { \
			fprintf(stderr, "%s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #a, a_, b_); \
			_exit(1); \
		} \
	} while (0)

// kind says what name's mount is by propagation, without numbers: "s" shared, "m" slave,
// "sm" both, "u" unbindable, "" private.
static inline const char *kind(const char *name) {
	const char *t = field(name, 't');
	if (strcmp(t, "absent") == 0)
		return t;
	int s = strstr(t, "shared:") != NULL, m = strstr(t, "master:") != NULL;
	if (strstr(t, "unbindable"))
		return s || m ? "?" : "u";
	return s && m ? "sm" : s ? "s" : m ? "m" : "";
}

// number is what follows what ("shared:", "master:") for name's mount; 0 without it.
static inline int number(const char *name, const char *what) {
	const char *p = strstr(field(name, 't'), what);
	return p == NULL ? 0 : atoi(p + strlen(what));
}

// apart runs f in a child with a private mount namespace, in a new directory on a tmpfs.
static inline int apart(void (*f)(void)) {
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(unshare(CLONE_NEWNS) == 0);
		CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CHECK(mkdir("top", 0755) == 0 || errno == EEXIST);
		tmpfs("top");
		CHECK(chdir("top") == 0);
		f();
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

// unprivileged runs f in a child that has no rights.
static inline void unprivileged(void (*f)(void)) {
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(setresuid(1, 1, 1) == 0);
		f();
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}
#endif
