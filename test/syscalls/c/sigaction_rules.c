// sigaction(2), sigprocmask(2), sigpending(2), sigsuspend(2), sigtimedwait(2), sigaltstack(2).
// covers: rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause
#include "child.h"
#include <sys/mman.h>
#include <time.h>

static volatile int hits, seen, depth, deepest;
static siginfo_t si;

static void hit(int s) { hits++, seen = s; }

static void nests(int s) {
	if (++depth > deepest) deepest = depth;
	if (++hits < 3) raise(s);
	depth--;
}

static void handle(int sig, void (*f)(int), int flags) {
	struct sigaction a = {.sa_handler = f, .sa_flags = flags};
	CHECK(sigaction(sig, &a, NULL) == 0);
}

static sigset_t just(int sig) {
	sigset_t s;
	sigemptyset(&s), sigaddset(&s, sig);
	return s;
}

static int pending(int sig) {
	sigset_t s;
	CHECK(sigpending(&s) == 0);
	return sigismember(&s, sig);
}

static void block(int sig) {
	sigset_t s = just(sig);
	CHECK(sigprocmask(SIG_BLOCK, &s, NULL) == 0);
}

// The kernel's struct sigaction.
struct ksa { void *handler; unsigned long flags; void *restorer; unsigned long mask; };

static void sigkill_can_not_be_caught(void) {
	struct sigaction a = {.sa_handler = hit};
	FAILS(sigaction(SIGKILL, &a, NULL), EINVAL);
	FAILS(sigaction(SIGSTOP, &a, NULL), EINVAL);
}

static void sigkill_can_not_be_ignored(void) {
	struct sigaction a = {.sa_handler = SIG_IGN};
	FAILS(sigaction(SIGKILL, &a, NULL), EINVAL);
	FAILS(sigaction(SIGSTOP, &a, NULL), EINVAL);
}

static void sigkill_can_be_asked_about(void) {
	struct ksa a;
	memset(&a, -1, sizeof a);
	CHECK(syscall(SYS_rt_sigaction, SIGKILL, NULL, &a, 8) == 0 && a.handler == SIG_DFL);
}

static void signals_0_and_65_are_einval(void) {
	struct ksa a;
	FAILS(syscall(SYS_rt_sigaction, 0, NULL, &a, 8), EINVAL);
	FAILS(syscall(SYS_rt_sigaction, 65, NULL, &a, 8), EINVAL);
}

static void other_set_sizes_are_einval(void) {
	struct ksa a;
	sigset_t s;
	FAILS(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &a, 4), EINVAL);
	FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &s, 16), EINVAL);
	FAILS(syscall(SYS_rt_sigsuspend, &s, 16), EINVAL);
	FAILS(syscall(SYS_rt_sigtimedwait, &s, NULL, NULL, 16), EINVAL);
	FAILS(syscall(SYS_rt_sigpending, &s, 16), EINVAL);
}

static void action_from_nowhere_is_efault(void) { FAILS(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT); }

static void action_to_nowhere_is_efault(void) { FAILS(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 8, 8), EFAULT); }

static void unknown_flags_are_cleared(void) {
	struct ksa a = {.handler = SIG_IGN, .flags = 0x400 | 0x4000 | SA_RESTART}, got;
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 8) == 0);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &got, 8) == 0 && got.flags == SA_RESTART);
}

static void sigkill_is_no_part_of_a_mask(void) {
	struct ksa a = {.handler = SIG_IGN, .mask = ~0UL}, got;
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 8) == 0);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &got, 8) == 0);
	CHECK(got.mask == ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1)));
}

static void resethand_is_for_once(void) {
	handle(SIGUSR1, hit, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction a;
	CHECK(hits == 1 && sigaction(SIGUSR1, NULL, &a) == 0 && a.sa_handler == SIG_DFL);
}

static void a_handler_blocks_its_own_signal(void) {
	handle(SIGUSR1, nests, 0);
	raise(SIGUSR1);
	CHECK(hits == 3 && deepest == 1);
}

static void nodefer_lets_it_nest(void) {
	handle(SIGUSR1, nests, SA_NODEFER);
	raise(SIGUSR1);
	CHECK(hits == 3 && deepest == 3);
}

static void raises_other(int s) {
	raise(SIGUSR2);
	seen = hits;
}

static void the_action_s_mask_blocks_meanwhile(void) {
	struct sigaction a = {.sa_handler = raises_other, .sa_mask = just(SIGUSR2)};
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	handle(SIGUSR2, nests, 0);
	hits = 5;
	raise(SIGUSR1);
	CHECK(seen == 5 && hits == 6);
}

static void the_mask_is_back_after_the_handler(void) {
	struct sigaction a = {.sa_handler = hit, .sa_mask = just(SIGUSR2)};
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0 && raise(SIGUSR1) == 0);
	sigset_t s;
	CHECK(sigprocmask(SIG_BLOCK, NULL, &s) == 0 && !sigismember(&s, SIGUSR1) && !sigismember(&s, SIGUSR2));
}

static void ignoring_discards_what_is_pending(void) {
	block(SIGUSR1);
	raise(SIGUSR1);
	CHECK(pending(SIGUSR1));
	handle(SIGUSR1, SIG_IGN, 0);
	CHECK(!pending(SIGUSR1));
}

static void a_default_that_ignores_discards_too(void) {
	handle(SIGWINCH, hit, 0);
	block(SIGWINCH);
	raise(SIGWINCH);
	CHECK(pending(SIGWINCH));
	handle(SIGWINCH, SIG_DFL, 0);
	CHECK(!pending(SIGWINCH));
}

static void a_blocked_ignored_signal_is_kept(void) {
	handle(SIGUSR1, SIG_IGN, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	CHECK(pending(SIGUSR1));
}

static void fork_keeps_actions_and_mask(void) {
	handle(SIGUSR1, hit, 0);
	block(SIGUSR2);
	pid_t p = fork();
	if (p == 0) {
		sigset_t s;
		CHECK(raise(SIGUSR1) == 0 && hits == 1);
		CHECK(sigprocmask(SIG_BLOCK, NULL, &s) == 0 && sigismember(&s, SIGUSR2));
		_exit(0);
	}
	CHECK(ended_well(p));
}

static void fork_leaves_what_is_pending(void) {
	block(SIGUSR1);
	raise(SIGUSR1);
	pid_t p = fork();
	if (p == 0) _exit(pending(SIGUSR1));
	CHECK(ended_well(p) && pending(SIGUSR1));
}

static void an_unknown_how_is_einval(void) {
	sigset_t s = just(SIGUSR1);
	FAILS(syscall(SYS_rt_sigprocmask, 3, &s, NULL, 8), EINVAL);
}

static void how_does_not_matter_without_a_set(void) { CHECK(syscall(SYS_rt_sigprocmask, 99, NULL, NULL, 8) == 0); }

static void a_mask_from_nowhere_is_efault(void) {
	FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT);
	FAILS(syscall(SYS_rt_sigsuspend, 8, 8), EFAULT);
	FAILS(syscall(SYS_rt_sigtimedwait, 8, NULL, NULL, 8), EFAULT);
}

static void sigkill_can_not_be_blocked(void) {
	unsigned long all = ~0UL, now;
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8) == 0);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &now, 8) == 0);
	CHECK(now == ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1)));
}

static void unblocking_one_keeps_the_others(void) {
	block(SIGUSR1), block(SIGUSR2);
	sigset_t s = just(SIGUSR1), now;
	CHECK(sigprocmask(SIG_UNBLOCK, &s, NULL) == 0 && sigprocmask(0, NULL, &now) == 0);
	CHECK(!sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2));
}

static void unblocking_delivers_before_it_returns(void) {
	handle(SIGUSR1, hit, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	sigset_t s = just(SIGUSR1);
	CHECK(hits == 0 && sigprocmask(SIG_UNBLOCK, &s, NULL) == 0 && hits == 1);
}

static void pending_of_less_than_a_set_is_allowed(void) {
	block(SIGUSR1);
	raise(SIGUSR1);
	unsigned long s = ~0UL;
	CHECK(syscall(SYS_rt_sigpending, &s, 4) == 0 && s == (~0UL << 32 | 1UL << (SIGUSR1 - 1)));
}

static void pending_to_nowhere_is_efault(void) { FAILS(syscall(SYS_rt_sigpending, 8, 8), EFAULT); }

static void sigsuspend_puts_the_mask_back(void) {
	handle(SIGUSR1, hit, 0);
	block(SIGUSR1), block(SIGUSR2);
	raise(SIGUSR1);
	sigset_t s = just(SIGHUP), now;
	FAILS(sigsuspend(&s), EINTR);
	CHECK(hits == 1 && sigprocmask(0, NULL, &now) == 0);
	CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2) && !sigismember(&now, SIGHUP));
}

static void timedwait_ends_by_another_signal(void) {
	handle(SIGALRM, hit, SA_RESTART);
	block(SIGUSR1);
	sigset_t s = just(SIGUSR1);
	struct timespec ts = {10, 0};
	alarm(1);
	FAILS(sigtimedwait(&s, &si, &ts), EINTR);
	CHECK(hits == 1);
}

static void timedwait_takes_no_other(void) {
	block(SIGUSR1), block(SIGUSR2);
	raise(SIGUSR2);
	sigset_t s = just(SIGUSR1);
	struct timespec ts = {0, 0};
	FAILS(sigtimedwait(&s, &si, &ts), EAGAIN);
	CHECK(pending(SIGUSR2));
}

static void timedwait_of_a_billion_ns_is_einval(void) {
	sigset_t s = just(SIGUSR1);
	struct timespec ts = {0, 1000000000};
	FAILS(sigtimedwait(&s, &si, &ts), EINVAL);
	ts = (struct timespec){-1, 0};
	FAILS(sigtimedwait(&s, &si, &ts), EINVAL);
}

static void timedwait_without_info_answers_the_signal(void) {
	block(SIGUSR1);
	raise(SIGUSR1);
	sigset_t s = just(SIGUSR1);
	CHECK(syscall(SYS_rt_sigtimedwait, &s, NULL, NULL, 8) == SIGUSR1 && !pending(SIGUSR1));
}

static void a_blocked_fault_kills(void) {
	int st;
	pid_t p = fork();
	if (p == 0) {
		handle(SIGSEGV, hit, 0);
		block(SIGSEGV);
		*(volatile int *)16 = 1;
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static void an_ignored_fault_kills(void) {
	int st;
	pid_t p = fork();
	if (p == 0) {
		handle(SIGSEGV, SIG_IGN, 0);
		*(volatile int *)16 = 1;
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static char alt[65536];
static stack_t inside;
static int in_result, in_errno;

static void on_alt(int s) {
	stack_t other = {.ss_sp = malloc(65536), .ss_size = 65536};
	sigaltstack(NULL, &inside);
	in_result = sigaltstack(&other, NULL), in_errno = errno;
}

static void use_alt(int flags) {
	stack_t s = {.ss_sp = alt, .ss_size = sizeof alt, .ss_flags = flags};
	CHECK(sigaltstack(&s, NULL) == 0);
}

static void the_stack_in_use_says_onstack(void) {
	use_alt(0);
	handle(SIGUSR1, on_alt, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(inside.ss_flags == SS_ONSTACK && inside.ss_sp == alt);
}

static void the_stack_in_use_can_not_be_changed(void) {
	use_alt(0);
	handle(SIGUSR1, on_alt, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(in_result == -1 && in_errno == EPERM);
}

static void without_sa_onstack_it_is_not_used(void) {
	use_alt(0);
	handle(SIGUSR1, on_alt, 0);
	raise(SIGUSR1);
	CHECK(inside.ss_flags == 0 && in_result == 0);
}

static void autodisarm_disarms_in_the_handler(void) {
	use_alt(1 << 31);
	handle(SIGUSR1, on_alt, SA_ONSTACK);
	raise(SIGUSR1);
	stack_t now;
	CHECK(inside.ss_flags == SS_DISABLE && in_result == 0);
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == alt && now.ss_flags == 1 << 31);
}

static void a_stack_can_be_disabled(void) {
	use_alt(0);
	stack_t s = {.ss_flags = SS_DISABLE, .ss_size = 1, .ss_sp = (void *)1}, now;
	CHECK(sigaltstack(&s, NULL) == 0 && sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE && now.ss_size == 0);
}

static void fork_keeps_the_stack(void) {
	use_alt(0);
	pid_t p = fork();
	stack_t now;
	if (p == 0) _exit(sigaltstack(NULL, &now) || now.ss_sp != alt);
	CHECK(ended_well(p));
}

static void a_stack_from_nowhere_is_efault(void) {
	FAILS(syscall(SYS_sigaltstack, 8, NULL), EFAULT);
	FAILS(syscall(SYS_sigaltstack, NULL, 8), EFAULT);
}

int main(void) {
	APART(sigkill_can_not_be_caught());
	APART(sigkill_can_not_be_ignored());
	APART(sigkill_can_be_asked_about());
	APART(signals_0_and_65_are_einval());
	APART(other_set_sizes_are_einval());
	APART(action_from_nowhere_is_efault());
	APART(action_to_nowhere_is_efault());
	APART(unknown_flags_are_cleared());
	APART(sigkill_is_no_part_of_a_mask());
	APART(resethand_is_for_once());
	APART(a_handler_blocks_its_own_signal());
	APART(nodefer_lets_it_nest());
	APART(the_action_s_mask_blocks_meanwhile());
	APART(the_mask_is_back_after_the_handler());
	APART(ignoring_discards_what_is_pending());
	APART(a_default_that_ignores_discards_too());
	APART(a_blocked_ignored_signal_is_kept());
	APART(fork_keeps_actions_and_mask());
	APART(fork_leaves_what_is_pending());
	APART(an_unknown_how_is_einval());
	APART(how_does_not_matter_without_a_set());
	APART(a_mask_from_nowhere_is_efault());
	APART(sigkill_can_not_be_blocked());
	APART(unblocking_one_keeps_the_others());
	APART(unblocking_delivers_before_it_returns());
	APART(pending_of_less_than_a_set_is_allowed());
	APART(pending_to_nowhere_is_efault());
	APART(sigsuspend_puts_the_mask_back());
	APART(timedwait_ends_by_another_signal());
	APART(timedwait_takes_no_other());
	APART(timedwait_of_a_billion_ns_is_einval());
	APART(timedwait_without_info_answers_the_signal());
	APART(a_blocked_fault_kills());
	APART(an_ignored_fault_kills());
	APART(the_stack_in_use_says_onstack());
	APART(the_stack_in_use_can_not_be_changed());
	APART(without_sa_onstack_it_is_not_used());
	APART(autodisarm_disarms_in_the_handler());
	APART(a_stack_can_be_disabled());
	APART(fork_keeps_the_stack());
	APART(a_stack_from_nowhere_is_efault());
	return 0;
}
