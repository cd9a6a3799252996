// core(5): what is in a core file, when there is one, and what wait(2) tells of it.
// covers: prctl prlimit64 wait4 waitid madvise
#include "check.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char marker[8192] = "in the data of the program";
static char *hidden, *shared, *untouched;
static pid_t *tids;

static void limit(rlim_t n) {
	struct rlimit l;
	CHECK(getrlimit(RLIMIT_CORE, &l) == 0);
	l.rlim_cur = n;
	CHECK(setrlimit(RLIMIT_CORE, &l) == 0);
}

static void *stand(void *at) {
	*(pid_t *)at = syscall(SYS_gettid);
	while (pause()) {}
	return 0;
}

// crash dies of sig in a process of three threads.
static void crash(int sig) {
	tids[0] = getpid();
	for (int i = 1; i < 3; i++) {
		pthread_t t;
		CHECK(pthread_create(&t, 0, stand, &tids[i]) == 0);
		while (!*(volatile pid_t *)&tids[i]) usleep(100);
	}
	usleep(10000);
	if (sig == SIGSEGV)
		*(volatile int *)24 = 1;
	if (sig == SIGILL)
		__builtin_trap();
	kill(getpid(), sig);
	for (;;) pause();
}

// died lets a child die of sig and returns its status; it has told the same by waitid.
static int died(int sig, void (*before)(void)) {
	int st;
	siginfo_t si;
	memset(tids, 0, 4096);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		if (before) before();
		crash(sig);
	}
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == sig);
	CHECK(si.si_status == sig && si.si_code == (WCOREDUMP(st) ? CLD_DUMPED : CLD_KILLED));
	return st;
}

static unsigned char *core;
static size_t size;

static void load(void) {
	struct stat s;
	int fd = open("core", O_RDONLY);
	CHECK(fd >= 0 && fstat(fd, &s) == 0);
	CHECK((s.st_mode & 07777) == 0600 && s.st_uid == geteuid());
	core = mmap(0, s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(core != MAP_FAILED);
	size = s.st_size;
	close(fd);
}

static void drop(void) {
	munmap(core, size);
	CHECK(unlink("core") == 0);
}

// at is what the core has of address a, 0 if nothing.
static void *at(const void *a) {
	Elf64_Ehdr *e = (void *)core;
	Elf64_Phdr *p = (void *)(core + e->e_phoff);
	for (int i = 0; i < e->e_phnum; i++, p++)
		if (p->p_type == PT_LOAD && p->p_vaddr <= (uintptr_t)a && (uintptr_t)a < p->p_vaddr + p->p_filesz)
			return core + p->p_offset + ((uintptr_t)a - p->p_vaddr);
	return 0;
}

// note is the n'th note of a kind.
static void *note(unsigned kind, int n, size_t *len) {
	Elf64_Ehdr *e = (void *)core;
	Elf64_Phdr *p = (void *)(core + e->e_phoff);
	CHECK(p->p_type == PT_NOTE && p->p_offset + p->p_filesz <= size);
	for (size_t o = 0; o < p->p_filesz;) {
		Elf64_Nhdr *h = (void *)(core + p->p_offset + o);
		o += sizeof *h + ((h->n_namesz + 3) & ~3);
		if (h->n_type == kind && n-- == 0) {
			*len = h->n_descsz;
			return core + p->p_offset + o;
		}
		o += (h->n_descsz + 3) & ~3;
	}
	return 0;
}

static void threads(int sig, int stacks) {
	size_t n;
	struct elf_prstatus *s = note(NT_PRSTATUS, 0, &n);
	CHECK(s && n == sizeof *s);
	CHECK(s->pr_pid == tids[0] && s->pr_cursig == sig && s->pr_ppid == getpid() && s->pr_pgrp == getpgrp() && s->pr_fpvalid);
	int seen = 0;
	for (int i = 1; i < 3; i++) {
		struct elf_prstatus *o = note(NT_PRSTATUS, i, &n);
		CHECK(o && o->pr_cursig == sig);
		for (int j = 1; j < 3; j++)
			if (o->pr_pid == tids[j]) seen |= 1 << j;
		struct user_regs_struct *r = (void *)o->pr_reg;
		CHECK(r->orig_rax == SYS_pause && (long)r->rax >= -516 && (long)r->rax <= -512);
		CHECK(!at((void *)r->rsp) == !stacks);
	}
	CHECK(seen == 6 && !note(NT_PRSTATUS, 3, &n));
	for (int i = 0; i < 3; i++)
		CHECK(note(NT_FPREGSET, i, &n) && n == 512);
}

static void process(int sig) {
	size_t n;
	siginfo_t *si = note(NT_SIGINFO, 0, &n);
	CHECK(si && n == 128 && si->si_signo == sig);
	if (sig == SIGSEGV)
		CHECK(si->si_addr == (void *)24 && si->si_code == SEGV_MAPERR);
	struct elf_prpsinfo *ps = note(NT_PRPSINFO, 0, &n);
	CHECK(ps && n == sizeof *ps && ps->pr_pid == tids[0] && !strcmp(ps->pr_fname, "coredump") && ps->pr_sname == 'R');
	CHECK(strstr(ps->pr_psargs, "coredump") && ps->pr_uid == getuid());
	Elf64_auxv_t *a = note(NT_AUXV, 0, &n);
	CHECK(a && n % sizeof *a == 0);
	while (a->a_type != AT_NULL && a->a_type != AT_PAGESZ) a++;
	CHECK(a->a_type == AT_PAGESZ && a->a_un.a_val == 4096);
	long *f = note(NT_FILE, 0, &n);
	char exe[256] = "", *name;
	CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
	CHECK(f && f[0] >= 1 && f[1] == 4096);
	name = (char *)(f + 2 + 3 * f[0]);
	for (int i = 0; i < f[0]; i++, name += strlen(name) + 1)
		CHECK((!strcmp(name, exe) || !strcmp(name, "/dev/zero (deleted)")) && f[2 + 3 * i] < f[3 + 3 * i]);
}

static void privately(void) { prctl(PR_SET_DUMPABLE, 0); }
static void nothing(void) {
	int fd = open("/proc/self/coredump_filter", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "0x10\n", 5) == 5);
	close(fd);
}

int main(void) {
	char pattern[128] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	CHECK(fd >= 0 && read(fd, pattern, sizeof pattern - 1) > 0);
	close(fd);
	if (strcmp(pattern, "core\n"))
		return 0; // set by somebody for the whole machine: where cores are is not for us to know
	tids = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hidden = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	untouched = mmap(0, 1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(madvise(hidden, 4096, MADV_DONTDUMP) == 0);
	strcpy(hidden, "x"), strcpy(hidden + 4096, "beside it");
	strcpy(shared + 4096, "shared");
	strcpy(untouched + (512 << 20), "in the middle");

	limit(0);
	CHECK(!WCOREDUMP(died(SIGSEGV, 0)) && access("core", F_OK) == -1);
	limit(4095); // not even a header fits
	CHECK(!WCOREDUMP(died(SIGQUIT, 0)) && access("core", F_OK) == -1);

	limit(RLIM_INFINITY);
	CHECK(WCOREDUMP(died(SIGSEGV, 0)));
	load();
	Elf64_Ehdr *e = (void *)core;
	CHECK(!memcmp(core, ELFMAG, SELFMAG) && e->e_type == ET_CORE && e->e_machine == EM_X86_64 && e->e_phentsize == sizeof(Elf64_Phdr));
	threads(SIGSEGV, 1);
	process(SIGSEGV);
	CHECK(at(marker) && !strcmp(at(marker), marker));
	CHECK(!at(hidden) && at(hidden + 4096) && !strcmp(at(hidden + 4096), "beside it"));
	CHECK(at(shared + 4096) && !strcmp(at(shared + 4096), "shared"));
	CHECK(at(untouched) && !strcmp(at(untouched + (512 << 20)), "in the middle"));
	struct stat s;
	CHECK(stat("core", &s) == 0 && s.st_size > 1 << 30 && s.st_blocks < 1 << 17);
	drop();

	// What is in the way goes away, and is not written to.
	fd = open("other", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && write(fd, "mine", 4) == 4 && symlink("other", "core") == 0);
	CHECK(WCOREDUMP(died(SIGABRT, 0)));
	CHECK(fstat(fd, &s) == 0 && s.st_size == 4);
	CHECK(lstat("core", &s) == 0 && S_ISREG(s.st_mode));
	load();
	threads(SIGABRT, 1);
	process(SIGABRT);
	drop();
	CHECK(mkdir("core", 0700) == 0); // which does not go away
	CHECK(!WCOREDUMP(died(SIGQUIT, 0)) && rmdir("core") == 0);

	// It is cut at about the limit, and there all the same.
	limit(3 << 12);
	CHECK(WCOREDUMP(died(SIGILL, 0)));
	CHECK(stat("core", &s) == 0 && s.st_blocks * 512 <= 2 * (3 << 12) && unlink("core") == 0);
	limit(RLIM_INFINITY);

	CHECK(!WCOREDUMP(died(SIGSEGV, privately)) && access("core", F_OK) == -1);
	CHECK(!WCOREDUMP(died(SIGKILL, 0)) && !WCOREDUMP(died(SIGTERM, 0)) && access("core", F_OK) == -1);
	CHECK(WCOREDUMP(died(SIGSYS, nothing)));
	load();
	threads(SIGSYS, 0);
	CHECK(!at(hidden + 4096) && !at(shared + 4096));
	drop();
	return 0;
}
