// covers: statmount listmount statx
// Mounts by their numbers.
#include "mounts.h"
#include <sys/vfs.h>
#include <sys/ioctl.h>

struct req {
	uint32_t size, spare;
	uint64_t id, param, ns;
};

struct sm {
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;
	uint64_t mnt_ns_id;
	uint32_t fs_subtype, sb_source, opt_num, opt_array, opt_sec_num, opt_sec_array;
	uint64_t supported_mask;
	uint32_t uidmap_num, uidmap, gidmap_num, gidmap;
	uint64_t spare[43];
	char str[2048];
};

enum {
	SB_BASIC = 1, MNT_BASIC = 2, PROPAGATE_FROM = 4, MNT_ROOT = 8, MNT_POINT = 0x10, FS_TYPE = 0x20,
	NS_ID = 0x40, OPTS = 0x80, SUBTYPE = 0x100, SB_SOURCE = 0x200, OPT_ARRAY = 0x400, SEC_ARRAY = 0x800,
	SUPPORTED = 0x1000, UIDMAP = 0x2000, GIDMAP = 0x4000,
};

#define ROOT (~0ULL)
#define FIRST (1ULL << 31) // no number of a mount is as low

static long statm(uint64_t id, uint64_t mask, struct sm *s, size_t n) {
	struct req r = { .size = 24, .id = id, .param = mask };
	return syscall(457, &r, s, n, 0);
}

static long list(uint64_t id, uint64_t after, uint64_t *out, size_t n, unsigned flags) {
	struct req r = { .size = 24, .id = id, .param = after };
	return syscall(458, &r, out, n, flags);
}

static uint64_t number_of(const char *name, int *old) {
	struct { uint32_t mask; uint32_t pad[35]; uint64_t mnt_id; uint64_t rest[64]; } x;
	CHECK(syscall(SYS_statx, AT_FDCWD, name, 0, 0x4000, &x) == 0);
	CHECK(x.mask & 0x4000);
	uint64_t id = x.mnt_id;
	CHECK(syscall(SYS_statx, AT_FDCWD, name, 0, 0x1000, &x) == 0);
	CHECK(x.mask & 0x1000 && !(x.mask & 0x4000));
	if (old != NULL)
		*old = x.mnt_id;
	CHECK(id > FIRST);
	return id;
}

static void basic(void) {
	struct sm s;
	int old, parent;
	dir("m");
	CHECK(mount("the source", "m", "tmpfs", MS_NOSUID | MS_NOATIME | MS_NODIRATIME | MS_SYNCHRONOUS, "size=1m,mode=700") == 0);
	uint64_t id = number_of("m", &old), up = number_of(".", &parent);
	CHECK(atoi(field("m", 'i')) == old && atoi(field("m", 'p')) == parent);
	CHECK(statm(id, 0, &s, sizeof s) == 0);
	CHECK(s.mask == 0 && s.size == 512);
	CHECK(statm(id, SB_BASIC | MNT_BASIC | NS_ID | PROPAGATE_FROM, &s, sizeof s) == 0);
	CHECK(s.mask == (SB_BASIC | MNT_BASIC | NS_ID | PROPAGATE_FROM));
	CHECK(s.size == 512);
	struct stat st;
	CHECK(stat("m", &st) == 0);
	CHECK(s.sb_dev_major == st.st_dev >> 8 && s.sb_dev_minor == (st.st_dev & 255));
	CHECK(s.sb_magic == 0x01021994 && s.sb_flags == MS_SYNCHRONOUS);
	CHECK(s.mnt_id == id && s.mnt_parent_id == up && s.mnt_id_old == old && s.mnt_parent_id_old == parent);
	CHECK(s.mnt_attr == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME));
	CHECK(s.mnt_propagation == MS_PRIVATE && s.mnt_peer_group == 0 && s.mnt_master == 0 && s.propagate_from == 0);
	CHECK(s.mnt_ns_id != 0);
	uint64_t ns = 0;
	int fd = open("/proc/self/ns/mnt", O_RDONLY);
	CHECK(ioctl(fd, 0x8008b705, &ns) == 0 && ns == s.mnt_ns_id); // NS_GET_MNTNS_ID
	close(fd);
	CHECK(mount(NULL, "m", NULL, MS_SHARED, NULL) == 0);
	CHECK(statm(id, MNT_BASIC, &s, sizeof s) == 0);
	CHECK(s.mnt_propagation == MS_SHARED && s.mnt_peer_group == number("m", "shared:"));
	dir("slave");
	CHECK(mount("m", "slave", NULL, MS_BIND | MS_NOSUID, NULL) == 0);
	CHECK(mount(NULL, "slave", NULL, MS_SLAVE, NULL) == 0);
	CHECK(statm(number_of("slave", NULL), MNT_BASIC, &s, sizeof s) == 0);
	CHECK(s.mnt_propagation == MS_SLAVE && s.mnt_peer_group == 0 && s.mnt_master == number("m", "shared:"));
	CHECK(mount(NULL, "slave", NULL, MS_UNBINDABLE, NULL) == 0);
	CHECK(mount(NULL, "slave", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSYMFOLLOW | MS_STRICTATIME, NULL) == 0);
	CHECK(statm(number_of("slave", NULL), MNT_BASIC | SB_BASIC, &s, sizeof s) == 0);
	CHECK(s.mnt_propagation == MS_UNBINDABLE);
	CHECK(s.mnt_attr == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_STRICTATIME));
	CHECK(s.sb_flags == MS_SYNCHRONOUS);
}

static void strings(void) {
	struct sm s;
	dir("m/sub");
	dir("bound");
	CHECK(mount("m/sub", "bound", NULL, MS_BIND, NULL) == 0);
	uint64_t id = number_of("bound", NULL);
	CHECK(statm(id, MNT_ROOT | MNT_POINT | FS_TYPE, &s, sizeof s) == 0);
	CHECK(s.mask == (MNT_ROOT | MNT_POINT | FS_TYPE));
	IS(s.str + s.mnt_root, "/sub");
	char here[PATH_MAX];
	CHECK(realpath("bound", here) != NULL);
	IS(s.str + s.mnt_point, here);
	IS(s.str + s.fs_type, "tmpfs");
	CHECK(s.size == 512 + 1 + 5 + strlen(here) + 1 + 6);
	FAILS(statm(id, FS_TYPE, &s, 512), EOVERFLOW);
	FAILS(statm(id, FS_TYPE, &s, 512 + 1 + 5), EOVERFLOW);
	memset(&s, 0xff, sizeof s);
	CHECK(statm(id, FS_TYPE, &s, 512 + 1 + 7) == 0);
	CHECK(statm(id, MNT_BASIC, &s, 512) == 0);
	memset(&s, 0xff, sizeof s);
	CHECK(statm(id, MNT_BASIC, &s, 48) == 0); // as much as there is room for
	CHECK(s.mask == MNT_BASIC && s.size == 48 && s.mnt_id == id && s.mnt_parent_id == ~0ULL);
	CHECK(statm(id, SUPPORTED, &s, sizeof s) == 0);
	CHECK(s.mask == SUPPORTED && (s.supported_mask & 0x7fff) == 0x7fff);
	CHECK(statm(id, OPTS | SB_SOURCE | SUBTYPE | OPT_ARRAY | SEC_ARRAY, &s, sizeof s) == 0);
	CHECK((s.mask & (OPTS | SB_SOURCE | OPT_ARRAY)) == (OPTS | SB_SOURCE | OPT_ARRAY));
	CHECK(strncmp(s.str + s.mnt_opts, "size=1024k,mode=700", 19) == 0);
	IS(s.str + s.sb_source, "the source");
	CHECK(!(s.mask & SUBTYPE) && s.fs_subtype == 0 && s.opt_sec_num == 0);
	CHECK(s.opt_num >= 2);
	IS(s.str + s.opt_array, "size=1024k");
	IS(s.str + s.opt_array + 11, "mode=700");
	CHECK(statm(id, UIDMAP | GIDMAP, &s, sizeof s) == 0);
	CHECK(s.uidmap_num == 0 && s.gidmap_num == 0); // no idmapped mount
}

static void wrong(void) {
	struct sm s;
	uint64_t id = number_of("m", NULL), ids[8];
	struct req r = { .size = 24, .id = id };
	FAILS(syscall(457, &r, &s, sizeof s, 1), EINVAL);
	FAILS(syscall(457, (void *)8, &s, sizeof s, 0), EFAULT);
	FAILS(syscall(457, &r, (void *)8, sizeof s, 0), EFAULT);
	FAILS(statm(0, 0, &s, sizeof s), EINVAL);
	FAILS(statm(FIRST, 0, &s, sizeof s), EINVAL);
	FAILS(statm(ROOT, 0, &s, sizeof s), ENOENT);
	FAILS(statm(FIRST + (1 << 30), 0, &s, sizeof s), ENOENT);
	r.size = 23;
	FAILS(syscall(457, &r, &s, sizeof s, 0), EINVAL);
	r.size = 5000;
	FAILS(syscall(457, &r, &s, sizeof s, 0), E2BIG);
	r.size = 32;
	CHECK(syscall(457, &r, &s, sizeof s, 0) == 0);
	r.ns = 1ULL << 60;
	FAILS(syscall(457, &r, &s, sizeof s, 0), ENOENT);
	r.ns = 0;
	FAILS(syscall(458, &r, ids, 8, 2), EINVAL);
	FAILS(syscall(458, &r, ids, 1000001, 0), EOVERFLOW);
	FAILS(list(0, 0, ids, 8, 0), EINVAL);
	FAILS(list(FIRST + (1 << 30), 0, ids, 8, 0), ENOENT);
	FAILS(list(id, 5, ids, 8, 0), EINVAL);
}

static void listing(void) {
	uint64_t ids[512], some[4];
	dir("l");
	tmpfs("l");
	dir("l/a");
	dir("l/b");
	tmpfs("l/a");
	dir("l/a/in");
	tmpfs("l/a/in");
	tmpfs("l/b");
	uint64_t l = number_of("l", NULL), a = number_of("l/a", NULL), in = number_of("l/a/in", NULL), b = number_of("l/b", NULL);
	CHECK(list(l, 0, ids, 512, 0) == 3);
	CHECK(ids[0] == a && ids[1] == in && ids[2] == b);
	CHECK(list(l, 0, ids, 512, 1) == 3); // LISTMOUNT_REVERSE
	CHECK(ids[0] == b && ids[1] == in && ids[2] == a);
	CHECK(list(l, a, some, 1, 0) == 1 && some[0] == in);
	CHECK(list(l, b, some, 4, 1) == 2 && some[0] == in && some[1] == a);
	CHECK(list(l, b, some, 4, 0) == 0);
	FAILS(list(l, 0, (void *)8, 8, 0), EFAULT);
	CHECK(list(in, 0, some, 4, 0) == 0);
	CHECK(list(a, 0, some, 0, 0) == 0);
	long n = list(ROOT, 0, ids, 512, 0), found = 0;
	CHECK(n > 4);
	uint64_t root = number_of("/", NULL);
	for (long i = 0; i < n; i++)
		found += ids[i] == l || ids[i] == in || ids[i] == b || ids[i] == root;
	CHECK(found == 4);
	// From within a chroot what is outside can't be seen but by who is privileged.
	CHECK(chroot("l") == 0);
	CHECK(chdir("/") == 0);
	struct sm s;
	n = list(ROOT, 0, ids, 512, 0);
	CHECK(n == 4 && ids[0] == l);
	CHECK(statm(a, MNT_POINT, &s, sizeof s) == 0);
	IS(s.str + s.mnt_point, "/a");
}

static uint64_t above, beside;

static void powerless(void) {
	struct sm s;
	uint64_t ids[8];
	CHECK(statm(beside, MNT_BASIC, &s, sizeof s) == 0);
	FAILS(statm(above, MNT_BASIC, &s, sizeof s), EPERM);
	FAILS(list(above, 0, ids, 8, 0), EPERM);
	CHECK(list(ROOT, 0, ids, 8, 0) >= 1);
}

static void all(void) {
	struct req r = { .size = 24 };
	if (absent("statmount", syscall(457, &r, NULL, 0, 0)))
		return;
	CASE(basic());
	CASE(strings());
	CASE(wrong());
	above = number_of("m", NULL);
	CASE(listing());
	beside = number_of("/a", NULL);
	CASE(unprivileged(powerless));
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}
