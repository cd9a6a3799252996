// PR_SET_MM of prctl(2), and PR_GET_AUXV.
// covers: prctl brk
#include "check.h"
#include <elf.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MM(op, addr, arg4) prctl(PR_SET_MM, op, addr, arg4, 0)
enum { GET_AUXV = 0x41555856, AUXV = 448 };

typedef struct prctl_mm_map map;

// now is what the process's own map is.
static map now(void) {
	char b[2048], *p;
	int fd = open("/proc/self/stat", O_RDONLY), n = read(fd, b, sizeof b - 1);
	close(fd);
	CHECK(n > 0);
	b[n] = 0;
	CHECK((p = strrchr(b, ')')) != NULL);
	unsigned long long v[64] = {0};
	p += 3; // the state
	for (int i = 4; i <= 52; i++)
		p = strchr(p, ' ') + 1, v[i] = strtoull(p, NULL, 10);
	map m = {.start_code = v[26], .end_code = v[27], .start_stack = v[28], .start_data = v[45], .end_data = v[46],
		.start_brk = v[47], .arg_start = v[48], .arg_end = v[49], .env_start = v[50], .env_end = v[51]};
	m.brk = syscall(SYS_brk, 0);
	m.exe_fd = -1;
	CHECK(m.start_code < m.end_code && m.start_brk <= m.brk && m.env_start < m.env_end);
	return m;
}

static int set(map m) { return MM(PR_SET_MM_MAP, &m, sizeof m); }

static void what_is_refused_comes_in_linux_s_order(void) {
	unsigned n = 0;
	map m = now();
	FAILS(prctl(PR_SET_MM, PR_SET_MM_BRK, m.brk, 0, 1), EINVAL);
	FAILS(MM(PR_SET_MM_BRK, m.brk, 1), EINVAL);
	FAILS(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &n, 0, 1), EINVAL);
	for (int op = PR_SET_MM_START_CODE; op <= PR_SET_MM_EXE_FILE; op++)
		FAILS(MM(op, 0, 0), EPERM);
	FAILS(MM(PR_SET_MM_AUXV, 0, 1 << 20), EPERM);
	FAILS(MM(99, 0, 0), EPERM);
	CHECK(MM(PR_SET_MM_MAP_SIZE, &n, 77) == 0 && n == sizeof m);
	FAILS(MM(PR_SET_MM_MAP_SIZE, 8, 0), EFAULT);
	FAILS(MM(PR_SET_MM_MAP, 8, sizeof m - 1), EINVAL);
	FAILS(MM(PR_SET_MM_MAP, 8, 0), EINVAL);
	FAILS(MM(PR_SET_MM_MAP, 8, sizeof m), EFAULT);
}

#define WRONG(change, e) \
	do { \
		map m = now(); \
		change; \
		FAILS(set(m), e); \
	} while (0)

static void a_map_is_judged(void) {
	char auxv[AUXV] = {0};
	struct rlimit r;
	CHECK(set(now()) == 0);
	WRONG(m.start_code = 4095, EINVAL);
	WRONG(m.start_stack = 1UL << 47, EINVAL);
	WRONG(m.env_end = -4096UL, EINVAL);
	WRONG(m.end_code = m.start_code, EINVAL);
	WRONG(m.end_data = m.start_data - 1, EINVAL);
	WRONG(m.brk = m.start_brk - 1, EINVAL);
	WRONG(m.arg_end = m.arg_start - 1, EINVAL);
	WRONG(m.env_end = m.env_start - 1, EINVAL);
	WRONG(m.auxv_size = 16, EINVAL);
	WRONG((m.auxv = (void *)auxv, m.auxv_size = AUXV + 16), EINVAL);
	WRONG((m.auxv = (void *)8, m.auxv_size = 16), EFAULT);
	WRONG((m.auxv = (void *)8, m.auxv_size = 16, m.exe_fd = 0), EFAULT);
	WRONG((m.exe_fd = 999, m.brk = 0), EINVAL);
	CHECK(getrlimit(RLIMIT_DATA, &r) == 0);
	r.rlim_cur = 1 << 20;
	CHECK(setrlimit(RLIMIT_DATA, &r) == 0);
	WRONG(m.brk = m.start_brk + (1 << 20) + 4096, EINVAL);
	CHECK(setresuid(1000, 1000, 1000) == 0);
	CHECK(set(now()) == 0);
	WRONG(m.exe_fd = 999, EPERM);
}

static void the_heap_moves(void) {
	map m = now();
	char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p, 1 << 20) == 0);
	m.start_brk = (uint64_t)p + 0x3000, m.brk = m.start_brk + 0x123;
	CHECK(set(m) == 0);
	CHECK((uint64_t)syscall(SYS_brk, 0) == m.brk && now().start_brk == m.start_brk);
	CHECK((uint64_t)syscall(SYS_brk, m.start_brk - 1) == m.brk);
	CHECK((uint64_t)syscall(SYS_brk, m.brk + 0x3000) == m.brk + 0x3000);
	p[0x5000] = 1;
	CHECK((uint64_t)syscall(SYS_brk, m.start_brk) == m.start_brk);
	FAILS(msync(p + 0x5000, 4096, MS_ASYNC), ENOMEM);
	if (fork() == 0)
		_exit((uint64_t)syscall(SYS_brk, 0) != m.start_brk);
	int st;
	CHECK(wait(&st) > 0 && st == 0);
}

static void the_title_changes(void) {
	static const char title[] = "another\0title";
	char b[64], *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map m = now();
	memcpy(p, title, sizeof title);
	m.arg_start = (uint64_t)p, m.arg_end = m.arg_start + sizeof title;
	CHECK(set(m) == 0);
	int fd = open("/proc/self/cmdline", O_RDONLY);
	CHECK(read(fd, b, sizeof b) == sizeof title && memcmp(b, title, sizeof title) == 0);
}

static void the_auxiliary_vector_changes(void) {
	uint64_t v[AUXV / 8] = {AT_PAGESZ, 4711, AT_UID, 7}, w[AUXV / 8 + 1];
	CHECK(prctl(GET_AUXV, w, 0, 0, 0) == AUXV);
	FAILS(prctl(GET_AUXV, w, 0, 1, 0), EINVAL);
	FAILS(prctl(GET_AUXV, 8, 1, 0, 0), EFAULT);
	w[AUXV / 8] = 12;
	CHECK(prctl(GET_AUXV, w, sizeof w, 0, 0) == AUXV && w[AUXV / 8] == 12 && w[AUXV / 8 - 1] == 0);
	int fd = open("/proc/self/auxv", O_RDONLY), n = 0;
	char b[AUXV];
	while (w[n] != AT_NULL)
		n += 2;
	CHECK(read(fd, b, sizeof b) == (n + 2) * 8 && memcmp(b, w, (n + 2) * 8) == 0);
	close(fd);

	map m = now();
	m.auxv = (void *)v, m.auxv_size = 40; // two and a half
	v[4] = AT_EUID;
	CHECK(set(m) == 0 && prctl(GET_AUXV, w, sizeof w, 0, 0) == AUXV);
	CHECK(memcmp(v, w, 32) == 0 && w[6] == 0 && w[AUXV / 8 - 2] == 0);
	fd = open("/proc/self/auxv", O_RDONLY);
	CHECK(read(fd, b, sizeof b) >= 48 && memcmp(b, v, 32) == 0);

	for (int i = 0; i < AUXV / 8; i++)
		v[i] = 77;
	m.auxv_size = AUXV;
	CHECK(set(m) == 0 && prctl(GET_AUXV, w, sizeof w, 0, 0) == AUXV);
	CHECK(w[AUXV / 8 - 3] == 77 && w[AUXV / 8 - 2] == 0 && w[AUXV / 8 - 1] == 0);
}

static int file(const char *name, int mode) {
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0700);
	CHECK(fd >= 0 && write(fd, "text", 4) == 4 && fchmod(fd, mode) == 0 && close(fd) == 0);
	CHECK((fd = open(name, O_RDONLY)) >= 0);
	return fd;
}

static void root_of_a_namespace(void) {
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(write_file("/proc/self/uid_map", "0 0 1") == 0);
}

static void another_executable_is_judged(void) {
	root_of_a_namespace();
	int ok = file("/tmp/mm-exe", 0755);
	FAILS(MM(PR_SET_MM_EXE_FILE, ok, 0), EPERM);
	WRONG(m.exe_fd = 999, EBADF);
	WRONG(m.exe_fd = open("/tmp", O_RDONLY), EACCES);
	WRONG(m.exe_fd = open("/dev/null", O_RDONLY), EACCES);
	WRONG(m.exe_fd = open("/tmp/mm-exe", O_PATH), EBADF);
	WRONG(m.exe_fd = file("/tmp/mm-plain", 0644), EACCES);
	WRONG(m.exe_fd = file("/dev/shm/mm-noexec", 0755), EACCES);
	WRONG(m.exe_fd = ok, EBUSY);
	unlink("/tmp/mm-exe"), unlink("/tmp/mm-plain"), unlink("/dev/shm/mm-noexec");
}

// leave is what a process does whose own program is about to be unmapped.
typedef struct {
	map m;
	unsigned long start[8], end[8];
	int n;
	char link[32], got[64], want[32];
} leave;

#define RAW(r, nr, a, b, c, d, e) \
	do { \
		register long r10_ __asm__("r10") = (long)(d), r8_ __asm__("r8") = (long)(e); \
		__asm__ volatile("syscall" : "=a"(r) : "0"((long)(nr)), "D"((long)(a)), "S"((long)(b)), "d"((long)(c)), \
			"r"(r10_), "r"(r8_) : "rcx", "r11", "memory"); \
	} while (0)

// leaving is copied elsewhere, and refers to nothing but l.
__attribute__((noinline, optimize("no-tree-loop-distribute-patterns"))) static void leaving(leave *l) {
	long r, bad = 0;
	for (int i = 0; i < l->n; i++) {
		RAW(r, SYS_munmap, l->start[i], l->end[i] - l->start[i], 0, 0, 0);
		bad |= r;
	}
	RAW(r, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &l->m, sizeof l->m, 0);
	if (r)
		bad |= 2;
	RAW(r, SYS_readlink, l->link, l->got, sizeof l->got, 0, 0);
	for (int i = 0; i < r; i++)
		if (l->got[i] != l->want[i])
			bad |= 4;
	if (r < 4)
		bad |= 8;
	RAW(r, SYS_open, l->want, O_WRONLY, 0, 0, 0);
	if (r != -ETXTBSY)
		bad |= 16;
	for (;;)
		RAW(r, SYS_exit_group, bad, 0, 0, 0, 0);
}

static void another_executable_is_shown(void) {
	char self[128], line[512];
	int len = readlink("/proc/self/exe", self, sizeof self - 1);
	CHECK(len > 0);
	self[len] = 0;
	root_of_a_namespace();
	leave l = {.m = now(), .link = "/proc/self/exe", .want = "/tmp/mm-exe"};
	l.m.exe_fd = file(l.want, 0755);
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, maps))
		if (strstr(line, self)) {
			CHECK(l.n < 8 && sscanf(line, "%lx-%lx", &l.start[l.n], &l.end[l.n]) == 2);
			l.n++;
		}
	CHECK(l.n > 1);
	char *text = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(text != MAP_FAILED);
	memcpy(text, (void *)leaving, 2048);
	((void (*)(leave *))text)(&l);
}

int main(void) {
	APART(what_is_refused_comes_in_linux_s_order());
	APART(a_map_is_judged());
	APART(the_heap_moves());
	APART(the_title_changes());
	APART(the_auxiliary_vector_changes());
	APART(another_executable_is_judged());
	APART(another_executable_is_shown());
	unlink("/tmp/mm-exe");
	return 0;
}
