// covers: setxattr getxattr listxattr removexattr fcntl flock mmap poll ioctl fallocate lseek copy_file_range execve
// A guest's own FUSE server, fuse(4): attributes, locks, mappings, polls, and what it tells unasked.
#include "fuse.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>

static void attributes(void) {
	new_world();
	uint32_t n = put(1, "f", S_IFREG | 0600, "x");
	begin("");
	char b[64];
	FAILS(getxattr("m/f", "user.a", b, sizeof b), ENODATA);
	CHECK(listxattr("m/f", b, sizeof b) == 0);
	CHECK(setxattr("m/f", "user.a", "value", 5, XATTR_CREATE) == 0);
	FAILS(setxattr("m/f", "user.a", "value", 5, XATTR_CREATE), EEXIST);
	CHECK(getxattr("m/f", "user.a", NULL, 0) == 5 && getxattr("m/f", "user.a", b, sizeof b) == 5 && memcmp(b, "value", 5) == 0);
	FAILS(getxattr("m/f", "user.a", b, 4), ERANGE);
	CHECK(listxattr("m/f", b, sizeof b) == 7 && strcmp(b, "user.a") == 0);
	CHECK(w->nodes[n].value_len == 5);
	CHECK(removexattr("m/f", "user.a") == 0);
	FAILS(removexattr("m/f", "user.a"), ENODATA);
	w->lacks = bit(FUSE_SETXATTR);
	FAILS(setxattr("m/f", "user.a", "v", 1, 0), EOPNOTSUPP);
	uint32_t asked = w->seen[FUSE_SETXATTR];
	FAILS(setxattr("m/f", "user.a", "v", 1, 0), EOPNOTSUPP);
	CHECK(w->seen[FUSE_SETXATTR] == asked);
	over();
}

// in_child runs what is true of another process.
#define IN_CHILD(...) \
	do { \
		pid_t p_ = fork(); \
		if (p_ == 0) { \
			__VA_ARGS__; \
			_exit(0); \
		} \
		CHECK(ended_well(p_)); \
	} while (0)

static void own_locks(void) { // which the server has not asked for
	new_world();
	put(1, "f", S_IFREG | 0600, "x");
	begin("");
	int fd = open("m/f", O_RDWR);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	CHECK(fcntl(fd, F_SETLK, &l) == 0 && flock(fd, LOCK_EX) == 0);
	IN_CHILD({
		int f = open("m/f", O_RDWR);
		FAILS(fcntl(f, F_SETLK, &l), EAGAIN);
		FAILS(flock(f, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	});
	CHECK(w->seen[FUSE_SETLK] == 0);
	over();
}

static void on_alarm(int sig) { (void)sig; }

static void locks(void) {
	new_world();
	put(1, "f", S_IFREG | 0600, "x");
	w->flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
	begin("");
	int fd = open("m/f", O_RDWR);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	CHECK(w->lk.lk.start == 10 && w->lk.lk.end == 14 && w->lk.lk.type == F_WRLCK && w->lk.lk.pid == (uint32_t)getpid());
	CHECK(w->lk.fh == 42 && !(w->lk.lk_flags & FUSE_LK_FLOCK) && w->lk.owner);
	pid_t parent = getpid();
	IN_CHILD({
		int f = open("m/f", O_RDWR);
		FAILS(fcntl(f, F_SETLK, &l), EAGAIN);
		struct flock g = l;
		CHECK(fcntl(f, F_GETLK, &g) == 0 && g.l_type == F_WRLCK && g.l_start == 10 && g.l_len == 5 && g.l_pid == parent);
		struct sigaction sa = {.sa_handler = on_alarm};
		sigaction(SIGALRM, &sa, NULL);
		alarm(1);
		FAILS(fcntl(f, F_SETLKW, &l), EINTR);
		CHECK(w->last[FUSE_SETLKW].unique == w->interrupt.unique);
	});
	l.l_type = F_UNLCK;
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	l.l_type = F_RDLCK;
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	IN_CHILD({
		int f = open("m/f", O_RDWR);
		CHECK(fcntl(f, F_SETLK, &l) == 0);
	});
	// A close takes the process's locks away: by FUSE_FLUSH.
	close(dup(fd));
	l.l_type = F_WRLCK;
	IN_CHILD({
		int f = open("m/f", O_RDWR);
		CHECK(fcntl(f, F_SETLK, &l) == 0);
	});
	CHECK(flock(fd, LOCK_SH) == 0 && (w->lk.lk_flags & FUSE_LK_FLOCK) && w->lk.lk.type == F_RDLCK);
	IN_CHILD({
		int f = open("m/f", O_RDWR);
		CHECK(flock(f, LOCK_SH | LOCK_NB) == 0);
		FAILS(flock(f, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	});
	close(fd);
	UNTIL(w->release.release_flags & FUSE_RELEASE_FLOCK_UNLOCK);
	over();
}

static void mapped(void) {
	fresh("");
	static char b[150000];
	for (unsigned i = 0; i < sizeof b; i++) b[i] = i * 13 + i / 4096;
	int fd = open("m/f", O_RDWR | O_CREAT, 0600);
	CHECK(write(fd, b, sizeof b) == sizeof b);
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && memcmp(p, b, sizeof b) == 0 && p[sizeof b] == 0);
	p[5] = 99;
	CHECK(w->nodes[2].data[5] == (unsigned char)b[5]);
	char *s = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(s != MAP_FAILED && memcmp(s, b, sizeof b) == 0);
	// What is written shows, and what is cut off is gone.
	CHECK(pwrite(fd, "new", 3, 70000) == 3 && memcmp(s + 70000, "new", 3) == 0 && memcmp(p + 70000, "new", 3) == 0);
	CHECK(ftruncate(fd, 5000) == 0 && s[4999] == b[4999] && s[5000] == 0);
	pid_t q = fork();
	if (q == 0) _exit(s[70000]);
	int status;
	CHECK(waitpid(q, &status, 0) == q && WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	CHECK(pwrite(fd, "z", 1, 5000) == 1 && s[5000] == 'z');
	CHECK(munmap(p, 1 << 20) == 0 && munmap(s, 1 << 20) == 0);
	// What the server changes is seen by who maps the file after it is opened again.
	memcpy(w->nodes[2].data, "later", 5);
	int again = open("m/f", O_RDONLY);
	s = mmap(NULL, 4096, PROT_READ, MAP_SHARED, again, 0);
	CHECK(s != MAP_FAILED && memcmp(s, "later", 5) == 0);
	close(again);
	w->open_flags = FOPEN_DIRECT_IO;
	again = open("m/f", O_RDWR);
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, again, 0), ENODEV);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, again, 0);
	CHECK(p != MAP_FAILED && memcmp(p, "later", 5) == 0);
	over();
}

// An ELF header, a program header that maps the file at 4 MiB, and code behind them.
static const unsigned char tiny_program[] = {
	0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0,
	64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
	0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
	0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, // xor edi, edi; mov eax, 60; syscall
};

static void run(void) {
	fresh("");
	// A program that needs no other: it makes the system call exit(0).
	static char b[4096 * 3];
	int n = sizeof b;
	memcpy(b, tiny_program, sizeof tiny_program);
	int fd = open("m/true", O_WRONLY | O_CREAT, 0755);
	CHECK(write(fd, b, n) == n && close(fd) == 0);
	IN_CHILD({
		execl("m/true", "true", NULL);
		CHECK(!"executed");
	});
	CHECK(chmod("m/true", 0644) == 0);
	IN_CHILD(FAILS(execl("m/true", "true", NULL), EACCES));
	over();
}

static void polled(void) {
	new_world();
	put(1, "f", S_IFREG | 0600, "x");
	w->revents = POLLOUT;
	begin("");
	int fd = open("m/f", O_RDWR);
	struct pollfd f = {.fd = fd, .events = POLLIN | POLLOUT};
	CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLOUT);
	f.events = POLLIN;
	CHECK(poll(&f, 1, 0) == 0);
	pid_t p = fork();
	if (p == 0) {
		usleep(100000);
		w->revents = POLLIN;
		struct fuse_notify_poll_wakeup_out o = {.kh = w->poll_kh};
		_exit(notify(FUSE_NOTIFY_POLL, &o, sizeof o, NULL) < 0);
	}
	CHECK(poll(&f, 1, 5000) == 1 && f.revents == POLLIN);
	CHECK(ended_well(p));
	int ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0 && epoll_wait(ep, &e, 1, 1000) == 1);
	w->lacks = bit(FUSE_POLL);
	f.events = POLLIN | POLLOUT;
	CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLOUT));
	over();
}

static void controlled(void) {
	new_world();
	put(1, "f", S_IFREG | 0600, "0123456789");
	put(1, "g", S_IFREG | 0600, "");
	begin("");
	int fd = open("m/f", O_RDWR), to = open("m/g", O_RDWR), v = 5;
	CHECK(ioctl(fd, _IOWR('F', 1, int), &v) == 3 && v == 15);
	FAILS(ioctl(fd, _IO('F', 3)), ERANGE);
	FAILS(ioctl(fd, _IO('F', 2)), ENOTTY);
	CHECK(lseek(fd, 1, SEEK_DATA) == 1 && lseek(fd, 1, SEEK_HOLE) == 4096);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK(fallocate(fd, 0, 0, 20) == 0 && w->seen[FUSE_FALLOCATE] == 1);
	FAILS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
	off_t in = 2, out = 0;
	CHECK(copy_file_range(fd, &in, to, &out, 4, 0) == 4 && in == 6 && out == 4);
	CHECK(w->seen[FUSE_COPY_FILE_RANGE] == 1 && w->nodes[3].size == 4 && memcmp(w->nodes[3].data, "2345", 4) == 0);
	struct stat st;
	CHECK(fstat(to, &st) == 0 && st.st_size == 4);
	w->lacks = bit(FUSE_COPY_FILE_RANGE);
	in = 0;
	CHECK(copy_file_range(fd, &in, to, &out, 2, 0) == 2 && memcmp(w->nodes[3].data, "234501", 6) == 0);
	over();
}

static void told(void) {
	new_world();
	uint32_t n = put(1, "f", S_IFREG | 0600, "hello");
	begin("");
	struct stat st;
	CHECK(stat("m/f", &st) == 0 && st.st_size == 5);
	w->nodes[n].size = 2;
	CHECK(stat("m/f", &st) == 0 && st.st_size == 5);
	struct fuse_notify_inval_inode_out i = {.ino = n, .off = -1};
	CHECK(notify(FUSE_NOTIFY_INVAL_INODE, &i, sizeof i, NULL) == 16 + sizeof i);
	CHECK(stat("m/f", &st) == 0 && st.st_size == 2);
	// A name that the server takes away, and says so.
	w->names[find(1, "f") - 1].node = 0;
	CHECK(stat("m/f", &st) == 0);
	struct fuse_notify_inval_entry_out e = {.parent = 1, .namelen = 1};
	CHECK(notify(FUSE_NOTIFY_INVAL_ENTRY, &e, sizeof e, "f") > 0);
	FAILS(stat("m/f", &st), ENOENT);
	uint32_t k = put(1, "g", S_IFREG | 0600, "x");
	CHECK(stat("m/g", &st) == 0);
	w->names[find(1, "g") - 1].node = 0;
	struct fuse_notify_delete_out d = {.parent = 1, .child = k, .namelen = 1};
	CHECK(notify(FUSE_NOTIFY_DELETE, &d, sizeof d, "g") > 0);
	FAILS(stat("m/g", &st), ENOENT);
	uint32_t h = put(1, "h", S_IFREG | 0600, "x");
	CHECK(stat("m/h", &st) == 0);
	struct fuse_notify_retrieve_out r = {.notify_unique = 1234, .nodeid = h, .size = 10};
	CHECK(notify(FUSE_NOTIFY_RETRIEVE, &r, sizeof r, NULL) > 0);
	UNTIL(w->seen[FUSE_NOTIFY_REPLY] == 1);
	CHECK(w->last[FUSE_NOTIFY_REPLY].unique == 1234 && w->last[FUSE_NOTIFY_REPLY].nodeid == h);
	over();
}

int main(void) {
	APART(attributes());
	APART(own_locks());
	APART(locks());
	APART(mapped());
	APART(run());
	APART(polled());
	APART(controlled());
	APART(told());
	return 0;
}
