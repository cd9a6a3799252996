// clone(2), execve(2), pidfds, futex(2), unshare(2), affinity, names of the host.
// covers: clone clone3 execve execveat pidfd_open pidfd_getfd pidfd_send_signal futex get_robust_list set_robust_list set_tid_address unshare setns sched_getaffinity sched_setaffinity uname sethostname setdomainname personality arch_prctl getrandom
#include "child.h"
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

// Files that execve refuses.
#define NO_FILE "/none"
#define BELOW_A_FILE "/proc/version/x"
#define A_DIRECTORY "/tmp"
#define NO_NAME ""
#define LOST_INTERPRETER "#!/none\n"
#define NO_PROGRAM "neither"
#define EMPTY ""
#define SCRIPT "#!/bin/sh\n"

static int st;

static void clone_refuses(unsigned long flags) { FAILS(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0), EINVAL); }

static void clone3_refuses(unsigned long flags, long signal) {
	struct clone_args a = {.flags = flags, .exit_signal = signal};
	FAILS(syscall(SYS_clone3, &a, sizeof a), EINVAL);
}

static void clone3_of_too_much_is_e2big(void) {
	static char page[8192];
	FAILS(syscall(SYS_clone3, page, 4097), E2BIG);
	page[200] = 1; // what this kernel does not know must be zero
	FAILS(syscall(SYS_clone3, page, 256), E2BIG);
}

static void clone3_needs_both_stack_and_size(void) {
	struct clone_args a = {.exit_signal = SIGCHLD, .stack = (uintptr_t)&a};
	FAILS(syscall(SYS_clone3, &a, sizeof a), EINVAL);
	a.stack = 0, a.stack_size = 4096;
	FAILS(syscall(SYS_clone3, &a, sizeof a), EINVAL);
}

static void clone3_from_nowhere_is_efault(void) { FAILS(syscall(SYS_clone3, 8, sizeof(struct clone_args)), EFAULT); }

static void clone_parent_makes_a_sibling(void) {
	int fd[2];
	pid_t me = getpid(), got;
	CHECK(pipe(fd) == 0);
	pid_t p = fork();
	if (p == 0) {
		pid_t c = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
		if (c == 0) _exit(getppid() == me ? 44 : 1);
		write(fd[1], &c, sizeof c);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && read(fd[0], &got, sizeof got) == sizeof got);
	CHECK(waitpid(got, &st, 0) == got && WEXITSTATUS(st) == 44);
}

static void clear_sighand_resets_handlers(void) {
	signal(SIGUSR1, (void (*)(int))exits), signal(SIGUSR2, SIG_IGN);
	struct clone_args a = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	pid_t p = syscall(SYS_clone3, &a, sizeof a);
	if (p == 0) _exit(signal(SIGUSR1, SIG_DFL) != SIG_DFL || signal(SIGUSR2, SIG_DFL) != SIG_IGN);
	CHECK(ended_well(p));
}

static void clone_fs_shares_directory_and_umask(void) {
	CHECK(chdir("/") == 0);
	umask(022);
	pid_t p = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
	if (p == 0) _exit(chdir("/tmp") || umask(077) != 022);
	char cwd[64];
	CHECK(ended_well(p) && strcmp(getcwd(cwd, sizeof cwd), "/tmp") == 0 && umask(0) == 077);
}

static void the_exit_signal_is_the_caller_s_choice(void) {
	sigset_t s;
	siginfo_t si;
	sigemptyset(&s), sigaddset(&s, SIGUSR1), sigprocmask(SIG_BLOCK, &s, NULL);
	pid_t p = syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
	if (p == 0) _exit(3);
	CHECK(sigwaitinfo(&s, &si) == SIGUSR1 && si.si_pid == p && si.si_code == CLD_EXITED && si.si_status == 3);
	CHECK(waitpid(p, &st, __WCLONE) == p);
}

static void child_settid_is_the_child_s_memory(void) {
	pid_t word = 0;
	pid_t p = syscall(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, 0, 0, &word, 0);
	if (p == 0) _exit(word != getpid());
	CHECK(ended_well(p) && word == 0);
}

static void exec_refuses(const char *path, int want) {
	char *argv[] = {"x", NULL};
	errno = 0;
	CHECK(execve(path, argv, NULL) == -1 && errno == want);
}

static void made(const char *content, int mode, int want) {
	char name[] = "/tmp/execXXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content) && fchmod(fd, mode) == 0 && close(fd) == 0);
	exec_refuses(name, want);
	unlink(name);
}

static void exec_arguments_from_nowhere_are_efault(void) { FAILS(syscall(SYS_execve, "/proc/self/exe", 8, NULL), EFAULT); }

static void exec_of_a_huge_argument_is_e2big(void) {
	char *big = malloc(200000), *argv[] = {"x", big, NULL};
	memset(big, 'a', 199999), big[199999] = 0;
	FAILS(execve("/proc/self/exe", argv, NULL), E2BIG);
}

static void execveat_unknown_flags_are_einval(void) { FAILS(syscall(SYS_execveat, AT_FDCWD, "/proc/self/exe", NULL, NULL, 1), EINVAL); }

static void execveat_empty_needs_its_flag(void) {
	int fd = open("/proc/self/exe", O_PATH);
	FAILS(syscall(SYS_execveat, fd, "", NULL, NULL, 0), ENOENT);
}

static void execveat_nofollow_of_a_link_is_eloop(void) {
	FAILS(syscall(SYS_execveat, AT_FDCWD, "/proc/self/exe", NULL, NULL, AT_SYMLINK_NOFOLLOW), ELOOP);
}

static void execveat_of_no_descriptor_is_ebadf(void) { FAILS(syscall(SYS_execveat, 99, "x", NULL, NULL, 0), EBADF); }

static void pidfd_is_readable_when_the_process_ends(void) {
	pid_t p = pauses();
	struct pollfd f = {syscall(SYS_pidfd_open, p, 0), POLLIN};
	CHECK(fcntl(f.fd, F_GETFD) == FD_CLOEXEC && poll(&f, 1, 0) == 0 && kill(p, SIGKILL) == 0 && poll(&f, 1, 5000) == 1 && f.revents == POLLIN);
}

static void pidfd_signal_errors(void) {
	int fd = syscall(SYS_pidfd_open, getpid(), 0), null = open("/dev/null", O_RDONLY);
	FAILS(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 1 << 20), EINVAL);
	FAILS(syscall(SYS_pidfd_send_signal, fd, 65, NULL, 0), EINVAL);
	FAILS(syscall(SYS_pidfd_send_signal, null, 0, NULL, 0), EBADF);
}

static void pidfd_signal_info_must_match(void) {
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	siginfo_t si = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
	FAILS(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &si, 0), EINVAL);
}

static void pidfd_getfd_of_another_user_is_eperm(void) {
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	pid_t p = fork();
	if (p == 0) {
		nobody();
		FAILS(syscall(SYS_pidfd_getfd, fd, 0, 0), EPERM);
		_exit(0);
	}
	CHECK(ended_well(p));
}

static uint32_t w1, w2;

static long futex(uint32_t *a, int o, long v, const void *t, uint32_t *b, long v3) { return syscall(SYS_futex, a, o, v, t, b, v3); }

static void requeue_counts_are_not_negative(void) { FAILS(futex(&w1, FUTEX_REQUEUE, -1, NULL, &w2, 0), EINVAL); }

static void wake_of_no_bits_is_einval(void) { FAILS(futex(&w1, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL); }

static void wake_of_an_odd_address_is_einval(void) { FAILS(futex((uint32_t *)((char *)&w1 + 2), FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL); }

static void wait_by_realtime_times_out(void) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	FAILS(futex(&w1, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, -1), ETIMEDOUT);
}

static void lock_pi_takes_a_free_word(void) {
	pid_t tid = syscall(SYS_gettid);
	CHECK(futex(&w1, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0 && w1 == (uint32_t)tid);
	CHECK(futex(&w1, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 && w1 == 0);
}

static void lock_pi_of_the_own_is_edeadlk(void) {
	w1 = syscall(SYS_gettid);
	FAILS(futex(&w1, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
}

static void unlock_pi_of_another_s_is_eperm(void) {
	w1 = getppid();
	FAILS(futex(&w1, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
}

static void robust_list_has_one_size(void) {
	long head[3];
	FAILS(syscall(SYS_set_robust_list, head, 8), EINVAL);
	CHECK(syscall(SYS_set_robust_list, head, 24) == 0);
	void *got;
	size_t n;
	CHECK(syscall(SYS_get_robust_list, 0, &got, &n) == 0 && got == head && n == 24);
	syscall(SYS_set_robust_list, NULL, 24);
}

static void set_tid_address_answers_the_tid(void) { CHECK(syscall(SYS_set_tid_address, &w1) == syscall(SYS_gettid)); }

static void unshare_unknown_flags_are_einval(void) { FAILS(unshare(0x1), EINVAL); }

static void unshare_without_rights_is_eperm(int flag) {
	nobody();
	FAILS(unshare(flag), EPERM);
}

static void setns_of_a_file_is_einval(void) { FAILS(setns(open("/dev/null", O_RDONLY), 0), EINVAL); }

static void setns_of_another_kind_is_einval(void) { FAILS(setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWIPC), EINVAL); }

static void setns_of_no_descriptor_is_ebadf(void) { FAILS(setns(99, 0), EBADF); }

static void uts_names_are_the_namespace_s(void) {
	struct utsname u, v;
	CHECK(unshare(CLONE_NEWUTS) == 0 && sethostname("guest", 5) == 0 && setdomainname("domain", 6) == 0);
	CHECK(uname(&u) == 0 && strcmp(u.nodename, "guest") == 0 && strcmp(u.domainname, "domain") == 0);
	pid_t p = fork();
	if (p == 0) _exit(unshare(CLONE_NEWUTS) || sethostname("other", 5));
	CHECK(ended_well(p) && uname(&v) == 0 && strcmp(v.nodename, "guest") == 0);
}

static void names_are_at_most_64_bytes(void) {
	static char n[65] = "x";
	CHECK(unshare(CLONE_NEWUTS) == 0 && sethostname(n, 64) == 0);
	FAILS(sethostname(n, 65), EINVAL);
	FAILS(setdomainname(n, 65), EINVAL);
	FAILS(syscall(SYS_sethostname, n, -1), EINVAL);
}

static void names_need_the_right(void) {
	nobody();
	FAILS(sethostname("x", 1), EPERM);
}

static void affinity_is_inherited(void) {
	cpu_set_t one, got;
	CHECK(sched_getaffinity(0, sizeof got, &got) == 0);
	int c = 0;
	while (!CPU_ISSET(c, &got)) c++;
	CPU_ZERO(&one);
	CPU_SET(c, &one);
	CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
	pid_t p = fork();
	if (p == 0) _exit(sched_getaffinity(0, sizeof got, &got) || !CPU_EQUAL(&one, &got));
	CHECK(ended_well(p));
}

static void personality_is_kept_and_inherited(void) {
	CHECK(personality(ADDR_NO_RANDOMIZE) >= 0 && personality(-1) == ADDR_NO_RANDOMIZE);
	pid_t p = fork();
	if (p == 0) _exit(personality(-1) != ADDR_NO_RANDOMIZE);
	CHECK(ended_well(p));
}

static void gs_is_kept(void) {
	unsigned long gs = 0;
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x12345000UL) == 0 && syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == 0x12345000UL);
	FAILS(syscall(SYS_arch_prctl, ARCH_SET_GS, 1UL << 63), EPERM);
}

static void getrandom_errors(void) {
	char b[8];
	FAILS(syscall(SYS_getrandom, b, 8, 1 << 10), EINVAL);
	FAILS(syscall(SYS_getrandom, b, 8, GRND_RANDOM | 4), EINVAL);
	FAILS(syscall(SYS_getrandom, 8, 8, 0), EFAULT);
}

int main(void) {
	APART(clone3_of_too_much_is_e2big());
	APART(clone3_needs_both_stack_and_size());
	APART(clone3_from_nowhere_is_efault());
	APART(clone_parent_makes_a_sibling());
	APART(clear_sighand_resets_handlers());
	APART(clone_fs_shares_directory_and_umask());
	APART(the_exit_signal_is_the_caller_s_choice());
	APART(child_settid_is_the_child_s_memory());
	APART(exec_arguments_from_nowhere_are_efault());
	APART(exec_of_a_huge_argument_is_e2big());
	APART(execveat_unknown_flags_are_einval());
	APART(execveat_empty_needs_its_flag());
	APART(execveat_nofollow_of_a_link_is_eloop());
	APART(execveat_of_no_descriptor_is_ebadf());
	APART(pidfd_is_readable_when_the_process_ends());
	APART(pidfd_signal_errors());
	APART(pidfd_signal_info_must_match());
	APART(pidfd_getfd_of_another_user_is_eperm());
	APART(requeue_counts_are_not_negative());
	APART(wake_of_no_bits_is_einval());
	APART(wake_of_an_odd_address_is_einval());
	APART(wait_by_realtime_times_out());
	APART(lock_pi_takes_a_free_word());
	APART(lock_pi_of_the_own_is_edeadlk());
	APART(unlock_pi_of_another_s_is_eperm());
	APART(robust_list_has_one_size());
	APART(set_tid_address_answers_the_tid());
	APART(unshare_unknown_flags_are_einval());
	APART(setns_of_a_file_is_einval());
	APART(setns_of_another_kind_is_einval());
	APART(setns_of_no_descriptor_is_ebadf());
	APART(uts_names_are_the_namespace_s());
	APART(names_are_at_most_64_bytes());
	APART(names_need_the_right());
	APART(affinity_is_inherited());
	APART(personality_is_kept_and_inherited());
	APART(gs_is_kept());
	APART(getrandom_errors());
	APART(clone_refuses(CLONE_VFORK | CLONE_THREAD | CLONE_SIGHAND));
	APART(clone_refuses(CLONE_NEWIPC | CLONE_SYSVSEM));
	APART(clone_refuses(CLONE_PIDFD | CLONE_PARENT_SETTID));
	APART(clone3_refuses(CLONE_DETACHED, SIGCHLD));
	APART(clone3_refuses(CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM, 0));
	APART(clone3_refuses(CLONE_PARENT, SIGCHLD));
	APART(clone3_refuses(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, SIGCHLD));
	APART(clone3_refuses(0, 65));
	APART(exec_refuses(NO_FILE, ENOENT));
	APART(exec_refuses(BELOW_A_FILE, ENOTDIR));
	APART(exec_refuses(A_DIRECTORY, EACCES));
	APART(exec_refuses(NO_NAME, ENOENT));
	APART(made(LOST_INTERPRETER, 0755, ENOENT));
	APART(made(NO_PROGRAM, 0755, ENOEXEC));
	APART(made(EMPTY, 0755, ENOEXEC));
	APART(made(SCRIPT, 0644, EACCES));
	APART(unshare_without_rights_is_eperm(CLONE_NEWNS));
	APART(unshare_without_rights_is_eperm(CLONE_NEWUTS));
	APART(unshare_without_rights_is_eperm(CLONE_NEWIPC));
	APART(unshare_without_rights_is_eperm(CLONE_NEWNET));
	APART(unshare_without_rights_is_eperm(CLONE_NEWPID));
	return 0;
}
