// covers: execve execveat open truncate mmap
// ETXTBSY: what is executed is not written to, and what is written to not executed.
#include "check.h"
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static void copy(const char *to, int mode) {
	struct stat st;
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, mode);
	CHECK(in >= 0 && out >= 0 && fstat(in, &st) == 0);
	CHECK(sendfile(out, in, NULL, st.st_size) == st.st_size);
	close(in);
	close(out);
}

static void script(const char *path, const char *line) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	CHECK(fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line));
	close(fd);
}

// run executes path, which is this program, to end at once: 0, or the error.
static int run(const char *path) {
	pid_t p = fork();
	if (p == 0) {
		execl(path, path, "end", NULL);
		_exit(errno);
	}
	int status;
	CHECK(waitpid(p, &status, 0) == p && WIFEXITED(status));
	return WEXITSTATUS(status);
}

// running executes path until stop.
static pid_t running(const char *path, const char *arg) {
	int out[2];
	char c;
	CHECK(pipe(out) == 0);
	pid_t p = fork();
	if (p == 0) {
		dup2(out[1], 1);
		execl(path, path, arg, NULL);
		_exit(1);
	}
	close(out[1]);
	CHECK(read(out[0], &c, 1) == 1);
	close(out[0]);
	return p;
}

static void stop(pid_t p) { CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, 0) == p); }

static void open_for_writing(void) {
	copy("p", 0755);
	CHECK(run("./p") == 0);
	CHECK(link("p", "p2") == 0);
	int fd = open("p2", O_WRONLY);
	CHECK(fd >= 0 && run("./p") == ETXTBSY && run("./p2") == ETXTBSY);
	close(fd);
	fd = open("p", O_RDWR);
	CHECK(run("./p") == ETXTBSY);
	char *const argv[] = {"p", "end", NULL};
	FAILS(syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH), ETXTBSY);
	// A mapping keeps the file open, whatever it is for.
	void *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(m != MAP_FAILED && close(fd) == 0 && run("./p") == ETXTBSY);
	CHECK(munmap(m, 4096) == 0 && run("./p") == 0);
	fd = open("p", O_RDONLY);
	CHECK(run("./p") == 0);
	close(fd);
}

static void made_for_writing(void) {
	copy("p", 0755);
	CHECK(unlink("p") == 0);
	int in = open("/proc/self/exe", O_RDONLY), fd = open("p", O_WRONLY | O_CREAT | O_EXCL, 0755);
	CHECK(sendfile(fd, in, NULL, 1 << 30) > 0 && run("./p") == ETXTBSY);
	close(fd);
	CHECK(run("./p") == 0);
}

static void executed(void) {
	copy("p", 0755);
	CHECK(link("p", "p2") == 0);
	pid_t p = running("./p", "wait");
	FAILS(open("p", O_WRONLY), ETXTBSY);
	FAILS(open("p", O_RDWR | O_CREAT, 0755), ETXTBSY);
	FAILS(open("p", O_WRONLY | O_TRUNC), ETXTBSY);
	FAILS(open("p", O_RDONLY | O_TRUNC), ETXTBSY);
	FAILS(open("p2", O_WRONLY), ETXTBSY);
	FAILS(truncate("p", 1), ETXTBSY);
	FAILS(open("/proc/self/exe", O_WRONLY), ETXTBSY);
	FAILS(open("p", O_RDWR | O_CREAT | O_EXCL, 0755), EEXIST);
	CHECK(open("p", O_RDONLY) >= 0 && open("p", O_PATH | O_RDWR) >= 0);
	CHECK(access("p", W_OK) == 0 && chmod("p", 0700) == 0 && rename("p", "p3") == 0);
	FAILS(open("p3", O_WRONLY), ETXTBSY);
	copy("p", 0755); // another file
	CHECK(run("./p3") == 0);
	stop(p);
	int fd = open("p3", O_WRONLY | O_TRUNC);
	CHECK(fd >= 0);
	close(fd);
}

// What forks goes on executing; what executes another program does not.
static void forked(void) {
	copy("p", 0755);
	copy("q", 0755);
	pid_t p = running("./p", "fork");
	FAILS(open("p", O_WRONLY), ETXTBSY);
	CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, 0) == p);
	FAILS(open("p", O_WRONLY), ETXTBSY); // the child's
	int fd = -1;
	CHECK(write_file("go", "x") == 0);
	for (int n = 0; n < 500 && fd < 0; n++, usleep(10000))
		fd = open("p", O_WRONLY);
	CHECK(fd >= 0);
	close(fd);
}

static void scripts(void) {
	char line[4200] = "#!";
	CHECK(getcwd(line + 2, 4096));
	copy("p", 0755);
	script("s", strcat(line, "/p end\n"));
	CHECK(run("./s") == 0);
	int fd = open("s", O_WRONLY);
	CHECK(run("./s") == ETXTBSY);
	close(fd);
	fd = open("p", O_WRONLY);
	CHECK(run("./s") == ETXTBSY);
	close(fd);
	strcpy(strstr(line, " end"), " wait\n");
	script("s", line);
	pid_t p = running("./s", "x");
	fd = open("s", O_WRONLY); // only what interprets it is executed
	CHECK(fd >= 0);
	close(fd);
	FAILS(open("p", O_WRONLY), ETXTBSY);
	stop(p);
}

static void mapped(void) {
	copy("p", 0755);
	int fd = open("p", O_RDONLY);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE, fd, 0) != MAP_FAILED);
	CHECK(open("p", O_WRONLY) >= 0); // a library is not executed
}

static void memory_file(void) {
	int fd = memfd_create("p", 0), in = open("/proc/self/exe", O_RDONLY);
	char path[64];
	CHECK(fd >= 0 && sendfile(fd, in, NULL, 1 << 30) > 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(run(path) == 0); // its first descriptor is not counted
	int again = open(path, O_WRONLY);
	CHECK(again >= 0 && run(path) == ETXTBSY);
	close(again);
	pid_t p = running(path, "wait");
	FAILS(open(path, O_WRONLY), ETXTBSY);
	stop(p);
	CHECK(open(path, O_WRONLY) >= 0);
}

static int executing(const char *how) {
	if (!strcmp(how, "end"))
		_exit(0);
	if (!strcmp(how, "fork") && fork() == 0) {
		write(1, "x", 1);
		char c;
		int fd = open("go", O_RDONLY);
		while (read(fd, &c, 1) == 0)
			usleep(1000);
		execl("./q", "q", "end", NULL);
	}
	if (!strcmp(how, "wait"))
		write(1, "x", 1);
	for (;;)
		pause();
}

int main(int argc, char **argv) {
	if (argc > 1)
		return executing(argv[1]);
	close(open("go", O_WRONLY | O_CREAT, 0644));
	APART(open_for_writing());
	unlink("p2");
	APART(made_for_writing());
	APART(executed());
	APART(forked());
	APART(scripts());
	APART(mapped());
	APART(memory_file());
	return 0;
}
