// ptrace(2): a tracer that changes the call which its tracee makes, what that gives, and
// which calls come to the tracee's own handler.
// covers: ptrace prctl
#include "ptrace.h"

enum { OLDSETOPTIONS = 21, SET_DISPATCH = 0x4210, GET_DISPATCH = 0x4211, GET_INFO = 0x420e, SET_INFO = 0x4212, DISPATCH = 59 };
enum { ENTRY = 1, EXIT = 2, SECCOMP = 3, CALL = SIGTRAP | 0x80 };

// info is struct ptrace_syscall_info.
struct info {
	uint8_t op, reserved;
	uint16_t flags;
	uint32_t arch;
	uint64_t ip, sp;
	int64_t nr; // EXIT: the result
	uint64_t args[6], more; // EXIT: args[0]'s first byte says if it is an error
};

struct dispatch { uint64_t mode, selector, offset, len; };

static int asks(void) { return syscall(SYS_getpriority, 0, 0) & 0x7f; }

static struct info at(pid_t p, int op) {
	struct info i;
	memset(&i, 0, sizeof i);
	CHECK(PT(GET_INFO, p, sizeof i, &i) > 0 && i.op == op);
	return i;
}

static void go_on(pid_t p) {
	CHECK(PT(PTRACE_SYSCALL, p, 0, 0) == 0 && stopped(p, CALL));
}

static pid_t at_call(void) {
	pid_t p = traced(asks);
	CHECK(PT(OLDSETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD) == 0);
	go_on(p);
	return p;
}

#define SET(p, i) PT(SET_INFO, p, sizeof *(i), i)

static void what_is_refused(void) {
	pid_t p = traced(asks);
	struct info none = {0};
	FAILS(SET(p, &none), EINVAL);
	FAILS(PT(SET_INFO, p, sizeof none - 1, &none), EINVAL);
	FAILS(PT(SET_INFO, p, sizeof none, 8), EFAULT);
	finish(p);
	p = at_call();
	struct info i = at(p, ENTRY), bad = i;
	bad.op = EXIT;
	FAILS(SET(p, &bad), EINVAL);
	bad = i, bad.flags = 1;
	FAILS(SET(p, &bad), EINVAL);
	bad = i, bad.reserved = 1;
	FAILS(SET(p, &bad), EINVAL);
	bad = i, bad.nr = 1L << 32;
	FAILS(SET(p, &bad), ERANGE);
	bad = i, bad.ip = bad.sp = bad.arch = bad.more = 1; // not looked at
	CHECK(PT(SET_INFO, p, 4096, &bad) == 0);
	CHECK(at(p, ENTRY).ip == i.ip && at(p, ENTRY).sp == i.sp && at(p, ENTRY).arch == i.arch);
	finish(p);
}

static void another_call(void) {
	pid_t p = at_call();
	struct info i = at(p, ENTRY);
	CHECK(i.nr == SYS_getpriority);
	i.nr = SYS_exit_group, i.args[0] = 33;
	CHECK(SET(p, &i) == 0 && at(p, ENTRY).nr == SYS_exit_group && at(p, ENTRY).args[0] == 33);
	CHECK(PT(PTRACE_CONT, p, 0, 0) == 0 && ended(p, 33 << 8));
}

static void no_call(void) {
	pid_t p = at_call();
	struct info i = at(p, ENTRY);
	i.nr = -1, i.args[0] = 77;
	CHECK(SET(p, &i) == 0 && at(p, ENTRY).nr == -1 && at(p, ENTRY).args[0] == 0);
	go_on(p);
	CHECK(at(p, EXIT).nr == -ENOSYS && (char)at(p, EXIT).args[0] == 1);
	finish(p);
}

static void another_result(void) {
	pid_t p = at_call();
	go_on(p);
	struct info i = at(p, EXIT);
	CHECK(i.nr == syscall(SYS_getpriority, 0, 0)); // which depends on who runs this
	i.nr = 55, i.args[0] = 0;
	CHECK(SET(p, &i) == 0 && at(p, EXIT).nr == 55);
	CHECK(PT(PTRACE_CONT, p, 0, 0) == 0 && ended(p, 55 << 8));

	p = at_call();
	go_on(p);
	i = at(p, EXIT);
	i.nr = -EPERM, i.args[0] = 1;
	CHECK(SET(p, &i) == 0 && at(p, EXIT).nr == -EPERM && (char)at(p, EXIT).args[0] == 1);
	CHECK(PT(PTRACE_CONT, p, 0, 0) == 0 && ended(p, 0x7f << 8)); // -1
}

static volatile int hits;
static void hit(int sig) { hits++; }

static int counts(void) {
	signal(SIGSYS, hit);
	raise(SIGSTOP);
	hits = 0;
	syscall(SYS_getpriority, 0, 0);
	return 40 + hits;
}

static struct dispatch dispatched(pid_t p) {
	struct dispatch d;
	CHECK(PT(GET_DISPATCH, p, sizeof d, &d) == 0);
	return d;
}

static void what_is_dispatched(void) {
	pid_t p = traced(counts);
	struct dispatch d = dispatched(p), all = {.mode = 1}, bad = {.mode = 1, .selector = -1};
	CHECK(d.mode == 0 && d.selector == 0 && d.offset == 0 && d.len == 0);
	FAILS(PT(GET_DISPATCH, p, sizeof d - 1, &d), EINVAL);
	FAILS(PT(GET_DISPATCH, p, sizeof d + 1, &d), EINVAL);
	FAILS(PT(GET_DISPATCH, p, sizeof d, 0), EFAULT);
	FAILS(PT(SET_DISPATCH, p, sizeof d - 1, &all), EINVAL);
	FAILS(PT(SET_DISPATCH, p, sizeof d, 0), EFAULT);
	FAILS(PT(SET_DISPATCH, p, sizeof d, &bad), EFAULT);
	bad = (struct dispatch){.mode = 3};
	FAILS(PT(SET_DISPATCH, p, sizeof d, &bad), EINVAL);
	bad = (struct dispatch){.mode = 0, .len = 1};
	FAILS(PT(SET_DISPATCH, p, sizeof d, &bad), EINVAL);
	d = (struct dispatch){.mode = 2, .selector = 0x7f0000000000, .offset = 0x1000, .len = 0x100};
	CHECK(PT(SET_DISPATCH, p, sizeof d, &d) == 0);
	d = dispatched(p); // the rest is not
	CHECK(d.mode == 1 && d.selector == 0x7f0000000000 && d.offset == 0x1100 && d.len == -0x100UL);
	d = (struct dispatch){0};
	CHECK(PT(SET_DISPATCH, p, sizeof d, &d) == 0 && dispatched(p).mode == 0 && dispatched(p).offset == 0);
	CHECK(PT(PTRACE_CONT, p, 0, 0) == 0 && stopped(p, SIGSTOP));
	// All but what libc does: the text around where the tracee has stopped is free.
	struct user_regs_struct r;
	CHECK(PT(PTRACE_GETREGS, p, 0, &r) == 0);
	d = (struct dispatch){.mode = 2, .offset = (uint64_t)syscall & ~63UL, .len = 128};
	CHECK(PT(SET_DISPATCH, p, sizeof d, &d) == 0);
	CHECK(PT(PTRACE_CONT, p, 0, 0) == 0 && stopped(p, SIGSYS));
	d = (struct dispatch){0};
	CHECK(PT(SET_DISPATCH, p, sizeof d, &d) == 0 && PT(PTRACE_CONT, p, 0, SIGSYS) == 0 && ended(p, 41 << 8));
}

int main(void) {
	pid_t p = traced(asks);
	struct info i = {0};
	int old = PT(SET_INFO, p, 0, &i) == -1 && errno == EIO; // an older Linux
	finish(p);
	if (old)
		return 0;
	APART(what_is_refused());
	APART(another_call());
	APART(no_call());
	APART(another_result());
	APART(what_is_dispatched());
	return 0;
}
