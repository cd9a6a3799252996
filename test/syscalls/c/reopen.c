// What /proc/self/fd/N opens anew: files, pipes and namespaces, not what has no
// name but "anon_inode".
// covers: openat eventfd2 epoll_create1 timerfd_create signalfd4 inotify_init1 fsopen memfd_create
#include "check.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

static const char *name(int fd) {
	static char path[64];
	CHECK(fd >= 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return path;
}

// closed: fd can't be opened again, whatever the flags; as a place it can.
static void closed(int fd) {
	FAILS(open(name(fd), O_RDONLY), ENXIO);
	FAILS(open(name(fd), O_RDWR | O_NONBLOCK), ENXIO);
	FAILS(open(name(fd), O_WRONLY | O_TRUNC), ENXIO);
	int place = open(name(fd), O_PATH);
	CHECK(place >= 0);
	FAILS(open(name(place), O_RDONLY), ENXIO);
	CHECK(close(place) == 0 && close(fd) == 0);
}

int main(void) {
	sigset_t none;
	sigemptyset(&none);
	closed(eventfd(0, 0));
	closed(epoll_create1(0));
	closed(timerfd_create(CLOCK_MONOTONIC, 0));
	closed(signalfd(-1, &none, 0));
	closed(inotify_init1(0));
	closed(syscall(SYS_fsopen, "tmpfs", 0));
	closed(socket(AF_UNIX, SOCK_STREAM, 0));

	int p[2], m = memfd_create("m", 0), n = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(pipe(p) == 0);
	int again = open(name(p[0]), O_WRONLY);
	CHECK(again >= 0 && write(again, "x", 1) == 1 && read(p[0], &p, 1) == 1);
	CHECK(write(m, "y", 1) == 1);
	again = open(name(m), O_RDWR | O_TRUNC);
	CHECK(again >= 0 && lseek(m, 0, SEEK_END) == 0);
	CHECK(open(name(n), O_RDONLY) >= 0);
	FAILS(open(name(n), O_RDWR), EPERM);
	puts("well");
	return 0;
}
