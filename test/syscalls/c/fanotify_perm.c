// covers: fanotify_init fanotify_mark splice
// fanotify(7), "Dealing with permission events": who uses a file waits for an answer.
#include "fanotify.h"
#include <sys/mman.h>

// what the child that uses files does, and ends with.
static pid_t child(int (*f)(void)) {
	pid_t c = fork();
	CHECK(c >= 0);
	if (c == 0)
		_exit(f());
	return c;
}

static int opens(void) {
	int fd = open("f", O_RDONLY);
	return fd < 0 ? errno : 0;
}

static int makes(void) {
	int fd = open("new", O_CREAT | O_RDWR, 0600);
	return fd < 0 ? errno : 0;
}

static int inherited;

static int reads(void) {
	char b[4];
	return read(inherited, b, 4) < 0 ? errno : 0;
}

static int runs(void) {
	execl("prog", "prog", "nothing", NULL);
	return errno;
}

// asked reads one event, which is of what the letters say; its descriptor is returned.
#define asked(g, letters) askedAt(g, letters, __LINE__)
static int askedAt(int g, const char *letters, int line) {
	struct fanotify_event_metadata m;
	struct pollfd p = { g, POLLIN, 0 };
	char b[64];
	if (poll(&p, 1, 10000) != 1 || read(g, &m, sizeof m) != 24 || strcmp(bits(m.mask, b), letters) != 0) {
		fprintf(stderr, "line %d: asked for \"%s\"\n", line, b);
		_exit(1);
	}
	return m.fd;
}

static void answer(int g, int fd, unsigned how) {
	struct fanotify_response r = { fd, how };
	CHECK(write(g, &r, sizeof r) == sizeof r && close(fd) == 0);
}

static int ended(pid_t c) {
	int st;
	CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void waits(pid_t c) {
	usleep(20000);
	CHECK(waitpid(c, NULL, WNOHANG) == 0);
}

static int content(uint64_t mask, const char *name) {
	int g = group(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	CHECK(watch(g, FAN_MARK_ADD, mask, name) == 0);
	return g;
}

static void opening(void) {
	put("f");
	int g = content(FAN_OPEN_PERM, "f"), fd;
	pid_t c = child(opens);
	fd = asked(g, "O");
	waits(c);
	answer(g, fd, FAN_ALLOW);
	CHECK(ended(c) == 0);
	c = child(opens);
	fd = asked(g, "O");
	answer(g, fd, FAN_DENY);
	CHECK(ended(c) == EPERM);
	// Answers that are none.
	struct { struct fanotify_response r; char more[32]; } r = { { 0, FAN_ALLOW } };
	c = child(opens);
	r.r.fd = fd = asked(g, "O");
	FAILS(write(g, &r, 7), EINVAL);
	FAILS(syscall(SYS_write, g, 8, 8), EFAULT);
	r.r.response = FAN_ALLOW | FAN_DENY;
	FAILS(write(g, &r, 8), EINVAL);
	r.r.response = 0;
	FAILS(write(g, &r, 8), EINVAL);
	r.r.response = FAN_ALLOW | 0x100;
	FAILS(write(g, &r, 8), EINVAL);
	r.r.response = FAN_ALLOW | 0x20; // FAN_INFO, with none
	FAILS(write(g, &r, 8), EINVAL);
	r.r.fd = 999, r.r.response = FAN_ALLOW;
	FAILS(write(g, &r, 8), ENOENT);
	r.r.fd = -1;
	FAILS(write(g, &r, 8), EINVAL);
	waits(c);
	r.r.fd = fd;
	CHECK(write(g, &r, 20) == 8); // what follows is nothing
	CHECK(ended(c) == 0);
	FAILS(write(g, &r, 8), ENOENT);
	// A rule for the audit log may come along.
	struct { struct fanotify_response r; uint8_t type, pad; uint16_t len; uint32_t rule, subject, object; } with = {
		{ -1, FAN_ALLOW | 0x20 }, 1, 0, 16 };
	CHECK(write(g, &with, 24) == 24);
	c = child(opens);
	with.r.fd = asked(g, "O");
	FAILS(write(g, &with, 20), EINVAL);
	with.pad = 1;
	FAILS(write(g, &with, 24), EINVAL);
	with.pad = 0, with.type = 2;
	FAILS(write(g, &with, 24), EINVAL);
	waits(c);
	with.type = 1;
	CHECK(write(g, &with, 24) == 24 && ended(c) == 0);
}

// What is made is there, whatever the answer.
static void creating(void) {
	int g = content(FAN_OPEN_PERM | FAN_EVENT_ON_CHILD, ".");
	int told = group(FAN_NONBLOCK | FAN_CLOEXEC, 0);
	CHECK(watch(told, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE | FAN_EVENT_ON_CHILD, ".") == 0);
	pid_t c = child(makes);
	answer(g, asked(g, "O"), FAN_DENY);
	CHECK(ended(c) == EPERM && exists("new"));
	CHECK(strcmp(got(told), "") == 0);
	c = child(makes);
	answer(g, asked(g, "O"), FAN_ALLOW);
	CHECK(ended(c) == 0);
}

static void reading(void) {
	put("f");
	int g = content(FAN_ACCESS_PERM, "f"); // before it is opened: Linux 6.14 decides then
	CHECK((inherited = open("f", O_RDWR)) >= 0 && write(inherited, "abcdef", 6) == 6 && lseek(inherited, 0, SEEK_SET) == 0);
	pid_t c = child(reads);
	int fd = asked(g, "A");
	waits(c);
	answer(g, fd, FAN_DENY);
	CHECK(ended(c) == EPERM && lseek(inherited, 0, SEEK_CUR) == 0);
	c = child(reads);
	answer(g, asked(g, "A"), FAN_ALLOW);
	CHECK(ended(c) == 0 && lseek(inherited, 0, SEEK_CUR) == 4);
}

static int ends[2];

static int splices(void) {
	return splice(inherited, NULL, ends[1], NULL, 4, 0) == 4 ? 0 : errno;
}

// Who splices into a pipe does not keep it while waiting for an answer.
static void splicing(void) {
	char b[8];
	put("f");
	int g = content(FAN_ACCESS_PERM, "f");
	CHECK((inherited = open("f", O_RDWR)) >= 0 && write(inherited, "abcd", 4) == 4 && lseek(inherited, 0, SEEK_SET) == 0 && pipe(ends) == 0);
	pid_t c = child(splices);
	int fd = asked(g, "A");
	waits(c);
	CHECK(write(ends[1], "x", 1) == 1 && read(ends[0], b, 8) == 1);
	answer(g, fd, FAN_DENY);
	CHECK(ended(c) == EPERM);
	c = child(splices);
	answer(g, asked(g, "A"), FAN_ALLOW);
	CHECK(ended(c) == 0 && read(ends[0], b, 8) == 4);
}

static int lists(void) {
	char b[1024];
	return syscall(SYS_getdents64, inherited, b, sizeof b) < 0 ? errno : 0;
}

static void listing(void) {
	dir("d");
	int g = content(FAN_ACCESS_PERM | FAN_ONDIR, "d");
	CHECK((inherited = open("d", O_RDONLY)) >= 0);
	pid_t c = child(lists);
	answer(g, asked(g, "A"), FAN_DENY);
	CHECK(ended(c) == EPERM);
	c = child(lists);
	answer(g, asked(g, "A"), FAN_ALLOW);
	CHECK(ended(c) == 0);
}

static void running(void) {
	char b[65536];
	int n, from = open("/proc/self/exe", O_RDONLY), to = open("prog", O_CREAT | O_WRONLY, 0755);
	while ((n = read(from, b, sizeof b)) > 0)
		CHECK(write(to, b, n) == n);
	close(to);
	int g = content(FAN_OPEN_EXEC_PERM, "prog");
	pid_t c = child(runs);
	answer(g, asked(g, "X"), FAN_DENY);
	CHECK(ended(c) == EPERM);
	CHECK(watch(g, FAN_MARK_ADD, FAN_OPEN_PERM, "prog") == 0);
	c = child(runs);
	answer(g, asked(g, "X"), FAN_ALLOW);
	int fd = asked(g, "O");
	waits(c);
	answer(g, fd, FAN_ALLOW);
	CHECK(ended(c) == 0);
}

static void handler(int sig) {}

static int interrupted(void) {
	signal(SIGUSR1, handler);
	return opens();
}

// A signal does not end the wait, but for the last.
static void killed(void) {
	int st;
	put("f");
	int g = content(FAN_OPEN_PERM, "f");
	pid_t c = child(interrupted);
	int fd = asked(g, "O");
	CHECK(kill(c, SIGUSR1) == 0);
	waits(c);
	answer(g, fd, FAN_ALLOW);
	CHECK(ended(c) == 0);
	c = child(opens); // asked, not answered
	fd = asked(g, "O");
	CHECK(kill(c, SIGKILL) == 0 && waitpid(c, &st, 0) == c && WTERMSIG(st) == SIGKILL);
	answer(g, fd, FAN_ALLOW); // which nobody waits for
	c = child(opens); // not even asked
	struct pollfd p = { g, POLLIN, 0 };
	CHECK(poll(&p, 1, 10000) == 1);
	CHECK(kill(c, SIGKILL) == 0 && waitpid(c, &st, 0) == c && WTERMSIG(st) == SIGKILL);
	CHECK(poll(&p, 1, 0) == 0);
}

// When the listener goes all may go on: those it has not heard, and those it was to answer.
static void deserted(void) {
	put("f");
	int g = content(FAN_OPEN_PERM, "f");
	pid_t a = child(opens), b;
	int fd = asked(g, "O");
	close(fd);
	b = fork();
	if (b == 0) {
		close(g);
		_exit(opens());
	}
	// a has a descriptor of the group, too.
	struct pollfd p = { g, POLLIN, 0 };
	CHECK(poll(&p, 1, 10000) == 1);
	waits(a), waits(b);
	CHECK(kill(a, SIGKILL) == 0 && waitpid(a, NULL, 0) == a);
	a = b;
	b = fork();
	if (b == 0) {
		close(g);
		_exit(opens());
	}
	waits(b);
	fd = asked(g, "O");
	CHECK(close(fd) == 0 && close(g) == 0);
	CHECK(ended(a) == 0 && ended(b) == 0);
}

// Both groups are asked, the one of the higher class first; who is told only is told at the end.
static void classes(void) {
	put("f");
	int low = content(FAN_OPEN_PERM, "f"), told = group(FAN_NONBLOCK | FAN_CLOEXEC, 0);
	int high = group(FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	CHECK(watch(high, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, ".") == 0);
	CHECK(watch(told, FAN_MARK_ADD, FAN_OPEN, "f") == 0);
	pid_t c = child(opens);
	int fd = asked(high, "O");
	struct pollfd p = { low, POLLIN, 0 };
	CHECK(poll(&p, 1, 20) == 0);
	answer(high, fd, FAN_ALLOW);
	answer(low, asked(low, "O"), FAN_ALLOW);
	CHECK(ended(c) == 0);
	char *s = got(told);
	CHECK(s[0] == 'o');
	c = child(opens);
	answer(high, asked(high, "O"), FAN_DENY);
	CHECK(ended(c) == EPERM && poll(&p, 1, 0) == 0 && strcmp(got(told), "") == 0);
}

static void all(void) {
	APART(fresh(opening));
	APART(fresh(creating));
	APART(fresh(reading));
	APART(fresh(splicing));
	APART(fresh(listing));
	APART(fresh(running));
	APART(fresh(killed));
	APART(fresh(deserted));
	APART(fresh(classes));
}

int main(int n, char **args) {
	if (n > 1)
		return 0;
	CHECK(apart(all) == 0);
	return 0;
}
