// F_DUPFD_QUERY of fcntl(2): whether two descriptors are of one open file.
// covers: fcntl
#include "check.h"

enum { DUPFD_QUERY = 1027 };

static void duplicates_are(void) {
	int f = open("/dev/null", O_RDWR), again = open("/dev/null", O_RDWR), path = open("/dev/null", O_PATH), copy = dup(f);
	CHECK(fcntl(f, DUPFD_QUERY, f) == 1 && fcntl(f, DUPFD_QUERY, copy) == 1 && fcntl(copy, DUPFD_QUERY, f) == 1);
	CHECK(fcntl(f, DUPFD_QUERY, again) == 0 && fcntl(f, DUPFD_QUERY, path) == 0);
	CHECK(fcntl(path, DUPFD_QUERY, path) == 1 && fcntl(path, DUPFD_QUERY, f) == 0);
	pid_t p = fork();
	if (p == 0) _exit(fcntl(f, DUPFD_QUERY, copy));
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 1 << 8);
}

static void what_is_refused(void) {
	FAILS(fcntl(0, DUPFD_QUERY, -1), EBADF);
	FAILS(fcntl(0, DUPFD_QUERY, 9999), EBADF);
	FAILS(fcntl(9999, DUPFD_QUERY, 0), EBADF);
}

int main(void) {
	if (fcntl(0, DUPFD_QUERY, 0) == -1 && errno == EINVAL) {
		printf("absent F_DUPFD_QUERY\n"); // Linux before 6.10
		return 0;
	}
	APART(duplicates_are());
	APART(what_is_refused());
	return 0;
}
