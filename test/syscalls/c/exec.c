// execve(2), execveat(2): what is kept, what is lost, and how it fails.
// covers: execve execveat
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static int run(const char *path, char **argv, char **envp) {
	int st;
	pid_t pid = fork();
	if (pid == 0) { execve(path, argv, envp); _exit(errno); }
	waitpid(pid, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}
static void script(const char *name, const char *text, int mode) {
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, mode);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}
static void *other(void *a) { execl("/proc/self/exe", "x", "ids", a, NULL); return NULL; }

static volatile int caught;
static void h(int s) { caught = 1; }

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "show")) return argc == 4 && !strcmp(argv[2], "a b") && !strcmp(argv[3], "") && getenv("K") && !strcmp(getenv("K"), "v") ? 33 : 1;
	if (argc > 1 && !strcmp(argv[1], "kept")) {
		struct sigaction sa;
		sigset_t m;
		sigprocmask(SIG_SETMASK, NULL, &m);
		sigaction(SIGUSR1, NULL, &sa);
		if (sa.sa_handler != SIG_DFL) return 1;
		sigaction(SIGUSR2, NULL, &sa);
		if (sa.sa_handler != SIG_IGN) return 2;
		if (!sigismember(&m, SIGHUP)) return 3;
		if (fcntl(100, F_GETFD) != 0) return 4;
		if (fcntl(101, F_GETFD) != -1) return 5;
		return 34;
	}
	if (argc > 2 && !strcmp(argv[1], "ids")) return atoi(argv[2]) == getpid() && getpid() == syscall(SYS_gettid) ? 35 : 1;
	if (argc > 1 && strstr(argv[0], "interp") == NULL && strstr(argv[1], "script")) return argc == 4 && !strcmp(argv[2], "one") ? 36 : 1;

	char *env[] = {"K=v", NULL}, *none[] = {NULL};
	CHECK(run("/proc/self/exe", (char *[]){"x", "show", "a b", "", NULL}, env) == 33);
	signal(SIGUSR1, h);
	signal(SIGUSR2, SIG_IGN);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGHUP);
	sigprocmask(SIG_BLOCK, &m, NULL);
	int fd = open("/dev/null", O_RDONLY);
	dup2(fd, 100);
	dup3(fd, 101, O_CLOEXEC);
	CHECK(run("/proc/self/exe", (char *[]){"x", "kept", NULL}, none) == 34);

	// Another thread's execve takes the leader's place.
	int st;
	pid_t pid = fork();
	if (pid == 0) {
		char id[20];
		sprintf(id, "%d", getpid());
		pthread_t t;
		pthread_create(&t, NULL, other, id);
		for (;;) pause();
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 35);

	char self[256], text[300];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	CHECK(n > 0);
	self[n] = 0;
	sprintf(text, "#! %s\n", self);
	script("script", text, 0755);
	CHECK(run("./script", (char *[]){"ignored", "one", "two", NULL}, none) == 36);
	script("noexec", "#!/bin/x\n", 0644);
	CHECK(run("./noexec", none, none) == EACCES);
	script("empty", "", 0755);
	CHECK(run("./empty", (char *[]){"x", NULL}, none) == ENOEXEC);
	script("garbage", "\x7f" "ELFgarbage that is no program at all, long enough to be looked at as a header....", 0755);
	CHECK(run("./garbage", (char *[]){"x", NULL}, none) == ENOEXEC);
	script("nointerp", "#!/nonexistent/interp\n", 0755);
	CHECK(run("./nointerp", (char *[]){"x", NULL}, none) == ENOENT);
	CHECK(run("/nonexistent", none, none) == ENOENT);
	CHECK(run("/", none, none) == EACCES);
	CHECK(run("./noexec/x", none, none) == ENOTDIR);
	CHECK(run("", none, none) == ENOENT);
	FAILS(syscall(SYS_execve, 8, none, none), EFAULT);
	char *big = malloc(140000);
	memset(big, 'x', 139999);
	big[139999] = 0;
	CHECK(run("/proc/self/exe", (char *[]){"x", big, NULL}, none) == E2BIG);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		syscall(SYS_execveat, fd, "", (char *[]){"x", "show", "a b", "", NULL}, env, AT_EMPTY_PATH);
		_exit(errno);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 33);
	FAILS(syscall(SYS_execveat, 999, "x", none, none, 0), EBADF);
	FAILS(syscall(SYS_execveat, fd, "", none, none, 0), ENOENT);
	FAILS(syscall(SYS_execveat, AT_FDCWD, "script", none, none, 0x40000), EINVAL);
	return 0;
}
