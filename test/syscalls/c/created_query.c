// F_CREATED_QUERY of fcntl(2): whether the open file was made as it was opened.
// covers: fcntl
#include "check.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum { CREATED_QUERY = 1028 };

static int created(int fd) {
	CHECK(fd >= 0);
	return fcntl(fd, CREATED_QUERY, 0);
}

// in says what is so of the files of a directory, whatever filesystem it is on.
static void in(const char *dir) {
	CHECK(chdir(dir) == 0);
	int fd = open("made", O_CREAT | O_RDWR, 0600);
	CHECK(created(fd) == 1 && created(dup(fd)) == 1 && fcntl(fd, CREATED_QUERY, 7) == 1);
	CHECK(created(open("made", O_CREAT | O_RDWR, 0600)) == 0 && created(open("made", O_RDONLY)) == 0);
	CHECK(created(open("made", O_CREAT | O_TRUNC | O_WRONLY, 0600)) == 0 && created(open("made", O_PATH)) == 0);
	CHECK(created(fd) == 1 && unlink("made") == 0 && created(fd) == 1);
	CHECK(created(open("made", O_CREAT | O_EXCL | O_WRONLY, 0600)) == 1);
	CHECK(symlink("target", "link") == 0 && created(open("link", O_CREAT | O_RDWR, 0600)) == 1);
	CHECK(created(open("link", O_CREAT | O_RDWR, 0600)) == 0);
	CHECK(created(open(".", O_TMPFILE | O_RDWR, 0600)) == 0 && created(open(".", O_RDONLY)) == 0);
	CHECK(mkfifo("fifo", 0600) == 0 && created(open("fifo", O_CREAT | O_RDWR, 0600)) == 0);
}

static void here(void) { in("."); }

static void in_memory(void) {
	char dir[] = "/dev/shm/created.XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	in(dir);
}

static void what_has_no_name(void) {
	int p[2];
	CHECK(pipe(p) == 0 && created(p[0]) == 0 && created(memfd_create("m", 0)) == 0);
	FAILS(fcntl(-1, CREATED_QUERY, 0), EBADF);
}

int main(void) {
	if (fcntl(0, CREATED_QUERY, 0) == -1 && errno == EINVAL) {
		printf("absent F_CREATED_QUERY\n"); // Linux before 6.12
		return 0;
	}
	APART(here());
	APART(in_memory());
	APART(what_has_no_name());
	return 0;
}
