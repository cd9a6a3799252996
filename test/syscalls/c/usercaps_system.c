// covers: sethostname setdomainname mount umount2 fsopen open_tree pivot_root chroot setns syslog settimeofday
// covers: adjtimex clock_settime unshare capset prctl setuid setgid setgroups setfsuid shmctl msgctl
// covers: semctl mq_open mlock setrlimit socket setsockopt bind sendmsg kill clone3
// What belongs to a namespace, to the machine or to the caller: who is privileged over it.
#include "usercaps.h"
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <grp.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static const char *names[] = {"uts", "ipc", "net", "mnt", "cgroup", "pid", "user", "time"};
enum { KINDS = sizeof names / sizeof *names };

static int outer[KINDS], higher[KINDS], pair[2];
static pid_t outer_pid;
static int shm, msg, sem;

// objects makes System V objects, as somebody else if there is one.
static void objects(void) {
	int uid = world == OWN || world == NESTED ? 5 : 0;
	CHECK(setresuid(-1, uid, 0) == 0);
	shm = shmget(IPC_PRIVATE, 4096, 0600), msg = msgget(IPC_PRIVATE, 0600), sem = semget(IPC_PRIVATE, 1, 0600);
	CHECK(shm >= 0 && msg >= 0 && sem >= 0);
	CHECK(setresuid(-1, 0, 0) == 0);
	prctl(PR_SET_DUMPABLE, 1);
}

static void spaces(int *fds) {
	for (int i = 0; i < KINDS; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		CHECK((fds[i] = open(path, O_RDONLY)) >= 0);
	}
}

static void before(void) {
	if (world == 0) {
		CHECK(unshare(CLONE_NEWNS) == 0);
		CHECK(mkdir("covered", 0755) == 0 && mkdir("mnt", 0777) == 0 && mkdir("jail", 0777) == 0);
		CHECK(mount("none", "covered", "tmpfs", 0, NULL) == 0);
		spaces(outer);
	}
	outer_pid = getpid();
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	int on = 1;
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	if (world != OWN && world != NESTED)
		objects();
}

static void above(void) {
	if (world == NESTED)
		objects();
	spaces(higher);
}

static void inside(void) {
	if (world == OWN)
		objects();
	if (world != NESTED)
		spaces(higher);
}

static int op_sethostname(int x) { return error(sethostname("changed", 7)); }
static int op_setdomainname(int x) { return error(setdomainname("changed", 7)); }

// Mounts. What the container's root changes is a copy.
static void apart(void) {
	if (world == OUTER)
		CHECK(unshare(CLONE_NEWNS) == 0);
}
static const char *types[] = {"tmpfs", "proc", "sysfs", "mqueue", "cgroup2", "devpts", "ramfs"};
static int op_mount_new(int type) { return error(mount("none", "mnt", types[type], 0, NULL)); }
static int op_fsopen(int type) { return error(syscall(SYS_fsopen, types[type], 0)); }
static int op_bind(int x) {
	apart();
	return error(mount("jail", "mnt", NULL, MS_BIND, NULL));
}
static int op_bind_covered(int x) {
	apart();
	return error(mount(".", "mnt", NULL, MS_BIND, NULL));
}
static int op_umount_covered(int x) {
	apart();
	return error(umount2("covered", MNT_DETACH));
}
static int op_umount_force(int x) {
	apart();
	return error(umount2("covered", MNT_FORCE));
}
static int op_remount(int x) {
	apart();
	return error(mount(NULL, "covered", NULL, MS_REMOUNT, NULL));
}
static int op_remount_bind(int x) {
	apart();
	return error(mount(NULL, "covered", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
}
static int op_private(int x) {
	apart();
	return error(mount(NULL, "covered", NULL, MS_PRIVATE, NULL));
}
static int op_move(int x) {
	apart();
	return error(mount("covered", "mnt", NULL, MS_MOVE, NULL));
}
static int op_open_tree(int x) { return error(syscall(SYS_open_tree, AT_FDCWD, "covered", 1)); }
static int op_fspick(int x) { return error(syscall(SYS_fspick, AT_FDCWD, "covered", 0)); }
static int op_pivot(int x) {
	apart();
	return error(syscall(SYS_pivot_root, "covered", "covered"));
}
static int op_chroot(int x) { return error(chroot("jail")); }

static int op_unshare(int flag) {
	static const int flags[] = {CLONE_NEWUTS, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNET};
	return error(unshare(flags[flag]));
}

// setns to where the container's root is, and to what the caller (or who is above it) has.
static int op_setns_outer(int kind) { return error(setns(outer[kind], 0)); }
static int op_setns_own(int kind) { return error(setns(higher[kind], 0)); }
static int op_ns_owner(int kind) { return error(ioctl(outer[kind], NS_GET_USERNS)); }
static int op_ns_owner_own(int kind) { return error(ioctl(higher[kind], NS_GET_USERNS)); }
static int op_ns_parent(int x) { return error(ioctl(higher[6], NS_GET_PARENT)); }
static int op_ns_uid(int x) {
	uid_t u;
	return ioctl(higher[6], NS_GET_OWNER_UID, &u) ? errno : VALUE((int)u);
}

// The machine's.
static int op_syslog(int action) { return error(klogctl(action ? 3 : 10, (char[8]){0}, 8)) ? EPERM : 0; }
static int op_settimeofday(int x) {
	struct timeval tv = {1, 0};
	return error(settimeofday(&tv, NULL));
}
static int op_clock_settime(int x) {
	struct timespec ts = {1, 0};
	return error(clock_settime(CLOCK_REALTIME, &ts));
}
static int op_adjtimex(int x) {
	struct timex t = {.modes = ADJ_TICK, .tick = 10000};
	return error(adjtimex(&t));
}
static int op_reboot(int x) { return error(syscall(SYS_reboot, 1, 2, 3, NULL)); }
static int op_acct(int x) { return error(syscall(SYS_acct, NULL)); }
static int op_vhangup(int x) { return error(syscall(SYS_vhangup)); }

// Itself.
static int op_less_nice(int x) {
	struct sched_attr_ { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t d[3]; } a = {48, 0, 0, -5};
	return error(syscall(SYS_sched_setattr, 0, &a, 0));
}
static int op_raise_limit(int x) {
	struct rlimit l = {10, 10};
	CHECK(setrlimit(RLIMIT_MSGQUEUE, &l) == 0);
	l.rlim_max = 11;
	return error(setrlimit(RLIMIT_MSGQUEUE, &l));
}
static int op_mlock(int x) {
	struct rlimit l = {0, 0};
	CHECK(setrlimit(RLIMIT_MEMLOCK, &l) == 0);
	static char b[4096];
	return error(mlock(b, 4096));
}
static int op_pipe_size(int x) {
	int p[2];
	CHECK(pipe(p) == 0);
	return error(fcntl(p[0], F_SETPIPE_SZ, 4 << 20));
}
static int op_mq_large(int x) {
	struct mq_attr a = {.mq_maxmsg = 50, .mq_msgsize = 64};
	char name[32];
	snprintf(name, sizeof name, "/large%d", world);
	int r = error(mq_open(name, O_CREAT | O_RDWR, 0600, &a));
	mq_unlink(name);
	return r;
}
static int op_set_tid(int x) {
	pid_t tid = 30000 + world;
	struct clone_args a = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&tid, .set_tid_size = 1};
	long r = syscall(SYS_clone3, &a, sizeof a);
	if (r == 0)
		_exit(0);
	return error(r);
}
static int op_setuid(int id) { return error(setuid(id)); }
static int op_setgid(int id) { return error(setgid(id)); }
static int op_setgroups(int id) {
	gid_t g = id;
	return error(setgroups(1, &g));
}
static int op_setfsuid(int id) {
	setfsuid(id);
	return setfsuid(-1) == id ? 0 : EPERM;
}
static int op_bounding(int x) { return error(prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0)); }
static int op_securebits(int x) { return error(prctl(PR_SET_SECUREBITS, 1, 0, 0, 0)); }
static int op_set_mm(int x) { return error(prctl(35, 1, 0, 0, 0)); } // PR_SET_MM_START_CODE
static int op_io_flusher(int x) { return error(prctl(57, 1, 0, 0, 0)); }
static int op_oom(int x) { return error(write_file("/proc/self/oom_score_adj", "-1")); }

// Sysctls, opened only.
static const char *sysctls[] = {
	"kernel/hostname", "user/max_uts_namespaces", "vm/overcommit_memory", "kernel/core_pattern",
};
static int open_sysctl(int i, int flags) {
	char path[64];
	snprintf(path, sizeof path, "/proc/sys/%s", sysctls[i]);
	return error(open(path, flags));
}
static int op_sysctl(int i) { return open_sysctl(i, O_WRONLY); }
static int op_sysctl_read(int i) { return open_sysctl(i, O_RDONLY); }
// op_sysctl_override: of those who may override permissions, but are not root.
static int op_sysctl_override(int i) {
	if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(5, 5, 5))
		return errno;
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	CHECK(syscall(SYS_capget, &h, d) == 0);
	d[0].effective = d[0].permitted;
	CHECK(syscall(SYS_capset, &h, d) == 0);
	return open_sysctl(i, O_WRONLY);
}
static int op_write_hostname(int x) { return error(write_file("/proc/sys/kernel/hostname", "garrison")); }

// System V.
static int op_shmat(int x) { return shmat(shm, NULL, 0) == (void *)-1 ? errno : 0; }
static int op_shm_stat(int x) {
	struct shmid_ds d;
	return shmctl(shm, IPC_STAT, &d) ? errno : VALUE((int)d.shm_perm.uid);
}
static int op_shm_lock(int x) {
	struct rlimit l = {65536, 65536};
	CHECK(setrlimit(RLIMIT_MEMLOCK, &l) == 0);
	return error(shmctl(shm, SHM_LOCK, NULL));
}
// op_shm_group is a segment of a group in which the caller is by its filesystem or its
// effective group id alone.
static int op_shm_group(int effective) {
	struct shmid_ds d = {.shm_perm = {.uid = geteuid(), .gid = 7, .mode = 0060}};
	int id = shmget(IPC_PRIVATE, 4096, 0060);
	if (shmctl(id, IPC_SET, &d)) {
		int e = errno;
		shmctl(id, IPC_RMID, NULL);
		return e;
	}
	if (setresgid(5, effective ? 7 : 5, 5))
		return errno;
	setfsgid(effective ? 5 : 7);
	pid_t p = fork();
	if (p == 0) {
		CHECK(setresuid(5, 5, 5) == 0);
		_exit(shmat(id, NULL, 0) == (void *)-1 ? errno : 0);
	}
	int status;
	CHECK(waitpid(p, &status, 0) == p && shmctl(id, IPC_RMID, NULL) == 0);
	return WEXITSTATUS(status);
}
static int op_sem(int x) { return error(semctl(sem, 0, GETVAL)); }
static int op_msg_set(int more) {
	struct msqid_ds d = {.msg_perm = {.uid = geteuid(), .gid = getegid(), .mode = 0600}, .msg_qbytes = more ? 1 << 20 : 100};
	int id = msgget(IPC_PRIVATE, 0600);
	CHECK(id >= 0);
	int r = error(msgctl(id, IPC_SET, &d));
	msgctl(id, IPC_RMID, NULL);
	return r;
}
static int op_shm_remove(int x) { return error(shmctl(shm, IPC_RMID, NULL)); }

// Sockets.
static int op_raw(int x) { return error(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int option(int level, int name, int v) {
	int s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s >= 0);
	return error(setsockopt(s, level, name, &v, sizeof v));
}
static int op_mark(int x) { return option(SOL_SOCKET, SO_MARK, 1); }
static int op_priority(int x) { return option(SOL_SOCKET, SO_PRIORITY, 7); }
static int op_force(int x) { return option(SOL_SOCKET, SO_RCVBUFFORCE, 4096); }
static int op_debug(int x) { return option(SOL_SOCKET, SO_DEBUG, 1); }
static int op_transparent(int x) { return option(SOL_IP, IP_TRANSPARENT, 1); }
static int op_port(int x) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM, 0), r = error(bind(s, (struct sockaddr *)&a, sizeof a));
	return r == EADDRNOTAVAIL ? 0 : r;
}
static int op_interface(int x) {
	struct ifreq r = {.ifr_name = "lo"};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(ioctl(s, SIOCGIFFLAGS, &r) == 0);
	return error(ioctl(s, SIOCSIFFLAGS, &r));
}
static int op_peer(int x) {
	struct ucred u;
	socklen_t n = sizeof u;
	CHECK(getsockopt(pair[1], SOL_SOCKET, SO_PEERCRED, &u, &n) == 0);
	return VALUE((int)u.uid);
}
static int claim(pid_t pid, int uid, int gid) {
	char c[CMSG_SPACE(sizeof(struct ucred))] = {0};
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	*h = (struct cmsghdr){CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS};
	struct ucred u = {pid, uid, gid};
	memcpy(CMSG_DATA(h), &u, sizeof u);
	return error(sendmsg(pair[1], &m, 0));
}
static int op_claim_own(int x) { return claim(getpid(), geteuid(), getegid()); }
static int op_claim_uid(int uid) { return claim(getpid(), uid, getegid()); }
static int op_claim_gid(int gid) { return claim(getpid(), geteuid(), gid); }
static int op_claim_pid(int x) { return claim(outer_pid, geteuid(), getegid()); }

static const struct row rows[] = {
	{"sethostname", op_sethostname, ".PP.PP"},
	{"setdomainname", op_setdomainname, ".PP.PP"},
	{"mount_new", op_mount_new, ".PP.PP .PPPPP .PPPPP .PP.PP .PP.PP .PP.PP .PP.PP"},
	{"fsopen", op_fsopen, ".PP.PP .PP.PP .PP.PP .PP.PP .PP.PP .PP.PP .PP.PP"},
	{"bind", op_bind, ".PP.PP"},
	{"bind_covered", op_bind_covered, ".PPIPP"},
	{"umount_covered", op_umount_covered, ".PPIPP"},
	{"umount_force", op_umount_force, ".PPIPP"},
	{"remount", op_remount, ".PPPPP"},
	{"remount_bind", op_remount_bind, ".PP.PP"},
	{"private", op_private, ".PP.PP"},
	{"move", op_move, ".PPIPP"},
	{"open_tree", op_open_tree, ".PP.PP"},
	{"fspick", op_fspick, ".PP.PP"},
	{"pivot", op_pivot, ".PPIPP"},
	{"chroot", op_chroot, ".....P"},
	{"unshare", op_unshare, ".....P .....P .....P ...... ......"},
	{"setns_outer", op_setns_outer, ".PPPPP .PPPPP .PPPPP .PPPPP .PPPPP .PPPPP IPPPPI .PPPPP"},
	{"setns_own", op_setns_own, ".PP.PP .PP.PP .PP.PP .PP.PP .PP.PP .PPPPP IIIIPI .PPPPP"},
	{"ns_owner", op_ns_owner, ".PPPP. .PPPP. .PPPP. .PPPP. .PPPP. .PPPP. PPPPPP .PPPP."},
	{"ns_owner_own", op_ns_owner_own, ".PP.P. .PP.P. .PP.P. .PP.P. .PP.P. .PPPP. PPPPPP .PPPP."},
	{"ns_parent", op_ns_parent, "PPPPPP"},
	{"ns_uid", op_ns_uid, "000oo0"},
	{"syslog", op_syslog, "PPPPPP PPPPPP"},
	{"settimeofday", op_settimeofday, "PPPPPP"},
	{"clock_settime", op_clock_settime, "PPPPPP"},
	{"adjtimex", op_adjtimex, "PPPPPP"},
	{"reboot", op_reboot, "PPPPPP"},
	{"acct", op_acct, "PPPPPP"},
	{"vhangup", op_vhangup, ".PPPPP"},
	{"less_nice", op_less_nice, ".PPPPP"},
	{"raise_limit", op_raise_limit, "PPPPPP"},
	{"mlock", op_mlock, ".PPPPP"},
	{"pipe_size", op_pipe_size, "PPPPPP"},
	{"mq_large", op_mq_large, "IIIIII"},
	{"set_tid", op_set_tid, ".PPPPP"},
	{"setuid", op_setuid, ".....P .II.IP"},
	{"setgid", op_setgid, ".....P .II.IP"},
	{"setgroups", op_setgroups, ".PP..P .PP.IP"},
	{"setfsuid", op_setfsuid, ".....P .PP.PP"},
	{"bounding", op_bounding, ".....P"},
	{"securebits", op_securebits, ".....P"},
	{"set_mm", op_set_mm, "PPPPPP"},
	{"io_flusher", op_io_flusher, "PPPPPP"},
	{"oom", op_oom, "AAAAAA"},
	{"sysctl", op_sysctl, "..AAAA A....A ..AAAA ..AAAA"},
	{"sysctl_read", op_sysctl_read, "...... ...... ...... ......"},
	{"sysctl_override", op_sysctl_override, "AIIAIP AII.IP AIIAIP AIIAIP"},
	{"write_hostname", op_write_hostname, "..AAAA"},
	{"shmat", op_shmat, "..A.AA"},
	{"shm_stat", op_shm_stat, "00A5AA"},
	{"shm_lock", op_shm_lock, "..P.PP"},
	{"shm_group", op_shm_group, ".II.IP AIIAIP"},
	{"sem", op_sem, "..A.AA"},
	{"msg_set", op_msg_set, "...... PPPPPP"},
	{"shm_remove", op_shm_remove, "..P.PP"},
	{"raw", op_raw, ".PP.PP"},
	{"mark", op_mark, ".PP.PP"},
	{"priority", op_priority, ".PP.PP"},
	{"force", op_force, ".PPPPP"},
	{"debug", op_debug, ".AAAAA"},
	{"transparent", op_transparent, ".PP.PP"},
	{"port", op_port, ".AA.AA"},
	{"interface", op_interface, ".PP.PP"},
	{"peer", op_peer, "00ooo0"},
	{"claim_own", op_claim_own, "......"},
	{"claim_uid", op_claim_uid, ".....P .II.IP"},
	{"claim_gid", op_claim_gid, ".....P .II.IP"},
	{"claim_pid", op_claim_pid, ".PPPPP"},
};

USERCAPS(rows)
