// ptrace(2): events, stops of whole processes, threads, tracers that are no parents.
// covers: ptrace wait4 waitid kill prctl
#include "ptrace.h"
#include <pthread.h>
#include <sys/stat.h>

#define EVENT(e) (SIGTRAP | (e) << 8)

static char *self;

static unsigned long message(pid_t pid) {
	unsigned long m = 0;
	CHECK(PT(PTRACE_GETEVENTMSG, pid, 0, &m) == 0);
	return m;
}

static int forks(void) {
	int st;
	pid_t p = fork();
	if (p == 0) _exit(1);
	waitpid(p, &st, 0);
	p = vfork();
	if (p == 0) _exit(2);
	waitpid(p, &st, 0);
	return WEXITSTATUS(st) + 3;
}

static void fork_events(void) {
	pid_t pid = traced(forks);
	int st;
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_FORK)));
	siginfo_t si;
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_signo == SIGTRAP && si.si_code == EVENT(PTRACE_EVENT_FORK) && si.si_pid == pid);
	pid_t child = message(pid);
	CHECK(child > 0 && child != pid);
	CHECK(stopped(child, SIGSTOP)); // it is traced too
	CHECK(PT(PTRACE_CONT, child, 0, 0) == 0);
	CHECK(stopped(child, EVENT(PTRACE_EVENT_EXIT)));
	CHECK(message(child) == 1 << 8);
	CHECK(PT(PTRACE_CONT, child, 0, 0) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	// The parent hears of the end after the tracer.
	CHECK(ended(child, 1 << 8));
	CHECK(stopped(pid, SIGCHLD));
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_VFORK)));
	child = message(pid);
	CHECK(stopped(child, SIGSTOP));
	CHECK(PT(PTRACE_DETACH, child, 0, 0) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(waitpid(pid, &st, 0) == pid);
	if (st == (SIGCHLD << 8 | 0x7f)) { // which is first is not said
		CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &st, 0) == pid);
	}
	CHECK(st == (EVENT(PTRACE_EVENT_VFORK_DONE) << 8 | 0x7f));
	CHECK(message(pid) == (unsigned long)child);
	do {
		CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &st, 0) == pid);
	} while (st == (SIGCHLD << 8 | 0x7f));
	CHECK(st == (EVENT(PTRACE_EVENT_EXIT) << 8 | 0x7f) && message(pid) == 5 << 8);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 5 << 8));
}

static int execs(void) {
	execl(self, self, "exit9", NULL);
	return 1;
}

static void exec_events(void) {
	pid_t pid = traced(execs);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP)); // as of old
	siginfo_t si;
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == SI_USER);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 9 << 8));
	pid = traced(execs);
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_EXEC)));
	CHECK(message(pid) == (unsigned long)pid);
	long orig;
	CHECK(PT(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.orig_rax), &orig) == 0 && orig == SYS_execve);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 9 << 8));
}

static void *thread_execs(void *a) { execs(); return a; }
static void *thread_ends(void *a) { return a; }
static int threads(void) {
	pthread_t t;
	pthread_create(&t, 0, thread_ends, 0);
	pthread_join(t, 0);
	pthread_create(&t, 0, thread_execs, 0);
	for (;;) pause();
	return 0;
}

// A thread is traced, is a zombie until its tracer waits, and becomes the leader
// by execve.
static void thread_events(void) {
	pid_t pid = traced(threads);
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_CLONE)));
	pid_t tid = message(pid);
	CHECK(stopped(tid, SIGSTOP));
	CHECK(PT(PTRACE_CONT, tid, 0, 0) == 0);
	siginfo_t si;
	CHECK(waitid(P_PID, tid, &si, WEXITED | WNOWAIT | __WALL) == 0 && si.si_pid == tid && si.si_code == CLD_EXITED && si.si_status == 0);
	CHECK(ended(tid, 0));
	FAILS(waitpid(tid, NULL, __WALL), ECHILD);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_CLONE)));
	tid = message(pid);
	CHECK(stopped(tid, SIGSTOP));
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(PT(PTRACE_CONT, tid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_EXEC)));
	CHECK(message(pid) == (unsigned long)tid);
	FAILS(PT(PTRACE_CONT, tid, 0, 0), ESRCH);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, 9 << 8));
}

// becomes waits until pid is in a state.
static void becomes(pid_t pid, const char *state) {
	for (int i = 0; i < 5000 && !status_has(pid, state); i++) usleep(1000);
	CHECK(status_has(pid, state));
}

static void *thread_ends7(void *a) { syscall(SYS_exit, 7); return a; }
static int both_end(void) {
	pthread_t t;
	pthread_create(&t, 0, thread_ends7, 0);
	syscall(SYS_exit, 4);
	return 0;
}

// A process ends as its last thread did, and so it is told of one, too, that ended
// before and that its tracer has yet to reap.
static void last_end(void) {
	pid_t pid = traced(both_end);
	siginfo_t si;
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_CLONE)));
	pid_t tid = message(pid);
	CHECK(stopped(tid, SIGSTOP));
	CHECK(PT(PTRACE_CONT, tid, 0, 0) == 0);
	CHECK(waitid(P_PID, tid, &si, WEXITED | WNOWAIT | __WALL) == 0 && si.si_status == 7);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	becomes(pid, "State:\tZ");
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	CHECK(ended(tid, 4 << 8));
	CHECK(ended(pid, 4 << 8));
}

static volatile int count;
static int spins(void) { for (;;) count++; return 0; }
static int sleeps(void) { for (;;) pause(); return 0; }

static pid_t child(int (*f)(void)) {
	pid_t pid = fork();
	if (pid == 0) _exit(f());
	return pid;
}

// group_stop has sig stop pid's process, and its tracer see that.
static void group_stop(pid_t pid, int sig) {
	kill(pid, sig);
	CHECK(stopped(pid, sig));
	CHECK(PT(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
	CHECK(stopped(pid, SIGSTOP | PTRACE_EVENT_STOP << 8));
}

static void seize(int (*f)(void)) {
	pid_t pid = child(f);
	siginfo_t si;
	CHECK(PT(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) == 0);
	FAILS(PT(PTRACE_CONT, pid, 0, 0), ESRCH); // it runs
	CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT) == 0);
	CHECK(si.si_code == CLD_TRAPPED && si.si_status == EVENT(PTRACE_EVENT_STOP) && si.si_pid == pid && si.si_signo == SIGCHLD);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_STOP)));
	CHECK(waitpid(pid, NULL, WNOHANG) == 0); // once is enough
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_code == EVENT(PTRACE_EVENT_STOP));
	FAILS(PT(PTRACE_LISTEN, getpid(), 0, 0), ESRCH);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	// A stop of the whole process.
	kill(pid, SIGSTOP);
	CHECK(stopped(pid, SIGSTOP));
	FAILS(PT(PTRACE_LISTEN, pid, 0, 0), EIO);
	CHECK(PT(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
	CHECK(stopped(pid, SIGSTOP | PTRACE_EVENT_STOP << 8));
	CHECK(PT(PTRACE_LISTEN, pid, 0, 0) == 0);
	FAILS(PT(PTRACE_CONT, pid, 0, 0), ESRCH);
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	kill(pid, SIGCONT);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_STOP)));
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGCONT));
	CHECK(PT(PTRACE_CONT, pid, 0, SIGCONT) == 0);
	// INTERRUPT of one that listens.
	group_stop(pid, SIGTSTP);
	CHECK(PT(PTRACE_LISTEN, pid, 0, 0) == 0);
	CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGSTOP | PTRACE_EVENT_STOP << 8));
	// Detached, it stays in its process's stop.
	CHECK(PT(PTRACE_DETACH, pid, 0, 0) == 0);
	becomes(pid, "State:\tT (stopped)");
	CHECK(PT(PTRACE_SEIZE, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGSTOP | PTRACE_EVENT_STOP << 8));
	finish(pid);
}

static int calls(void) { for (;;) syscall(SYS_getppid); return 0; }

// SIGCONT is told of by a stop of its own, whatever stop comes between.
static void continued(void) {
	pid_t pid = child(calls);
	CHECK(PT(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) == 0);
	CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_STOP)));
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP)); // the entry
	kill(pid, SIGCONT);
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP)); // the exit
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_STOP)));
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGCONT));
	CHECK(PT(PTRACE_SYSCALL, pid, 0, SIGCONT) == 0);
	CHECK(stopped(pid, SIGTRAP));
	// PTRACE_INTERRUPT is content with any stop.
	CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGTRAP));
	for (int i = 0; i < 3; i++) {
		CHECK(PT(PTRACE_SYSCALL, pid, 0, 0) == 0);
		CHECK(stopped(pid, SIGTRAP));
	}
	finish(pid);
}

static int stops(void) { raise(SIGSTOP); return 5; }

// SIGCONT just when a stopped process becomes a tracee's: its stop tells of the one
// or the other, and if of the one, another one comes.
static void continued_at_once(void) {
	for (int i = 0; i < 300; i++) {
		pid_t pid = child(stops);
		int st;
		CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st));
		CHECK(PT(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) == 0);
		CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
		kill(pid, SIGCONT);
		CHECK(waitpid(pid, &st, 0) == pid);
		if (st == ((SIGSTOP | PTRACE_EVENT_STOP << 8) << 8 | 0x7f)) {
			CHECK(PT(PTRACE_LISTEN, pid, 0, 0) == 0);
			CHECK(waitpid(pid, &st, 0) == pid);
		}
		CHECK(st == (EVENT(PTRACE_EVENT_STOP) << 8 | 0x7f));
		CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
		CHECK(stopped(pid, SIGCONT));
		CHECK(PT(PTRACE_CONT, pid, 0, SIGCONT) == 0);
		CHECK(ended(pid, 5 << 8));
	}
}

// PTRACE_INTERRUPT of who has stopped is for when it goes on, which it doesn't with
// PTRACE_LISTEN.
static void interrupted_before_it_listens(void) {
	pid_t pid = child(sleeps);
	CHECK(PT(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) == 0);
	group_stop(pid, SIGSTOP);
	CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(PT(PTRACE_LISTEN, pid, 0, 0) == 0);
	usleep(20000);
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	FAILS(PT(PTRACE_CONT, pid, 0, 0), ESRCH);
	kill(pid, SIGCONT);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_STOP)));
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGCONT));
	finish(pid);
}

static void group_stop_of_old(void) {
	pid_t pid = child(sleeps);
	siginfo_t si;
	int st;
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st));
	CHECK(PT(PTRACE_ATTACH, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGSTOP));
	FAILS(PT(PTRACE_GETSIGINFO, pid, 0, &si), EINVAL);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(stopped(pid, SIGSTOP)); // that of PTRACE_ATTACH
	CHECK(PT(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_signo == SIGSTOP);
	CHECK(PT(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
	CHECK(stopped(pid, SIGSTOP));
	FAILS(PT(PTRACE_GETSIGINFO, pid, 0, &si), EINVAL);
	finish(pid);
}

// A tracer that is not the parent: who hears of what, and what its end does.
static void other_tracer(unsigned long options, int killed) {
	int fd[2], back[2], st;
	pid_t pid = child(sleeps);
	CHECK(pipe(fd) == 0 && pipe(back) == 0);
	pid_t tracer = fork();
	if (tracer == 0) {
		close(back[1]);
		CHECK(PT(PTRACE_SEIZE, pid, 0, options) == 0);
		CHECK(PT(PTRACE_INTERRUPT, pid, 0, 0) == 0);
		CHECK(stopped(pid, EVENT(PTRACE_EVENT_STOP)));
		write(fd[1], "x", 1);
		read(back[0], &st, 1);
		_exit(0);
	}
	char c;
	CHECK(read(fd[0], &c, 1) == 1);
	char line[32];
	snprintf(line, sizeof line, "TracerPid:\t%d\n", tracer);
	CHECK(status_has(pid, line));
	FAILS(PT(PTRACE_CONT, pid, 0, 0), ESRCH);
	FAILS(PT(PTRACE_ATTACH, pid, 0, 0), EPERM);
	CHECK(waitpid(pid, &st, WNOHANG | WUNTRACED) == 0); // the stop is the tracer's
	close(back[1]);
	CHECK(ended(tracer, 0));
	if (killed) {
		CHECK(ended(pid, SIGKILL));
		return;
	}
	CHECK(status_has(pid, "TracerPid:\t0\n"));
	kill(pid, SIGTERM);
	CHECK(ended(pid, SIGTERM));
}

static void other_reaps(void) {
	int fd[2];
	CHECK(pipe(fd) == 0);
	pid_t pid = child(sleeps);
	pid_t tracer = fork();
	if (tracer == 0) {
		CHECK(PT(PTRACE_SEIZE, pid, 0, 0) == 0);
		kill(pid, SIGKILL);
		siginfo_t si;
		CHECK(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0 && si.si_code == CLD_KILLED && si.si_status == SIGKILL);
		write(fd[1], "x", 1);
		usleep(50000);
		CHECK(ended(pid, SIGKILL));
		FAILS(waitpid(pid, NULL, 0), ECHILD);
		_exit(0);
	}
	char c;
	CHECK(read(fd[0], &c, 1) == 1);
	CHECK(waitpid(pid, NULL, WNOHANG) == 0); // dead, but not for its parent yet
	CHECK(ended(pid, SIGKILL));
	CHECK(ended(tracer, 0));
}

static void kills(void) {
	pid_t pid = traced(sleeps);
	CHECK(PT(PTRACE_KILL, pid, 0, 0) == 0);
	CHECK(ended(pid, SIGKILL));
	pid = traced(sleeps);
	CHECK(PT(PTRACE_CONT, pid, 0, SIGKILL) == 0);
	CHECK(ended(pid, SIGKILL));
	pid = traced(sleeps);
	CHECK(PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT) == 0);
	CHECK(PT(PTRACE_CONT, pid, 0, SIGTERM) == 0);
	CHECK(stopped(pid, EVENT(PTRACE_EVENT_EXIT)) && message(pid) == SIGTERM);
	CHECK(PT(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(ended(pid, SIGTERM));
}

static void rights(void) {
	if (getuid() != 0) return;
	pid_t pid = child(sleeps);
	pid_t other = fork();
	if (other == 0) {
		CHECK(setgid(1234) == 0 && setuid(1234) == 0);
		FAILS(PT(PTRACE_ATTACH, pid, 0, 0), EPERM);
		FAILS(PT(PTRACE_SEIZE, pid, 0, 0), EPERM);
		// Of the same user, but not dumpable.
		pid_t mine = fork();
		if (mine == 0) for (;;) pause();
		FAILS(PT(PTRACE_SEIZE, mine, 0, 0), EPERM); // dumpable is inherited
		CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
		kill(mine, SIGKILL);
		CHECK(ended(mine, SIGKILL));
		mine = fork();
		if (mine == 0) for (;;) pause();
		CHECK(PT(PTRACE_SEIZE, mine, 0, 0) == 0);
		kill(mine, SIGKILL);
		CHECK(ended(mine, SIGKILL));
		_exit(0);
	}
	CHECK(ended(other, 0));
	finish(pid);
}

static int asks_uid(void) {
	execl("/root/ptrace_suid", "ptrace_suid", "euid", NULL);
	return 99;
}

// A set-user-ID program gains nothing while somebody traces it who could not have it.
static void setuid_exec(void) {
	if (getuid() != 0) return;
	char cmd[512];
	snprintf(cmd, sizeof cmd, "%s", self);
	FILE *in = fopen(cmd, "r"), *out = fopen("/root/ptrace_suid", "w");
	CHECK(in && out);
	char buf[65536];
	size_t n;
	while ((n = fread(buf, 1, sizeof buf, in)) > 0) fwrite(buf, 1, n, out);
	fclose(in);
	fclose(out);
	CHECK(chown("/root/ptrace_suid", 77, 77) == 0 && chmod("/root/ptrace_suid", 04755) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setgid(1234) == 0 && setuid(1234) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
		pid_t p = traced(asks_uid);
		CHECK(PT(PTRACE_CONT, p, 0, 0) == 0);
		CHECK(stopped(p, SIGTRAP));
		CHECK(PT(PTRACE_CONT, p, 0, 0) == 0);
		CHECK(ended(p, (1234 & 0xff) << 8));
		CHECK(ended(child(asks_uid), 77 << 8));
		_exit(0);
	}
	CHECK(ended(pid, 0));
	unlink("/root/ptrace_suid");
}

int main(int argc, char **argv) {
	self = "/proc/self/exe";
	if (argc > 1 && strcmp(argv[1], "exit9") == 0) _exit(9);
	if (argc > 1 && strcmp(argv[1], "euid") == 0) _exit(geteuid() & 0xff);
	alarm(50);
	CASE(fork_events());
	CASE(exec_events());
	CASE(thread_events());
	CASE(last_end());
	CASE(seize(sleeps));
	CASE(seize(spins));
	CASE(continued());
	CASE(continued_at_once());
	CASE(interrupted_before_it_listens());
	CASE(group_stop_of_old());
	CASE(other_tracer(0, 0));
	CASE(other_tracer(PTRACE_O_EXITKILL, 1));
	CASE(other_reaps());
	CASE(kills());
	CASE(rights());
	CASE(setuid_exec());
	return 0;
}
