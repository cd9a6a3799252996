// covers: mount umount2 read write stat open kill
// Who waits for a FUSE server: signals, a server that dies, lies, or never answers.
#include "fuse.h"
#include <poll.h>
#include <time.h>

// asks makes a child that stats "m/f" and ends with the errno.
static pid_t asks(void) {
	pid_t p = fork();
	if (p == 0) {
		struct stat st;
		close(dev); // only the server keeps the connection
		errno = 0;
		stat("m/f", &st);
		_exit(errno);
	}
	CHECK(p > 0);
	return p;
}

static int ends(pid_t p) {
	int status;
	CHECK(waitpid(p, &status, 0) == p && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void on_signal(int sig) { (void)sig; }

static void before_init(void) {
	new_world();
	mkdir("m", 0755);
	dev = open_fuse();
	CHECK(try_mount("m", dev, "fuse", "") == 0);
	pid_t p = asks();
	usleep(50000);
	CHECK(waitpid(p, NULL, WNOHANG) == 0);
	end(p);
	p = asks();
	usleep(20000);
	struct pollfd f = {.fd = dev, .events = POLLIN | POLLOUT};
	CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLOUT));
	w->minor = 5; // older than anything that is understood: its words are too short
	server = fork();
	if (server == 0) {
		char b[8192];
		CHECK(read(dev, b, sizeof b) > 0);
		struct fuse_init_out o = {.major = 6, .minor = 5};
		answer(((struct fuse_in_header *)b)->unique, 0, &o, sizeof o);
		pause();
	}
	CHECK(ends(p) == ECONNREFUSED);
	CHECK(umount("m") == 0);
	f.events = POLLIN;
	CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLERR);
	close(dev);
	end(server);
}

static void interrupted(void) {
	fresh("");
	signal(SIGALRM, SIG_DFL);
	struct sigaction sa = {.sa_handler = on_signal}; // no SA_RESTART
	w->hangs = bit(FUSE_LOOKUP);
	pid_t p = fork();
	if (p == 0) {
		sigaction(SIGUSR1, &sa, NULL);
		struct stat st;
		errno = 0;
		stat("m/f", &st);
		_exit(errno);
	}
	UNTIL(w->hung);
	usleep(20000);
	CHECK(kill(p, SIGUSR1) == 0);
	CHECK(ends(p) == EINTR);
	CHECK(w->interrupt.unique == w->hung && (w->last[FUSE_LOOKUP].pid == (uint32_t)p));
	// A kill, too, is told to the server, and ends the wait when it answers.
	w->hung = 0;
	p = asks();
	UNTIL(w->hung);
	usleep(20000);
	uint64_t hung = w->hung;
	CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, 0) == p);
	UNTIL(w->interrupt.unique == hung);
	over();
}

static void dies(void) {
	fresh("");
	w->hangs = bit(FUSE_LOOKUP);
	pid_t p = asks(), q = asks();
	UNTIL(w->seen[FUSE_LOOKUP] >= 1);
	usleep(20000);
	struct stat st;
	int fd = open("m", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	close(dev);
	end(server);
	int a = ends(p), b = ends(q); // of one that had not asked yet there is no connection
	CHECK((a == ECONNABORTED || a == ENOTCONN) && (b == ECONNABORTED || b == ENOTCONN));
	CHECK(a == ECONNABORTED || b == ECONNABORTED);
	FAILS(stat("m/f", &st), ENOTCONN);
	FAILS(open("m/f", O_RDONLY), ENOTCONN);
	FAILS(mkdir("m/d", 0700), ENOTCONN);
	char buf[512];
	while ((a = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) // "." and ".." need no server
		;
	CHECK(a == -1 && errno == ENOTCONN);
	CHECK(close(fd) == 0 && umount("m") == 0);
}

static void killed(void) {
	fresh("");
	w->hangs = bit(FUSE_LOOKUP) | bit(FUSE_INTERRUPT);
	pid_t p = asks();
	UNTIL(w->hung);
	CHECK(kill(p, SIGKILL) == 0);
	usleep(20000);
	close(dev);
	end(server);
	CHECK(waitpid(p, NULL, 0) == p);
	CHECK(umount("m") == 0);
}

static void forced(void) {
	fresh("");
	w->hangs = bit(FUSE_LOOKUP);
	pid_t p = asks();
	UNTIL(w->hung);
	int left = umount2("m", MNT_FORCE); // the child may have gone in time
	CHECK(left == 0 || errno == EBUSY);
	int e = ends(p);
	CHECK(e == ECONNABORTED || e == ENOTCONN);
	CHECK(left == 0 || umount("m") == 0);
	UNTIL(w->ended);
	CHECK(w->ended == ENODEV);
	close(dev);
	waitpid(server, NULL, 0);
}

static void liars(void) {
	static const int want[] = {0, EIO, EIO, EIO, EIO, ENOENT, EIO};
	for (int lie = 1; lie <= 6; lie++) {
		fresh("");
		put(1, "f", S_IFREG | 0600, "x");
		struct stat st;
		CHECK(stat("m", &st) == 0);
		w->lie = lie;
		if (lie == 5) { // EINVAL, and the next is taken
			FAILS(stat("m/f", &st), EIO);
		} else {
			FAILS(stat("m/f", &st), want[lie]);
			UNTIL(w->wrote == (lie <= 2 ? EINVAL : 0));
		}
		w->lie = 0;
		CHECK(stat("m", &st) == 0);
		over();
	}
}

static void strangers(void) {
	fresh("");
	struct stat st;
	CHECK(stat("m", &st) == 0);
	struct fuse_out_header h = {.len = sizeof h, .unique = 1000000};
	FAILS(write(dev, &h, sizeof h), ENOENT);
	FAILS(write(dev, &h, sizeof h - 1), EINVAL);
	h.len = 17;
	FAILS(write(dev, &h, sizeof h), EINVAL);
	h.len = 16, h.error = 1;
	FAILS(write(dev, &h, sizeof h), EINVAL);
	h.unique = 0, h.error = 99;
	FAILS(write(dev, &h, sizeof h), EINVAL);
	struct fuse_notify_inval_inode_out i = {.ino = 20};
	FAILS(notify(FUSE_NOTIFY_INVAL_INODE, &i, sizeof i, NULL), ENOENT);
	FAILS(notify(FUSE_NOTIFY_INVAL_INODE, &i, sizeof i - 1, NULL), EINVAL);
	struct fuse_notify_inval_entry_out e = {.parent = 1, .namelen = 5};
	FAILS(notify(FUSE_NOTIFY_INVAL_ENTRY, &e, sizeof e, "abc"), EINVAL);
	e.namelen = 2000;
	FAILS(notify(FUSE_NOTIFY_INVAL_ENTRY, &e, sizeof e, "abc"), ENAMETOOLONG);
	over();
}

// A listing whose names can't be.
static void names(void) {
	static const char *const bad[] = {"a/b", ""};
	for (int k = 0; k < 2; k++) {
		fresh("");
		char b[512];
		put(1, "f", S_IFREG | 0600, "x");
		for (int i = 0; i < NAMES; i++)
			if (w->names[i].node) strcpy(w->names[i].name, bad[k]);
		int fd = open("m", O_RDONLY | O_DIRECTORY);
		long n, total = 0;
		while ((n = syscall(SYS_getdents64, fd, b, sizeof b)) > 0) total += n;
		CHECK(n == -1 && errno == EIO);
		close(fd);
		over();
	}
}

static void who(void) {
	fresh("");
	struct stat st;
	CHECK(stat("m", &st) == 0);
	w->nodes[1].mode = S_IFDIR | 0777;
	put(1, "f", S_IFREG | 0666, "x");
	pid_t p = fork();
	if (p == 0) {
		nobody();
		FAILS(stat("m/f", &st), EACCES);
		FAILS(open("m", O_RDONLY), EACCES);
		struct statfs s;
		CHECK(statfs("m", &s) == -1 || (s.f_type == 0x65735546 && s.f_blocks == 0));
		_exit(0);
	}
	CHECK(ended_well(p));
	over();
	// With allow_other everybody may, and it is the server that judges...
	new_world();
	put(1, "f", S_IFREG | 0600, "x");
	begin(",allow_other");
	p = fork();
	if (p == 0) {
		nobody();
		CHECK(stat("m/f", &st) == 0);
		int fd = open("m/f", O_RDWR);
		CHECK(fd >= 0 && w->last[FUSE_OPEN].uid == 65534 && w->last[FUSE_OPEN].gid == 65534);
		CHECK(chmod("m/f", 0604) == 0);
		_exit(0);
	}
	CHECK(ended_well(p));
	w->fails = bit(FUSE_ACCESS), w->error = EACCES;
	FAILS(access("m/f", R_OK), EACCES);
	over();
	// ... unless the kernel is asked to.
	new_world();
	put(1, "f", S_IFREG | 0600, "x");
	begin(",allow_other,default_permissions");
	p = fork();
	if (p == 0) {
		nobody();
		CHECK(stat("m/f", &st) == 0);
		FAILS(open("m/f", O_RDONLY), EACCES);
		FAILS(access("m/f", R_OK), EACCES);
		FAILS(mkdir("m/d", 0700), EACCES);
		FAILS(chmod("m/f", 0604), EPERM);
		_exit(0);
	}
	CHECK(ended_well(p) && w->seen[FUSE_ACCESS] == 0);
	over();
}

static void clones(void) {
	fresh("");
	struct stat st;
	CHECK(stat("m", &st) == 0);
	int fd = open_fuse();
	uint32_t from = dev, bad = fd;
	FAILS(ioctl(fd, FUSE_DEV_IOC_CLONE, &bad), EPERM);
	CHECK(ioctl(fd, FUSE_DEV_IOC_CLONE, &from) == 0);
	FAILS(ioctl(fd, FUSE_DEV_IOC_CLONE, &from), EINVAL);
	// The clone keeps the connection alive, and is served as the other was.
	end(server);
	close(dev);
	dev = fd;
	server = fork();
	if (server == 0) serve();
	CHECK(stat("m", &st) == 0);
	FAILS(stat("m/nothing", &st), ENOENT);
	over();
}

int main(void) {
	APART(before_init());
	APART(interrupted());
	APART(dies());
	APART(killed());
	APART(forced());
	APART(liars());
	APART(strangers());
	APART(names());
	APART(who());
	APART(clones());
	return 0;
}
