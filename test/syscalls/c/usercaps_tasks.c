// covers: kill pidfd_send_signal pidfd_getfd process_vm_readv kcmp ptrace prlimit64 setpriority ioprio_set
// covers: sched_setscheduler sched_setaffinity migrate_pages move_pages get_robust_list process_madvise setns
// Processes of other users and user namespaces: who may signal, see into and change them.
#include "usercaps.h"
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

// Whom it is done to.
enum {
	CROOT, // root of the container
	CUSER, // its uid 1000
	SAME,  // a child of the caller, with its credentials
	OTHER, // of uid 7 beside the caller; for NESTED root of the namespace above; for OWNER in a namespace of its own, as 7 of that
	BELOW, // a child of the caller in a user namespace that it has made
	VICTIMS
};

static pid_t victims[VICTIMS];
static char page[4096] __attribute__((aligned(4096)));

// life ends with the world: its victims see the end of it, whoever they are.
static int life[2];

// victim makes a child that becomes somebody and waits for the end.
static pid_t victim(void (*become)(void)) {
	int up[2];
	char c;
	CHECK(pipe(up) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (become)
			become();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK(write(up[1], "x", 1) == 1);
		close(up[1]);
		if (life[1])
			close(life[1]);
		while (life[1] && read(life[0], &c, 1) < 0)
			;
		while (!life[1])
			pause();
		_exit(0);
	}
	close(up[1]);
	CHECK(read(up[0], &c, 1) == 1);
	close(up[0]);
	return p;
}

static void user(void) { drop_groups(), as(1000); }
static void seven(void) { as(7); }

static void below(void) {
	int uid = geteuid(), gid = getegid();
	CHECK(unshare(CLONE_NEWUSER) == 0);
	map_self(uid, gid);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
}

// owned is in a namespace that uid 1000 owns, as somebody else.
static void owned(void) { mapped(1000, CLONE_NEWUSER, "0 100000 10", 7); }

static int in_the_way;

static void before(void) {
	victims[CROOT] = victim(NULL);
	victims[CUSER] = victim(user);
	in_the_way = open("/dev/null", O_RDONLY);
}

static void above(void) {
	CHECK(pipe(life) == 0);
	victims[OTHER] = victim(world == OWNER ? owned : NULL);
}

static void inside(void) {
	if (!life[1])
		CHECK(pipe(life) == 0);
	victims[SAME] = victim(NULL);
	if (world == ROOTED || world == USER)
		victims[OTHER] = victims[SAME];
	else if (!victims[OTHER])
		victims[OTHER] = victim(seven);
	victims[BELOW] = victim(below);
}

static int openpid(int v) { return syscall(SYS_pidfd_open, victims[v], 0); }

static int op_kill(int v) { return error(kill(victims[v], 0)); }
static int op_pidfd_send(int v) { return error(syscall(SYS_pidfd_send_signal, openpid(v), 0, NULL, 0)); }
static int op_tgkill(int v) { return error(syscall(SYS_tgkill, victims[v], victims[v], 0)); }

static int op_queue(int v) {
	siginfo_t si = {.si_signo = SIGURG, .si_code = SI_QUEUE};
	return error(syscall(SYS_rt_sigqueueinfo, victims[v], SIGURG, &si));
}

static int op_getfd(int v) { return error(syscall(SYS_pidfd_getfd, openpid(v), 1, 0)); }

static int op_readv(int v) {
	char b[8];
	struct iovec l = {b, 8}, r = {page, 8};
	return error(process_vm_readv(victims[v], &l, 1, &r, 1, 0));
}

static int op_kcmp(int v) { return error(syscall(SYS_kcmp, victims[v], getpid(), KCMP_FILE, in_the_way, in_the_way)); }
static int op_seize(int v) { return error(ptrace(PTRACE_SEIZE, victims[v], 0, 0)); }

static int op_prlimit(int v) {
	struct rlimit l;
	return error(prlimit(victims[v], RLIMIT_NPROC, NULL, &l));
}

static int op_prlimit_raise(int v) {
	struct rlimit l;
	if (prlimit(victims[v], RLIMIT_MSGQUEUE, NULL, &l))
		return errno;
	l.rlim_max++;
	return error(prlimit(victims[v], RLIMIT_MSGQUEUE, &l, NULL));
}

static int op_nicer(int v) { return error(setpriority(PRIO_PROCESS, victims[v], 5)); }
static int op_less_nice(int v) { return error(setpriority(PRIO_PROCESS, victims[v], -5)); }

static int op_batch(int v) {
	struct sched_param p = {0};
	return error(sched_setscheduler(victims[v], SCHED_BATCH, &p));
}

static int op_affinity(int v) {
	cpu_set_t s;
	CHECK(sched_getaffinity(0, sizeof s, &s) == 0);
	return error(sched_setaffinity(victims[v], sizeof s, &s));
}

static int op_ioprio(int v) { return error(syscall(SYS_ioprio_set, 1, victims[v], 2 << 13 | 5)); }
static int op_ioprio_rt(int v) { return error(syscall(SYS_ioprio_set, 1, victims[v], 1 << 13 | 5)); }

static int op_migrate(int v) {
	unsigned long n = 1;
	return error(syscall(SYS_migrate_pages, victims[v], 2, &n, &n));
}

static int op_move(int v) {
	void *p = page;
	int status;
	return error(syscall(SYS_move_pages, victims[v], 1, &p, NULL, &status, 0));
}

static int op_move_all(int v) {
	void *p = page;
	int node = 0, status;
	return error(syscall(SYS_move_pages, victims[v], 1, &p, &node, &status, 4));
}

static int op_robust(int v) {
	void *head;
	size_t n;
	return error(syscall(SYS_get_robust_list, victims[v], &head, &n));
}

static int op_madvise(int v) {
	struct iovec r = {page, 4096};
	return error(syscall(SYS_process_madvise, openpid(v), &r, 1, 20, 0)); // MADV_COLD
}

static int op_setns_user(int v) { return error(setns(openpid(v), CLONE_NEWUSER)); }
static int op_setns_uts(int v) { return error(setns(openpid(v), CLONE_NEWUTS)); }
static int op_setns_both(int v) { return error(setns(openpid(v), CLONE_NEWUSER | CLONE_NEWUTS)); }

static const char *of(int v, const char *file) {
	static char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", victims[v], file);
	return path;
}

static int readfile(int v, const char *file) {
	char b[64];
	int fd = open(of(v, file), O_RDONLY | O_NONBLOCK);
	return fd < 0 ? errno : error(read(fd, b, sizeof b));
}

static int op_environ(int v) { return readfile(v, "environ"); }
static int op_maps(int v) { return readfile(v, "maps"); }
static int op_mem(int v) { return error(open(of(v, "mem"), O_RDWR)); }
static int op_io(int v) { return readfile(v, "io"); }
static int op_auxv(int v) { return readfile(v, "auxv"); }
static int op_syscall(int v) { return readfile(v, "syscall"); }
static int op_personality(int v) { return readfile(v, "personality"); }
static int op_stack(int v) { return readfile(v, "stack"); }
static int op_limits(int v) { return readfile(v, "limits"); }
static int op_mountinfo(int v) { return readfile(v, "mountinfo"); }
static int op_fdinfo(int v) { return readfile(v, "fdinfo/1"); }
static int op_fd(int v) { return error(open(of(v, "fd"), O_RDONLY)); }
static int op_slack(int v) { return readfile(v, "timerslack_ns"); }

static int op_link(int v, const char *file) {
	char b[256];
	return error(readlink(of(v, file), b, sizeof b));
}
static int op_exe(int v) { return op_link(v, "exe"); }
static int op_cwd(int v) { return op_link(v, "cwd"); }
static int op_ns(int v) { return op_link(v, "ns/uts"); }
static int op_ns_open(int v) { return error(open(of(v, "ns/user"), O_RDONLY)); }
static int op_oom_up(int v) { return error(write_file(of(v, "oom_score_adj"), "100")); }
static int op_oom_down(int v) { return error(write_file(of(v, "oom_score_adj"), "-100")); }
static int op_slack_set(int v) { return error(write_file(of(v, "timerslack_ns"), "1000000")); }
static int op_comm(int v) { return error(write_file(of(v, "comm"), "victim")); }
static int op_uid_map(int v) { return error(write_file(of(v, "uid_map"), "0 0 1")); }

// op_owner is not an error but whom the file is shown to belong to.
static int owner_of(int v, const char *file) {
	struct stat st;
	return stat(of(v, file), &st) ? errno : VALUE((int)st.st_uid);
}
static int op_owner(int v) { return owner_of(v, "environ"); }
static int op_owner_dir(int v) { return owner_of(v, ""); }

static int op_uid_shown(int v) {
	char b[1024], *p;
	int fd = open(of(v, "status"), O_RDONLY), n = read(fd, b, sizeof b - 1);
	CHECK(n > 0);
	b[n] = 0;
	CHECK((p = strstr(b, "Uid:")));
	return VALUE(atoi(p + 5));
}

// op_code: whether stat tells where the text is.
static int op_code(int v) {
	char b[1024], *p;
	int fd = open(of(v, "stat"), O_RDONLY), n = read(fd, b, sizeof b - 1);
	CHECK(n > 0);
	b[n] = 0;
	CHECK((p = strrchr(b, ')')));
	for (int i = 0; i < 24; i++)
		CHECK((p = strchr(p + 1, ' ')));
	return VALUE(atol(p) > 1);
}

// op_death: does the end of a parent, who has become somebody else if other, signal its child?
static int op_death(int other) {
	int told[2], ready[2], status;
	char c;
	CHECK(pipe(told) == 0 && pipe(ready) == 0);
	int *seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = fork();
	if (parent == 0) {
		if (fork() == 0) {
			sigset_t s;
			sigemptyset(&s);
			sigaddset(&s, SIGUSR1);
			sigprocmask(SIG_BLOCK, &s, NULL);
			prctl(PR_SET_PDEATHSIG, SIGUSR1);
			pid_t p = getppid();
			write(ready[1], "x", 1);
			read(told[0], &c, 1);
			siginfo_t si;
			struct timespec now = {0};
			*seen = sigtimedwait(&s, &si, &now) == SIGUSR1 ? VALUE(si.si_pid == p && si.si_uid == getuid() ? 7 : 1) : VALUE(0);
			write(ready[1], "x", 1);
			_exit(0);
		}
		CHECK(read(ready[0], &c, 1) == 1);
		_exit(other && setresuid(5, 5, 5) ? errno : 0);
	}
	CHECK(waitpid(parent, &status, 0) == parent);
	CHECK(write(told[1], "x", 1) == 1 && read(ready[0], &c, 1) == 1);
	return status ? WEXITSTATUS(status) : *seen;
}

static const struct row rows[] = {
	{"kill", op_kill, "..PPPP .P.PP. ...... ....P. ......"},
	{"pidfd_send", op_pidfd_send, "..PPPP .P.PP. ...... ....P. ......"},
	{"tgkill", op_tgkill, "..PPPP .P.PP. ...... ....P. ......"},
	{"queue", op_queue, "..PPPP .P.PP. ...... ....P. ......"},
	{"getfd", op_getfd, ".PPPPP .PPPP. ...... ....P. ......"},
	{"readv", op_readv, ".PPPPP .PPPP. ...... ....P. ......"},
	{"kcmp", op_kcmp, ".PPPPP .PPPP. ...... ....P. ......"},
	{"seize", op_seize, ".PPPPP .PPPP. ...... ....P. ......"},
	{"prlimit", op_prlimit, "..PPPP PP.PP. ...... P...P. ......"},
	{"prlimit_raise", op_prlimit_raise, "PPPPPP PPPPPP PPPPPP PPPPPP PPPPPP"},
	{"nicer", op_nicer, "..PPPP .P.PP. ...... ....P. ......"},
	{"less_nice", op_less_nice, ".APPPP .PAPPA .AAAAA .AAAPA .AAAAA"},
	{"batch", op_batch, "..PPPP .P.PP. ...... ...PPP ......"},
	{"affinity", op_affinity, "..PPPP .P.PP. ...... ....P. ......"},
	{"ioprio", op_ioprio, "..PPPP .P.PP. ...... ...PPP ......"},
	{"ioprio_rt", op_ioprio_rt, ".PPPPP .PPPPP .PPPPP .PPPPP .PPPPP"},
	{"migrate", op_migrate, ".PPPPP .PPPP. ...... ....P. ......"},
	{"move", op_move, ".PPPPP .PPPP. ...... ....P. ......"},
	{"move_all", op_move_all, ".PPPPP .PPPPP .PPPPP .PPPPP .PPPPP"},
	{"robust", op_robust, ".PPPPP .PPPP. ...... ....P. ......"},
	{"madvise", op_madvise, ".AAAAA .AAAAP .PPPPP .PPPAP .PPPPP"},
	{"setns_user", op_setns_user, "IPPPPP IPPPPI IIIIII IIIIP. ......"},
	{"setns_uts", op_setns_uts, ".PPPPP .PPPPP .PP.PP .PP.PP .PP.PP"},
	{"setns_both", op_setns_both, "IPPPPP IPPPPI IIIIII IIIIPP .PP.PP"},
	{"environ", op_environ, ".AAAAA .AAAA. ...... ....AA ......"},
	{"maps", op_maps, ".AAAAA .AAAA. ...... ....A. ......"},
	{"mem", op_mem, ".AAAAA .AAAA. ...... ....AA ......"},
	{"io", op_io, ".AAAAA .AAAA. ...... ....AA ......"},
	{"auxv", op_auxv, ".AAAAA .AAAA. ...... ....AA ......"},
	{"syscall", op_syscall, ".PAAAA .APAA. ...... ....AA ......"},
	{"personality", op_personality, ".PAAAA .APAA. ...... ....AA ......"},
	{"stack", op_stack, ".AAAAA .AAAAA .AAAAA .AAAAA .AAAAA"},
	{"limits", op_limits, "...... ...... ...... ...... ......"},
	{"mountinfo", op_mountinfo, "...... ...... ...... ...... ......"},
	{"fdinfo", op_fdinfo, ".AAAAA .AAAA. ...... ....A. ......"},
	{"fd", op_fd, "..AAAA .A.AA. ...... ....AA ......"},
	{"slack", op_slack, ".PPPPP .PPPPP .....P ....P. ......"},
	{"exe", op_exe, ".AAAAA .AAAA. ...... ....A. ......"},
	{"cwd", op_cwd, ".AAAAA .AAAA. ...... ....A. ......"},
	{"ns", op_ns, ".AAAAA .AAAA. ...... ....A. ......"},
	{"ns_open", op_ns_open, ".AAAAA .AAAA. ...... ....A. ......"},
	{"oom_up", op_oom_up, "..AAAA .A.AA. ...... ....AA ......"},
	{"oom_down", op_oom_down, "AAAAAA AAAAAA AAAAAA AAAAAA AAAAAA"},
	{"slack_set", op_slack_set, ".PPPPP .PPPPP .....P ....P. ......"},
	{"comm", op_comm, "IIAAAA IAIAAI IIIIII IIIIAA IIIIII"},
	{"uid_map", op_uid_map, "PPAAAA PAPAAP PPPPPP PPPPAA PPPPPP"},
	{"death", op_death, "777777 0II0IP"},
	{"owner", op_owner, "00ooo0 uo0oou 00000u 7007os 00000u"},
	{"owner_dir", op_owner_dir, "00ooo0 uo0oou 00000u 7007os 00000u"},
	{"uid_shown", op_uid_shown, "00ooo0 uo0oou 00000u 7007os 00000u"},
	{"code", op_code, "100000 100001 111111 111101 111111"},
};

USERCAPS(rows)
