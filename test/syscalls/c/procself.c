// proc_pid_status(5), proc_pid_io(5): a process's memory by what it holds, and what
// it and the children it waited for have read and written.
// covers: read write wait4
#include "check.h"
#include <fcntl.h>

static long field(const char *file, const char *name) {
	char line[256];
	FILE *f = fopen(file, "r");
	CHECK(f != NULL);
	long v = -1;
	while (fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			sscanf(line + strlen(name), ": %ld", &v);
	fclose(f);
	return v;
}

int main(void) {
	// A static program has no libraries: all that is more than its own text is
	// the vDSO.
	CHECK(field("/proc/self/status", "VmExe") >= 100);
	CHECK(field("/proc/self/status", "VmLib") <= 16);

	long before = field("/proc/self/io", "wchar"), calls = field("/proc/self/io", "syscw");
	int null = open("/dev/null", O_WRONLY);
	pid_t pid = fork();
	if (pid == 0) {
		char b[1000] = {0};
		for (int i = 0; i < 100; i++)
			CHECK(write(null, b, sizeof b) == sizeof b);
		_exit(0);
	}
	CHECK(field("/proc/self/io", "wchar") < before + 100000); // not yet
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(field("/proc/self/io", "wchar") == before + 100000);
	CHECK(field("/proc/self/io", "syscw") == calls + 100);
	return 0;
}
