// covers: pivot_root
// pivot_root(2), in a mount namespace of a child.
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int pivot(const char *to, const char *old) { return syscall(SYS_pivot_root, to, old); }

static void inside(void) {
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdir("new", 0755) == 0 && mkdir("new/old", 0755) == 0);
	FAILS(pivot("new", "new/old"), EINVAL); // no mount point
	CHECK(mount("none", "new", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("new/old", 0755) == 0 && mkdir("outside", 0755) == 0);
	int fd = open("new/mark", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0 && close(fd) == 0);
	FAILS(pivot("new", "outside"), EINVAL);
	FAILS(pivot("new", "new/absent"), ENOENT);
	FAILS(pivot("new/mark", "new/old"), ENOTDIR);
	FAILS(pivot("/", "/"), EBUSY);
	FAILS(pivot("new", (char *)8), EFAULT);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(setresuid(1, 1, 1) == 0);
		FAILS(pivot("new", "new/old"), EPERM);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(chdir("/") == 0); // the root and who works in it move together
	CHECK(access("/mark", F_OK) == -1);
}

static void turn(const char *to, const char *old) {
	CHECK(pivot(to, old) == 0);
	CHECK(access("/mark", F_OK) == 0);
	CHECK(access("mark", F_OK) == 0);
	struct stat st;
	CHECK(stat("/old/proc/self/status", &st) == 0);
	CHECK(access("/old/proc/self/status", R_OK) == 0);
	CHECK(umount2("/old", MNT_DETACH) == 0);
	CHECK(access("/old/proc", F_OK) == -1 && errno == ENOENT);
}

int main(void) {
	char to[4096], old[4200];
	CHECK(getcwd(to, sizeof to - 8) != NULL);
	strcat(to, "/new");
	snprintf(old, sizeof old, "%s/old", to);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		inside();
		turn(to, old);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
	CHECK(access("/mark", F_OK) == -1); // the parent's root is its own
	return 0;
}
