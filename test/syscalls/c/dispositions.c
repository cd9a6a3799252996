// signal(7): what each signal does by default.
// covers: rt_sigaction kill wait4 rt_sigprocmask
#include "child.h"
#include <sys/resource.h>

// does raises sig in a child, whose wait status is the answer.
static int does(int sig) {
	int st;
	pid_t p = fork();
	if (p == 0) {
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		setpgid(0, 0);
		signal(sig, SIG_DFL);
		syscall(SYS_kill, getpid(), sig);
		_exit(99);
	}
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	if (WIFSTOPPED(st)) end(p);
	return st;
}

static void terminates(int sig) { CHECK((does(sig) & ~0x80) == sig); }

static void is_ignored(int sig) { CHECK(WEXITSTATUS(does(sig)) == 99); }

static void stops(int sig) { CHECK(does(sig) == ((sig << 8) | 0x7f)); }

int main(void) {
	APART(terminates(SIGHUP));
	APART(terminates(SIGINT));
	APART(terminates(SIGQUIT));
	APART(terminates(SIGILL));
	APART(terminates(SIGTRAP));
	APART(terminates(SIGABRT));
	APART(terminates(SIGBUS));
	APART(terminates(SIGFPE));
	APART(terminates(SIGKILL));
	APART(terminates(SIGUSR1));
	APART(terminates(SIGSEGV));
	APART(terminates(SIGUSR2));
	APART(terminates(SIGPIPE));
	APART(terminates(SIGALRM));
	APART(terminates(SIGTERM));
	APART(terminates(SIGSTKFLT));
	APART(terminates(SIGXCPU));
	APART(terminates(SIGXFSZ));
	APART(terminates(SIGVTALRM));
	APART(terminates(SIGPROF));
	APART(terminates(SIGIO));
	APART(terminates(SIGPWR));
	APART(terminates(SIGSYS));
	APART(terminates(SIGRTMIN));
	APART(terminates(SIGRTMAX));
	APART(is_ignored(SIGCHLD));
	APART(is_ignored(SIGCONT));
	APART(is_ignored(SIGURG));
	APART(is_ignored(SIGWINCH));
	APART(stops(SIGSTOP));
	APART(stops(SIGTSTP));
	APART(stops(SIGTTIN));
	APART(stops(SIGTTOU));
	return 0;
}
