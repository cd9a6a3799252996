// covers: fanotify_init fanotify_mark
// fanotify(7) with descriptors: what is told of by which marks, and what is not.
#include "fanotify.h"
#include <sys/uio.h>

#define USES (FAN_ACCESS | FAN_MODIFY | FAN_CLOSE | FAN_OPEN)

static void use(const char *name) {
	char b[4];
	int fd = open(name, O_RDWR);
	CHECK(fd >= 0 && write(fd, "abcd", 4) == 4 && pread(fd, b, 4, 0) == 4 && close(fd) == 0);
}

static void of_a_file(void) {
	int fd = group(FAN_NONBLOCK, O_RDONLY);
	put("f"), put("other"), knows('f', "f");
	CHECK(watch(fd, FAN_MARK_ADD, USES, "f") == 0);
	use("f"), use("other");
	GOT(fd, "amwo:f"); // one event: what follows is merged
	see("f");
	GOT(fd, "no:f");
	CHECK(truncate("f", 1) == 0 && chmod("f", 0600) == 0 && link("f", "g") == 0); // by no open file
	GOT(fd, "");
	see("g");
	GOT(fd, "no:f");
	int d = open("f", O_PATH);
	CHECK(d >= 0 && close(d) == 0);
	GOT(fd, "");
	d = open("f", O_RDWR | O_TRUNC); // as truncate(2)
	CHECK(d >= 0);
	GOT(fd, "o:f");
	CHECK(ftruncate(d, 5) == 0);
	GOT(fd, "");
	CHECK(pread(d, (char[4]){ 0 }, 0, 0) == 0 && pread(d, (char[4]){ 0 }, 4, 100) == 0);
	GOT(fd, "");
	CHECK(lseek(d, 0, SEEK_END) == 5 && fallocate(d, 0, 0, 10) == 0);
	GOT(fd, "m:f");
	close(d);
	GOT(fd, "w:f");
	CHECK(watch(fd, FAN_MARK_REMOVE, FAN_OPEN | FAN_CLOSE, "f") == 0);
	use("f");
	GOT(fd, "am:f");
	CHECK(watch(fd, FAN_MARK_REMOVE, USES, "f") == 0);
	use("f");
	GOT(fd, "");
}

static void of_a_directory(void) {
	int fd = group(FAN_NONBLOCK, O_RDONLY), d;
	char b[1024];
	dir("d"), dir("d/s"), put("d/f"), put("d/s/f"), knows('f', "d/f"), knows('d', "d"), knows('s', "d/s");
	CHECK(watch(fd, FAN_MARK_ADD, USES, "d") == 0);
	use("d/f"), see("d");
	GOT(fd, "");
	CHECK(watch(fd, FAN_MARK_ADD, FAN_EVENT_ON_CHILD, "d") == 0);
	use("d/f"), see("d"), see("d/s"), use("d/s/f");
	GOT(fd, "amwo:f");
	CHECK(watch(fd, FAN_MARK_ADD, FAN_ONDIR, "d") == 0);
	d = open("d", O_RDONLY);
	CHECK(syscall(SYS_getdents64, d, b, sizeof b) > 0 && close(d) == 0);
	see("d/s");
	GOT(fd, "ano:d; no:s");
	CHECK(watch(fd, FAN_MARK_REMOVE, FAN_EVENT_ON_CHILD, "d") == 0);
	see("d"), see("d/s"), see("d/f");
	GOT(fd, "no:d");
}

// By another mount, nobody of a mount is told; of a filesystem all are.
static void of_mounts(void) {
	int m = group(FAN_NONBLOCK, O_RDONLY), fs = group(FAN_NONBLOCK, O_RDONLY);
	dir("a"), dir("b"), put("a/f");
	CHECK(mount("a", "b", NULL, MS_BIND, NULL) == 0);
	knows('f', "a/f"), knows('d', "a");
	CHECK(watch(m, FAN_MARK_ADD | FAN_MARK_MOUNT, USES, "b") == 0);
	CHECK(watch(fs, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, USES | FAN_ONDIR, "a") == 0);
	see("a/f");
	GOT(m, "");
	GOT(fs, "no:f");
	see("b/f"), see("b");
	GOT(m, "no:f");
	GOT(fs, "no:f; no:d");
	CHECK(watch(m, FAN_MARK_ADD, FAN_ATTRIB, "b") == -1);
	CHECK(umount2("b", MNT_DETACH) == 0);
	FAILS(watch(m, FAN_MARK_REMOVE | FAN_MARK_MOUNT, USES, "b"), ENOENT);
	// A mount that is gone takes its mark along.
	CHECK(mount("a", "b", NULL, MS_BIND, NULL) == 0);
	see("b/f");
	GOT(m, "");
	GOT(fs, "no:f");
}

// What a listener does with its descriptors, nobody is told of.
static void unheard(void) {
	int fd = group(FAN_NONBLOCK, O_RDWR | O_LARGEFILE | O_CLOEXEC | O_APPEND), all = group(FAN_NONBLOCK, O_RDONLY);
	struct fanotify_event_metadata m;
	char b[8];
	put("f"), knows('f', "f");
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN, "f") == 0 && watch(all, FAN_MARK_ADD, USES, "f") == 0);
	see("f");
	GOT(all, "no:f");
	CHECK(read(fd, &m, sizeof m) == 24 && m.fd >= 0 && m.event_len == 24 && m.pid == getpid());
	CHECK(fcntl(m.fd, F_GETFD) == FD_CLOEXEC && (fcntl(m.fd, F_GETFL) & ~(0100000 | O_CLOEXEC)) == (O_RDWR | O_APPEND));
	CHECK(write(m.fd, "abc", 3) == 3 && pread(m.fd, b, 3, 0) == 3 && close(m.fd) == 0);
	GOT(all, "");
	GOT(fd, "");
	see("f");
	FAILS(read(fd, &m, 23), EINVAL);
	FAILS(syscall(SYS_read, fd, 8, 24), EFAULT); // the event is lost
	GOT(fd, "");
	int n = 1;
	see("f");
	CHECK(ioctl(fd, FIONREAD, &n) == 0 && n == 24);
	FAILS(ioctl(fd, TIOCGWINSZ, b), ENOTTY);
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	GOT(fd, "o:f");
	CHECK(poll(&p, 1, 0) == 0 && ioctl(fd, FIONREAD, &n) == 0 && n == 0);
	// What can't be opened as asked for is not told.
	dir("ro");
	CHECK(mount(".", "ro", NULL, MS_BIND, NULL) == 0 && mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	see("ro/f");
	FAILS(read(fd, &m, sizeof m), EROFS);
	FAILS(read(fd, &m, sizeof m), EAGAIN);
}

static void merged(void) {
	int fd = group(FAN_NONBLOCK, O_RDONLY);
	put("f"), put("g"), knows('f', "f"), knows('g', "g");
	CHECK(watch(fd, FAN_MARK_ADD, USES, "f") == 0 && watch(fd, FAN_MARK_ADD, USES, "g") == 0);
	see("f"), see("g"), see("f"), use("g");
	GOT(fd, "no:f; amwno:g");
	// Not with what another does.
	pid_t c = fork();
	if (c == 0) {
		see("f");
		_exit(0);
	}
	CHECK(ended_well(c));
	see("f");
	char want[64];
	sprintf(want, "no:f(pid %d); no:f", c);
	GOT(fd, want);
}

static void ignored(void) {
	const unsigned old = FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, new = FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY;
	int fd = group(FAN_NONBLOCK, O_RDONLY), w;
	dir("d"), put("d/f"), put("d/g"), knows('f', "d/f"), knows('g', "d/g"), knows('d', "d");
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN | FAN_MODIFY | FAN_ONDIR, ".") == 0);
	CHECK(watch(fd, old, FAN_OPEN, "d/f") == 0);
	see("d/f"), see("d/g"), see("d");
	GOT(fd, "o:g; o:d");
	use("d/f"); // being modified ends it
	GOT(fd, "m:f");
	see("d/f");
	GOT(fd, "o:f");
	CHECK(watch(fd, old | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN | FAN_MODIFY, "d/f") == 0);
	use("d/f"), use("d/f");
	GOT(fd, "");
	CHECK(watch(fd, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, FAN_OPEN, "d/f") == 0);
	use("d/f");
	GOT(fd, "o:f");
	CHECK(watch(fd, FAN_MARK_FLUSH, 0, NULL) == 0);
	w = open("d/f", O_WRONLY); // would end it at once
	GOT(fd, "o:f");
	CHECK(watch(fd, old, FAN_OPEN, "d/f") == 0);
	see("d/f");
	GOT(fd, "o:f");
	close(w);
	// By a directory: itself, or what is in it, as the qualifiers say.
	CHECK(watch(fd, old | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN, "d") == 0);
	see("d/g"), see("d");
	GOT(fd, "o:g");
	CHECK(watch(fd, FAN_MARK_FLUSH, 0, NULL) == 0 && watch(fd, new, FAN_OPEN | FAN_EVENT_ON_CHILD, "d") == 0);
	see("d/g"), see("d");
	GOT(fd, "o:d");
	CHECK(watch(fd, new, FAN_ONDIR, "d") == 0);
	see("d/g"), see("d");
	GOT(fd, "");
}

static void executed(void) {
	char path[4096];
	int fd = group(FAN_NONBLOCK, O_RDONLY), n = readlink("/proc/self/exe", path, sizeof path - 1);
	CHECK(n > 0);
	path[n] = 0;
	knows('x', path);
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN_EXEC | FAN_OPEN, path) == 0);
	see(path);
	GOT(fd, "o:x");
	pid_t c = fork();
	if (c == 0) {
		execl(path, path, "nothing", NULL);
		_exit(1);
	}
	CHECK(ended_well(c));
	char want[64];
	sprintf(want, "ox:x(pid %d)", c);
	GOT(fd, want);
}

static void *in_thread(void *tid) {
	*(pid_t *)tid = gettid();
	see("f");
	return NULL;
}

#include <pthread.h>

static void threads(void) {
	int fd = group(FAN_NONBLOCK | FAN_REPORT_TID, O_RDONLY), pid = group(FAN_NONBLOCK, O_RDONLY);
	pthread_t th;
	pid_t tid;
	char want[64];
	put("f"), knows('f', "f");
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN, "f") == 0 && watch(pid, FAN_MARK_ADD, FAN_OPEN, "f") == 0);
	CHECK(pthread_create(&th, NULL, in_thread, &tid) == 0 && pthread_join(th, NULL) == 0);
	sprintf(want, "o:f(pid %d)", tid);
	GOT(fd, want);
	GOT(pid, "o:f");
}

static void pidfds(void) {
	int fd = group(FAN_NONBLOCK | FAN_REPORT_PIDFD, O_RDONLY);
	char want[64];
	put("f"), knows('f', "f");
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN, "f") == 0);
	see("f");
	GOT(fd, "o:f pidfd");
	pid_t c = fork();
	if (c == 0) {
		see("f");
		_exit(0);
	}
	CHECK(ended_well(c)); // and is no more
	sprintf(want, "o:f(pid %d) pidfd-", c);
	GOT(fd, want);
}

static void all(void) {
	APART(fresh(of_a_file));
	APART(fresh(of_a_directory));
	APART(fresh(of_mounts));
	APART(fresh(unheard));
	APART(fresh(merged));
	APART(fresh(ignored));
	APART(fresh(threads));
	APART(fresh(pidfds));
	APART(fresh(executed));
}

int main(int n, char **args) {
	if (n > 1)
		return 0;
	CHECK(apart(all) == 0);
	return 0;
}
