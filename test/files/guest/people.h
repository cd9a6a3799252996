// Ways of being somebody: ids, groups, capabilities.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { USER = 1000, ANOTHER = 1001, GROUP = 1000, OTHER = 1001, EXTRA = 2000 };

// A person is a user; caps are what it can do in spite of that.
struct person {
	const char *name;
	int uid, gid, extra; // extra: in the group EXTRA as well
	uint32_t caps;
};
#define CAP(name) (1u << CAP_##name)

static const struct person people[] = {
	{"root", 0, 0, 0, ~0u},
	{"powerless root", 0, 0, 0, 0},
	{"user", USER, GROUP, 0, 0},
	{"user with group", USER, GROUP, 1, 0},
	{"user with DAC_OVERRIDE", USER, GROUP, 0, CAP(DAC_OVERRIDE)},
	{"user with DAC_READ_SEARCH", USER, GROUP, 0, CAP(DAC_READ_SEARCH)},
	{"user with FOWNER", USER, GROUP, 0, CAP(FOWNER)},
	{"user with FSETID", USER, GROUP, 0, CAP(FSETID)},
	{"user with CHOWN", USER, GROUP, 0, CAP(CHOWN)},
	{"user with FOWNER and FSETID", USER, GROUP, 0, CAP(FOWNER) | CAP(FSETID)},
};
enum { PEOPLE = sizeof people / sizeof *people };

static const struct { int uid, gid; } owners[] = {{0, 0}, {USER, GROUP}, {USER, EXTRA}, {USER, OTHER}, {ANOTHER, GROUP}, {ANOTHER, EXTRA}, {ANOTHER, OTHER}};
enum { OWNERS = sizeof owners / sizeof *owners };

static void must_at(long r, int line) {
	if (r != 0 && r < 3) { // not a descriptor
		printf("line %d: %s\n", line, strerror(errno));
		fflush(stdout);
		_exit(1);
	}
}
#define must(r) must_at(r, __LINE__)

static uint32_t all_caps;

static void set_effective(uint32_t caps) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	must(syscall(SYS_capget, &h, d));
	if (!all_caps)
		all_caps = d[0].permitted;
	d[0].effective = caps & d[0].permitted;
	must(syscall(SYS_capset, &h, d));
}

// become makes the caller p, for a while: what it could do, it can again.
static void become(const struct person *p) {
	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	must(syscall(SYS_setgroups, p->extra, (gid_t[]){EXTRA}));
	must(syscall(SYS_setresgid, -1, p->gid, -1));
	must(syscall(SYS_setresuid, -1, p->uid, -1)); // the saved id stays 0
	set_effective(p->caps);
}

static void come_back(void) {
	set_effective(~0u);
	must(syscall(SYS_setresuid, 0, 0, -1));
	set_effective(~0u);
	must(syscall(SYS_setresgid, 0, 0, -1));
	must(syscall(SYS_setgroups, 0, NULL));
}
