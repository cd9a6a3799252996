// setpgid(2), setsid(2), setuid(2) and its family, setgroups(2), capset(2).
// covers: setpgid getpgid setsid getsid setuid setgid setreuid setregid setresuid setresgid getresuid getresgid setfsuid setfsgid setgroups getgroups capget capset
#include "child.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>

#define KEEP ((uid_t)-1)

static uid_t r, e, s;

static int ids_are(uid_t wr, uid_t we, uid_t ws) { return getresuid(&r, &e, &s) == 0 && r == wr && e == we && s == ws; }

static int gids_are(gid_t wr, gid_t we, gid_t ws) { return getresgid(&r, &e, &s) == 0 && r == wr && e == we && s == ws; }

static void setpgid_makes_a_group(void) { CHECK(setpgid(0, 0) == 0 && getpgid(0) == getpid() && getpgrp() == getpid()); }

static void setpgid_of_a_child(void) {
	pid_t p = pauses();
	CHECK(setpgid(p, 0) == 0 && getpgid(p) == p);
	end(p);
}

static void setpgid_into_a_child_s_group(void) {
	pid_t a = pauses(), b = pauses();
	CHECK(setpgid(a, a) == 0 && setpgid(b, a) == 0 && getpgid(b) == a);
	end(a), end(b);
}

static void setpgid_negative_is_einval(void) { FAILS(setpgid(0, -1), EINVAL); }

static void setpgid_of_a_stranger_is_esrch(void) { FAILS(setpgid(getppid(), 0), ESRCH); }

static void setpgid_into_no_group_is_eperm(void) {
	pid_t p = pauses();
	FAILS(setpgid(p, getpid()), EPERM);
	end(p);
}

static void setpgid_of_a_leader_is_eperm(void) {
	CHECK(setsid() == getpid());
	FAILS(setpgid(0, 0), EPERM);
}

static void setpgid_across_sessions_is_eperm(void) {
	int fd[2];
	char c;
	CHECK(pipe(fd) == 0);
	pid_t p = fork();
	if (p == 0) {
		CHECK(setsid() > 0 && write(fd[1], "x", 1) == 1);
		alarm(20);
		for (;;) pause();
	}
	CHECK(read(fd[0], &c, 1) == 1);
	FAILS(setpgid(p, p), EPERM);
	end(p);
}

static void getpgid_of_nobody_is_esrch(void) {
	pid_t p = exits(0);
	CHECK(waitpid(p, NULL, 0) == p);
	FAILS(getpgid(p), ESRCH);
	FAILS(getsid(p), ESRCH);
}

static void setsid_leads_session_and_group(void) { CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid()); }

static void setsid_of_a_group_leader_is_eperm(void) {
	CHECK(setpgid(0, 0) == 0);
	FAILS(setsid(), EPERM);
}

static void children_inherit_the_session(void) {
	CHECK(setsid() > 0);
	pid_t p = pauses();
	CHECK(getsid(p) == getpid() && getpgid(p) == getpid());
	end(p);
}

static void setuid_of_root_sets_all(void) { CHECK(setuid(11) == 0 && ids_are(11, 11, 11)); }

static void setuid_of_others_sets_the_effective(void) {
	CHECK(setresuid(11, 12, 13) == 0 && setuid(13) == 0 && ids_are(11, 13, 13) && setuid(11) == 0 && ids_are(11, 11, 13));
}

static void setuid_to_a_stranger_is_eperm(void) {
	CHECK(setresuid(11, 12, 13) == 0);
	FAILS(setuid(14), EPERM);
	FAILS(setuid(12), EPERM);
}

static void setuid_minus_1_is_einval(void) { FAILS(setuid(-1), EINVAL); }

static void setreuid_sets_saved_with_the_real(void) { CHECK(setreuid(11, 12) == 0 && ids_are(11, 12, 12)); }

static void setreuid_keeps_saved_if_effective_is_real(void) {
	CHECK(setresuid(11, 0, 13) == 0 && setreuid(KEEP, 11) == 0 && ids_are(11, 11, 13));
}

static void setreuid_swaps(void) { CHECK(setresuid(11, 12, 12) == 0 && setreuid(12, 11) == 0 && ids_are(12, 11, 11)); }

static void setreuid_real_to_saved_is_eperm(void) {
	CHECK(setresuid(11, 12, 13) == 0);
	FAILS(setreuid(13, KEEP), EPERM);
}

static void setresuid_permutes(void) { CHECK(setresuid(11, 12, 13) == 0 && setresuid(13, 11, 12) == 0 && ids_are(13, 11, 12)); }

static void setresuid_is_all_or_nothing(void) {
	CHECK(setresuid(11, 12, 13) == 0);
	FAILS(setresuid(12, 13, 99), EPERM);
	CHECK(ids_are(11, 12, 13));
}

static void setresuid_minus_1_keeps(void) { CHECK(setresuid(KEEP, 12, KEEP) == 0 && ids_are(0, 12, 0)); }

static void getresuid_to_nowhere_is_efault(void) {
	FAILS(syscall(SYS_getresuid, &r, 8, &s), EFAULT);
	FAILS(syscall(SYS_getresgid, 8, &e, &s), EFAULT);
}

static void setgid_of_root_sets_all(void) { CHECK(setgid(11) == 0 && gids_are(11, 11, 11)); }

static void setgid_of_others_sets_the_effective(void) {
	CHECK(setresgid(11, 12, 13) == 0 && setuid(5) == 0 && setgid(13) == 0 && gids_are(11, 13, 13));
	FAILS(setgid(12), EPERM);
}

static void setregid_sets_saved_with_the_real(void) { CHECK(setregid(11, 12) == 0 && gids_are(11, 12, 12)); }

static void setresgid_is_all_or_nothing(void) {
	CHECK(setresgid(11, 12, 13) == 0 && setuid(5) == 0);
	FAILS(setresgid(12, 13, 99), EPERM);
	CHECK(gids_are(11, 12, 13) && setresgid(13, 11, 12) == 0 && gids_are(13, 11, 12));
}

static void setfsuid_answers_the_old(void) { CHECK(setfsuid(11) == 0 && setfsuid(12) == 11 && setfsuid(-1) == 12); }

static void setfsuid_refused_changes_nothing(void) {
	CHECK(setresuid(11, 12, 13) == 0 && setfsuid(99) == 12 && setfsuid(-1) == 12 && setfsuid(13) == 12 && setfsuid(-1) == 13);
}

static void setfsgid_answers_the_old(void) { CHECK(setfsgid(11) == 0 && setfsgid(12) == 11 && setfsgid(-1) == 12); }

static void the_effective_uid_takes_fsuid_along(void) { CHECK(setfsuid(11) == 0 && seteuid(12) == 0 && setfsuid(-1) == 12); }

static void setgroups_come_sorted(void) {
	gid_t g[3] = {30, 10, 20}, got[3];
	CHECK(setgroups(3, g) == 0 && getgroups(3, got) == 3 && got[0] == 10 && got[1] == 20 && got[2] == 30);
}

static void getgroups_0_counts(void) {
	gid_t g[3] = {1, 2, 3};
	CHECK(setgroups(3, g) == 0 && getgroups(0, NULL) == 3);
}

static void getgroups_of_too_few_is_einval(void) {
	gid_t g[3] = {1, 2, 3};
	CHECK(setgroups(3, g) == 0);
	FAILS(getgroups(2, g), EINVAL);
	FAILS(syscall(SYS_getgroups, -1, g), EINVAL);
}

static void too_many_groups_are_einval(void) {
	static gid_t g[65537];
	FAILS(setgroups(65537, g), EINVAL);
	CHECK(setgroups(65536, g) == 0);
}

static void setgroups_from_nowhere_is_efault(void) { FAILS(syscall(SYS_setgroups, 2, 8), EFAULT); }

static void setgroups_of_others_is_eperm(void) {
	nobody();
	FAILS(syscall(SYS_setgroups, 0, NULL), EPERM);
}

static struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
static struct __user_cap_data_struct d[2];

static int cap(int nr) { return syscall(nr, &h, d); }

static void an_unknown_version_tells_the_kernel_s(void) {
	h.version = 1;
	FAILS(cap(SYS_capget), EINVAL);
	CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
}

static void an_unknown_version_without_data_is_well(void) {
	h.version = 1;
	CHECK(syscall(SYS_capget, &h, NULL) == 0 && h.version == _LINUX_CAPABILITY_VERSION_3);
}

static void capget_of_no_process_is_esrch(void) {
	h.pid = exits(0);
	CHECK(waitpid(h.pid, NULL, 0) == h.pid);
	FAILS(cap(SYS_capget), ESRCH);
}

static void capget_of_a_negative_process_is_einval(void) {
	h.pid = -1;
	FAILS(cap(SYS_capget), EINVAL);
}

static void capset_of_another_process_is_eperm(void) {
	CHECK(cap(SYS_capget) == 0);
	h.pid = getppid();
	FAILS(cap(SYS_capset), EPERM);
}

static void effective_must_be_permitted(void) {
	CHECK(cap(SYS_capget) == 0);
	d[0].permitted &= ~(1 << CAP_KILL);
	FAILS(cap(SYS_capset), EPERM);
}

static void dropped_capabilities_do_not_come_back(void) {
	CHECK(cap(SYS_capget) == 0 && (d[0].permitted & (1 << CAP_KILL)));
	d[0].effective &= ~(1 << CAP_KILL), d[0].permitted &= ~(1 << CAP_KILL);
	CHECK(cap(SYS_capset) == 0);
	d[0].permitted |= 1 << CAP_KILL;
	FAILS(cap(SYS_capset), EPERM);
}

static void lowered_capabilities_can_be_raised(void) {
	CHECK(cap(SYS_capget) == 0);
	unsigned all = d[0].effective;
	d[0].effective = 0;
	CHECK(cap(SYS_capset) == 0);
	FAILS(setresuid(5, 5, 5), EPERM);
	d[0].effective = all;
	CHECK(cap(SYS_capset) == 0 && setresuid(5, 5, 5) == 0);
}

static void leaving_root_loses_capabilities(void) {
	CHECK(setresuid(5, 5, 5) == 0 && cap(SYS_capget) == 0 && d[0].permitted == 0 && d[0].effective == 0);
}

int main(void) {
	APART(setpgid_makes_a_group());
	APART(setpgid_of_a_child());
	APART(setpgid_into_a_child_s_group());
	APART(setpgid_negative_is_einval());
	APART(setpgid_of_a_stranger_is_esrch());
	APART(setpgid_into_no_group_is_eperm());
	APART(setpgid_of_a_leader_is_eperm());
	APART(setpgid_across_sessions_is_eperm());
	APART(getpgid_of_nobody_is_esrch());
	APART(setsid_leads_session_and_group());
	APART(setsid_of_a_group_leader_is_eperm());
	APART(children_inherit_the_session());
	APART(setuid_of_root_sets_all());
	APART(setuid_of_others_sets_the_effective());
	APART(setuid_to_a_stranger_is_eperm());
	APART(setuid_minus_1_is_einval());
	APART(setreuid_sets_saved_with_the_real());
	APART(setreuid_keeps_saved_if_effective_is_real());
	APART(setreuid_swaps());
	APART(setreuid_real_to_saved_is_eperm());
	APART(setresuid_permutes());
	APART(setresuid_is_all_or_nothing());
	APART(setresuid_minus_1_keeps());
	APART(getresuid_to_nowhere_is_efault());
	APART(setgid_of_root_sets_all());
	APART(setgid_of_others_sets_the_effective());
	APART(setregid_sets_saved_with_the_real());
	APART(setresgid_is_all_or_nothing());
	APART(setfsuid_answers_the_old());
	APART(setfsuid_refused_changes_nothing());
	APART(setfsgid_answers_the_old());
	APART(the_effective_uid_takes_fsuid_along());
	APART(setgroups_come_sorted());
	APART(getgroups_0_counts());
	APART(getgroups_of_too_few_is_einval());
	APART(too_many_groups_are_einval());
	APART(setgroups_from_nowhere_is_efault());
	APART(setgroups_of_others_is_eperm());
	APART(an_unknown_version_tells_the_kernel_s());
	APART(an_unknown_version_without_data_is_well());
	APART(capget_of_no_process_is_esrch());
	APART(capget_of_a_negative_process_is_einval());
	APART(capset_of_another_process_is_eperm());
	APART(effective_must_be_permitted());
	APART(dropped_capabilities_do_not_come_back());
	APART(lowered_capabilities_can_be_raised());
	APART(leaving_root_loses_capabilities());
	return 0;
}
