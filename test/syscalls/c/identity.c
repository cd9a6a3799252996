// Changing who one is: user and group ids, and what capabilities are left.
// covers: setuid setgid setreuid setregid setresuid setresgid getresuid getresgid setfsuid setfsgid getgroups setgroups
#include "check.h"
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static void uids(uid_t r, uid_t e, uid_t s) {
	uid_t a = -2, b = -2, c = -2;
	CHECK(syscall(SYS_getresuid, &a, &b, &c) == 0);
	CHECK(a == r && b == e && c == s);
	CHECK(getuid() == r && geteuid() == e);
}
static void gids(gid_t r, gid_t e, gid_t s) {
	gid_t a = -2, b = -2, c = -2;
	CHECK(syscall(SYS_getresgid, &a, &b, &c) == 0);
	CHECK(a == r && b == e && c == s);
	CHECK(getgid() == r && getegid() == e);
}
// in runs f in a child, so that what it gives up is not lost.
static void in(void (*f)(void)) {
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		f();
		_exit(0);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

static void by_setuid(void) {
	CHECK(syscall(SYS_setgid, 300) == 0);
	gids(300, 300, 300);
	CHECK(syscall(SYS_setuid, 400) == 0);
	uids(400, 400, 400);
	FAILS(syscall(SYS_setuid, 0), EPERM);
	FAILS(syscall(SYS_setgid, 0), EPERM);
	CHECK(syscall(SYS_setuid, 400) == 0);
	FAILS(syscall(SYS_setuid, -1), EINVAL);
	FAILS(syscall(SYS_setgid, -1), EINVAL);
}
static void by_setreuid(void) {
	CHECK(syscall(SYS_setregid, 300, 301) == 0);
	gids(300, 301, 301);
	CHECK(syscall(SYS_setreuid, -1, 400) == 0);
	uids(0, 400, 400);
	CHECK(syscall(SYS_setreuid, 400, 0) == 0); // swapped
	uids(400, 0, 0);
	CHECK(syscall(SYS_setreuid, -1, -1) == 0);
	uids(400, 0, 0);
	CHECK(syscall(SYS_setreuid, 400, 400) == 0);
	uids(400, 400, 400);
	FAILS(syscall(SYS_setreuid, 0, -1), EPERM);
	FAILS(syscall(SYS_setregid, 0, -1), EPERM);
	CHECK(syscall(SYS_setregid, 301, 300) == 0); // those it has
	gids(301, 300, 300);
}
static void by_setresuid(void) {
	CHECK(syscall(SYS_setresgid, 300, 301, 302) == 0);
	gids(300, 301, 302);
	CHECK(syscall(SYS_setresuid, 400, 401, 402) == 0);
	uids(400, 401, 402);
	CHECK(syscall(SYS_setresuid, 402, -1, 400) == 0);
	uids(402, 401, 400);
	FAILS(syscall(SYS_setresuid, 5, -1, -1), EPERM);
	FAILS(syscall(SYS_setresgid, 5, -1, -1), EPERM);
	CHECK(syscall(SYS_setresgid, 302, 300, 301) == 0);
	gids(302, 300, 301);
}
static void by_setfsuid(void) {
	CHECK(syscall(SYS_setfsgid, 300) == 0 && syscall(SYS_setfsgid, -1) == 300);
	CHECK(syscall(SYS_setfsuid, 400) == 0 && syscall(SYS_setfsuid, -1) == 400);
	CHECK(syscall(SYS_setresuid, 400, 400, 400) == 0);
	CHECK(syscall(SYS_setfsuid, 7) == 400 && syscall(SYS_setfsuid, -1) == 400); // not allowed, not said
	gids(0, 0, 0);
}
static void groups(void) {
	gid_t set[3] = {7, 5, 6}, got[4];
	CHECK(syscall(SYS_setgroups, 3, set) == 0);
	CHECK(syscall(SYS_getgroups, 0, NULL) == 3);
	CHECK(syscall(SYS_getgroups, 4, got) == 3 && got[0] + got[1] + got[2] == 18);
	FAILS(syscall(SYS_getgroups, 2, got), EINVAL);
	FAILS(syscall(SYS_getgroups, -1, got), EINVAL);
	FAILS(syscall(SYS_setgroups, 65537, set), EINVAL);
	FAILS(syscall(SYS_setgroups, 1, (void *)8), EFAULT);
	CHECK(setresuid(400, 400, 400) == 0);
	FAILS(syscall(SYS_setgroups, 1, set), EPERM);
}
static void capabilities(void) {
	// Leaving 0 costs the capabilities, unless they are kept; coming back in
	// effect gives them back in effect.
	struct { uint32_t version; int pid; } h = {0x20080522, 0};
	struct { uint32_t e, p, i; } d[2];
	CHECK(seteuid(400) == 0 && syscall(SYS_capget, &h, d) == 0 && d[0].e == 0 && d[0].p != 0);
	CHECK(seteuid(0) == 0 && syscall(SYS_capget, &h, d) == 0 && d[0].e == d[0].p);
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(400, 400, 400) == 0);
	CHECK(syscall(SYS_capget, &h, d) == 0 && d[0].e == 0 && d[0].p != 0);
	d[0].e = d[0].p;
	CHECK(syscall(SYS_capset, &h, d) == 0 && setresuid(401, 401, 401) == 0);
}

int main(void) {
	CASE(in(by_setuid));
	CASE(in(by_setreuid));
	CASE(in(by_setresuid));
	CASE(in(by_setfsuid));
	CASE(in(groups));
	CASE(in(capabilities));
	return 0;
}
