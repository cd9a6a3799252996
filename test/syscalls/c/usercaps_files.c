// covers: open chmod chown fchownat setxattr removexattr getxattr utimensat truncate unlink rename link mknod
// covers: access fcntl open_by_handle_at name_to_handle_at
// Files of owners that a user namespace maps, maps half or does not: who may do what to them.
#include "usercaps.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/xattr.h>

// What it is done to: files of a tmpfs of the container's root, by owner and group.
enum { ROOTS, USERS, HUNDRED, SEVEN, BADGROUP, BADOWNER, OWNERS };

static const int owners[OWNERS][2] = {
	{0, 0}, {1000, 1000}, {100000, 100000}, {100007, 100007}, {100007, 0}, {0, 100000},
};

static char base[64];

static const char *file(int o, const char *kind) {
	static char path[2][128];
	static int next;
	next ^= 1;
	snprintf(path[next], sizeof path[next], "%s/%s%d", base, kind, o);
	return path[next];
}

// fresh makes the files anew: what was done to them must not be seen by the next.
static void make(const char *kind, mode_t mode) {
	for (int o = 0; o < OWNERS; o++) {
		const char *f = file(o, kind);
		int fd = open(f, O_CREAT | O_RDWR | O_EXCL, 0600);
		CHECK(fd >= 0 && write(fd, "x", 1) == 1);
		CHECK(fsetxattr(fd, "trusted.t", "v", 1, 0) == 0);
		CHECK(fchown(fd, owners[o][0], owners[o][1]) == 0 && fchmod(fd, mode) == 0);
		close(fd);
	}
}

static const char *kinds[] = {
	"read", "write", "none", "mode", "setgid", "keep", "give", "gid", "user", "security", "caps", "capsback", "trusted",
	"times", "now", "trunc", "link", "suid", "sgid", "given", NULL,
};

static void before(void) {
	snprintf(base, sizeof base, "w%d", world);
	if (world == 0)
		CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mkdir(base, 0755) == 0 && mount("none", base, "tmpfs", 0, NULL) == 0 && chmod(base, 0777) == 0);
	for (const char **k = kinds; *k; k++)
		make(*k, !strcmp(*k, "none") ? 0 : !strcmp(*k, "setgid") ? 02775 : !strcmp(*k, "suid") ? 06777 :
			!strcmp(*k, "sgid") || !strcmp(*k, "given") ? 02666 : 0640);
	snprintf(base, sizeof base, "w%d/own", world);
	CHECK(mkdir(base, 0777) == 0 && chmod(base, 0777) == 0);
	snprintf(base, sizeof base, "w%d/theirs", world);
	CHECK(mkdir(base, 0777) == 0 && chmod(base, 0777) == 0);
	snprintf(base, sizeof base, "w%d", world);
	for (int o = 0; o < OWNERS; o++) {
		const char *d = file(o, "sticky");
		CHECK(mkdir(d, 0755) == 0);
		char f[160];
		snprintf(f, sizeof f, "%s/f", d);
		int fd = open(f, O_CREAT | O_RDWR, 0666);
		CHECK(fd >= 0 && fchown(fd, owners[o][0], owners[o][1]) == 0);
		close(fd);
		CHECK(chmod(d, 01777) == 0);
		d = file(o, "dir");
		CHECK(mkdir(d, 0755) == 0 && chown(d, owners[o][0], owners[o][1]) == 0 && chmod(d, 0700) == 0);
	}
}

// In place of owners: a tmpfs of the namespace's own (in OWN and NESTED), and not one.
static const char *place(int which) {
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", base, which ? "theirs" : "own");
	return path;
}

static void above(void) {
	if (world == NESTED)
		CHECK(mount("none", place(0), "tmpfs", 0, NULL) == 0);
}

static void inside(void) {
	if (world == OWN)
		CHECK(mount("none", place(0), "tmpfs", 0, NULL) == 0);
}

static int op_read(int o) { return error(open(file(o, "read"), O_RDONLY)); }
static int op_write(int o) { return error(open(file(o, "write"), O_WRONLY)); }
static int op_none(int o) { return error(open(file(o, "none"), O_RDWR)); }
static int op_access(int o) { return error(access(file(o, "none"), R_OK)); }
static int op_into_dir(int o) {
	char path[160];
	snprintf(path, sizeof path, "%s/new", file(o, "dir"));
	return error(open(path, O_CREAT | O_RDWR, 0600));
}
static int op_list_dir(int o) { return error(open(file(o, "dir"), O_RDONLY | O_DIRECTORY)); }
static int op_chmod(int o) { return error(chmod(file(o, "mode"), 0644)); }

// op_keeps_setgid: what chmod leaves of a set-group-id bit.
static int op_keeps_setgid(int o) {
	struct stat st;
	const char *f = file(o, "setgid");
	if (chmod(f, 02775))
		return errno;
	CHECK(stat(f, &st) == 0);
	return VALUE(!!(st.st_mode & 02000));
}

// op_write_keeps_suid: what writing leaves of the set-id bits; and of a set-group-id bit,
// where the group can't execute.
static int keeps(int o, const char *kind) {
	struct stat st;
	int fd = open(file(o, kind), O_WRONLY);
	CHECK(fd >= 0 && write(fd, "y", 1) == 1 && fstat(fd, &st) == 0);
	return VALUE(!!(st.st_mode & 06000));
}
static int op_write_keeps_suid(int o) { return keeps(o, "suid"); }
static int op_write_keeps_sgid(int o) { return keeps(o, "sgid"); }

static int op_chown_keeps_sgid(int o) {
	struct stat st;
	CHECK(stat(file(o, "given"), &st) == 0);
	if (chown(file(o, "given"), st.st_uid, -1))
		return errno;
	CHECK(stat(file(o, "given"), &st) == 0);
	return VALUE(!!(st.st_mode & 02000));
}

static int op_chown_same(int o) {
	struct stat st;
	CHECK(stat(file(o, "keep"), &st) == 0);
	return error(chown(file(o, "keep"), st.st_uid, -1));
}
static int op_chown_zero(int o) { return error(chown(file(o, "give"), 0, 0)); }
static int op_chown_nine(int o) { return error(chown(file(o, "give"), 9, 9)); }
static int op_chgrp_own(int o) { return error(chown(file(o, "gid"), -1, getegid())); }
static int op_chown_nobody(int o) { return error(chown(file(o, "keep"), -1, -1)); }

static int op_user_attr(int o) { return error(setxattr(file(o, "user"), "user.x", "v", 1, 0)); }
static int op_security_attr(int o) { return error(setxattr(file(o, "security"), "security.x", "v", 1, 0)); }
static int op_trusted_attr(int o) { return error(setxattr(file(o, "trusted"), "trusted.x", "v", 1, 0)); }
static int op_trusted_read(int o) {
	char b[8];
	return error(getxattr(file(o, "trusted"), "trusted.t", b, 8));
}
static int set_caps(const char *f) {
	uint32_t v2[5] = {0x02000000 | 1, 1, 0, 0, 0};
	return setxattr(f, "security.capability", v2, sizeof v2, 0);
}
static int op_caps(int o) { return error(set_caps(file(o, "caps"))); }
static int op_caps_removed(int o) {
	if (set_caps(file(o, "capsback")))
		return errno;
	return error(removexattr(file(o, "capsback"), "security.capability"));
}
static int op_times_set(int o) {
	struct timespec t[2] = {{1, 0}, {2, 0}};
	return error(utimensat(AT_FDCWD, file(o, "times"), t, 0));
}
static int op_times_now(int o) { return error(utimensat(AT_FDCWD, file(o, "now"), NULL, 0)); }
static int op_truncate(int o) { return error(truncate(file(o, "trunc"), 0)); }
static int op_noatime(int o) { return error(open(file(o, "suid"), O_RDONLY | O_NOATIME)); }
static int op_lease(int o) {
	int fd = open(file(o, "suid"), O_RDONLY);
	CHECK(fd >= 0);
	return error(fcntl(fd, F_SETLEASE, F_RDLCK));
}
static int op_link(int o) {
	char to[160];
	snprintf(to, sizeof to, "%s/linked%d", base, o);
	return error(link(file(o, "link"), to));
}
static int op_unlink_sticky(int o) {
	char path[160];
	snprintf(path, sizeof path, "%s/f", file(o, "sticky"));
	return error(unlink(path));
}
static int op_whiteout(int o) { return error(mknod(file(o, "null"), S_IFCHR | 0600, 0)); }
static int op_device(int o) { return error(mknod(file(o, "dev"), S_IFCHR | 0600, 0x103)); }
static int op_fifo(int o) { return error(mknod(file(o, "fifo"), S_IFIFO | 0600, 0)); }

// What is made belongs to the caller, if the filesystem has a name for him.
static int op_made_by(int o) {
	struct stat st;
	int fd = open(file(o, "made"), O_CREAT | O_RDWR, 0600);
	return fd < 0 ? errno : fstat(fd, &st) ? errno : VALUE((int)st.st_uid);
}
static int op_shown_owner(int o) {
	struct stat st;
	return stat(file(o, "read"), &st) ? errno : VALUE((int)st.st_uid);
}
static int op_shown_group(int o) {
	struct stat st;
	return stat(file(o, "read"), &st) ? errno : VALUE((int)st.st_gid);
}

// by_handle opens a file that is not there: who may is told that it is stale.
static int by_handle(int which, int flags) {
	struct {
		struct file_handle h;
		char b[12];
	} x = {.h = {.handle_bytes = 12, .handle_type = 1}};
	return error(open_by_handle_at(open(place(which), O_RDONLY | O_DIRECTORY), &x.h, flags));
}
static int op_handle_dir(int which) { return by_handle(which, O_RDONLY | O_DIRECTORY); }
static int op_handle(int which) { return by_handle(which, O_RDONLY); }
static int op_own_trusted(int which) { return error(setxattr(place(which), "trusted.x", "v", 1, 0)); }
static int op_own_security(int which) { return error(setxattr(place(which), "security.x", "v", 1, 0)); }
static int op_own_device(int which) {
	char b[64];
	snprintf(b, sizeof b, "%s/dev%d", place(which), world);
	return error(mknod(b, S_IFCHR | 0600, 0x103));
}

static const struct row rows[] = {
	{"read", op_read, "..AAAA .A.AA. .AA.AA .AA.AA ..AAAA ..A.AA"},
	{"write", op_write, "..AAAA .A.AA. .AA.AA .AA.AA .AAAAA ..AAAA"},
	{"none", op_none, "..AAAA .A.AAA .AA.AA .AA.AA .AAAAA .AAAAA"},
	{"access", op_access, "..AAAA .A.AAA .AA.AA .AA.AA .AAAAA .AAAAA"},
	{"into_dir", op_into_dir, "..AAAA .A.AA. .AA.AA .AA.AA .AAAAA ..AAAA"},
	{"list_dir", op_list_dir, "..AAAA .A.AA. .AA.AA .AA.AA .AAAAA ..AAAA"},
	{"chmod", op_chmod, "..PPPP .P.PP. .PP.PP .PP.PP .PP.PP ..PPPP"},
	{"keeps_setgid", op_keeps_setgid, "11PPPP 1P1PP1 1PP1PP 1PP1PP 1PP0PP 10PPPP"},
	{"write_keeps_suid", op_write_keeps_suid, "100000 100000 100000 100000 100000 100000"},
	{"write_keeps_sgid", op_write_keeps_sgid, "110000 101001 100100 100100 110000 100100"},
	{"chown_keeps_sgid", op_chown_keeps_sgid, "11IPIP 1I1PI1 1II1IP 1II1IP 1IIPIP 10IPIP"},
	{"chown_same", op_chown_same, "..IPIP .I.PI. .II.IP .II.IP .IIPIP ..IPIP"},
	{"chown_zero", op_chown_zero, "..PPPP .P.PPP .PP.PP .PP.PP .PPPPP ..PPPP"},
	{"chown_nine", op_chown_nine, ".IIPIP .IIPIP .II.IP .II.IP .IIPIP .IIPIP"},
	{"chgrp_own", op_chgrp_own, "..PPPP .P.PP. .PP.PP .PP.PP .PPPPP ..PPPP"},
	{"chown_nobody", op_chown_nobody, "...... ...... ...... ...... ...... ......"},
	{"user_attr", op_user_attr, "..AAAA .A.AA. .AA.AA .AA.AA .AAAAA ..AAAA"},
	{"security_attr", op_security_attr, ".PPPPP .PPPPP .PPPPP .PPPPP .PPPPP .PPPPP"},
	{"trusted_attr", op_trusted_attr, ".PPPPP .PPPPP .PPPPP .PPPPP .PPPPP .PPPPP"},
	{"trusted_read", op_trusted_read, ".DDDDD .DDDDD .DDDDD .DDDDD .DDDDD .DDDDD"},
	{"caps", op_caps, "..PPPP .P.PPP .PP.PP .PP.PP .PPPPP .PPPPP"},
	{"caps_removed", op_caps_removed, "..PPPP .P.PPP .PP.PP .PP.PP .PPPPP .PPPPP"},
	{"times_set", op_times_set, "..PPPP .P.PP. .PP.PP .PP.PP .PP.PP ..PPPP"},
	{"times_now", op_times_now, "..AAAA .A.AA. .AA.AA .AA.AA .AA.AA ..AAAA"},
	{"truncate", op_truncate, "..AAAA .A.AA. .AA.AA .AA.AA .AAAAA ..AAAA"},
	{"noatime", op_noatime, "..PPPP .P.PP. .PP.PP .PP.PP .PP.PP ..PPPP"},
	{"lease", op_lease, "..AAAA .A.AA. .AA.AA .AAAAA .AAAAA ..AAAA"},
	{"link", op_link, "..PPPP .P.PP. .PP.PP .PP.PP .PP.PP ..PPPP"},
	{"unlink_sticky", op_unlink_sticky, "..PPPP ...PP. ..P.PP ..P.PP ..PPPP ..PPPP"},
	{"whiteout", op_whiteout, "......"},
	{"device", op_device, ".PPPPP"},
	{"fifo", op_fifo, "......"},
	{"made_by", op_made_by, "00000u"},
	{"shown_owner", op_shown_owner, "00ooo0 uo0oou hoo0oh soo7os soo7os 00ooo0"},
	{"shown_group", op_shown_group, "00ooo0 uo0oou hoo0oh soo7os 00ooo0 hoo0oh"},
	{"handle_dir", op_handle_dir, "LPPLPP LPPLPP"},
	{"handle", op_handle, "LPPPPP LPPPPP"},
	{"own_trusted", op_own_trusted, ".PPPPP .PPPPP"},
	{"own_security", op_own_security, ".PP.PP .PPPPP"},
	{"own_device", op_own_device, ".PPPPP .PPPPP"},
};

USERCAPS(rows)
